"""Loops and derivatives of functions that take the module."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check, rewrite

DERIVATIVE = """
  class Model(nn.Module):
    @nn.compact
    def __call__(self, x):
      net = nn.Dense({width})

      def energy(mdl, z):
        return jnp.sum(mdl(z) ** 2)

      {line}
  """


@pytest.mark.parametrize(
  ("width", "line", "wanted"),
  [
    (1, "return nn.grad(energy, net, x)[0]", "jax.grad(functools.partial(energy, self.net), argnums=(0,))(x)[0]"),
    (1, "return nn.grad(lambda m, z: m(z).sum(), net, x)", "jax.grad(lambda z: self.net(z).sum(), argnums=(0,))(x)"),
    (1, "e, (f,) = nn.value_and_grad(energy, net, x)\n      return e, -f", "jax.value_and_grad(functools.partial("),
    (
      3,
      "y, back = nn.vjp(lambda m, z: m(z), net, x, vjp_variables=False)\n      return back(y)",
      "jax.vjp(lambda z: self.net(z), x)",
    ),
    (
      3,
      "y, back = nn.vjp(lambda m, z: m(z), net, x)\n      return back(y)[1]",
      "nnx.vjp(lambda m, z: m(z), self.net, x, graph_updates=False)",
    ),
    (
      3,
      "return nn.jvp(lambda m, z: m(z), net, (x,), (x,), variable_tangents={})",
      "jax.jvp(lambda z: self.net(z), (x,), (x,))",
    ),
  ],
)
def test_derivatives(tmp_path, width, line, wanted):
  ported = port_and_check(
    tmp_path, DERIVATIVE.replace("{width}", str(width)).replace("{line}", line), "Model(), x(4, 5)"
  )
  assert wanted in ported.text


def test_value_and_gradient_with_more_is_left(tmp_path):
  line = "return nn.value_and_grad(lambda m, z: (m(z).sum(), z), net, x, has_aux=True)"
  ported = rewrite(tmp_path, DERIVATIVE.replace("{width}", "1").replace("{line}", line), "Model(), x(4, 5)")
  assert [f.rule for f in ported.findings if f.severity == "error"] == ["L2N100"]
  assert line in ported.text.replace("self.net", "net")


def test_loop_that_only_reads_the_module(tmp_path):
  source = """
    class Model(nn.Module):
      def setup(self):
        self.dense = nn.Dense(5)

      def __call__(self, x):
        x = self.dense(x)  # made before the loop

        def body(mdl, carry):
          i, y = carry
          return i + 1, mdl.dense(y)

        if self.is_initializing():
          return x
        return nn.while_loop(lambda mdl, carry: carry[0] < 3, body, self, (0, x))[1]
    """
  ported = port_and_check(tmp_path, source, "Model(), x(4, 5)")
  assert "jax.lax.while_loop(lambda carry: carry[0] < 3, functools.partial(body, self), (0, x))[1]" in ported.text


def test_loop_that_changes_the_module(tmp_path):
  source = """
    class Model(nn.Module):
      def setup(self):
        self.dense = nn.Dense(5)
        self.count = self.variable("state", "count", lambda: jnp.zeros(()))

      def __call__(self, x):
        x = self.dense(x)

        def condition(mdl, y):
          return mdl.count.value < 3

        def body(mdl, y):
          mdl.count.value += 1
          return mdl.dense(y)

        if self.is_initializing():
          return x
        return nn.while_loop(condition, body, self, x, carry_variables="state")
    """
  example = "Example(Model(), (x(4, 5),), calls=(Call((x(4, 5),), mutable=['state']),), mutable=['state'])"
  ported = port_and_check(tmp_path, source, example)
  assert "lambda carry: (carry[0], body(*carry))" in ported.text
