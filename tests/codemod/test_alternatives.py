"""Conditional expressions whose branches make layers or variables."""

from __future__ import annotations

from tests.codemod.support import port_and_check, rewrite

BLOCK = """
  class Block(nn.Module):
    width: int | None = None
    norm: bool = False
    init_value: float | None = None

    @nn.compact
    def __call__(self, x, scaled: bool = True):
      x = nn.Dense(self.width // 2)(x) if self.width else x
      x = (
        nn.LayerNorm()(x)  # of the features
        if self.norm
        else nn.Dense(5)(x)
      )
      return x * self.param(
        "scale",
        lambda key: self.init_value * jnp.ones(x.shape[-1]),
      ) if self.init_value else x

  class Model(nn.Module):
    @nn.compact
    def __call__(self, x):
      x = Block()(x)
      return Block(14, True, 0.5)(x)
  """


def test_branches_of_a_conditional_expression_make_their_layers_under_its_condition(tmp_path):
  ported = port_and_check(tmp_path, BLOCK, "Model(), x(2, 3)", held_out=["Model(), x(2, 4)"])
  for line in [
    "if self.width:\n      self.dense = nnx.Linear(in_features, self.width // 2, rngs=rngs)",
    "if self.norm:\n      self.layer_norm = nnx.LayerNorm(",
    "else:\n      self.dense_1 = nnx.Linear(",
    "if self.init_value:\n      self.scale = nnx.Param(self.init_value * jnp.ones(",
    "self.layer_norm(x)  # of the features\n      if self.norm\n      else self.dense_1(x)",
  ]:
    assert line in ported.text


def test_condition_that_only_a_call_knows_makes_both(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, train: bool = False):
        x = nn.Dense(5)(x)
        return nn.Dense(3)(x) if train else nn.Dense(2)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)")
  assert "if train:" not in ported.text
  assert ported.text.count("nnx.Linear(") == 3


def test_rounds_of_a_loop_that_make_a_layer_take_them_in_turn(tmp_path):
  source = """
    class Model(nn.Module):
      sizes: Sequence[int] = (5, 0, 7)

      @nn.compact
      def __call__(self, x):
        for size in self.sizes:
          x = nn.Dense(size)(x) if size else nn.relu(x)
        return x
    """
  port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model((0, 4)), x(2, 5)"])


def test_else_branch_alone(tmp_path):
  source = """
    class Model(nn.Module):
      plain: bool = False

      @nn.compact
      def __call__(self, x):
        return x if self.plain else nn.Dense(3)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", "Model(True), x(2, 3)")
  assert "if not self.plain:\n      self.dense =" in ported.text


def test_expression_without_layers_stays(tmp_path):
  source = """
    class Model(nn.Module):
      residual: bool = True

      @nn.compact
      def __call__(self, x):
        y = nn.Dense(3)(x)
        return x + y if self.residual else y
    """
  ported = rewrite(tmp_path, source, "Model(), x(2, 3)")
  assert "if self.residual:" not in ported.text
  assert "return x + y if self.residual else y" in ported.text
