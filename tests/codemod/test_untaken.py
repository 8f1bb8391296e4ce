"""Sizes behind a condition of which the examples took one way only."""

from __future__ import annotations

from tests.codemod.support import port_and_check

ONE = """
class Net(nn.Module):
  wide: bool = False
  width: int = 7

  @nn.compact
  def __call__(self, x):
    if self.wide:
      x = nn.Dense(self.width)(x)
    x = nn.LayerNorm()(x)
    return nn.Dense(3)(x)
"""
KINDS = """
class Net(nn.Module):
  kind: str = "a"
  width: int = 7

  @nn.compact
  def __call__(self, x):
    if self.kind == "a":
      x = nn.Dense(self.width)(x)
    elif self.kind == "b":
      x = nn.Dense(2 * self.width)(x)
    else:
      y = nn.Dense(9)(x)
      x = jnp.concatenate([x, y], -1)
    x = nn.LayerNorm()(x)
    return nn.Dense(3)(x)
"""


def test_layers_behind_a_branch_that_never_ran_have_its_size(tmp_path):
  ported = port_and_check(tmp_path, ONE, "Net(), x(2, 5)", held_out=["Net(True, 4), x(3, 6)"])
  assert "x_features = self.width" in ported.text


def test_layers_behind_a_branch_that_always_ran_have_the_size_before_it(tmp_path):
  ported = port_and_check(tmp_path, ONE, "Net(True), x(2, 5)", held_out=["Net(False), x(3, 6)"])
  assert "x_features = in_features" in ported.text


def test_every_way_of_a_choice_tells_its_size(tmp_path):
  held_out = ["Net('b', 4), x(3, 6)", "Net('c'), x(3, 6)"]
  ported = port_and_check(tmp_path, KINDS, "Net(), x(2, 5)", held_out=held_out)
  assert '    elif self.kind == "b":' in ported.text
  assert "else:\n      if" not in ported.text


def test_a_way_that_raises_tells_no_size(tmp_path):
  source = KINDS.replace("y = nn.Dense(9)(x)", 'raise ValueError("kind")').replace(
    "      x = jnp.concatenate([x, y], -1)\n", ""
  )
  ported = port_and_check(tmp_path, source, "Net(), x(2, 5)", held_out=["Net('b', 4), x(3, 6)"])
  assert "x_features = in_features" not in ported.text


def test_no_size_is_carried_where_both_ways_leave_it_alone(tmp_path):
  source = ONE.replace("x = nn.Dense(self.width)(x)", "x = nn.Dropout(0.5, deterministic=True)(x)")
  ported = port_and_check(tmp_path, source, "Net(), x(2, 5)", held_out=["Net(True), x(3, 6)"])
  assert "x_features" not in ported.text
