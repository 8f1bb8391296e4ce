"""The commands about checkpoints: `convert`, `plan`, `inspect`, `verify-checkpoint`. They need no Linen code."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable
from typing import Any

from migrate import __version__
from migrate.cli_options import LEFT, PROVEN, add_output, check_free, check_missing, write_json, wrong
from migrate.core.report import MigrateError, refuse
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
  convert.add_argument(
    "--copy", action="store_true", help="write every leaf anew, also those that could share data files with SRC"
  )
  convert.add_argument(
    "--checksum",
    action="store_true",
    help="read leaves that are only renamed too, so that verify-checkpoint needs no SRC",
  )
  add_output(convert)
  convert.set_defaults(run=run_convert)


def add_plan(commands: Any) -> None:
  """`linen2nnx plan`."""
  plan = commands.add_parser(
    "plan", help="show what would become of every leaf of a checkpoint", description="Reads metadata only."
  )
  _add_source(plan)
  add_output(plan)
  plan.set_defaults(run=run_convert, dst=None, dry_run=True, overwrite=False, format=None, copy=False, checksum=False)


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


def add_verify_checkpoint(commands: Any) -> None:
  """`linen2nnx verify-checkpoint`."""
  verify = commands.add_parser(
    "verify-checkpoint",
    help="read a converted checkpoint again and compare every leaf with its source, bit by bit",
    description="Compares with the checksums of the conversion, or with SRC itself. Exits 1 where anything differs or "
    "could not be compared.",
  )
  verify.add_argument("dst", metavar="DST", help="what `linen2nnx convert` or `port` wrote")
  verify.add_argument("--against", metavar="SRC", help="the checkpoint that it was made from")
  add_output(verify)
  verify.set_defaults(run=run_verify_checkpoint)


def run_verify_checkpoint(options: argparse.Namespace) -> int:
  """`linen2nnx verify-checkpoint`."""
  check_missing("DST", options.dst)
  check_missing("--against", options.against)

  from migrate.terminal import Progress, console, show_findings
  from migrate.workflows.verify_checkpoint import verify_checkpoint

  out = console(stderr=options.json == "-")
  with Progress(out, quiet=options.quiet).running() as progress:
    progress(f"verify {options.dst}")
    done = verify_checkpoint(options.dst, options.against)
  write_json({"version": __version__, **done.to_json()}, options.json)
  if done.findings:
    show_findings(done.findings, console(stderr=True))
  if not options.quiet:
    if done.dropped:
      out.print(f"note: {_leaves(len(done.dropped))} dropped: {', '.join(done.dropped[:3])}...", markup=False)
    if done.unread:
      said = f"{_leaves(len(done.unread))} not read in the conversion, so without a checksum"
      out.print(f"note: {said}: give --against SRC", markup=False)
    verdict = "proven" if done.proven else "not proven"
    out.print(f"{verdict}: {_leaves(done.compared)} bitwise as in {done.against}", markup=False)
  return PROVEN if done.proven else LEFT


def _add_source(command: argparse.ArgumentParser, *more: str) -> None:
  command.add_argument(
    "src", metavar="SRC", help="Orbax (tree, step, CheckpointManager's folder), msgpack, safetensors, npz"
  )
  for name in more:
    command.add_argument(name, metavar=name.upper(), help="folder or file to make")
  command.add_argument(
    "--mapping", metavar="FILE_OR_NAME", help="mapping.json, file.py, package.module, or a registered name"
  )
  command.add_argument(
    "--model", metavar="FACTORY", help="package.module:function or file.py:function that makes the NNX model"
  )
  command.add_argument(
    "--optimizer",
    metavar="FACTORY",
    help="package.module:function or file.py:function that makes the Optax transformation; its state and what "
    "joined parameters would change in its updates are checked",
  )
  command.add_argument(
    "--allow-optimizer-change",
    action="store_true",
    help="go on where the mapping joins or turns what the optimizer looks at as a whole (LAMB, LARS, Muon...), or "
    "copies what it trains",
  )
  command.add_argument(
    "--rng",
    choices=("carry", "reseed", "drop"),
    help="random state: keys for the model's streams from the root keys in SRC, from --seed, or none",
  )
  command.add_argument("--seed", type=int, default=0, metavar="N", help="of --rng reseed (0)")
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

  from migrate.checkpoint.memory import one_arena

  one_arena()  # before anything starts threads
  from migrate.terminal import Progress, console, show_leaves
  from migrate.workflows.convert import convert

  out = console(stderr=options.json == "-")
  with Progress(out, quiet=options.quiet).running() as progress:
    build = model_factory(options.model) if options.model else None
    model = abstract_model(build, options.model) if build else None
    optimizer = transformation(options.optimizer) if options.optimizer else None
    progress(f"plan {options.src}" if options.dry_run else f"convert {options.src}")
    done = convert(
      options.src,
      options.dst,
      options.mapping,
      model,
      optimizer,
      to=options.to,
      format=options.format,
      only=tuple(options.only),
      item=options.item,
      overwrite=options.overwrite,
      dry_run=options.dry_run,
      copy=options.copy,
      checksum=options.checksum,
      allow_optimizer_change=options.allow_optimizer_change,
      rng=options.rng,
      seed=options.seed,
      build=build if options.to == "nnx" else None,
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
    f"{_leaves(sum(map(len, rows.values())))}, {size}{step}: {done.destination or 'nothing written'}", markup=False
  )
  return PROVEN


def model_factory(text: str) -> Callable[[], Any]:
  """What makes the NNX model: the factory that the text names. It may take an `nnx.Rngs`, or nothing."""
  try:
    spec = ExampleSpec.parse(text)
  except Exception as error:
    raise wrong(text, "not a factory", "package.module:function or path/file.py:function", "name a function") from error
  factory = spec.load()

  from flax import nnx

  make: Any = factory
  return (lambda: make(nnx.Rngs(0))) if inspect.signature(factory).parameters else make


def transformation(text: str) -> Any:
  """The Optax transformation that the named factory makes. Raises MigrateError where it is none."""
  try:
    spec = ExampleSpec.parse(text)
  except Exception as error:
    raise wrong(text, "not a factory", "package.module:function or path/file.py:function", "name a function") from error
  try:
    made = spec.load()()
  except MigrateError:
    raise
  except Exception as error:
    said = f"the factory raised {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    raise refuse(text, said, "an Optax transformation", "call the function by itself and mend it") from error
  if not hasattr(made, "init") or not hasattr(made, "update"):
    do = "return what the training program gives to nnx.Optimizer"
    raise refuse(text, f"made {type(made).__name__}", "an Optax transformation", do)
  return made


def abstract_model(build: Callable[[], Any], text: str) -> Any:
  """The NNX model by shapes alone. Raises MigrateError where the factory raises."""
  from flax import nnx

  from migrate.workflows.live import abstract

  def checked() -> Any:
    made = build()
    if not isinstance(made, nnx.Module):
      raise refuse(text, f"made {type(made).__name__}", "an NNX model", "return the model itself")
    return made

  try:
    return abstract(checked)
  except MigrateError:
    raise
  except Exception as error:
    said = f"the factory raised {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    raise refuse(text, said, "an NNX model", "call the function by itself and mend it") from error


def _leaves(count: int) -> str:
  return f"{count} {'leaf' if count == 1 else 'leaves'}"
