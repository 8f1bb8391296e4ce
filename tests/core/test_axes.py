import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.core.axes import AxesError, evaluate, sizes_of, unify


def test_names_are_bound_to_sizes():
  assert unify("* in_features", (2, 3, 5), {}) == {"in_features": 5}
  assert unify("in_features out_features", (3, 5), {"in_features": 3}) == {"in_features": 3, "out_features": 5}


def test_products_and_quotients_are_solved():
  assert unify("features 4*hidden", (3, 20), {})["hidden"] == 5
  assert unify("in_features/groups out", (2, 5), {"groups": 3})["in_features"] == 6
  assert unify("in_features/groups", (2,), {"in_features": 6})["groups"] == 3


def test_a_starred_name_stands_for_several_axes():
  assert unify("*kernel_size inputs", (3, 2, 7), {})["kernel_size"] == (3, 2)
  assert unify("*batch *features", (3, 5, 7), {"batch": ()})["features"] == (3, 5, 7)
  assert evaluate("*kernel_size 2*h", {"kernel_size": (3, 2), "h": 5}) == (3, 2, 10)


@pytest.mark.parametrize(
  ("spec", "shape", "dims"),
  [
    ("a b", (3,), {}),
    ("a a", (3, 5), {}),
    ("4*a", (6,), {}),
    ("*k a", (3, 2, 5), {"k": (3, 3)}),
    ("a*b", (6,), {}),
    ("*a *b", (3, 5), {}),
    ("a/b", (2,), {"a": 5, "b": 3}),
    ("5", (3,), {}),
  ],
)
def test_what_does_not_fit_is_refused(spec, shape, dims):
  with pytest.raises(AxesError):
    unify(spec, shape, dims)


@pytest.mark.parametrize("spec", ["a+b", "*a*b", "a*", "* *", "2*", "-1"])
def test_what_is_no_spec_is_refused(spec):
  with pytest.raises(AxesError):
    evaluate(spec, {"a": 1, "b": 2})


def test_what_can_be_a_size():
  assert sizes_of(3) == 3
  assert sizes_of([3, 5]) == (3, 5)
  assert sizes_of({0: 7}) == (7,)
  assert sizes_of(True) is None
  assert sizes_of("3") is None


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 5))
def test_unify_undoes_evaluate(sizes, factor):
  names = [f"n{i}" for i in range(len(sizes))]
  spec = " ".join(f"{factor}*{name}" for name in names)
  dims = dict(zip(names, sizes, strict=True))
  assert unify(spec, evaluate(spec, dims), {}) == dims
