"""Whole models and their ports as recorded: `python -m tests.test_recorded` records them anew."""

from __future__ import annotations

import ast
import tempfile
from pathlib import Path

import pytest

from tests.codemod.support import Ported, port_and_check

FOLDER = Path(__file__).parent / "recorded"
# file -> (examples, the same classes at other sizes)
CASES = {
  "image_classifier": (
    [
      "Example(ImageClassifier((1, 2), 5), (x(2, 16, 16, 3), False),"
      " calls=(Call((x(2, 16, 16, 3), True), mutable=['batch_stats']),))"
    ],
    ["ImageClassifier((2, 1, 1), 7, num_filters=6), x(3, 32, 32, 1), False"],
  ),
  "transformer": (
    ["Example(LanguageModel(TransformerConfig()), (ids(2, 7),), calls=(Call((ids(2, 7), True), rngs=('dropout',)),))"],
    ["LanguageModel(TransformerConfig(17, 8, 2, 3, 14, 9)), ids(3, 5)"],
  ),
  "sequence_model": (
    [
      "Example(SequenceClassifier(19), (ids(2, 11),),"
      " calls=(Call((ids(2, 11), False), rngs=('dropout',)), Call((ids(2, 13),), method='encode')))",
      "GRUDecoder(7), x(2, 5)",
    ],
    [
      "Example(SequenceClassifier(23, 14, 4, nn.GRUCell), (ids(3, 9),),"
      " calls=(Call((ids(3, 9), False), rngs=('dropout',)), Call((ids(3, 8),), method='encode')))",
      "GRUDecoder(4, 2), x(2, 11)",
    ],
  ),
}


def port(name: str, folder: Path) -> Ported:
  """Ports one of the sources and checks it."""
  examples, held_out = CASES[name]
  source = {f"{name}.py": (FOLDER / f"{name}.py").read_text(encoding="utf-8")}
  return port_and_check(folder, source, *examples, held_out=held_out, module=name)


def texts(ported: Ported, name: str) -> dict[str, str]:
  """Recorded file -> text."""
  return {f"{name}_nnx.py": ported.draft.files[f"{name}_nnx.py"], f"{name}_ported.py": ported.draft.files["ported.py"]}


@pytest.mark.parametrize("name", CASES)
def test_port_is_as_recorded(name, tmp_path):
  for file, text in texts(port(name, tmp_path), name).items():
    assert text == (FOLDER / file).read_text(encoding="utf-8"), "record it anew: python -m tests.test_recorded"


@pytest.mark.parametrize("name", CASES)
def test_recorded_ports_name_every_class_and_no_linen(name):
  before = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
  text = (FOLDER / f"{name}_nnx.py").read_text(encoding="utf-8")
  names = [n.name for n in before.body if isinstance(n, ast.ClassDef) and "nn.Module" in map(ast.unparse, n.bases)]
  assert [n.name for n in ast.parse(text).body if isinstance(n, ast.ClassDef) and n.name in names] == names
  assert "linen" not in text.replace(f"{name}_nnx_layers", "").replace("linen_layers", "")


if __name__ == "__main__":
  for case in CASES:
    for path, content in texts(port(case, Path(tempfile.mkdtemp())), case).items():
      (FOLDER / path).write_text(content, encoding="utf-8")
      print(FOLDER / path)
