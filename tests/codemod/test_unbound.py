"""What only Linen's unbound modules offer is told where a module uses it."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check, rewrite

HYPER = """
class Model(nn.Module):
  @nn.compact
  def __call__(self, x):
    net = nn.Dense(3, parent=None)
    shapes = jax.eval_shape({init}, jax.random.key(0), x)
    size = sum(v.size for v in jax.tree.leaves(shapes))
    flat = nn.Dense(size)(x).mean(0)
    return flat.sum() + x
"""


@pytest.mark.parametrize("init", ["net.init", "lambda key, x: net.init(key, x)", "net.init_with_output"])
def test_init_of_a_module_inside_another_is_told(tmp_path, init):
  ported = rewrite(tmp_path, HYPER.format(init=init), "Model(), x(2, 6)")
  name = init.partition("net.")[2].partition("(")[0]
  assert any(f"`net.{name}`" in str(f) and f.rule == "L2N100" for f in ported.findings)


def test_binding_inside_a_module_is_told(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        net = nn.Dense(3, parent=None)
        w = self.param("w", nn.initializers.ones, (6, 3))
        return net.bind({"params": {"kernel": w, "bias": jnp.zeros(3)}})(x)
    """
  ported = rewrite(tmp_path, source, "Model(), x(2, 6)")
  assert any("`net.bind`" in str(f) for f in ported.findings)


def test_methods_of_these_names_that_a_class_has_stay(tmp_path):
  source = """
    class Block(nn.Module):
      def setup(self):
        self.dense = nn.Dense(6)

      def init(self, x):
        return x * 2

      def copy(self, x):
        return self.dense(x)

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        block = Block()
        return block.copy(block.init(x)) + dict(a=1).copy()["a"]
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 6)")
  assert "self.block.copy(self.block.init(x))" in ported.text


def test_first_values_of_an_unbound_layer_are_no_use_of_it(tmp_path):
  source = """
    class Model(nn.Module):
      features: int = 4

      @nn.compact
      def __call__(self, x):
        dense = nn.Dense(self.features, parent=None)
        first = lambda key, x: dense.init(key, x)["params"]["kernel"]
        kernel = self.param("kernel", first, x)
        return dense.apply({"params": {"kernel": kernel - kernel.mean(0), "bias": jnp.zeros(self.features)}}, x)
    """
  port_and_check(tmp_path, source, "Model(), x(2, 6)", held_out=["Model(3), x(2, 5)"])


def test_apply_of_the_module_itself_in_a_method_that_no_example_calls_is_told(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return nn.Dense(3)(x)

      def act(self, params, x):
        return self.apply(params, x).argmax(-1)

      def rows(self, x):
        return self.own(x)

      def own(self, x):
        return x.copy()
    """
  ported = rewrite(tmp_path, source, "Model(), x(2, 6)")
  assert [f.severity for f in ported.findings if "`self.apply`" in str(f)] == ["eye"]
  assert ported.text.count("TODO(linen2nnx)") == 1
