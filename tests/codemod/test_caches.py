"""Decode caches: `init` of the Linen model makes them, `ported.py` asks for them."""

from __future__ import annotations

import pytest

from migrate.core.report import MigrateError
from tests.codemod.support import draft, importable, port_and_check, rewrite

SOURCE = """
class Layer(nn.Module):
  heads: int
  decode: bool = False

  @nn.compact
  def __call__(self, x):
    y = nn.MultiHeadDotProductAttention(self.heads, decode=self.decode)(nn.LayerNorm()(x))
    return x + y


class Model(nn.Module):
  heads: int = 2
  layers: int = 2
  decode: bool = False

  @nn.compact
  def __call__(self, x):
    if self.decode:
      started = self.has_variable("cache", "step")
      step = self.variable("cache", "step", lambda: jnp.array(0, jnp.uint32))
      if started:
        x = x + step.value.astype(x.dtype)
        step.value = step.value + 1
    for i in range(self.layers):
      x = Layer(self.heads, self.decode, name=f"layer_{i}")(x)
    return nn.Dense(3)(x)
"""
DECODE = 'Example(Model(decode=True), (x(2, 1, 4),), init_args=(x(2, 5, 4),), mutable=["cache"])'


def test_decoding_with_a_cache(tmp_path):
  ported = port_and_check(
    tmp_path,
    SOURCE,
    DECODE,
    "Model(), x(2, 5, 4)",
    held_out=['Example(Model(2, 1, True), (x(3, 1, 6),), init_args=(x(3, 4, 6),), mutable=["cache"])'],
  )
  text = ported.draft.files["ported.py"]
  assert text.count("init_caches(model, (2, 5))") == 1
  assert "init_cache" not in ported.text


def test_layers_that_are_scanned_with_their_caches(tmp_path):
  source = """
    class Layer(nn.Module):
      @nn.compact
      def __call__(self, x, _):
        return x + nn.SelfAttention(2, decode=True)(x), None

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        layers = nn.scan(
          Layer, variable_axes={"params": 0, "cache": 0}, split_rngs={"params": True}, length=3, in_axes=nn.broadcast
        )
        return layers(name="layers")(x, None)[0]
    """
  port_and_check(tmp_path, source, 'Example(Model(), (x(2, 1, 4),), init_args=(x(2, 5, 4),), mutable=["cache"])')


def test_caches_of_several_lengths_are_refused(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        long = jnp.concatenate([x, x], 1) if self.is_initializing() else x
        return nn.SelfAttention(2, decode=True)(x) + nn.SelfAttention(2, decode=True)(long).sum()
    """
  example = 'Example(Model(), (x(2, 1, 4),), init_args=(x(2, 5, 4),), mutable=["cache"])'
  ported = rewrite(tmp_path, source, example)
  with importable(ported.folder), pytest.raises(MigrateError, match=r"of several shapes: \(2, 5\), \(2, 10\)"):
    draft(ported)
