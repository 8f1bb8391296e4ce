"""`migrate.codemod`: Linen modules and training code of files, rewritten in place."""

from __future__ import annotations

import dataclasses
import difflib
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import migrate
from migrate.codemod.notebooks import Notebook
from migrate.codemod.scan import Scan, importing, linen_classes, scan, scan_text
from migrate.codemod.snippets import Doctest, Page, doctests
from migrate.core.report import Finding, refuse
from migrate.example import Example
from migrate.workflows.codemod_files import KINDS, gather, write_whole
from migrate.workflows.codemod_lines import at_old_lines
from migrate.workflows.codemod_notebooks import notebooks_as_modules

Progress = Callable[..., None]


@dataclasses.dataclass(frozen=True)
class Change:
  """A file as it was and as it is to be; `before` is None for a new one. `cells` are the code of a notebook."""

  path: Path
  before: str | None
  after: str
  cells: tuple[str, str] | None = None

  def diff(self, context: int = 3) -> str:
    """The unified diff."""
    name = _shown(self.path)
    before, after = self.cells or (self.before or "", self.after)
    lines = difflib.unified_diff(
      before.splitlines(keepends=True),
      after.splitlines(keepends=True),
      name if self.before is not None else "none",
      name,
      n=context,
    )
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


@dataclasses.dataclass
class CodemodReport:
  """What `migrate.codemod` returns.

  Attributes:
    changes: files that change.
    findings: what the user must know.
    files: how many files were looked at.
    parsed: how many of them speak of Flax.
    written: whether the changes are on disk.
    seconds: wall clock.
    port: the report on the models, None without examples.
  """

  changes: list[Change]
  findings: list[Finding]
  files: int
  parsed: int
  written: bool = False
  seconds: float = 0.0
  port: Any = None

  @property
  def ok(self) -> bool:
    """Whether nothing was left that had to be rewritten."""
    return not any(f.severity == "error" for f in self.findings) and (self.port is None or self.port.ok)

  def to_json(self) -> dict[str, Any]:
    """The report as plain values."""
    return {
      "version": migrate.__version__,
      "ok": self.ok,
      "files": self.files,
      "parsed": self.parsed,
      "changed": [str(c.path) for c in self.changes],
      "written": self.written,
      "findings": [f.to_json() for f in self.findings],
      "models": self.port.to_json() if self.port is not None else None,
      "seconds": round(self.seconds, 2),
    }


