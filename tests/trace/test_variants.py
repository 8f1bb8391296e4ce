"""The same model at other sizes."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from migrate.example import Example
from migrate.trace.variants import variants


class Net(nn.Module):
  features: int = 5
  num_layers: int = 2

  @nn.compact
  def __call__(self, x):
    return nn.Dense(self.features)(x)


def found(*args):
  return [v for v, *_ in variants(Example(Net(), args))]


def test_batch_changes_and_features_stay():
  resized = found(jnp.ones((2, 7)))[0]
  assert resized.args[0].shape == (3, 7)


def test_image_sizes_are_doubled():
  resized = found(jnp.ones((2, 8, 12, 3)))[0]
  assert resized.args[0].shape == (3, 16, 24, 3)


def test_square_images_are_oblong_in_the_variant_that_is_tried_first():
  oblong, square = next(iter(variants(Example(Net(), (jnp.ones((2, 8, 8, 3)),)))))
  assert oblong.args[0].shape == (3, 16, 32, 3)
  assert square.args[0].shape == (3, 16, 16, 3)


def test_equal_sizes_stay_equal_across_arguments():
  resized = found(jnp.ones((2, 6), "int32"), jnp.ones((2, 6), bool))[0]
  assert resized.args[0].shape[0] == resized.args[1].shape[0]


def test_last_axis_is_widened_in_a_variant_of_its_own():
  assert found(jnp.ones((2, 7)))[1].args[0].shape == (2, 14)


def test_the_module_has_other_numbers_in_three_ways_of_which_the_first_that_runs_is_enough():
  *_, others = variants(Example(Net(), (jnp.ones((2, 7)),)))
  assert [(v.module.features, v.module.num_layers) for v in others] == [(10, 3), (10, 2)]


def test_values_that_are_no_arrays_stay():
  assert found(jnp.ones((2, 7)), "mode", None, 3)[0].args[1:] == ("mode", None, 3)


def test_argument_that_refuses_other_sizes_leaves_the_other_variants():
  @jax.tree_util.register_pytree_node_class
  class Fixed:
    def __init__(self, array):
      if getattr(array, "shape", (5,))[-1:] != (5,):
        raise ValueError("five features are needed")
      self.array = array

    def tree_flatten(self):
      return (self.array,), None

    @classmethod
    def tree_unflatten(cls, _, children):
      return cls(*children)

  given = Fixed(jax.ShapeDtypeStruct((2, 5), "float32"))
  found = [v for v, *_ in variants(Example(nn.Dense(4), (given,)))]
  assert [v.args[0].array.shape for v in found] == [(3, 5), (2, 5)]


def test_vector_as_long_as_a_batch_is_resized_with_it():
  images, times, sizes = [jax.ShapeDtypeStruct(s, "float32") for s in ((2, 8, 8, 3), (2,), (5,))]
  shapes = [a.shape for a in found(images, times, sizes)[0].args]
  assert shapes == [(3, 16, 32, 3), (3,), (5,)]
