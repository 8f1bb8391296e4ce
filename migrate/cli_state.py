"""The commands about checkpoints: `convert`, `plan` and `inspect`. They need no Linen code."""

from __future__ import annotations

import argparse
import inspect
from typing import Any

from migrate import __version__
from migrate.cli_options import PROVEN, add_output, check_free, check_missing, write_json, wrong
from migrate.core.report import refuse
from migrate.example import ExampleSpec


def add_convert(commands: Any) -> None:
  """`linen2nnx convert`."""
  convert = commands.add_parser(
    "convert",
    help="turn a Linen checkpoint into one that an NNX program restores",
    description="Moves parameters, statistics, Optax state and step. The source is untouched; DST appears when whole.",
  )
  _add_source(convert, "dst")
  convert.add_argument(
    "--format",
    choices=("orbax", "msgpack", "safetensors", "npz"),
    help="of DST; by its suffix where not given, else orbax",
  )
  convert.add_argument("--dry-run", action="store_true", help="make and check the plan, write nothing")
  convert.add_argument("--overwrite", action="store_true", help="replace DST where it exists")
  add_output(convert)
  convert.set_defaults(run=run_convert)


def add_plan(commands: Any) -> None:
  """`linen2nnx plan`."""
  plan = commands.add_parser(
    "plan", help="show what would become of every leaf of a checkpoint", description="Reads metadata only."
  )
  _add_source(plan)
  add_output(plan)
  plan.set_defaults(run=run_convert, dst=None, dry_run=True, overwrite=False, format=None)


def add_inspect(commands: Any) -> None:
  """`linen2nnx inspect`."""
  inspecting = commands.add_parser(
    "inspect",
    help="show what is in a checkpoint: paths, shapes, dtypes, sizes",
    description="Reads metadata only.",
  )
  inspecting.add_argument("src", metavar="SRC", help="a checkpoint of any format")
  inspecting.add_argument("--item", metavar="NAME", help="the item of a composite checkpoint")
  add_output(inspecting)
  inspecting.set_defaults(run=run_inspect)


def run_inspect(options: argparse.Namespace) -> int:
  """`linen2nnx inspect`."""
  check_missing("SRC", options.src)

  from migrate.workflows.inspect import inspect_checkpoint

  found = inspect_checkpoint(options.src, item=options.item)
  write_json({"version": __version__, **found.to_json()}, options.json)
  if not options.quiet and options.json != "-":
    print(found.render())
  return PROVEN


def _add_source(command: argparse.ArgumentParser, *more: str) -> None:
  command.add_argument(
    "src", metavar="SRC", help="Orbax (tree, step, CheckpointManager's folder), msgpack, safetensors, npz"
  )
  for name in more:
    command.add_argument(name, metavar=name.upper(), help="folder to make")
  command.add_argument(
    "--mapping", metavar="FILE_OR_NAME", help="mapping.json, file.py, package.module, or a registered name"
  )
  command.add_argument(
    "--model", metavar="FACTORY", help="package.module:function or file.py:function that makes the NNX model"
  )
  command.add_argument("--to", choices=("nnx", "linen"), default="nnx", help="linen is the way back")
  command.add_argument(
    "--only", action="append", default=[], metavar="PATTERN", help="only leaves under this path pattern (repeatable)"
  )
  command.add_argument("--item", metavar="NAME", help="the item of a composite checkpoint")


def run_convert(options: argparse.Namespace) -> int:
  """`linen2nnx convert` and `linen2nnx plan`."""
  check_missing("SRC", options.src)
  if not options.dry_run:
    check_free("DST", options.dst, options.overwrite)

  from migrate.terminal import Progress, console, show_leaves
  from migrate.workflows.convert import convert

  out = console(stderr=options.json == "-")
  with Progress(out, quiet=options.quiet).running() as progress:
    model = abstract_model(options.model) if options.model else None
    progress(f"plan {options.src}" if options.dry_run else f"convert {options.src}")
    done = convert(
      options.src,
      options.dst,
      options.mapping,
      model,
      to=options.to,
      format=options.format,
      only=tuple(options.only),
      item=options.item,
      overwrite=options.overwrite,
      dry_run=options.dry_run,
    )
  write_json({"version": __version__, **done.to_json(), "findings": []}, options.json)
  if options.quiet:
    return PROVEN
  plans = {"model": done.model, "optimizer/opt_state": done.optimizer}
  rows = {name: plan.rows() for name, plan in plans.items() if plan is not None}
  if options.dry_run:
    for name, some in rows.items():
      show_leaves(name, some, out)
  for note in done.notes:
    out.print(f"note: {note}", markup=False)
  size = f"{done.nbytes / 1e6:.1f} MB"
  step = "" if done.step is None else f", step {done.step}"
  out.print(
    f"{sum(map(len, rows.values()))} leaves, {size}{step}: {done.destination or 'nothing written'}", markup=False
  )
  return PROVEN


def abstract_model(text: str) -> Any:
  """The NNX model that a factory makes, by shapes alone. It may take an `nnx.Rngs`, or nothing."""
  try:
    spec = ExampleSpec.parse(text)
  except Exception as error:
    raise wrong(text, "not a factory", "package.module:function or path/file.py:function", "name a function") from error
  factory = spec.load()

  from flax import nnx

  takes = bool(inspect.signature(factory).parameters)
  make: Any = factory
  try:
    return nnx.eval_shape((lambda: make(nnx.Rngs(0))) if takes else make)
  except Exception as error:
    said = f"the factory raised {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    raise refuse(text, said, "an NNX model", "call the function by itself and mend it") from error