def codemod(
  paths: Sequence[str | Path],
  *,
  examples: Sequence[str | Callable[[], Example]] = (),
  write: bool = False,
  jobs: int = 1,
  select: Sequence[str] = (),
  ignore: Sequence[str] = (),
  include: Sequence[str] = (),
  exact: bool = False,
  markdown: bool = False,
  docstrings: bool = False,
  checkpoint: str | Path | None = None,
  checkpoint_out: str | Path | None = None,
  overwrite: bool = False,
  progress: Progress | None = None,
) -> CodemodReport:
  """Rewrites Linen modules and the training code around them.

  Args:
    paths: files, and folders that are searched for Python files.
    examples: of the models, as for `migrate.port`; classes that none of them reaches stay as they are.
    write: put the new files in the place of the old ones; each appears whole.
    jobs: processes that read files.
    select: rule ids, or their beginnings, to use; all where empty.
    ignore: rule ids, or their beginnings, not to use.
    include: packages to rewrite, as for `migrate.port`.
    exact: as for `migrate.port`.
    markdown: rewrite the Python fences of Markdown pages too.
    docstrings: rewrite the doctests of docstrings too.
    checkpoint: Orbax checkpoint of the Linen training state.
    checkpoint_out: where the NNX checkpoint goes.
    overwrite: replace `checkpoint_out` where it exists.
    progress: called with a text at every stage.

  Returns:
    CodemodReport: `.changes` with a diff each.

  Raises:
    MigrateError: for a path that is not there, or a bad example.
  """
  say = progress or (lambda *_: None)
  started = time.monotonic()
  files = gather(paths, (*KINDS, ".md") if markdown else KINDS)
  say(f"read {len(files)} files")
  scans = _scan_all(files, jobs)
  ignored = _ignored(select, ignore)
  about = [s for s in scans if s.text is not None and 0 not in s.skipped]
  findings = [
    Finding(_at(s), s.error, "a Python file in UTF-8", "mend it", "error", "L2N120") for s in scans if s.error
  ]
  linen = linen_classes(about)
  texts = {s.path: s.text or "" for s in about}
  tests = _doctests(about) if docstrings else {}
  linen |= linen_classes([s for found in tests.values() for s, _ in found])
  new: dict[str, str] = {}
  report = CodemodReport([], findings, len(scans), len(about))
  ported: dict[str, Any] = {}
  if examples and linen and not ignored("L2N110"):
    from migrate.workflows.codemod_models import port_models

    say("models")
    with notebooks_as_modules(examples, about) as (shown, modules):
      made = port_models(
        shown, {**texts, **modules.texts}, include=include, exact=exact, checkpoint=checkpoint,
        checkpoint_out=checkpoint_out, overwrite=overwrite, progress=say,
      )  # fmt: skip
      modules.bring_back(made.texts, made.new)
    report.port, ported = made.report, made.classes
    texts |= made.texts
    new |= made.new
    findings += made.findings
  findings += _waiting(about, linen, ported, ignored, bool(examples))
  if ported:
    from migrate.codemod.remains import without_linen
    from migrate.codemod.training.reader import Rewritten, rewrite_training
    from migrate.codemod.training.uncalled import with_sizes

    say("training code")
    callers = importing(scans, about)
    about += callers
    texts |= {s.path: s.text or "" for s in callers}
    more = [s for found in tests.values() for s, _ in found]
    program = [(s.path, s.module, texts.get(s.path, s.text or "")) for s in about]
    program += [(s.path, s.module, s.text or "") for s in more]
    try:
      done = rewrite_training(program, ported, ignored, _skips(about))
    except (AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError) as error:
      if os.environ.get("LINEN2NNX_DEBUG"):
        raise
      said = f"training code left as it was: reading it failed ({type(error).__name__}: {error})"
      done = Rewritten(findings=[Finding(program[0][0], said, "", "report this as a fault of linen2nnx", "error", "L2N408")])  # fmt: skip
    paths_of = {s.module: s.path for s in about}
    texts |= {paths_of[m]: t for m, t in done.texts.items() if m in paths_of}
    before = {s.path: s.text or "" for s in about}
    findings += at_old_lines(done.findings, before, {p: t for p, _, t in program})
    findings += _put_doctests(tests, texts, done.texts)
    whole = all(full in ported for full in linen)  # nothing is left that a name of Linen would be right for
    plain = [s for s in about if texts[s.path] != s.text or (whole and not s.skipped)]
    texts |= {s.path: without_linen(texts[s.path], s.path, s.module) for s in plain}
    if not ignored("L2N116"):
      now = [(s.path, s.module, texts[s.path]) for s in about]
      given, more = with_sizes(now, ported, before, findings, _skips(about))
      findings += at_old_lines(more, before, texts)
      texts |= {paths_of[m]: t for m, t in given.items()}
  changes = [_change(s, texts[s.path]) for s in about if texts[s.path] != s.text]
  changes += [Change(Path(p), _existing(p), t) for p, t in new.items() if _existing(p) != t]
  report.changes = sorted(changes, key=lambda c: str(c.path))
  report.findings = [f for f in dict.fromkeys(findings) if not (f.rule and ignored(f.rule))]
  if write:
    for change in report.changes:
      write_whole(change.path, change.after)
    report.written = True
  report.seconds = time.monotonic() - started
  return report


def _change(one: Scan, text: str) -> Change:
  if one.raw:
    if one.path.endswith(".md"):
      return Change(Path(one.path), one.raw, Page(one.raw).put(text))
    return Change(Path(one.path), one.raw, Notebook(one.raw).put(text), (one.text or "", text))
  return Change(Path(one.path), one.text, text)


