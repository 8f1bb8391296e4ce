"""Notebooks as one text: code cells one below the other, and back into their cells; outputs and metadata stay."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

MARK = "#~linen2nnx~ "
CELL = re.compile(r"^#~linen2nnx cell (\d+)~\n", re.MULTILINE)
_MAGIC = re.compile(r"^\s*(%|!|\?|[\w.]+\?{1,2}\s*$)")
_ASSIGNED_MAGIC = re.compile(r"^[\w., ]+=\s*[!%]")
_LAYOUTS: tuple[dict[str, Any], ...] = (
  {"indent": 1},
  {"indent": 2},
  {"indent": 4},
  {},
  {"separators": (",", ":")},
)


class Notebook:
  """A notebook's code cells.

  Attributes:
    text: all of them, as Python that parses where they do.
  """

  def __init__(self, raw: str):
    """Reads the notebook. Raises ValueError where it is none."""
    self.raw = raw
    self.document = json.loads(raw)
    cells = self.document.get("cells") if isinstance(self.document, dict) else None
    if not isinstance(cells, list) or not all(isinstance(c, dict) for c in cells):
      raise ValueError("no cells")
    self.cells: dict[int, str] = {}
    for i, cell in enumerate(cells):
      if cell.get("cell_type") == "code":
        source = cell.get("source", "")
        self.cells[i] = "".join(source) if isinstance(source, list) else str(source)
    self.text = "".join(f"#~linen2nnx cell {i}~\n{_marked(s)}\n" for i, s in self.cells.items())

  def put(self, text: str) -> str:
    """The notebook with other code; a cell that did not change stays byte for byte."""
    parts = CELL.split(text)
    # what was written above the first cell belongs to it
    found = {int(parts[i]): parts[i + 1] for i in range(1, len(parts), 2)}
    if found and parts[0].strip():
      first = min(found)
      found[first] = parts[0] + found[first]
    changed = False
    for number, old in self.cells.items():
      new = _unmarked(found.get(number, "")).removesuffix("\n")
      if new != _unmarked(_marked(old)):
        changed = True
        cell = self.document["cells"][number]
        new = new.strip("\n") if not old.endswith("\n") else new
        cell["source"] = new.splitlines(keepends=True) if isinstance(cell.get("source"), list) else new
    return self._written() if changed else self.raw

  def _written(self) -> str:
    """The document, laid out as it was."""
    before = json.loads(self.raw)
    tail = self.raw[len(self.raw.rstrip()) :]
    for ascii_only in (False, True):
      for layout in _LAYOUTS:
        if json.dumps(before, ensure_ascii=ascii_only, **layout) == self.raw.rstrip():
          return json.dumps(self.document, ensure_ascii=ascii_only, **layout) + tail
    return json.dumps(self.document, ensure_ascii=False, indent=1) + tail


def _marked(source: str) -> str:
  """A cell in which everything that is no Python is a comment."""
  if source.lstrip().startswith("%%"):
    return "".join(f"{MARK}{line}" for line in source.splitlines(keepends=True))
  lines = []
  goes_on = False
  for line in source.splitlines(keepends=True):
    magic = _MAGIC.match(line) or _ASSIGNED_MAGIC.match(line)
    if goes_on or (magic and not line.lstrip().startswith("#")):
      indent = line[: len(line) - len(line.lstrip(" \t"))]
      lines.append(f"{MARK}{line}" if goes_on or not indent else f"{indent}pass  {MARK}{line[len(indent) :]}")
      goes_on = line.rstrip("\n").endswith("\\")
    else:
      lines.append(line)
  return "".join(lines)


def _unmarked(text: str) -> str:
  return re.sub(rf"^([ \t]*)(?:pass  )?{re.escape(MARK)}", r"\1", text, flags=re.MULTILINE)


def definitions(text: str) -> str:
  """The same text in which only what defines something runs: an example can be imported without training.

  Statements that do something are comments, line by line, so that `restored` finds them again.
  """
  tree = ast.parse(text)
  lines = text.splitlines(keepends=True)
  for node in tree.body:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)) or _constant(node):
      continue
    for i in range(node.lineno - 1, node.end_lineno or node.lineno):
      lines[i] = f"{MARK}>{lines[i]}"
  return "".join(lines)


def restored(text: str) -> str:
  """Undoes `definitions`."""
  return re.sub(f"^{re.escape(MARK)}>", "", text, flags=re.MULTILINE)


def _constant(node: ast.stmt) -> bool:
  """Whether a statement gives a name to something that is computed from nothing."""
  if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
    return False
  return not any(isinstance(n, (ast.Call, ast.Await, ast.Yield)) for n in ast.walk(node.value))
