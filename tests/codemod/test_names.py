"""What a Linen name is called without Linen, and how that is spelled."""

from __future__ import annotations

import inspect

import pytest
from flax import linen as nn

from migrate.codemod.names import MOVED, lookup, nnx_name, spell


@pytest.mark.parametrize(
  ("linen", "nnx"),
  [
    ("flax.linen.relu", "flax.nnx.relu"),
    ("flax.linen.activation.gelu", "flax.nnx.gelu"),
    ("flax.linen.initializers.lecun_normal", "flax.nnx.initializers.lecun_normal"),
    ("flax.linen.max_pool", "flax.nnx.max_pool"),
    ("flax.linen.make_causal_mask", "flax.nnx.make_causal_mask"),
    ("flax.linen.Module", "flax.nnx.Module"),
    ("flax.linen.Variable", "flax.nnx.Variable"),
    ("flax.linen.linear.DotGeneralT", "flax.typing.DotGeneralT"),
    ("flax.linen.no_such_thing", None),
    ("flax.linen.compact", None),
    ("jax.numpy.sum", None),
    ("flax.linenx.relu", None),
  ],
)
def test_counterpart(linen, nnx):
  assert nnx_name(linen) == nnx


def test_every_activation_has_the_very_same_function():
  from flax.linen import activation

  for name in activation.__dict__:
    full = f"flax.linen.{name}"
    if inspect.isfunction(getattr(nn, name, None)) and nnx_name(full) is not None:
      found = lookup(nnx_name(full))
      assert found is getattr(nn, name) or full in MOVED


def test_moved_names_exist_on_both_sides():
  assert [full for full, target in MOVED.items() if lookup(target) is None] == []


@pytest.mark.parametrize(
  ("full", "text", "statement"),
  [
    ("flax.nnx.relu", "nnx.relu", "from flax import nnx"),
    ("flax.nnx.initializers.zeros", "nnx.initializers.zeros", "from flax import nnx"),
    ("flax.nnx", "nnx", "from flax import nnx"),
    ("jax.numpy.sum", "jnp.sum", "import jax.numpy as jnp"),
    ("jax.nn.relu", "jax.nn.relu", "import jax"),
    (
      "flax.nnx.nn.linear.default_kernel_init",
      "default_kernel_init",
      "from flax.nnx.nn.linear import default_kernel_init",
    ),
    ("a.b.c", "c", "from a.b import c"),
  ],
)
def test_spelling(full, text, statement):
  assert spell(full) == (text, statement)
  namespace: dict = {}
  if not full.startswith("a."):
    exec(statement, namespace)
    assert eval(text, namespace) is lookup(full)


@pytest.mark.parametrize("full", ["", "no_such_package_of_ours.x", "flax.nnx.no_such", "jax.numpy.sum.no"])
def test_unknown_names_are_none(full):
  assert lookup(full) is None if full else True
