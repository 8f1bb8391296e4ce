"""The report of a port: what was rewritten, what was left, what was proven."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import migrate
from migrate.codemod.files import Rewriting
from migrate.codemod.project import Project
from migrate.core.report import Finding
from migrate.core.verdict import ExampleReport, Report

SHOWN = 5


@dataclasses.dataclass
class PortReport:
  """What `migrate.port` returns.

  Attributes:
    examples: the verdict on every example.
    source: `files`, `classes`, `rewritten`, `left`, `todo`, `linen_imports_left`, `hoisted`.
    findings: what a user must know.
    seconds: wall clock.
    checkpoint: what was converted, None where nothing was asked for.
    rewriting: what came of the sources.
    project: the sources and what was traced.
    written: file -> text, as written to the folder.
  """

  examples: list[ExampleReport]
  source: dict[str, Any]
  findings: list[Finding]
  seconds: float
  checkpoint: dict[str, Any] | None = None
  rewriting: Rewriting | None = dataclasses.field(default=None, repr=False)
  project: Project | None = dataclasses.field(default=None, repr=False)
  written: dict[str, str] = dataclasses.field(default_factory=dict, repr=False)

  @property
  def ok(self) -> bool:
    """Whether every example is proven and nothing was left."""
    wrong = any(f.severity == "error" for f in self.findings)
    left = self.source["left"] or self.source["linen_imports_left"]
    return bool(self.examples) and all(e.proven for e in self.examples) and not wrong and not left

  @property
  def exit_code(self) -> int:
    """0 proven, 1 something was left, refused or differs."""
    return 0 if self.ok else 1

  def to_json(self) -> dict[str, Any]:
    """What `report.json` holds."""
    document = {
      "version": migrate.__version__,
      "ok": self.ok,
      **Report(tuple(self.examples)).to_json(),
      "source": self.source,
      "seconds": round(self.seconds, 2),
      "checkpoint": self.checkpoint,
    }
    document["findings"] = [f.to_json() for f in [*self.findings, *(f for e in self.examples for f in e.findings)]]
    return document

  @classmethod
  def make(
    cls,
    rewriting: Rewriting,
    project: Project,
    files: Mapping[str, str],
    examples: Sequence[ExampleReport],
    seconds: float,
  ) -> PortReport:
    """Gathers the report of what was rewritten."""
    python = {n: t for n, t in files.items() if n.endswith(".py")}
    todo = [
      f"{n}:{i}" for n, t in python.items() for i, line in enumerate(t.split("\n"), 1) if "TODO(linen2nnx)" in line
    ]
    hoisted = [f"{r.info.module}.{r.info.name}.{h}" for r in rewriting.results.values() for h in r.hoisted]
    linen = [n for n, t in python.items() if imports_linen(t)]
    source = {
      "files": sorted(n for n in python if n != "ported.py"),
      "classes": [f"{i.module}.{i.name}" for i in project.classes.values()],
      "rewritten": [f"{r.info.module}.{r.info.name}" for r in rewriting.results.values()],
      "left": rewriting.left,
      "todo": todo,
      "linen_imports_left": linen,
      "hoisted": hoisted,
    }
    findings = list(dict.fromkeys(rewriting.findings))
    if linen:
      more = f" and {len(linen) - SHOWN} more" if len(linen) > SHOWN else ""
      do = "port what uses it by hand, or give an example that reaches it"
      where = ", ".join(linen[:SHOWN]) + more
      findings.append(Finding(where, "still imports flax.linen", "ported files without Linen", do))
    return cls(list(examples), source, findings, seconds, None, rewriting, project, dict(files))


def imports_linen(text: str) -> bool:
  """Whether a file imports `flax.linen`, or reaches it through `import flax`."""
  flax: set[str] = set()
  reached: set[str] = set()
  for node in ast.walk(ast.parse(text)):
    if isinstance(node, ast.Import):
      if any(_is_linen(a.name) for a in node.names):
        return True
      flax |= {a.asname or "flax" for a in node.names if a.name == "flax" or (a.name[:5] == "flax." and not a.asname)}
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
      if _is_linen(node.module) or (node.module == "flax" and any(a.name == "linen" for a in node.names)):
        return True
    elif isinstance(node, ast.Attribute) and node.attr == "linen" and isinstance(node.value, ast.Name):
      reached.add(node.value.id)
  return bool(flax & reached)


def _is_linen(module: str) -> bool:
  return module == "flax.linen" or module.startswith("flax.linen.")
