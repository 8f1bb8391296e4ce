"""Modules side by side: those of classes whose number only their inputs tell, and those of lifted functions."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check, rewrite


def test_number_from_the_input(tmp_path):
  source = """
    class Head(nn.Module):
      width: int

      @nn.compact
      def __call__(self, x, t):
        return nn.Dense(self.width)(jnp.concatenate([x, t[:, None]], -1))

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, t):
        Heads = nn.vmap(
          Head, variable_axes={"params": 0}, split_rngs={"params": True}, in_axes=(None, -1), out_axes=1
        )
        x = Heads(7, name="heads")(x, t)
        return nn.vmap(nn.Dense, variable_axes={"params": 0}, split_rngs={"params": True}, in_axes=1, out_axes=1)(2)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 6), x(2, 5)", held_out=["Model(), x(3, 4), x(3, 2)"])
  assert "self.heads = Heads(in_features, 7, axis_size=t_features, rngs=rngs)" in ported.text


def test_number_that_is_given_stays(tmp_path):
  source = """
    class Model(nn.Module):
      count: int = 3

      @nn.compact
      def __call__(self, x):
        heads = nn.vmap(
          nn.Dense, variable_axes={"params": 0}, split_rngs={"params": True}, in_axes=None, out_axes=0,
          axis_size=self.count,
        )
        return heads(4)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 6)", held_out=["Model(4), x(3, 5)"])
  assert ported.text.count("axis_size") == 1


def test_number_of_layers_without_parameters(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        norm = nn.vmap(nn.LayerNorm, variable_axes={"params": 0}, split_rngs={"params": True}, in_axes=1, out_axes=1)(
          use_scale=False, use_bias=False
        )(x)
        return nn.Dense(2)(norm)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3, 6)", held_out=["Model(), x(3, 4, 5)"])
  assert "axis_size=length" in ported.text


@pytest.mark.parametrize(
  "lifted",
  [
    "nn.vmap(lambda m, x: m(x), variable_axes={'params': 0}, split_rngs={'params': True})(dense, x)",
    "nn.vmap(lambda m, x: m(x), variable_axes={'params': 0}, split_rngs={'params': True}, axis_size=3)(dense, x)",
  ],
)
def test_module_of_a_mapped_function_is_made_stacked(tmp_path, lifted):
  source = f"""
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        dense = nn.Dense(6)
        return {lifted}
    """
  ported = port_and_check(tmp_path, source, "Model(), x(3, 4, 5)", held_out=["Model(), x(3, 2, 7)"])
  assert "self.dense = stack(lambda rngs: nnx.Linear(in_features, 6, rngs=rngs), " in ported.text
  assert "in_axes=(0, 0), out_axes=0" in ported.text
  assert ported.hoisted == []


def test_module_of_a_mapped_method(tmp_path):
  source = """
    class Inner(nn.Module):
      hidden: int = 7

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.hidden)(x)


    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        each = nn.vmap(Inner.__call__, in_axes=0, variable_axes={"params": 1}, split_rngs={"params": True})
        return each(Inner(6), x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(3, 4, 5)")
  assert "axes=nnx.StateAxes({nnx.Param: 1, ...: 0})" in ported.text


def test_module_of_a_scanned_function(tmp_path):
  source = """
    class Block(nn.Module):
      width: int

      @nn.compact
      def __call__(self, x):
        return nn.relu(nn.Dense(self.width)(x))


    class Model(nn.Module):
      n: int = 3

      @nn.compact
      def __call__(self, x):
        block = Block(5, name="block")
        x, _ = nn.scan(
          lambda mdl, carry, _: (mdl(carry), None),
          variable_axes={"params": 0},
          split_rngs={"params": True},
          length=self.n,
        )(block, x, None)
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(), x(4, 5)", held_out=["Model(4), x(2, 5)"])
  assert "5, rngs=rngs), self.n, rngs)" in ported.text


def test_module_that_others_give_is_left_with_a_finding(tmp_path):
  source = """
    class Model(nn.Module):
      module: nn.Module

      @nn.compact
      def __call__(self, x):
        lifted = nn.vmap(lambda m, x: m(x), variable_axes={"params": 0}, split_rngs={"params": True})
        return lifted(self.module, x)
    """
  ported = rewrite(tmp_path, source, "Model(nn.Dense(3)), x(3, 4, 5)")
  assert [f.rule for f in ported.findings if f.severity == "error"] == ["L2N100"]
  assert "lifted = nn.vmap(lambda m, x: m(x)" in ported.text


MIXTURE = """
    class Expert(nn.Module):
      width: int

      @nn.compact
      def __call__(self, x):
        return nn.Dense(x.shape[-1])(nn.relu(nn.Dense(self.width)(x)))


    class Mixture(nn.Module):
      expert: nn.Module
      count: int

      @nn.compact
      def __call__(self, x):
        gate = nn.softmax(nn.Dense(self.count)(x))
        inputs = jnp.einsum("bd,be->ebd", x, gate)
        # every expert has parameters of its own
        outputs = nn.vmap(
          lambda expert, x: jax.vmap(expert)(x),
          in_axes=0,
          out_axes=0,
          variable_axes={"params": 0},
          split_rngs={"params": True},
          axis_size=self.count,
        )(self.expert, inputs)
        return outputs.sum(0)


    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return Mixture(Expert(7), 3)(x)
    """


def test_module_that_is_handed_over_and_made_for_every_step_is_a_function_that_makes_it(tmp_path):
  examples = ["Model(), x(2, 5)", "Mixture(Expert(8), 4), x(2, 5)"]
  ported = port_and_check(tmp_path, MIXTURE, *examples, held_out=["Model(), x(2, 6)"])
  assert "      expert: Callable[[nnx.Rngs], nnx.Module],\n" in ported.text
  assert "    self.expert = stack(expert, self.count, rngs)\n" in ported.text
  assert "lambda rngs: Expert(expert_in_features, 7, rngs=rngs)" in ported.text
  assert "expert=lambda rngs: Expert(" in ported.draft.files["ported.py"]
  assert {f.rule for f in ported.findings} == {"L2N119"}


def test_module_that_is_handed_over_and_read_elsewhere_too_is_left(tmp_path):
  source = MIXTURE.replace("return outputs.sum(0)", "return outputs.sum(0) * self.expert.width")
  left = rewrite(tmp_path, source, "Mixture(Expert(8), 4), x(2, 5)").findings
  assert "L2N100" in {f.rule for f in left}