def _doctests(about: Iterable[Scan]) -> dict[str, list[tuple[Scan, Doctest]]]:
  """The doctests of every file, each as a file of its own."""
  found: dict[str, list[tuple[Scan, Doctest]]] = {}
  for one in about:
    if not one.raw and ">>>" in (one.text or ""):
      for i, test in enumerate(doctests(one.text or "", one.module)):
        scanned = scan_text(one.path, f"{one.module}__doctest{i}", test.text.encode())
        if scanned.text is not None:
          found.setdefault(one.path, []).append((scanned, test))
  return found


def _put_doctests(
  tests: dict[str, list[tuple[Scan, Doctest]]], texts: dict[str, str], done: dict[str, str]
) -> list[Finding]:
  """Puts rewritten examples where they were."""
  findings = []
  for path, found in tests.items():
    for one, test in found:
      if one.module in done and test.block in texts[path]:
        texts[path] = texts[path].replace(test.block, test.put(done[one.module], texts[path]))
        at = f"{path}:{test.line}"
        said = "examples of a docstring are rewritten, and what they show is as it was"
        findings.append(Finding(at, said, "outputs of the NNX model", "run the examples and look at them", "eye", "L2N417"))  # fmt: skip
  return findings


def _scan_all(files: Sequence[str], jobs: int) -> list[Scan]:
  if jobs <= 1 or len(files) < 2 * jobs:
    return [scan(f) for f in files]
  with ProcessPoolExecutor(jobs) as pool:
    return list(pool.map(scan, files, chunksize=max(1, len(files) // (4 * jobs))))


def _ignored(select: Iterable[str], ignore: Iterable[str]) -> Callable[[str], bool]:
  chosen, left = tuple(select), tuple(ignore)
  for rule in (*chosen, *left):
    if not rule.startswith("L2N"):
      raise refuse(rule, "not a rule", "an id such as L2N401, or the beginning of one", "see docs/rules")
  return lambda rule: bool(left and rule.startswith(left)) or bool(chosen and not rule.startswith(chosen))


def _at(one: Scan) -> str:
  return f"{one.path}:{one.line}" if one.line else one.path


def _skips(about: Iterable[Scan]) -> dict[str, frozenset[int]]:
  return {s.module: s.skipped for s in about if s.skipped}


def _waiting(
  about: Iterable[Scan], linen: dict[str, Scan], ported: dict[str, Any], ignored: Callable[[str], bool], shown: bool
) -> list[Finding]:
  """Classes and training code that no example reaches; `shown`: there are examples."""
  do = "give an example that reaches it: --example file.py:function"
  found = []
  for full, where in linen.items():
    name = full.rpartition(".")[2]
    line = where.lines[name]
    if full not in ported and line not in where.skipped and not ignored("L2N110"):
      at = f"{where.path}:{line}"
      found.append(Finding(at, f"{name} is left as it was: no example reaches it", "its sizes", do, "eye", "L2N110"))
  for one in about if not linen else ():
    for name, line in one.inner.items():
      if line not in one.skipped and not ignored("L2N110"):
        said = f"{name} is left as it was: a class inside a function or class"
        inside = "port it with `linen2nnx port`, or move it to the top of the file"
        found.append(
          Finding(
            f"{one.path}:{line}", said, "a class at the top of a file", inside, "error" if shown else "eye", "L2N110"
          )
        )
  if not ported:
    for one in about:
      if one.trains and any(f.startswith("flax.") for b in one.bases.values() for f in b):
        at = f"{one.path}:{one.trains}"
        said = "training code is left as it was: its model is not NNX yet"
        found.append(Finding(at, said, "a model that this run rewrites", do, "eye", "L2N400"))
  return found


def _existing(path: str) -> str | None:
  file = Path(path)
  return file.read_text(encoding="utf-8") if file.is_file() else None


def _shown(path: Path) -> str:
  path = path.absolute()
  return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
