"""Arrays found in any pytree, named alike on both sides."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from migrate.verify import arrays as A


@struct.dataclass
class Output:
  logits: object
  extra: object = None


class Normal:
  """A distribution that is no pytree."""

  def __init__(self, loc, scale):
    self._loc, self._scale, self.name = loc, scale, "normal"


def test_static_values_stay_out_of_jit():
  tree = ({"x": np.ones(2), "train": True}, "mode", None, 3)
  arrays, rebuild = A.split_static(tree)
  assert len(arrays) == 1
  back = rebuild([arrays[0] * 2])
  assert back[0]["train"] is True
  assert back[1:] == ("mode", None, 3)
  np.testing.assert_array_equal(back[0]["x"], [2, 2])


def test_shapes_become_values():
  shape = jax.ShapeDtypeStruct
  kinds = {"f": jnp.bfloat16, "i": np.int32, "b": bool, "c": np.complex64}
  tree = A.fill_shapes({name: shape((40,), dtype) for name, dtype in kinds.items()})
  assert tree["f"].dtype == jnp.bfloat16
  assert set(np.unique(tree["i"])) <= {0, 1, 2, 3}
  assert tree["b"].dtype == bool
  assert np.abs(tree["c"].imag).max() > 0
  assert A.fill_shapes((shape((), jax.random.key(0).dtype),))[0].dtype == jax.random.key(0).dtype


def test_filling_is_the_same_at_every_run():
  shape = (jax.ShapeDtypeStruct((3,), np.float32),)
  np.testing.assert_array_equal(A.fill_shapes(shape, 1)[0], A.fill_shapes(shape, 1)[0])


def test_outputs_of_other_classes_have_the_same_names():
  arrays, plain, opaque = A.named_leaves((Output(jnp.ones(2), {"n": 3}), [jnp.zeros(1)], None))
  assert list(arrays) == ["0/logits", "1/0"]
  assert plain == {"0/extra/n": 3}
  assert opaque == 0
  assert list(A.named_leaves({"a": jnp.ones(1)})[0]) == ["a"]
  assert list(A.named_leaves(jnp.ones(1))[0]) == ["output"]


def test_objects_that_are_no_pytrees_are_searched():
  arrays, _, opaque = A.named_leaves((Normal(jnp.ones(2), {"deep": jnp.ones(1)}), object()))
  assert list(arrays) == ["0/_loc", "0/_scale.deep"]
  assert opaque == 1


def test_object_that_holds_itself():
  one = Normal(jnp.ones(2), None)
  one.me = one
  assert list(A.named_leaves(one)[0]) == ["output/_loc"]


def test_names_with_slashes_are_kept_whole():
  tree = {"batch_stats": {"norm": {"Dense_0/kernel/u": jnp.ones(1)}}}
  flat = A.flatten(tree)
  assert list(flat) == [("batch_stats", "norm", "Dense_0/kernel/u")]
  assert jax.tree.structure(A.unflatten(flat)) == jax.tree.structure(tree)


def test_scalar_has_no_symmetry():
  x = jnp.arange(6.0).reshape(2, 3)
  assert A.scalar_of({"a": x}) != A.scalar_of({"a": x[::-1]})
  assert A.scalar_of({"a": x, "b": -x}) != A.scalar_of({"a": -x, "b": x})
  z = jnp.array([1 + 2j])
  assert A.scalar_of({"a": z}) != A.scalar_of({"a": jnp.conj(z)})
  assert A.scalar_of({"i": jnp.arange(3)}) == 0


def test_streams_differ():
  keys = A.stream_keys(("params", "dropout"), 0)
  assert not (keys["params"] == keys["dropout"]).all()


def test_dataclass_that_is_no_pytree():
  @dataclasses.dataclass
  class Plain:
    x: object

  assert list(A.named_leaves(Plain(jnp.ones(1)))[0]) == ["output/x"]


def test_tuples_come_back_and_dicts_with_numbers_for_names_stay_dicts():
  tree = {"params": {"w": (np.zeros(1), np.ones(2)), "nested": ((np.full(1, 2.0),),), "0": {"1": np.full(3, 4.0)}}}
  flat = A.flatten(tree)
  assert flat["params", "w", "1"].shape == (2,)
  back = A.unflatten(flat)
  assert jax.tree.structure(back) == jax.tree.structure(tree)
  twelve = {"a": tuple(np.full(1, i) for i in range(12))}
  assert [int(x[0]) for x in A.unflatten(A.flatten(twelve))["a"]] == list(range(12))
