"""`match` statements: layers made in their cases, at construction and in calls."""

from __future__ import annotations

from tests.codemod.support import port_and_check

COMPACT = """
class Block(nn.Module):
  kind: str = "conv"
  width: int = 7

  @nn.compact
  def __call__(self, x):
    # what mixes
    match self.kind:
      case "conv":
        x = nn.Conv(self.width, (3,))(x)
      case "dense" | "linear":
        x = nn.Dense(5)(x)  # narrower
      case _:
        pass
    match x.ndim:
      case 3: x = nn.relu(x)
      case n if n > 3:
        raise ValueError(n)
    return nn.Dense(3)(x)


class Model(nn.Module):
  @nn.compact
  def __call__(self, x):
    return Block("dense")(x) + Block("none")(x) + Block()(x)
"""


def test_layers_made_in_cases_move_to_init_under_the_same_match(tmp_path):
  ported = port_and_check(
    tmp_path,
    COMPACT,
    "Model(), x(2, 5, 4)",
    held_out=["Model(), x(2, 5, 6)"],
  )
  assert '    match self.kind:\n      case "conv":\n' in ported.text
  assert "    # what mixes\n" in ported.text
  assert "  # narrower\n" in ported.text
  assert "      case 3: x = nnx.relu(x)\n      case n if n > 3:\n" in ported.text


def test_layers_made_in_cases_of_setup(tmp_path):
  source = """
    class Model(nn.Module):
      kind: str = "conv"

      def setup(self):
        match self.kind:
          # the wide one
          case "conv":
            self.mixer = nn.Conv(7, (3,))
          case _:
            self.mixer = nn.Dense(5)
        self.head = nn.Dense(3)

      def __call__(self, x):
        return self.head(self.mixer(x))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5, 4)", 'Model("dense"), x(2, 5, 4)')
  assert '    match self.kind:\n      # the wide one\n      case "conv":\n        self.mixer = nnx.Conv(' in ported.text


def test_match_that_only_a_call_decides_makes_the_layers_of_every_case(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, task="a"):
        match task:
          case "a":
            x = nn.Dense(5, name="first")(x)
          case "b":
            x = nn.Dense(5, name="second")(x)
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 4)")
  assert '      case "a":\n        x = self.first(x)\n' in ported.text
