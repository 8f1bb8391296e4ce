"""The same model with other numbers in its fields."""

import dataclasses

import jax.numpy as jnp
from flax import linen as nn

from migrate.example import Example
from migrate.trace.run import trace_variants
from migrate.trace.scaled import scaled, told_apart


@dataclasses.dataclass
class Config:
  hidden: int = 6
  num_hidden_layers: int = 1
  num_heads: int = 2


class Net(nn.Module):
  features: int = 5
  out_channels: int = 1
  num_layers: int = 2
  widths_of_hidden: tuple[int, ...] = (4, 6)
  kernel: tuple[int, ...] = (3, 3)
  config: Config | None = None

  @nn.compact
  def __call__(self, x):
    return nn.Dense(self.features)(x)


def made(net=None, **options):
  example = scaled(Example(net or Net(), (jnp.ones((2, 7)),)), **options)
  assert example is not None
  return example.module


def test_fields_that_count_features_are_doubled_and_others_stay():
  found = made()
  assert (found.features, found.num_layers, found.out_channels) == (10, 2, 1)
  assert found.widths_of_hidden == (4, 6)


def test_lists_of_features_and_ones_are_doubled_on_request():
  found = made(lists=True, ones=True)
  assert (found.widths_of_hidden, found.out_channels, found.kernel, found.num_layers) == ((8, 12), 2, (3, 3), 2)


def test_lists_of_features_are_longer_on_request():
  assert made(lists=True, longer=True).widths_of_hidden == (8, 12, 18)
  assert made(longer=True).widths_of_hidden == (4, 6)


def test_fields_that_are_one_stay_where_only_lists_are_asked_for():
  found = made(lists=True)
  assert (found.widths_of_hidden, found.out_channels) == ((8, 12), 1)


def test_one_layer_more_on_request():
  found = made(Net(config=Config()), deeper=True)
  assert (found.num_layers, found.config.num_hidden_layers, found.config.hidden, found.config.num_heads) == (
    3,
    3,
    12,
    2,
  )


def test_a_module_without_such_fields_has_no_variant():
  class Plain(nn.Module):
    rate: float = 0.5

  assert scaled(Example(Plain(), ()), deeper=True) is None


def test_where_one_layer_more_does_not_run_features_are_doubled_alone():
  class Two(nn.Module):
    features: int = 4
    num_layers: int = 2

    @nn.compact
    def __call__(self, x):
      if self.num_layers != 2:
        raise ValueError("two layers")
      return nn.Dense(self.features)(x)

  last = trace_variants(Example(Two(), (jnp.ones((2, 7)),)))[-1]
  assert (last.example.module.features, last.example.module.num_layers) == (8, 2)


def test_fields_that_are_the_same_by_chance_are_told_apart():
  class Heads(nn.Module):
    heads: int = 4
    head_dim: int = 4
    depth: int = 4
    ones: int = 1
    more_ones: int = 1

  found = [e.module for e in told_apart(Example(Heads(), ()))]
  assert [(m.heads, m.head_dim, m.depth, m.more_ones) for m in found] == [(4, 8, 12, 1), (4, 8, 4, 1), (4, 4, 12, 1)]
  assert told_apart(Example(Heads(head_dim=3, depth=2), ())) == []


def test_lists_of_features_are_known_by_their_names():
  class Lists(nn.Module):
    hidden: tuple[int, ...] = (4,)
    layer_sizes: tuple[int, ...] = (5, 7)
    kernel_sizes: tuple[int, ...] = (3,)

  found = scaled(Example(Lists(), ()), lists=True, longer=True)
  assert found is not None
  assert (found.module.hidden, found.module.layer_sizes) == ((8, 12), (10, 14, 21))
  assert found.module.kernel_sizes == (3,)
