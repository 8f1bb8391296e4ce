"""The command `linen2nnx`, its errors and exit codes, and the commands about source. Knows no engine.

Exit codes: 0 proven, 1 something was left, refused or differs, 2 the command was wrong.
argparse, because `--help` must answer before jax could be imported.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from migrate import __version__
from migrate.cli_codemod import add_codemod
from migrate.cli_mappings import add_mappings
from migrate.cli_options import (
  LEFT,
  PROVEN,
  WRONG,
  WrongCommandError,
  add_output,
  check_examples,
  check_free,
  check_missing,
  write_json,
  wrong,
)
from migrate.cli_state import add_convert, add_inspect, add_plan, add_verify_checkpoint
from migrate.cli_suggest import add_suggest
from migrate.core.report import Finding, MigrateError
from migrate.example import ExampleSpec

DEBUG = "LINEN2NNX_DEBUG"


def main(argv: Sequence[str] | None = None) -> int:
  """Runs the command and returns its exit code. Never shows a traceback unless LINEN2NNX_DEBUG is set."""
  options = None
  try:
    options = make_parser().parse_args(argv)
    if options.command is None:
      make_parser().print_help()
      return PROVEN
    from migrate.versions import check_versions

    check_versions()
    return options.run(options)
  except MigrateError as error:
    if os.environ.get(DEBUG):
      traceback.print_exc()
    return _refused(error.findings, options, WRONG if isinstance(error, WrongCommandError) else LEFT)
  except KeyboardInterrupt:
    print("stopped", file=sys.stderr)
    return 130
  except BrokenPipeError:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return LEFT
  except Exception as error:
    if os.environ.get(DEBUG):
      raise
    return _refused((_unexpected(error),), options, LEFT)


def _refused(findings: Sequence[Finding], options: argparse.Namespace | None, code: int) -> int:
  """Shows why nothing came of it, on the terminal and in the JSON that was asked for."""
  from migrate.terminal import console, show_findings

  show_findings(findings, console(stderr=True))
  if code != WRONG:
    document = {"version": __version__, "examples": [], "findings": [f.to_json() for f in findings]}
    write_json(document, getattr(options, "json", None))
  return code


def _unexpected(error: Exception) -> Finding:
  frames = traceback.extract_tb(error.__traceback__)
  ours = [frame for frame in frames if Path(frame.filename).is_relative_to(Path(__file__).parent)]
  frame = (ours or frames)[-1]
  text = str(error).strip()
  first = text.splitlines()[0][:300] if text else ""
  return Finding(
    f"{Path(frame.filename).name}:{frame.lineno}",
    f"{type(error).__name__}: {first}",
    "",
    f"this is a fault of linen2nnx: run it again with {DEBUG}=1 and report what it shows",
  )


def make_parser() -> argparse.ArgumentParser:
  """All commands and their options."""
  parser = argparse.ArgumentParser(
    prog="linen2nnx", description="Move Flax Linen code, weights and optimizer state to Flax NNX, with proof."
  )
  parser.add_argument("--version", action="version", version=f"linen2nnx {__version__}")
  commands = parser.add_subparsers(dest="command", metavar="COMMAND")
  _add_port(commands)
  add_codemod(commands)
  _add_verify(commands)
  add_convert(commands)
  add_plan(commands)
  add_inspect(commands)
  add_verify_checkpoint(commands)
  add_suggest(commands)
  add_mappings(commands)
  return parser


def _add_port(commands: Any) -> None:
  port = commands.add_parser(
    "port",
    help="rewrite a Linen model as NNX, move its checkpoint, and prove both",
    description="Traces each example, rewrites the Linen modules that it reaches, runs both models and compares them.",
  )
  port.add_argument(
    "example", nargs="+", help="package.module:function or path/file.py:function, returns migrate.Example"
  )
  port.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the ported code; must not exist")
  port.add_argument(
    "--include", action="append", default=[], metavar="PACKAGE", help="rewrite modules of this package too (repeatable)"
  )
  port.add_argument(
    "--layout",
    choices=("extract", "overlay"),
    default="extract",
    help="extract: a new package of the reached modules (default); overlay: changed files under their own paths",
  )
  port.add_argument("--apply", action="store_true", help="with overlay: replace the original files, once proven")
  port.add_argument(
    "--exact", action="store_true", help="write what is bitwise equal, also where stock NNX is within noise"
  )
  port.add_argument("--checkpoint", type=str, metavar="SRC", help="Orbax checkpoint of the Linen training state")
  port.add_argument("--checkpoint-out", type=str, metavar="DST", help="where the NNX checkpoint goes")
  port.add_argument(
    "--keep-rng",
    action="store_true",
    help="draw Linen's own random numbers, so that a run with dropout continues to the bit",
  )
  port.add_argument(
    "--allow-optimizer-change", action="store_true", help="as for convert: go on where the optimizer's updates change"
  )
  port.add_argument("--rng", choices=("carry", "reseed", "drop"), help="random state of the checkpoint, as for convert")
  port.add_argument("--seed", type=int, default=0, metavar="N", help="of --rng reseed (0)")
  port.add_argument("--overwrite", action="store_true", help="replace DIR and DST where they exist")
  add_output(port)
  port.set_defaults(run=run_port)


def _add_verify(commands: Any) -> None:
  verify = commands.add_parser(
    "verify",
    help="run a Linen model and its port again, and compare them",
    description="Compares outputs, collections and gradients of the example with what DIR/ported.py builds.",
  )
  verify.add_argument("example", nargs="+", help="package.module:function or path/file.py:function")
  verify.add_argument(
    "--ported", required=True, type=Path, metavar="DIR", help="folder with ported.py and mapping.json"
  )
  verify.add_argument("--mapping", type=Path, metavar="FILE", help="another mapping than DIR/mapping.json")
  verify.add_argument("--layout", choices=("extract", "overlay"), default="extract", help="how DIR was written")
  verify.add_argument("--timeout", type=float, default=600.0, metavar="SECONDS", help="for each example (600)")
  add_output(verify)
  verify.set_defaults(run=run_verify)


def run_port(options: argparse.Namespace) -> int:
  """`linen2nnx port`."""
  check_examples(options.example)
  if options.apply and options.layout != "overlay":
    raise wrong(
      "--apply", "given without --layout overlay", "overlay", "add --layout overlay, or copy from DIR yourself"
    )
  if bool(options.checkpoint) != bool(options.checkpoint_out):
    given, other = ("--checkpoint", "--checkpoint-out") if options.checkpoint else ("--checkpoint-out", "--checkpoint")
    raise wrong(given, f"given without {other}", "both or neither", f"add {other}")
  check_missing("--checkpoint", options.checkpoint)
  check_free("--out", str(options.out), options.overwrite)
  check_free("--checkpoint-out", options.checkpoint_out, options.overwrite)
  if options.checkpoint_out and Path(options.checkpoint_out).absolute().is_relative_to(options.out.absolute()):
    raise wrong("--checkpoint-out", "is inside --out, which is replaced as a whole", "a place of its own", "name one")

  from migrate.terminal import Progress, console, shortened, show_report
  from migrate.workflows.port import port

  out = console(stderr=options.json == "-")
  with Progress(out, quiet=options.quiet).running() as progress:
    report = port(
      options.example,
      options.out,
      include=tuple(options.include),
      layout=options.layout,
      apply=options.apply,
      checkpoint=options.checkpoint,
      checkpoint_out=options.checkpoint_out,
      overwrite=options.overwrite,
      exact=options.exact,
      keep_rng=options.keep_rng,
      allow_optimizer_change=options.allow_optimizer_change,
      rng=options.rng,
      seed=options.seed,
      progress=progress,
    )
  document = report.to_json()
  write_json(document, options.json)
  if not options.quiet:
    show_report(document, out)
    for note in (document.get("checkpoint") or {}).get("notes", ()):
      out.print(f"note: {note}", markup=False)
    out.print(f"{'proven' if report.ok else 'not proven'}: {shortened(str(options.out))}", markup=False)
  return report.exit_code


def run_verify(options: argparse.Namespace) -> int:
  """`linen2nnx verify`."""
  check_examples(options.example)
  mapping = options.mapping or options.ported / "mapping.json"
  for path, wanted in ((options.ported / "ported.py", "what linen2nnx port wrote"), (mapping, "a mapping")):
    if not path.is_file():
      raise wrong(str(path), "no such file", wanted, "give the folder that linen2nnx port wrote as --ported")

  from migrate.core.verdict import Report
  from migrate.terminal import Progress, console, show_report
  from migrate.workflows.proof import verify_ported

  out = console(stderr=options.json == "-")
  reports = []
  with Progress(out, quiet=options.quiet).running() as progress:
    for text in options.example:
      name = ExampleSpec.parse(text).name
      progress(f"verify {name}")
      reports.append(
        verify_ported(
          text, options.ported, f"build_{name}", mapping, layout=options.layout, timeout_s=options.timeout, name=name
        )
      )
  report = Report(tuple(reports))
  document = {"version": __version__, **report.to_json()}
  write_json(document, options.json)
  if not options.quiet:
    show_report(document, out)
  return PROVEN if report.proven else LEFT


if __name__ == "__main__":
  sys.exit(main())
