"""What the user sees: tables, panels, progress. Takes plain dicts and findings, imports rich late."""

from __future__ import annotations

import contextlib
import math
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migrate.core.report import Finding

if TYPE_CHECKING:
  from rich.console import Console
  from rich.status import Status

COLOURS = {"identical": "green", "equal": "green", "different": "red", "incomplete": "yellow", "error": "red"}
BORDERS = {"error": "red", "eye": "yellow", "note": "blue"}
_NAMED = 5
SCREEN = 6  # findings that fit one screen


def console(*, stderr: bool = False) -> Console:
  """A console that wraps at the terminal's width, at 100 columns where there is none."""
  from rich.console import Console

  stream = sys.stderr if stderr else sys.stdout
  return Console(file=stream, highlight=False, width=None if stream.isatty() else 100)


def show_findings(findings: Iterable[Finding | Mapping[str, Any]], out: Console, *, limit: int = SCREEN) -> None:
  """One panel a finding, errors first, and a line that tells how many more there are.

  Where there are more than the limit, those of other rules and of other places than in number come first.
  """
  from rich.panel import Panel
  from rich.text import Text

  order = list(BORDERS)
  known = [f if isinstance(f, Finding) else _finding(f) for f in findings]
  known.sort(key=lambda f: order.index(f.severity) if f.severity in order else len(order))
  if len(known) > limit:
    first: dict[tuple[str, str, str], Finding] = {}
    for one in known:
      first.setdefault((one.severity, one.rule, re.sub(r"\d+", "#", one.where)), one)
    kept = {id(one) for one in first.values()}
    known = [*first.values(), *(one for one in known if id(one) not in kept)]
    known.sort(key=lambda f: order.index(f.severity) if f.severity in order else len(order))
  for finding in known[:limit]:
    where = shortened(finding.where)
    body = Text()
    if len(f"{where}  {finding.rule}") > out.width - 8:
      body.append(f"{where}\n", style="bold")  # a title is cut where it is too long
      where = ""
    body.append(finding.found)
    for label, text in (("wanted", finding.wanted), ("do", finding.do)):
      if text:
        body.append(f"\n{label}: ", style="bold")
        body.append(text)
    title = Text(f"{where}  {finding.rule}".strip())
    out.print(Panel(body, title=title or None, title_align="left", border_style=BORDERS.get(finding.severity, "red")))
  if len(known) > limit:
    out.print(f"... and {len(known) - limit} more findings: --json FILE has all of them")


def shortened(where: str) -> str:
  """A path as one would say it: below site-packages, or below the current folder."""
  _, installed, rest = where.rpartition("/site-packages/")
  return rest if installed else where.removeprefix(f"{Path.cwd()}/")


def _finding(fields: Mapping[str, Any]) -> Finding:
  names = ("where", "found", "wanted", "do", "severity", "rule")
  return Finding(**{n: fields[n] for n in names if n in fields})


def show_examples(report: Mapping[str, Any], out: Console) -> None:
  """A row an example: verdict, differences against the measured noise, leaves, seconds."""
  from rich.table import Table
  from rich.text import Text

  table = Table(title=None)
  for name in ("example", "verdict", "outputs", "collections", "gradients", "leaves", "seconds"):
    table.add_column(name, justify="left" if name in ("example", "verdict") else "right")
  for example in report.get("examples", ()):
    verdict = str(example.get("verdict", ""))
    table.add_row(
      str(example.get("name", "")),
      Text(verdict, style=COLOURS.get(verdict, "")),
      difference(example.get("forward")),
      difference(_worst(example.get("collections"))),
      difference(example.get("gradients")),
      str(example.get("leaves", "")),
      f"{float(example.get('seconds') or 0):.1f}",
    )
  out.print(table)
  for example in report.get("examples", ()):
    for key, words in (
      ("unmapped", "Linen variables without a place in NNX"),
      ("unfilled", "NNX variables that nothing filled"),
    ):
      names = example.get(key) or ()
      if names:
        out.print(Text(f"{example.get('name', '')}: {len(names)} {words}: {_some(names)}"))


def _some(names: Sequence[Any]) -> str:
  more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
  return ", ".join(str(name) for name in names[:_NAMED]) + more


