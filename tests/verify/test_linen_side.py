"""The Linen side: variables, calls, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

import migrate
from migrate.core.report import MigrateError
from migrate.verify.linen_side import init_variables, record_linen
from tests.verify import pairs

X = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)


def test_every_call_is_recorded():
  record = record_linen(pairs.norms_example())
  first, second = record.calls
  assert sorted(first.outputs) == ["mean", "out"]
  assert not first.draws
  assert [d.path for d in second.draws] == ["Dropout_0", "Dropout_1"]
  assert len(second.grads) == 10
  mean = ("batch_stats", "norm", "mean")
  np.testing.assert_array_equal(first.after[mean], record.variables[mean])
  assert (second.after[mean] != record.variables[mean]).any()
  assert 0 < second.noise["outputs"]["out"] < 1e-3


class Odd(nn.Module):
  """Sows, perturbs, boxes its kernel, and gives what is no array."""

  @nn.compact
  def __call__(self, x):
    kernel = nn.with_partitioning(nn.initializers.ones, ("a", "b"))
    x = nn.Dense(3, kernel_init=kernel)(x)
    self.sow("losses", "l2", (x**2).sum())
    self.sow("intermediates", "x", x)
    x = self.perturb("x", x)
    return x, "text", 7, jnp.argmax(x)


def test_sown_and_boxed_variables():
  flat = init_variables(migrate.Example(Odd(), (X,)), "odd")
  assert sorted(flat) == [("params", "Dense_0", "bias"), ("params", "Dense_0", "kernel")]
  record = record_linen(migrate.Example(Odd(), (X,), mutable=["losses", "intermediates"]))
  call = record.calls[0]
  assert sorted(call.outputs) == ["0", "3"]
  assert call.plain == {"1": "text", "2": 7}
  assert ("losses", "l2", "0") in call.after


class Rounds(nn.Module):
  """Can be run but not differentiated."""

  @nn.compact
  def __call__(self, x):
    return jax.pure_callback(np.sin, jax.ShapeDtypeStruct((2, 3), jnp.float32), nn.Dense(3)(x))


def test_model_without_gradient_is_compared_forward():
  call = record_linen(migrate.Example(Rounds(), (X,))).calls[0]
  assert call.no_gradient
  assert not call.grads
  assert call.outputs


def test_model_that_raises_is_refused_without_a_traceback():
  with pytest.raises(MigrateError, match=r"m.*`module.init` raised"):
    record_linen(migrate.Example(nn.Dense(3), ("text",)), where="m")
  with pytest.raises(MigrateError, match="call 1"):
    record_linen(migrate.Example(nn.Dense(3), (X,), calls=(migrate.Call((X[:, :2],)),)), where="m")


def test_not_finite_is_told():
  class Log(nn.Module):
    @nn.compact
    def __call__(self, x):
      return jnp.log(nn.Dense(3)(x) * 0 - 1)

  record = record_linen(migrate.Example(Log(), (X,)))
  assert any("NaN" in f.found for f in record.findings)


def test_other_method_and_init_method():
  class Two(nn.Module):
    def setup(self):
      self.a, self.b = nn.Dense(3), nn.Dense(4)

    def both(self, x):
      return self.b(self.a(x))

    def encode(self, x):
      return self.a(x)

  example = migrate.Example(Two(), (X,), method="encode", init_method="both")
  record = record_linen(example)
  assert len(record.variables) == 4
  assert record.calls[0].outputs["output"].shape == (2, 3)


class Masked(nn.Module):
  masked: bool = False

  @nn.compact
  def __call__(self, x):
    mask = self.variable("masks", "mask", lambda: jnp.tril(jnp.ones((2, 2))) if self.masked else None)
    return x if mask.value is None else mask.value @ x


def test_variable_that_holds_nothing_is_given_and_not_compared():
  record = record_linen(migrate.Example(nn.Sequential([Masked(), Masked(True)]), (X,)))
  assert set(record.variables) == {("masks", "layers_1", "mask")}
  assert set(record.calls[0].after) == {("masks", "layers_1", "mask")}


class Factored(nn.Module):
  """One parameter that is a tuple."""

  @nn.compact
  def __call__(self, x):
    scale, direction = self.param("kernel", lambda key, n: (jnp.ones(3), jax.random.normal(key, (n, 3))), x.shape[-1])
    return x @ (direction * scale)


def test_parameters_in_a_tuple_are_given_as_one():
  record = record_linen(migrate.Example(Factored(), (np.ones((2, 5), np.float32),)))
  assert sorted(record.variables) == [("params", "kernel", "0"), ("params", "kernel", "1")]
  assert sorted(record.calls[0].grads) == sorted(record.variables)


def test_model_with_an_init_of_its_own():
  class Own(nn.Module):
    @nn.compact
    def __call__(self, x):
      return nn.Dense(3)(x)

    def init(self):
      """Makes every parameter."""
      return self(X)

  assert ("params", "Dense_0", "kernel") in init_variables(migrate.Example(Own(), (X,)), "own")
