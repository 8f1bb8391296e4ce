import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn
from flax import nnx

from mappings.layers.fp8 import MAPPINGS
from migrate.verify.conformance import Pair, assert_conforms, check
from migrate.verify.construct import resolve

pytestmark = pytest.mark.filterwarnings("ignore:The Fp8DotGeneralOp is deprecated")


@pytest.mark.parametrize("mapping", MAPPINGS, ids=lambda m: m.linen.rpartition(".")[2])
def test_conforms(mapping):
  assert_conforms(check(mapping))


@pytest.mark.parametrize("mapping", MAPPINGS, ids=lambda m: m.linen.rpartition(".")[2])
def test_gradients_of_operands_and_state_over_steps(mapping):
  pair = Pair.make(mapping, mapping.example()[0])
  name, kind = "_overwrite_with_gradient", resolve("template:fp8.OverwriteWithGradient")
  variables = {name: {path[-1]: v for path, v in pair.variables.items()}}
  static = [a for a in pair.args if not isinstance(a, jax.Array)]
  x, y = (a for a in pair.args if isinstance(a, jax.Array))
  einsum = mapping.linen.endswith("Einsum")

  def call(f, x, y):
    return f(*static, x, y) if einsum else f(x, y, *static)

  @jax.jit
  def linen(variables, x, y):
    def loss(variables, x, y):
      return (call(lambda *a: pair.layer.apply(variables, *a), x, y) ** 2).sum()

    return jax.grad(loss, argnums=(0, 1, 2))(variables, x, y)

  graph, state = nnx.split(pair.model, kind)

  @jax.jit
  def ours(state, x, y):
    def loss(state, x, y):
      return (call(nnx.merge(graph, state, copy=True), x, y) ** 2).sum()

    return jax.grad(loss, argnums=(0, 1, 2))(state, x, y)

  for i in range(3):
    variables, dx, dy = linen(variables, x * (i + 1), y)
    state, nnx_dx, nnx_dy = ours(state, x * (i + 1), y)
    assert jnp.array_equal(dx, nnx_dx)
    assert jnp.array_equal(dy, nnx_dy)
    for key, value in nnx.to_pure_dict(state).items():
      assert jnp.array_equal(value, variables[name][key])


def test_in_a_linear_layer():
  linen = nn.Dense(3, dot_general_cls=nn.Fp8DirectDotGeneralOp)
  x = jax.random.normal(jax.random.key(0), (5, 7))
  variables = linen.init(jax.random.key(1), x)
  layer = nnx.Linear(7, 3, dot_general=resolve("template:fp8.Fp8DirectDotGeneralOp")(), rngs=nnx.Rngs(0))
  layer.kernel.set_value(variables["params"]["kernel"])
  assert jnp.array_equal(jax.jit(linen.apply)(variables, x), nnx.jit(lambda m, x: m(x))(layer, x))
