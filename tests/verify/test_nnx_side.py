"""The NNX side: the same calls on the filled model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

import migrate
from migrate.core.declare import ModelMapping
from migrate.core.report import MigrateError
from migrate.verify.linen_side import record_linen
from migrate.verify.nnx_side import _plain, build_model, record_nnx
from migrate.workflows.bridge import StateBridge
from tests.verify import pairs


@pytest.fixture(scope="module")
def linen():
  return record_linen(pairs.two_inputs_example())


def test_each_stream_has_its_own_tag():
  model = build_model(lambda rngs: pairs.NormsNnx(rngs=rngs), ("params", "noise"), "m")
  assert model.drop.rngs.tag == "dropout"


@pytest.mark.parametrize(
  ("build", "words"), [(lambda rngs: 1 / 0, "ZeroDivisionError"), (lambda rngs: 3, "returned int")]
)
def test_build_that_fails_is_refused(build, words):
  with pytest.raises(MigrateError, match=words):
    build_model(build, (), "m")


def test_model_without_the_method_is_refused(linen):
  linen.plans[0].method = "encode"
  try:
    with pytest.raises(MigrateError, match="no method encode"):
      record_nnx(linen, pairs.TwoInputsNnx(rngs=nnx.Rngs(0)), StateBridge(pairs.TWO_INPUTS))
  finally:
    linen.plans[0].method = None


class GivesVariable(pairs.TwoInputsNnx):
  """Returns a Variable, sows, and keeps a raw array."""

  def __init__(self, *, rngs):
    super().__init__(rngs=rngs)
    self.table = jnp.arange(3.0)

  def __call__(self, a, b):
    return super().__call__(a, b), self.dense.bias


def test_variables_in_outputs_and_raw_arrays(linen):
  call = record_nnx(linen, GivesVariable(rngs=nnx.Rngs(0)), StateBridge(pairs.TWO_INPUTS)).calls[0]
  assert sorted(call.outputs) == ["0", "1"]
  assert sorted(call.grads) == [("params", "dense", "bias"), ("params", "dense", "kernel")]


def test_model_is_not_changed_by_a_call():
  linen = record_linen(pairs.norms_example())
  record = record_nnx(linen, pairs.NormsNnx(rngs=nnx.Rngs(0, params=1, dropout=2)), StateBridge(pairs.NORMS))
  mean = ("batch_stats", "norm", "mean")
  assert (record.calls[0].after[mean] == linen.variables[mean]).all()
  assert (record.calls[1].after[mean] != linen.variables[mean]).any()


class Inner(nn.Module):
  @nn.compact
  def __call__(self, x):
    x = nn.Dense(3, name="dense")(x)
    self.sow("intermediates", "features", x)
    self.sow("losses", "size", (x**2).sum())
    return x


class Sows(nn.Module):
  @nn.compact
  def __call__(self, x):
    inner = Inner(name="inner")
    return inner(inner(x))


class InnerNnx(nnx.Module):
  def __init__(self, factor, *, rngs):
    self.dense = nnx.Linear(3, 3, rngs=rngs)
    self.factor = factor

  def __call__(self, x):
    x = self.dense(x)
    self.sow(nnx.Intermediate, "features", x * self.factor)
    self.sow(nnx.variable_type_from_name("losses", allow_register=True), "size", (x**2).sum())
    return x


class SowsNnx(nnx.Module):
  def __init__(self, factor, *, rngs):
    self.inner = InnerNnx(factor, rngs=rngs)

  def __call__(self, x):
    return self.inner(self.inner(x))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("factor", "verdict"), [(1, "identical"), (2, "different")])
def test_sown_values_are_compared(factor, verdict):
  example = migrate.Example(Sows(), (np.ones((2, 3), np.float32) / 7,), mutable=["intermediates", "losses"])
  report = migrate.verify(example, lambda rngs: SowsNnx(factor, rngs=rngs), ModelMapping())
  assert report.verdict == verdict, report.findings
  collections = report.examples[0].collections
  assert collections["intermediates"].compared == collections["losses"].compared == 2


class Load(nn.Module):
  """Sows a sum, which is no tuple."""

  @nn.compact
  def __call__(self, x):
    x = nn.Dense(3, name="dense")(x)
    self.sow("losses", "load", jnp.mean(x), reduce_fn=lambda a, b: a + b, init_fn=lambda: 0.0)
    return x


class Losses(nnx.Variable):
  """A type that is not registered under the collection's name."""


class LoadNnx(nnx.Module):
  def __init__(self, factor, *, rngs):
    self.dense = nnx.Linear(5, 3, rngs=rngs)
    self.factor = factor

  def __call__(self, x):
    x = self.dense(x)
    self.sow(Losses, "load", jnp.mean(x) * self.factor, reduce_fn=lambda a, b: a + b, init_fn=lambda: 0.0)
    return x


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("factor", "verdict"), [(1, "identical"), (2, "different")])
@pytest.mark.parametrize("mutable", [None, ["losses"]])
def test_sums_that_init_sowed_are_not_carried_and_those_of_a_call_are_compared(mutable, factor, verdict):
  example = migrate.Example(Load(), (np.ones((2, 5), np.float32) / 7,), mutable=mutable)
  report = migrate.verify(example, lambda rngs: LoadNnx(factor, rngs=rngs), ModelMapping())
  assert report.verdict == (verdict if mutable else "identical"), report.findings
  assert report.examples[0].leaves == 2


def test_outputs_that_do_not_stand_being_made_again():
  out = _Once(jnp.ones(2))
  assert _plain(out) is out
  assert _plain((nnx.Param(jnp.ones(2)), 1))[1] == 1


@jax.tree_util.register_pytree_node_class
class _Once:
  def __init__(self, x):
    self.x = x

  def tree_flatten(self):
    return (self.x,), None

  @classmethod
  def tree_unflatten(cls, aux, children):
    raise AttributeError("made again")
