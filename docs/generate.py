"""Makes docs/support.md and docs/rules from the declarations, docs/gallery.md from the modules in docs/gallery. `make docs` writes them; a test fails where one differs.

python docs/generate.py [--check]
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
from constructs import CONSTRUCTS

from migrate.core import registry
from migrate.core.declare import LayerMapping, ModelMapping, OptimizerMapping, TransformMapping, Unsupported
from migrate.core.rulebook import GROUPS, RULES, RulePage

DOCS = Path(__file__).resolve().parent
SEVERITIES = {"error": "error", "eye": "needs your eye", "note": "note"}
RULES_HEAD = """# Rules

Made from `migrate/core/rulebook.py` by `make docs`. Findings of every command carry one of these ids;
`linen2nnx codemod --select` and `--ignore` take them, or their beginnings (`L2N4` is all of training code).
"""
GALLERY = (
  "sizes",
  "flags",
  "shared",
  "parameters",
  "cache",
  "sequential",
  "partials",
  "recurrent",
  "scanned",
  "training",
)
GALLERY_HEAD = """# Gallery

What `linen2nnx codemod` makes of ten modules. The modules are in [gallery/linen](gallery/linen), what came of them in
[gallery/nnx](gallery/nnx): nothing there was written by hand, and each port was proven `identical` to its Linen module on
random variables. A test runs them again; this page is made from them by `make docs`.
"""
CONSTRUCTS_HEAD = """## Constructs

Rewritten, or left as they are with a finding that says why. Each row is held by a test, or by the rule of its finding.
The list is in [constructs.py](constructs.py)."""
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
  lines += ["", CONSTRUCTS_HEAD]
  for title, rows in CONSTRUCTS.items():
    shown = ((construct, fate, _held(by)) for construct, fate, by in rows)
    lines += ["", f"### {title}", "", *table(("construct", "what becomes of it", "held by"), shown)]
  return "\n".join(lines) + "\n"


def _held(by: str) -> str:
  """A rule with its page, or the file of a test."""
  return f"[{by}](rules/{by}.md)" if by.startswith("L2N") else f"[{by.partition('::')[0].rpartition('/')[2]}](../{by.partition('::')[0]})"  # fmt: skip


def rule_page(one: RulePage) -> str:
  """The page of a rule."""
  lines = [
    f"# {one.id}: {one.title}",
    "",
    f"Severity: {SEVERITIES[one.severity]}.",
    "",
    one.why,
    "",
    f"**What to do.** {one.do}",
  ]
  for title, code in (("Before", one.before), ("After", one.after)):
    if code:
      lines += ["", f"## {title}", "", "```py", code.rstrip(), "```"]
  lines += ["", "[All rules](README.md)"]
  return "\n".join(lines) + "\n"


def rules_page() -> str:
  """The list of rules."""
  lines = [RULES_HEAD]
  for group, title in GROUPS.items():
    rows = ((f"[{r.id}]({r.id}.md)", r.title, SEVERITIES[r.severity]) for r in RULES if r.id.startswith(group))
    lines += [f"## {title}", "", *table(("rule", "about", "severity"), rows), ""]
  return "\n".join(lines).rstrip() + "\n"


def gallery_page() -> str:
  """Modules before and after, from docs/gallery."""
  lines = [GALLERY_HEAD]
  for name in GALLERY:
    said, before = _without_docstring(DOCS / "gallery" / "linen" / f"{name}.py")
    _, after = _without_docstring(DOCS / "gallery" / "nnx" / f"{name}.py")
    title, _, text = said.strip().partition("\n")
    lines += [f"## {title.rstrip('.')}", "", text.strip(), "", "Linen:", "", "```py", before, "```", "", "NNX:", ""]
    lines += ["```py", after, "```", ""]
  return "\n".join(lines).rstrip() + "\n"


def _without_docstring(path: Path) -> tuple[str, str]:
  text = path.read_text(encoding="utf-8")
  first = ast.parse(text).body[0]
  return ast.get_docstring(ast.parse(text)) or "", "\n".join(text.splitlines()[first.end_lineno :]).strip()


def pages() -> dict[Path, str]:
  """Every generated page."""
  found = {
    DOCS / "support.md": page(),
    DOCS / "gallery.md": gallery_page(),
    DOCS / "rules" / "README.md": rules_page(),
  }
  return found | {DOCS / "rules" / f"{one.id}.md": rule_page(one) for one in RULES}


def main(argv: list[str]) -> int:
  """Writes the pages, or with --check tells whether they are as they should be."""
  wanted = pages()
  stale = sorted(p for p, text in wanted.items() if not p.is_file() or p.read_text(encoding="utf-8") != text)
  left = sorted(p for p in (DOCS / "rules").glob("*.md") if p not in wanted)
  if "--check" in argv:
    for path in stale + left:
      print(f"docs/{path.relative_to(DOCS)} differs: run make docs")
    return 1 if stale or left else 0
  for path in stale:
    path.parent.mkdir(exist_ok=True)
    path.write_text(wanted[path], encoding="utf-8")
  for path in left:
    path.unlink()
  return 0


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
