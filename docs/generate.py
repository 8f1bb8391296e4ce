"""Makes docs/support.md from the declarations. `make docs` writes it; a test fails where it differs.

python docs/generate.py [--check]
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from migrate.core import registry
from migrate.core.declare import LayerMapping, ModelMapping, OptimizerMapping, TransformMapping, Unsupported

PAGE = Path(__file__).resolve().parent / "support.md"
HEAD = """# What is supported

Made from the declarations in `mappings/` by `make docs`. A layer whose NNX side is *ours* is written into the ported
package as a small module of its own, because NNX has no counterpart or one that computes something else.
"""


def cell(text: Any) -> str:
  """A value inside a table."""
  return " ".join(str(text).split()).replace("|", "\\|")


def table(names: Iterable[str], rows: Iterable[Iterable[Any]]) -> list[str]:
  """A Markdown table, rows in the order given."""
  names = list(names)
  lines = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
  return lines + [f"| {' | '.join(cell(value) for value in row)} |" for row in rows]


def nnx_side(name: str) -> str:
  """`flax.nnx.Linear` as it is; a template by the class that it writes."""
  return f"*ours*: {name.rpartition('.')[2]}" if name.startswith("template:") else f"`{name}`"


def refused(mapping: LayerMapping) -> str:
  """Arguments that stop the rewriting, with their reasons."""
  return "; ".join(f"`{arg.linen}`: {arg.because}" for arg in mapping.args if arg.fate == "refuse")


def page() -> str:
  """The whole page."""
  found = [value for package in registry.packages() for value in registry.declarations(package).values()]

  def of(kind: type) -> list[Any]:
    return [value for value in found if isinstance(value, kind)]

  layers = sorted(of(LayerMapping), key=lambda m: (m.linen, m.nnx.startswith("template:"), m.nnx))
  lines = [HEAD, "## Layers", ""]
  lines += table(
    ("Linen", "NNX", "refused arguments", "note"),
    ((f"`{m.linen}`", nnx_side(m.nnx), refused(m), m.note) for m in layers),
  )
  sections = (
    ("Transforms", TransformMapping, "linen"),
    ("Optimizer states", OptimizerMapping, "state"),
    ("Model families", ModelMapping, "name"),
    ("Not supported", Unsupported, "linen"),
  )
  for title, kind, key in sections:
    values = sorted(of(kind), key=lambda m, key=key: getattr(m, key))
    if values:
      rows = ((f"`{getattr(m, key)}`", getattr(m, "because", "") or getattr(m, "note", "")) for m in values)
      lines += ["", f"## {title}", "", *table(("name", "note"), rows)]
  return "\n".join(lines) + "\n"


def main(argv: list[str]) -> int:
  """Writes the page, or with --check tells whether it is as it should be."""
  text = page()
  if "--check" in argv:
    same = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text
    print("docs/support.md is up to date" if same else "docs/support.md differs: run make docs")
    return 0 if same else 1
  PAGE.write_text(text, encoding="utf-8")
  return 0


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
