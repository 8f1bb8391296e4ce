"""`port --keep-rng`: the ported package draws Linen's random numbers by itself."""

from __future__ import annotations

import importlib.util

import jax
import numpy as np
import pytest
from flax import nnx

import migrate
from migrate import cli
from migrate.workflows.port_files import importing

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SOURCE = """
import flax.linen as nn
import jax
import migrate


class Layer(nn.Module):
  @nn.compact
  def __call__(self, x, train):
    return nn.Dropout(0.4, deterministic=not train)(nn.Dense(x.shape[-1])(x)), None


class Deep(nn.Module):
  @nn.compact
  def __call__(self, x, train: bool):
    axes, split = {"params": 0}, {"params": True, "dropout": True}
    layers = nn.scan(Layer, variable_axes=axes, split_rngs=split, length=3, in_axes=nn.broadcast)
    x, _ = layers()(x, train)
    return nn.Dropout(0.1, deterministic=not train)(x)


def deep():
  x = jax.ShapeDtypeStruct((5, 7), "float32")
  return migrate.Example(Deep(), (x,), {"train": False}, calls=(migrate.Call((x,), {"train": True}, rngs=("dropout",)),))
"""


def test_the_package_draws_what_linen_drew(tmp_path, monkeypatch):
  (tmp_path / "deep.py").write_text(SOURCE)
  monkeypatch.chdir(tmp_path)
  assert cli.main(["port", "deep.py:deep", "--out", "out", "--keep-rng", "--quiet"]) == 0
  spec = importlib.util.spec_from_file_location("deep_source", tmp_path / "deep.py")
  source = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(source)
  linen, x = source.Deep(), jax.random.normal(jax.random.key(0), (5, 7))
  variables = linen.init(jax.random.key(1), x, train=False)
  with importing(tmp_path / "out") as load:
    model = load("ported").build_deep(nnx.Rngs(0))
    model = migrate.to_nnx(variables, model, "out")
    set_rngs = load("deep_nnx_layers.linen_rngs").set_rngs
    for step in range(3):
      key = jax.random.fold_in(jax.random.key(2), step)
      set_rngs(model, dropout=key)
      mine = nnx.jit(lambda m, x: m(x, train=True))(model, x)
      theirs = jax.jit(lambda v, x, k: linen.apply(v, x, train=True, rngs={"dropout": k}))(variables, x, key)
      np.testing.assert_array_equal(mine, theirs)
