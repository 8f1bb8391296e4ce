"""Notebooks as text and back."""

import ast
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.codemod.notebooks import Notebook, definitions, restored


def notebook(*sources: str, indent: int | None = 1, tail: str = "\n") -> str:
  """A notebook of code cells, with an output each, and a cell of text."""
  cells = [{"cell_type": "markdown", "metadata": {}, "source": ["# import flax\n"]}]
  for i, source in enumerate(sources):
    cells.append({"cell_type": "code", "execution_count": i, "metadata": {"tags": ["é"]},
                  "outputs": [{"output_type": "stream", "text": ["out\n"]}], "source": source.splitlines(keepends=True)})  # fmt: skip
  return json.dumps({"cells": cells, "nbformat": 4}, indent=indent, ensure_ascii=False) + tail


def sources(raw: str) -> list[str]:
  """The code cells."""
  return ["".join(c["source"]) for c in json.loads(raw)["cells"] if c["cell_type"] == "code"]


def test_magics_are_comments_and_come_back():
  raw = notebook("%matplotlib inline\nimport flax\n!pip list", "%%bash\nls", "x = !ls\nflax?\nprint(1)")
  found = Notebook(raw)
  ast.parse(found.text)
  assert found.put(found.text) == raw
  new = found.put(found.text.replace("print(1)", "print(2)"))
  assert sources(new) == ["%matplotlib inline\nimport flax\n!pip list", "%%bash\nls", "x = !ls\nflax?\nprint(2)"]
  assert json.loads(new)["cells"][1:3] == json.loads(raw)["cells"][1:3]
  assert json.loads(new)["cells"][3]["outputs"] == json.loads(raw)["cells"][3]["outputs"]


def test_magics_inside_blocks_leave_a_body_and_go_on_over_lines():
  cells = ("if x:\n  !git clone repo\nelse:\n\t%cd ..", "!pip install a \\\n  b\nimport flax")
  raw = notebook(*cells)
  found = Notebook(raw)
  ast.parse(found.text)
  assert found.put(found.text) == raw
  assert sources(found.put(found.text.replace("import flax", "import jax")))[1] == "!pip install a \\\n  b\nimport jax"


@pytest.mark.parametrize("indent", [None, 1, 2, 4])
def test_layout_stays(indent):
  raw = notebook("a = 1", "b = 2", indent=indent, tail="")
  new = Notebook(raw).put(Notebook(raw).text.replace("b = 2", "b = 3"))
  assert new == raw.replace("b = 2", "b = 3")


def test_what_stands_above_the_first_cell_goes_into_it():
  found = Notebook(notebook("x = 1"))
  assert sources(found.put("import jax\n" + found.text)) == ["import jax\nx = 1"]


def test_only_definitions_run():
  text = "import jax\nN = 3\ndef f():\n  return 1\nstate = train(\n  N\n)\nfor i in range(3):\n  print(i)\n"
  found = definitions(text)
  assert [type(n).__name__ for n in ast.parse(found).body] == ["Import", "Assign", "FunctionDef"]
  assert restored(found) == text


@pytest.mark.parametrize("raw", ["", "[]", '{"cells": 3}', '{"cells": [1]}', "{"])
def test_what_is_no_notebook_is_refused(raw):
  with pytest.raises(ValueError, match=r".*"):
    Notebook(raw)


@given(st.lists(st.text(alphabet="ab =\n%!#", max_size=30), max_size=4))
def test_nothing_changed_gives_the_same_bytes_law(cells):
  raw = notebook(*cells)
  found = Notebook(raw)
  assert found.put(found.text) == raw
