"""The command about whole code bases: `codemod`."""

from __future__ import annotations

import argparse
from typing import Any

from migrate.cli_options import LEFT, PROVEN, add_output, check_examples, check_free, check_missing, write_json, wrong


def add_codemod(commands: Any) -> None:
  """`linen2nnx codemod`."""
  codemod = commands.add_parser(
    "codemod",
    help="rewrite Linen modules and training code in place, or show what would change",
    description="Shows a diff unless told otherwise. Modules are rewritten where an example reaches them, training "
    "code where its model is rewritten and its meaning is certain; the rest stays, with a finding.",
  )
  codemod.add_argument("paths", nargs="+", metavar="PATH", help="Python files, or folders of them")
  codemod.add_argument(
    "--example",
    action="append",
    default=[],
    metavar="EXAMPLE",
    help="package.module:function or path/file.py:function, returns migrate.Example (repeatable)",
  )
  mode = codemod.add_mutually_exclusive_group()
  mode.add_argument("--diff", action="store_true", help="show what would change (the default)")
  mode.add_argument("--check", action="store_true", help="show the files that would change; exit 1 where there are any")
  mode.add_argument("--write", action="store_true", help="replace the files")
  codemod.add_argument("--jobs", type=int, default=1, metavar="N", help="processes that read files (1)")
  codemod.add_argument(
    "--select", action="append", default=[], metavar="RULE", help="use only these rules (repeatable)"
  )
  codemod.add_argument(
    "--ignore", action="append", default=[], metavar="RULE", help="do without these rules (repeatable)"
  )
  codemod.add_argument("--include", action="append", default=[], metavar="PACKAGE", help="rewrite modules of this package too (repeatable)")  # fmt: skip
  codemod.add_argument("--exact", action="store_true", help="write what is bitwise equal, also where stock NNX is within noise")  # fmt: skip
  codemod.add_argument("--markdown", action="store_true", help="rewrite the Python fences of Markdown pages too")
  codemod.add_argument("--doctests", action="store_true", help="rewrite the doctests of docstrings too")
  codemod.add_argument("--checkpoint", metavar="SRC", help="Orbax checkpoint of the Linen training state")
  codemod.add_argument("--checkpoint-out", metavar="DST", help="where the NNX checkpoint goes")
  codemod.add_argument("--overwrite", action="store_true", help="replace DST where it exists")
  codemod.add_argument("--report", metavar="FILE", help="the same as --json")
  add_output(codemod)
  codemod.set_defaults(run=run_codemod)


def run_codemod(options: argparse.Namespace) -> int:
  """`linen2nnx codemod`."""
  check_examples(options.example)
  if options.jobs < 1:
    raise wrong("--jobs", f"{options.jobs}", "at least 1", "give the number of processes")
  if bool(options.checkpoint) != bool(options.checkpoint_out):
    given, other = ("--checkpoint", "--checkpoint-out") if options.checkpoint else ("--checkpoint-out", "--checkpoint")
    raise wrong(given, f"given without {other}", "both or neither", f"add {other}")
  check_missing("--checkpoint", options.checkpoint)
  check_free("--checkpoint-out", options.checkpoint_out, options.overwrite)

  from migrate.terminal import Progress, console, show_diff, show_examples, show_findings
  from migrate.workflows.codemod import codemod

  out = console(stderr="-" in (options.json, options.report))
  with Progress(console(stderr=True), quiet=options.quiet).running() as progress:
    report = codemod(
      options.paths,
      examples=options.example,
      write=options.write,
      jobs=options.jobs,
      select=tuple(r for text in options.select for r in text.split(",")),
      ignore=tuple(r for text in options.ignore for r in text.split(",")),
      include=tuple(options.include),
      exact=options.exact,
      markdown=options.markdown,
      docstrings=options.doctests,
      checkpoint=options.checkpoint,
      checkpoint_out=options.checkpoint_out,
      overwrite=options.overwrite,
      progress=progress,
    )
  for target in (options.json, options.report):
    write_json(report.to_json(), target)
  if not options.quiet:
    for change in report.changes:
      if options.check or options.write:
        out.print(f"{'rewritten' if options.write else 'would change'}: {change.path}", markup=False)
      else:
        show_diff(change.diff(), out)
    if report.port is not None:
      show_examples(report.port.to_json(), out)
  show_findings([f for f in report.findings if not options.quiet or f.severity == "error"], console(stderr=True))
  if not options.quiet:
    said = "changed" if options.write else "would change"
    out.print(f"{len(report.changes)} of {report.files} files {said}", markup=False)
  return LEFT if (options.check and report.changes) or not report.ok else PROVEN
