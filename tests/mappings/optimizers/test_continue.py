"""Every transformation of Optax: steps with Linen's parameters, migration, more steps in both, the same bits."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from migrate.core.declare import ModelMapping, move
from migrate.workflows.state import optimizer_to_linen, optimizer_to_nnx, to_linen, to_nnx
from tests.mappings.optimizers import cases

# Names change, the order of the leaves does not.
MAPPING = ModelMapping(
  (move("params/Dense_0/**", "first/**"), move("params/Dense_1/**", "second/**"), move("params/w", "weight"))
)
PER_EXAMPLE = ("differentially_private_aggregate", "dpsgd")
ULP = {
  # nnx.Optimizer gives value_fn an nnx.State; XLA joins the loss into the step differently
  "lbfgs": 64,
  "scale_by_zoom_linesearch": 64,
  "scale_by_backtracking_linesearch": 64,
}


class Model(nnx.Module):
  def __init__(self):
    rngs = nnx.Rngs(0)
    self.first = nnx.Linear(5, 3, rngs=rngs)
    self.second = nnx.Linear(3, 7, rngs=rngs)
    self.weight = nnx.Param(jnp.zeros((7, 2)))


def draw(seed, *batch):
  rng = np.random.default_rng(seed)

  def array(*shape):
    return jnp.asarray(rng.normal(size=(*batch, *shape)), jnp.float32)

  return {
    "Dense_0": {"kernel": array(5, 3), "bias": array(3)},
    "Dense_1": {"kernel": array(3, 7), "bias": array(7)},
    "w": array(7, 2),
  }


def in_nnx(tree):
  """The same arrays under the model's names, as `nnx.grad` would give them."""
  return nnx.State(
    {
      "first": jax.tree.map(nnx.Param, tree["Dense_0"]),
      "second": jax.tree.map(nnx.Param, tree["Dense_1"]),
      "weight": nnx.Param(tree["w"]),
    }
  )


def extras(name, params, grads):
  """What some updates want besides gradients."""
  if name in ("lbfgs", "scale_by_zoom_linesearch", "scale_by_backtracking_linesearch"):
    return {"value": cases.loss(params), "grad": grads, "value_fn": cases.loss}
  if name in ("sophia", "hutchinson_estimator_diag_hessian"):
    return {"obj_fn": cases.loss}
  if name == "sam":
    return {}
  return {"value": jnp.float32(0.7)}


@pytest.mark.parametrize("name", cases.NAMES)
def test_a_run_continues(name):
  tx = optax.with_extra_args_support(cases.make(name))
  batch = (2,) if name in PER_EXAMPLE else ()
  line_search = "value_fn" in extras(name, draw(0), None)

  def gradients(params, seed):
    return jax.grad(cases.loss)(params) if line_search else draw(seed, *batch)

  @jax.jit
  def linen_step(params, state, grads):
    updates, state = tx.update(grads, state, params, **extras(name, params, grads))
    return optax.apply_updates(params, updates), state

  params, state = draw(0), tx.init(draw(0))
  for i in range(3):
    params, state = linen_step(params, state, gradients(params, 10 + i))

  model = to_nnx({"params": params}, Model(), MAPPING)
  optimizer = optimizer_to_nnx(state, nnx.Optimizer(model, tx, wrt=nnx.Param), MAPPING, step=3)
  back = optimizer_to_linen(optimizer, jax.eval_shape(tx.init, params), MAPPING)
  same_bits(state, back)

  @nnx.jit
  def nnx_step(model, optimizer, grads):
    optimizer.update(model, grads, **extras(name, nnx.to_pure_dict(nnx.state(model, nnx.Param)), grads))

  for i in range(2):
    grads = gradients(params, 20 + i)
    params, state = linen_step(params, state, grads)
    nnx_step(model, optimizer, in_nnx(grads))
  ulp = ULP.get(name, 0)
  same_bits(params, to_linen(model, MAPPING)["params"], ulp)
  same_bits(state, optimizer_to_linen(optimizer, jax.eval_shape(tx.init, params), MAPPING), ulp)
  assert int(optimizer.step[...]) == 5


def same_bits(one, other, ulp=0):
  assert jax.tree.structure(one) == jax.tree.structure(other)
  for (path, a), b in zip(jax.tree_util.tree_flatten_with_path(one)[0], jax.tree.leaves(other), strict=True):
    a, b = (x if isinstance(x, (int, float, bool)) else jax.random.key_data(x) if is_key(x) else x for x in (a, b))
    assert np.shape(a) == np.shape(b), path
    if ulp and jnp.issubdtype(jnp.result_type(a), jnp.floating):
      np.testing.assert_array_max_ulp(np.asarray(a), np.asarray(b), ulp)
    else:
      assert np.asarray(a).tobytes() == np.asarray(b).tobytes(), path


def is_key(x):
  return isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
