"""Lists of layers that `setup` fills, and what carries their sizes."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check

MODEL = """
class Model(nn.Module):
  hidden: Sequence[int] = (7, 6)
  out: int = 3

  def setup(self):
{setup}

  def __call__(self, x):
{call}
"""


def model(setup: str, call: str) -> str:
  indented = ["\n".join("    " + line for line in text.strip("\n").split("\n")) for text in (setup, call)]
  return MODEL.format(setup=indented[0], call=indented[1])


@pytest.mark.parametrize(
  ("setup", "call"),
  [
    (
      "layers = []\nfor h in self.hidden:\n  layers.append(nn.Dense(h))\nself.layers = layers\nself.head = nn.Dense(self.out)",
      "for layer in self.layers:\n  x = nn.relu(layer(x))\nreturn self.head(x)",
    ),
    (
      "layers = []\nfor h in self.hidden:\n  layers.append(nn.Dense(h))\n  layers.append(nn.relu)\nself.net = nn.Sequential(layers)",
      "return self.net(x)",
    ),
    (
      "layers = []\nfor h in self.hidden:\n  layers.append(\n    nn.Dense(\n      h,\n    )\n  )\nself.layers = layers",
      "for layer in self.layers:\n  x = layer(x)\nreturn x",
    ),
    (
      "self.layers = [nn.Dense(h) for h in self.hidden]\nself.norms = [nn.LayerNorm() for _ in self.hidden]",
      "for layer, norm in zip(self.layers, self.norms):\n  x = norm(layer(x))\nreturn x",
    ),
  ],
)
def test_sizes_of_a_list_follow_from_its_fields(tmp_path, setup, call):
  ported = port_and_check(tmp_path, model(setup, call), "Model(), x(2, 5)", held_out=["Model((4, 11, 9)), x(2, 13)"])
  assert ported.hoisted == []
