"""The codemod on 100,000 lines without examples, against parsing them with LibCST. `python benchmarks/bench_codemod.py`.

The tree is made of the sources of the gallery, repeated under other names.
"""

from __future__ import annotations

import sys
from pathlib import Path

import common

LINES = 100_000
GALLERY = Path(common.HERE.parent, "docs", "gallery")
PARSE = (
  "import sys, pathlib, libcst; [libcst.parse_module(p.read_text()) for p in pathlib.Path(sys.argv[1]).glob('*.py')]"
)


def tree(place: Path) -> None:
  """Writes files of about 500 lines each, with at least `LINES` lines of Linen modules."""
  place.mkdir(parents=True)
  body = "\n\n".join(p.read_text() for p in sorted((GALLERY / "linen").glob("*.py")))
  body += "\n\n" + "\n\n".join([body] * (500 // body.count("\n")))
  for i in range(LINES // body.count("\n") + 1):
    (place / f"model_{i}.py").write_text(f'"""File {i}."""\n\n{body}')


def main() -> None:
  """Prints medians and ratios."""
  common.busy()
  place = common.DATA / f"tree_{LINES}"
  if not place.exists():
    tree(place)
  files = list(place.glob("*.py"))
  print(f"{len(files)} files, {sum(p.read_text().count(chr(10)) for p in files)} lines")
  commands = {
    "libcst.parse_module": [sys.executable, "-c", PARSE, str(place)],
    "codemod, one job": [*common.COMMAND, "codemod", str(place), "--jobs", "1"],
    "codemod, two jobs": [*common.COMMAND, "codemod", str(place), "--jobs", "2"],
  }
  runs = common.in_turns(commands, common.PAIRS, lambda: None)
  common.show("codemod without examples", runs)
  parsed, one, two = (runs[name].seconds for name in commands)
  common.ratio("one job against libcst.parse_module", one / parsed, 3)
  common.ratio("two jobs against one", two / one, 0.6)


if __name__ == "__main__":
  main()
