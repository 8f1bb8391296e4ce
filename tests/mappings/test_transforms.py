"""Every public transform of Linen has a record that accounts for its arguments; the main idioms are what they say."""

import functools
import inspect
import pathlib

import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn
from flax import nnx
from flax.linen import transforms

import mappings.transforms
from migrate.core.registry import load_transforms
from migrate.verify.construct import resolve

RECORDS = load_transforms()


def public_transforms():
  return {f"flax.linen.{n}" for n, f in vars(transforms).items() if inspect.isfunction(f) and getattr(nn, n, None) is f}


def test_every_public_transform_has_a_record():
  assert public_transforms() == set(RECORDS)


@pytest.mark.parametrize("record", RECORDS.values(), ids=lambda r: r.linen)
def test_every_argument_has_one_fate(record):
  parameters = list(inspect.signature(resolve(record.linen)).parameters)
  assert list(record.positional) == parameters
  assert sorted(a.linen for a in record.args) == sorted(parameters)
  assert all(a.because for a in record.args if a.fate != "same")
  assert record.because
  theirs = list(inspect.signature(resolve(record.nnx)).parameters) if record.nnx else []
  for arg in record.args:
    assert arg.nnx is None or arg.nnx.lstrip("*") in theirs


@pytest.mark.parametrize("record", [r for r in RECORDS.values() if r.prefix], ids=lambda r: r.linen)
def test_the_prefix_is_what_linen_names_the_class(record):
  class Block(nn.Module):
    @nn.compact
    def __call__(self, x, _=None):
      return nn.Dense(3)(x), None

  extra = {
    "scan": {"variable_axes": {"params": 0}, "split_rngs": {"params": True}, "length": 2},
    "vmap": {"variable_axes": {"params": None}, "split_rngs": {"params": False}},
    "remat_scan": {"lengths": (2,)},
  }
  name = record.linen.rpartition(".")[2]
  assert resolve(record.linen)(Block, **extra.get(name, {})).__name__ == f"{record.prefix}Block"


class Linen(nn.Module):
  @nn.compact
  def __call__(self, x, _=None):
    return nn.tanh(nn.Dense(3, name="dense")(x)), x


class Ours(nnx.Module):
  def __init__(self, rngs):
    self.dense = nnx.Linear(3, 3, rngs=rngs)

  def __call__(self, x):
    return nnx.tanh(self.dense(x))


def filled(model, params):
  model.dense.kernel.set_value(params["dense"]["kernel"])
  model.dense.bias.set_value(params["dense"]["bias"])
  return model


def test_a_scanned_stack():
  stack = nn.scan(Linen, variable_axes={"params": 0}, split_rngs={"params": True}, length=4)()
  x = jax.random.normal(jax.random.key(0), (5, 3))
  params = stack.init(jax.random.key(1), x, None)["params"]
  layers = filled(nnx.vmap(Ours, in_axes=0, out_axes=0)(nnx.Rngs(0).split(4)), params)
  body = nnx.scan(lambda layer, x: (layer(x), x), in_axes=(0, nnx.Carry), out_axes=(nnx.Carry, 0))
  linen = jax.jit(lambda p, x: stack.apply({"params": p}, x, None))(params, x)
  assert jax.tree.all(jax.tree.map(jnp.array_equal, linen, nnx.jit(body)(layers, x)))


def test_a_vmapped_layer():
  batched = nn.vmap(Linen, variable_axes={"params": 0}, split_rngs={"params": True}, in_axes=(0, None), out_axes=0)()
  x = jax.random.normal(jax.random.key(0), (4, 5, 3))
  params = batched.init(jax.random.key(1), x, None)["params"]
  layers = filled(nnx.vmap(Ours, in_axes=0, out_axes=0)(nnx.Rngs(0).split(4)), params)
  linen = jax.jit(lambda p, x: batched.apply({"params": p}, x, None)[0])(params, x)
  ours = nnx.jit(nnx.vmap(lambda layer, x: layer(x), in_axes=(0, 0)))(layers, x)
  assert jnp.array_equal(linen, ours)


def test_rematerialisation_of_the_call_and_the_trap_of_the_class():
  layer = Ours(nnx.Rngs(0))
  graph, params = nnx.split(layer)
  x = jnp.ones((5, 3))

  def loss(call, params):
    return call(nnx.merge(graph, params), x).sum()

  lifted = jax.make_jaxpr(jax.grad(functools.partial(loss, nnx.remat(lambda m, x: m(x)))))(params)
  assert "remat" in str(lifted)
  wrong = nnx.remat(Ours)(nnx.Rngs(0))
  assert "remat" not in str(jax.make_jaxpr(jax.grad(lambda x: wrong(x).sum()))(x))


def test_every_record_is_in_a_file_of_its_name():
  folder = pathlib.Path(inspect.getfile(mappings.transforms)).parent
  assert {f.stem for f in folder.glob("[a-z]*.py")} == {r.linen.rpartition(".")[2] for r in RECORDS.values()}
