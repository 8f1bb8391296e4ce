"""Setups of copies that nothing calls."""

from __future__ import annotations

from tests.codemod.support import port_and_check, rewrite

SOURCE = """
    class Inner(nn.Module):
      width: int

      def setup(self):
        self.hidden = nn.Dense(self.width)
        self.head = nn.Dense(3)

      def __getattr__(self, name):
        if name == "size":
          return self.width
        return super().__getattr__(name)

      @nn.jit
      def __call__(self, x):
        return self.head(nn.relu(self.hidden(x)))


    class Pair(nn.Module):
      one: nn.Module
      other: nn.Module

      @nn.compact
      def __call__(self, x):
        return self.one(x), jax.lax.stop_gradient(self.other(x))
    """


def test_setup_of_a_copy_outside_the_model_is_no_instance(tmp_path):
  facts = rewrite(tmp_path, SOURCE, "Pair(Inner(7), Inner(7)), x(2, 5)").facts[0]
  setups = [a.path for a in facts.activations if a.qualname == "Inner.setup"]
  assert set(setups) == {("one",), ("other",)}
  assert {a.path for made in facts.created.values() for a, _, _ in made} == {("one",), ("other",)}


def test_equal_modules_under_jit_are_both_seen(tmp_path):
  ported = port_and_check(tmp_path, SOURCE, "Pair(Inner(7), Inner(7)), x(2, 5)")
  assert "def __init__(self, in_features: int, width: int, *, rngs: nnx.Rngs):" in ported.text
  assert ported.moves["params/other/hidden/kernel"] == "other/hidden/kernel"


def test_setup_of_the_model_itself_stays(tmp_path):
  facts = rewrite(tmp_path, SOURCE, "Inner(7), x(2, 5)").facts[0]
  assert {a.path for a in facts.activations if a.qualname == "Inner.setup"} == {()}
