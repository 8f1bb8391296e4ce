"""Offers of operands: what joins axes and what does not."""

from __future__ import annotations

import ast

import pytest

from migrate.codemod.sizes_pool import Pool, literals, multiplied, wrap


def offers(pool: Pool, axis: int) -> dict[str, list[int]]:
  return {c: sizes for candidates, sizes in pool.of(axis) for c in candidates}


def test_same_axis_goes_before_other_axes():
  pool = Pool(joins=True)
  pool.add_operand([["rows"], ["columns"]], [[5, 6], [5, 7]])
  assert pool.of(1)[0] == (["columns"], [5, 6])
  assert pool.of(2)[0] == (["rows"], [5, 7])


def test_sums_and_products_are_offered_where_axes_may_join():
  pool = Pool(joins=True)
  pool.add_operand([["rows"], ["columns"]], [[3], [2]])
  pool.add_operand([["other"]], [[4]])
  found = offers(pool, 1)
  assert found["columns + other"] == [7]
  assert found["rows * columns"] == [6]


def test_two_axes_flattened_are_not_the_sum_of_two_arrays():
  pool = Pool(joins=True)
  for _ in range(2):
    pool.add_operand([["heads"], ["width"]], [[5], [2]])
  assert offers(pool, 1)["heads * width"] == [10]
  assert "2 * width" not in offers(pool, 1)
  pool = Pool(joins=True)
  for _ in range(2):
    pool.add_operand([["rows"], ["width"]], [[5], [3]])
  assert offers(pool, 1)["2 * width"] == [10]


def test_a_layer_joins_nothing():
  pool = Pool(joins=False)
  pool.add_operand([["rows"], ["columns"]], [[3], [2]])
  pool.add_operand([["other"]], [[4]])
  pool.literals.append((["9"], [9]))
  assert set(offers(pool, 1)) == {"columns", "other", "rows"}


def test_axis_without_a_name_is_in_no_product():
  pool = Pool(joins=True)
  pool.add_operand([[], ["columns"]], [[3], [2]])
  assert set(offers(pool, 1)) == {"columns"}


@pytest.mark.parametrize(
  ("text", "wanted"),
  [("x[:, :3]", [3]), ("x[:, ::3]", []), ("jnp.ones((b, 7))", [7]), ("x[0]", []), ("x[..., 1:]", []), ("f(x, 5)", [])],
)
def test_literals_are_bounds_of_slices_and_items_of_shapes(text, wanted):
  assert literals(ast.parse(text, mode="eval")) == wanted


@pytest.mark.parametrize(
  ("text", "wanted"), [("a", "a"), ("a + b", "(a + b)"), ("self.a.b", "self.a.b"), ("(a)", "(a)")]
)
def test_expressions_become_operands(text, wanted):
  assert wrap(text) == wanted


def test_products_leave_ones_out():
  assert multiplied(["1", "1", "a + b"]) == "a + b"
  assert multiplied(["a + b", "1", "c"]) == "(a + b) * c"
  assert multiplied(["1", "1"]) == "1"
