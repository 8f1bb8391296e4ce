"""The command `mappings`: what is registered, what a record says, whether it holds, and a file to start from."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from migrate import __version__
from migrate.cli_options import (
  LEFT,
  PROVEN,
  add_output,
  check_examples,
  check_free,
  check_missing,
  check_suffix,
  write_json,
)


def add_mappings(commands: Any) -> None:
  """`linen2nnx mappings new|list|show|check`."""
  mappings = commands.add_parser(
    "mappings",
    help="write a mapping to start from; list, show and check the registered records",
    description="Records come from linen2nnx and from packages of the entry point group linen2nnx.mappings.",
  )
  what = mappings.add_subparsers(dest="what", metavar="WHAT", required=True)
  new = what.add_parser(
    "new",
    help="write a mapping file to start from",
    description="With --checkpoint or --model the modules are listed, each keeping its name; with both the rules are "
    "those of `linen2nnx suggest`, guesses marked.",
  )
  new.add_argument("out", metavar="FILE", help="mapping.py or mapping.json to write")
  new.add_argument("--checkpoint", metavar="CKPT", help="the Linen checkpoint, of any format")
  new.add_argument(
    "--model", metavar="FACTORY", help="package.module:function or file.py:function, makes the NNX model"
  )
  new.add_argument("--name", default="", help="by which it is found once its package is registered")
  new.add_argument("--item", metavar="NAME", help="the item of a composite checkpoint")
  new.add_argument("--overwrite", action="store_true", help="replace FILE where it exists")
  add_output(new)
  new.set_defaults(run=run_new)
  listing = what.add_parser("list", help="every registered record", description="One line a record.")
  listing.add_argument(
    "--kind", choices=("layer", "transform", "optimizer", "model", "unsupported"), help="only those of this kind"
  )
  add_output(listing)
  listing.set_defaults(run=run_list)
  showing = what.add_parser("show", help="what a record says", description="Every field of it.")
  showing.add_argument("name", metavar="NAME", help="flax.linen.Dense, or Dense")
  add_output(showing)
  showing.set_defaults(run=run_show)
  checking = what.add_parser(
    "check",
    help="hold records to the installed flax",
    description="Layers are run on both sides; mappings of models are checked by form. Exits 1 where one does not hold.",
  )
  checking.add_argument(
    "name", nargs="*", metavar="NAME_OR_FILE", help="a record, or a mapping file; all layers and models if none"
  )
  add_output(checking)
  checking.set_defaults(run=run_check)


def run_new(options: argparse.Namespace) -> int:
  """`linen2nnx mappings new`."""
  check_missing("--checkpoint", options.checkpoint)
  check_examples([options.model] if options.model else [])
  check_free("FILE", options.out, options.overwrite)
  check_suffix(options.out)

  from migrate.terminal import console
  from migrate.workflows.mapping import mapping_to_json
  from migrate.workflows.mapping_new import new_mapping

  made = new_mapping(options.out, options.checkpoint, options.model, name=options.name, item=options.item)
  write_json({"version": __version__, "mapping": mapping_to_json(made)}, options.json)
  if not options.quiet:
    console(stderr=options.json == "-").print(f"{len(made.rules)} rules: {options.out}", markup=False)
  return PROVEN


def run_list(options: argparse.Namespace) -> int:
  """`linen2nnx mappings list`."""
  from migrate.terminal import console, show_rows
  from migrate.workflows.records import records

  found = [r for r in records() if options.kind in (None, r.kind)]
  write_json({"version": __version__, "records": [r.to_json() for r in found]}, options.json)
  if not options.quiet and options.json != "-":
    rows = [(r.kind, r.name, r.nnx, r.note) for r in found]
    show_rows("", ("kind", "name", "NNX, or fields", "note"), rows, console())
  return PROVEN


def run_show(options: argparse.Namespace) -> int:
  """`linen2nnx mappings show`."""
  from migrate.terminal import console, show_rows
  from migrate.workflows.records import find_records

  found = find_records(options.name)
  shown = [{**r.to_json(), "fields": [list(row) for row in r.details()]} for r in found]
  write_json({"version": __version__, "records": shown}, options.json)
  if not options.quiet and options.json != "-":
    for record in found:
      show_rows(f"{record.kind} {record.name}", ("field", "says"), record.details(), console())
  return PROVEN


def run_check(options: argparse.Namespace) -> int:
  """`linen2nnx mappings check`."""
  from migrate.terminal import Progress, console, show_findings
  from migrate.workflows.records import check_mapping, check_record, find_records, records

  chosen = []
  for name in options.name:
    location = Path(name.partition(":")[0])
    chosen += [check_mapping(name)] if location.suffix in (".py", ".json") or location.exists() else find_records(name)
  if not options.name:
    chosen = [r for r in records() if r.kind in ("layer", "model")]
  out = console(stderr=options.json == "-")
  findings = []
  with Progress(out, quiet=options.quiet).running() as progress:
    for number, record in enumerate(chosen, 1):
      progress(f"check {record.name}", number, len(chosen))
      findings += check_record(record)
  wrong = [f for f in findings if f.severity == "error"]
  document = {"version": __version__, "checked": [r.name for r in chosen], "findings": [f.to_json() for f in findings]}
  write_json(document, options.json)
  if not options.quiet or wrong:
    show_findings(findings, console(stderr=True) if wrong else out)
  if not options.quiet:
    out.print(f"{len(chosen)} checked, {len(wrong)} findings", markup=False)
  return LEFT if wrong else PROVEN