def difference(compared: Mapping[str, Any] | None) -> str:
  """`12 bitwise`, or `12: 3.1e-07 (noise 5.2e-07)`; a dash where nothing was compared."""
  if not compared or not compared.get("compared"):
    return "-"
  count = compared["compared"]
  if compared.get("identical", count) == count and not compared.get("max_abs"):
    return f"{count} bitwise"
  noise = compared.get("noise")
  text = f"{count}: {float(compared.get('max_abs') or 0):.1e}"
  return text + (f" (noise {float(noise):.1e})" if noise is not None else "")


def _worst(collections: Any) -> Mapping[str, Any] | None:
  """Several collections, or one comparison of all of them, as one comparison."""
  if not isinstance(collections, Mapping) or "compared" in collections:
    return collections if isinstance(collections, Mapping) else None
  rows = [row for row in collections.values() if isinstance(row, Mapping) and row.get("compared")]
  if not rows:
    return None
  worst = max(rows, key=lambda row: _size(row.get("max_abs")))
  counts = {key: sum(row.get(key, row["compared"]) for row in rows) for key in ("compared", "identical")}
  return {**worst, **counts}


def _size(value: Any) -> float:
  """For ordering: what is no number is larger than any."""
  number = float(value or 0)
  return math.inf if math.isnan(number) else number


def show_source(source: Mapping[str, Any], out: Console) -> None:
  """What was rewritten, hoisted and left, in a few lines."""
  from rich.text import Text

  if not source:
    return
  classes, rewritten = _count(source.get("classes")), _count(source.get("rewritten"))
  files = _count(source.get("files"))
  out.print(
    f"source: {rewritten} of {classes} module class{'es' if classes != 1 else ''} rewritten in {files} file{'s' if files != 1 else ''}"
  )
  for key, words in (
    ("hoisted", "sizes that became constructor arguments"),
    ("left", "left as they were"),
    ("todo", "marked TODO(linen2nnx)"),
    ("linen_imports_left", "still import flax.linen"),
  ):
    names = source.get(key) or ()
    if names:
      out.print(Text(f"  {words}: {_some(list(names))}"))


def _count(value: Any) -> int:
  return value if isinstance(value, int) else len(value or ())


def show_leaves(title: str, rows: Sequence[Sequence[str]], out: Console) -> None:
  """The plan of a checkpoint, a row a leaf: fate, source, target, shapes, operations or reason."""
  show_rows(title, ("fate", "from", "to", "shape", "how or why"), rows, out)


def show_rows(title: str, names: Sequence[str], rows: Sequence[Sequence[str]], out: Console) -> None:
  """A table of text, nothing of it cut."""
  from rich.table import Table
  from rich.text import Text

  table = Table(title=title or None, title_justify="left")
  for name in names:
    table.add_column(name, overflow="fold")
  for row in rows:
    table.add_row(*(Text(value) for value in row))
  out.print(table)


def show_diff(text: str, out: Console) -> None:
  """A unified diff, coloured on a terminal."""
  from rich.text import Text

  styles = {"+++": "bold", "---": "bold", "@@": "cyan", "+": "green", "-": "red"}
  for line in text.splitlines():
    style = next((s for mark, s in styles.items() if line.startswith(mark)), "")
    out.print(Text(line, style=style), soft_wrap=True)


def show_report(report: Mapping[str, Any], out: Console) -> None:
  """The whole report of `port` or `verify` on one screen."""
  show_examples(report, out)
  show_source(report.get("source") or {}, out)
  show_findings(report.get("findings") or (), out)


class Progress:
  """Says what is going on: a spinner on a terminal, a line a stage elsewhere.

  Workflows call it with a text, `progress("trace tiny")`, and optionally with how far they are,
  `progress("verify tiny", 3, 12)`. It never raises and costs nothing where it is not shown.
  """

  def __init__(self, out: Console, *, quiet: bool = False):
    self._out = out
    self._quiet = quiet
    self._started = time.monotonic()
    self._status: Status | None = None
    self._last = ""

  def __call__(self, text: str, done: int | None = None, total: int | None = None) -> None:
    if self._quiet:
      return
    shown = text if total is None else f"{text} {done}/{total}"
    if self._status is not None:
      self._status.update(shown)
    elif text != self._last:
      self._out.print(f"{time.monotonic() - self._started:6.1f} s  {text}", markup=False)
    self._last = text

  @contextlib.contextmanager
  def running(self) -> Iterator[Progress]:
    """Shows the spinner, on a terminal, for as long as the block runs."""
    if self._quiet or not self._out.is_terminal:
      yield self
      return
    with self._out.status("starting") as status:
      self._status = status
      try:
        yield self
      finally:
        self._status = None
