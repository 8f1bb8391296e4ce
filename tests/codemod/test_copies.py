"""Copies of a module that a class is given: the field takes a function that makes one."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check, rewrite

BLOCK = """
class Block(nn.Module):
  features: int = 6

  @nn.compact
  def __call__(self, x):
    return x + nn.Dense(self.features)(nn.LayerNorm()(x))

"""


@pytest.mark.parametrize(
  "body",
  [
    """
  @nn.compact
  def __call__(self, x):
    for i in range(self.num):
      x = self.block.clone(name=f"block_{i}", parent=self)(x)
    return x
""",
    """
  @nn.compact
  def __call__(self, x):
    for i in range(self.num):
      x = self.block.copy(name=f"layer_{i}")(x)
    return x
""",
    """
  def setup(self):
    self.layers = [self.block.clone() for _ in range(self.num)]

  def __call__(self, x):
    for layer in self.layers:
      x = layer(x)
    return x
""",
    """
  def setup(self):
    self.layers = nn.Sequential([self.block.copy(name=None) for _ in range(self.num)])

  def __call__(self, x):
    return self.layers(x)
""",
  ],
)
def test_copies_of_a_field(tmp_path, body):
  source = BLOCK + "class Model(nn.Module):\n  block: nn.Module\n  num: int = 3\n" + body
  ported = port_and_check(tmp_path, source, "Model(Block()), x(2, 6)", held_out=["Model(Block(), 2), x(3, 6)"])
  assert "block: Callable[[nnx.Rngs], nnx.Module], num: int = 3" in ported.text
  assert "block(rngs)" in ported.text
  assert ".clone" not in ported.text
  assert ".copy" not in ported.text
  assert {f.rule for f in ported.findings} >= {"L2N119"}


def test_a_class_of_the_project_that_copies_what_it_is_handed(tmp_path):
  source = (
    BLOCK
    + """
class Tower(nn.Module):
  block: nn.Module

  @nn.compact
  def __call__(self, x):
    for i in range(2):
      x = self.block.copy(name=f"layer_{i}")(x)
    return x


class Between(nn.Module):
  block: nn.Module

  @nn.compact
  def __call__(self, x):
    return nn.Dense(3)(Tower(self.block)(x))


class Model(nn.Module):
  @nn.compact
  def __call__(self, x):
    x = nn.Dense(8)(x)
    return Between(Block(8))(x) + Tower(block=Block(features=8))(x).sum()
"""
  )
  ported = port_and_check(tmp_path, source, "Model(), x(2, 6)", held_out=["Model(), x(3, 5)"])
  assert "self.tower = Tower(block, rngs=rngs)" in ported.text
  assert "Tower(block=lambda rngs: Block(8, features=8, rngs=rngs), rngs=rngs)" in ported.text


def test_a_field_that_is_called_and_copied(tmp_path):
  source = (
    BLOCK
    + """
class Model(nn.Module):
  block: nn.Module

  @nn.compact
  def __call__(self, x):
    x = self.block(x)
    return self.block.copy(name="second")(x)
"""
  )
  ported = port_and_check(tmp_path, source, "Model(Block()), x(2, 6)")
  assert "self.block = block(rngs)\n    self.second = block(rngs)\n" in ported.text


def test_cells_that_are_copied(tmp_path):
  source = """
    class Model(nn.Module):
      cell: nn.RNNCellBase

      @nn.compact
      def __call__(self, x):
        forward = nn.RNN(self.cell.clone())(x)
        backward = nn.RNN(self.cell.clone(), reverse=True, keep_order=True)(x)
        return jnp.concatenate([forward, backward], -1)
    """
  ported = port_and_check(
    tmp_path, source, "Model(nn.LSTMCell(4)), x(2, 3, 6)", held_out=["Model(nn.LSTMCell(5)), x(2, 3, 4)"]
  )
  assert "self.rnn = nnx.RNN(cell(rngs))" in ported.text


REFUSED = {
  "another size for each": (
    """
  @nn.compact
  def __call__(self, x):
    for i in range(2):
      x = jnp.concatenate([x, nn.Dense(1)(x)], -1)
      x = self.layer.copy(name=f"layer_{i}")(x)
      x = jnp.concatenate([x, x], -1)
    return x
""",
    "differ in `in_features`",
  ),
  "a field changed": (
    """
  @nn.compact
  def __call__(self, x):
    return self.layer.copy(name="a")(x) + self.layer.clone(features=6, name="b", parent=self)(x)
""",
    "with another `features`",
  ),
  "also read": (
    """
  @nn.compact
  def __call__(self, x):
    return self.layer.copy(name="a")(x) * self.layer.features
""",
    "is copied and read",
  ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_copies_that_no_function_could_make_are_refused(tmp_path, case):
  body, said = REFUSED[case]
  ported = rewrite(tmp_path, "class Model(nn.Module):\n  layer: nn.Module\n" + body, "Model(nn.Dense(6)), x(2, 6)")
  assert ported.rewriting.left == ["model.Model"]
  assert any(said in str(f) for f in ported.findings)


def test_a_module_made_elsewhere_is_refused_where_it_would_be_shared(tmp_path):
  source = (
    BLOCK
    + """
class Tower(nn.Module):
  block: nn.Module

  @nn.compact
  def __call__(self, x):
    return self.block.copy(name="a")(self.block.copy(name="b")(x))


class Model(nn.Module):
  @nn.compact
  def __call__(self, x):
    block = Block()
    return Tower(block)(x) + block(x)
"""
  )
  ported = rewrite(tmp_path, source, "Model(), x(2, 6)")
  assert any("has been made already" in str(f) for f in ported.findings)
