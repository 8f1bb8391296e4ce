"""The command `suggest`."""

from __future__ import annotations

import argparse
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


def add_suggest(commands: Any) -> None:
  """`linen2nnx suggest`."""
  suggest = commands.add_parser(
    "suggest",
    help="find the mapping from a checkpoint to an NNX model that was written by hand",
    description="Pairs leaves by names, numbers, shapes and layer kinds. With --example both models run, which settles "
    "what names cannot. Exits 0 where nothing is left to guess.",
  )
  suggest.add_argument("src", metavar="CKPT", help="a Linen checkpoint of any format")
  suggest.add_argument(
    "--model", required=True, metavar="FACTORY", help="package.module:function or file.py:function, makes the NNX model"
  )
  suggest.add_argument("--example", metavar="EXAMPLE", help="the Linen model: a function that returns migrate.Example")
  suggest.add_argument("--out", metavar="FILE", help="mapping.py or mapping.json to write")
  suggest.add_argument("--overwrite", action="store_true", help="replace FILE where it exists")
  suggest.add_argument("--item", metavar="NAME", help="the item of a composite checkpoint")
  add_output(suggest)
  suggest.set_defaults(run=run_suggest)


def run_suggest(options: argparse.Namespace) -> int:
  """`linen2nnx suggest`."""
  check_missing("CKPT", options.src)
  check_examples([options.model, *([options.example] if options.example else [])])
  check_free("--out", options.out, options.overwrite)
  check_suffix(options.out)

  from migrate.terminal import Progress, console, show_findings
  from migrate.workflows.suggest import suggest
  from migrate.workflows.suggest_text import python_text

  out = console(stderr=options.json == "-")
  with Progress(out, quiet=options.quiet).running() as progress:
    progress(f"suggest {options.src}")
    found = suggest(options.src, options.model, options.example, item=options.item)
  if options.out:
    found.save(options.out)
  write_json({"version": __version__, **found.to_json()}, options.json)
  if not options.quiet:
    if not options.out and options.json != "-":
      print(python_text(found))
    for question in found.questions:
      head = "guess" if question.open else "by name"
      out.print(f"{head}: {question}", markup=False)
      if question.rivals:
        rivals = "; ".join(f"{a} -> {b}" for a, b in question.rivals[:4])
        out.print(f"  would fit as well: {rivals}", markup=False)
  if found.findings:
    show_findings(found.findings, console(stderr=True))
  if not options.quiet:
    for note in found.notes:
      out.print(f"note: {note}", markup=False)
    out.print(f"{_verdict(found)}: {options.out or f'{len(found.mapping.rules)} rules'}", markup=False)
  return LEFT if found.verdict in ("ambiguous", "incomplete") else PROVEN


def _verdict(found: Any) -> str:
  named, guessed = (
    f"1 choice {one}" if count == 1 else f"{count} choices {many}"
    for count, one, many in (
      (len(found.questions), "rests on names", "rest on names"),
      (len(found.ambiguous), "is a guess", "are guesses"),
    )
  )
  return {
    "proven": "proven",
    "settled": "settled: nothing else fits",
    "named": f"not proven: {named}, which an --example proves",
    "ambiguous": f"not settled: {guessed}, which an --example of the Linen model settles",
    "incomplete": "incomplete: some leaves have no counterpart",
  }[found.verdict]
