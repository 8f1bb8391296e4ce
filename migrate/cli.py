"""The command `linen2nnx`. Parses, calls one workflow, shows its report; knows no engine.

Exit codes: 0 proven, 1 something was left, refused or differs, 2 the command was wrong.
argparse, because `--help` must answer before jax could be imported.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from migrate import __version__
from migrate.core.report import Finding, MigrateError, refuse
from migrate.example import ExampleSpec

PROVEN, LEFT, WRONG = 0, 1, 2
DEBUG = "LINEN2NNX_DEBUG"


class WrongCommandError(MigrateError):
  """The command itself was wrong: exit code 2."""


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
    _write_json(document, getattr(options, "json", None))
  return code


def _unexpected(error: Exception) -> Finding:
  frame = traceback.extract_tb(error.__traceback__)[-1]
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
  _add_verify(commands)
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
  port.add_argument("--checkpoint", type=str, metavar="SRC", help="Orbax checkpoint of the Linen training state")
  port.add_argument("--checkpoint-out", type=str, metavar="DST", help="where the NNX checkpoint goes")
  port.add_argument("--overwrite", action="store_true", help="replace DIR and DST where they exist")
  _add_output(port)
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
  _add_output(verify)
  verify.set_defaults(run=run_verify)


def _add_output(command: argparse.ArgumentParser) -> None:
  command.add_argument("--json", metavar="FILE", help="write the report there too; - for standard output")
  command.add_argument("--quiet", action="store_true", help="show errors only")


def run_port(options: argparse.Namespace) -> int:
  """`linen2nnx port`."""
  _check_examples(options.example)
  if options.apply and options.layout != "overlay":
    raise _wrong(
      "--apply", "given without --layout overlay", "overlay", "add --layout overlay, or copy from DIR yourself"
    )
  if bool(options.checkpoint) != bool(options.checkpoint_out):
    given, other = ("--checkpoint", "--checkpoint-out") if options.checkpoint else ("--checkpoint-out", "--checkpoint")
    raise _wrong(given, f"given without {other}", "both or neither", f"add {other}")
  _check_missing("--checkpoint", options.checkpoint)
  _check_free("--out", str(options.out), options.overwrite)
  _check_free("--checkpoint-out", options.checkpoint_out, options.overwrite)

  from migrate.terminal import Progress, console, show_report
  from migrate.workflows.port import port  # pyright: ignore[reportMissingImports]

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
      progress=progress,
    )
  document = report.to_json()
  _write_json(document, options.json)
  if not options.quiet:
    show_report(document, out)
    out.print(f"{'proven' if report.ok else 'not proven'}: {options.out}", markup=False)
  return report.exit_code


def run_verify(options: argparse.Namespace) -> int:
  """`linen2nnx verify`."""
  _check_examples(options.example)
  mapping = options.mapping or options.ported / "mapping.json"
  for path, wanted in ((options.ported / "ported.py", "what linen2nnx port wrote"), (mapping, "a mapping")):
    if not path.is_file():
      raise _wrong(str(path), "no such file", wanted, "give the folder that linen2nnx port wrote as --ported")

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
  _write_json(document, options.json)
  if not options.quiet:
    show_report(document, out)
  return PROVEN if report.proven else LEFT


def _wrong(where: str, found: str, wanted: str, do: str) -> WrongCommandError:
  return WrongCommandError(Finding(where, found, wanted, do))


def _check_examples(texts: Sequence[str]) -> None:
  """Refuses what is no example by its text alone; imports nothing of the user's."""
  for text in texts:
    try:
      spec = ExampleSpec.parse(text)
      if spec.location.endswith(".py") and not Path(spec.location).is_file():
        raise refuse(text, f"no file {spec.location}", "a Python file", "give its path, from here or absolute")
    except MigrateError as error:
      raise WrongCommandError(*error.findings) from None


def _is_remote(path: str) -> bool:
  return "://" in path


def _check_missing(option: str, path: str | None) -> None:
  if path and not _is_remote(path) and not Path(path).exists():
    raise _wrong(option, f"no {path}", "a checkpoint", "give the folder that Orbax wrote")


def _check_free(option: str, path: str | None, overwrite: bool) -> None:
  if path and not overwrite and not _is_remote(path) and Path(path).exists():
    raise _wrong(option, f"{path} exists", "a new folder", "name another, or add --overwrite to replace it")


def _write_json(document: dict[str, Any], target: str | None) -> None:
  if target is None:
    return
  text = json.dumps(document, indent=1, sort_keys=False, default=str)
  if target == "-":
    print(text)
    return
  Path(target).parent.mkdir(parents=True, exist_ok=True)
  Path(target).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
  sys.exit(main())
