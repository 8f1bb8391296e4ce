"""Settles what names cannot: both models run with equal values in all leaves that could be exchanged.

Then every assignment computes the same function, so both models give the same output; and the gradient of a leaf
tells which place it has, because it differs from place to place. What comes of it is verified with values that
all differ.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from migrate.core.paths import Key, key, show
from migrate.core.report import Finding, MigrateError, refuse
from migrate.core.tree import spec_of
from migrate.example import Example
from migrate.match.bind import NAMED
from migrate.match.fits import Item
from migrate.match.matching import Matching, answered, exchanged, layouts

TRIES = 64
CLOSE = 1e-4  # relative distance of gradients that are the same
NOISE = 2e-5  # of the largest gradient: what is smaller counts as none (the bias of keys in attention)


@dataclasses.dataclass(frozen=True)
class Settled:
  """What running both models told.

  Attributes:
    matching: with the pairs as they were found to be.
    apart: ids of pairs that were told from all others; None where the models were not found to agree.
    findings: why nothing is proven.
    notes: what was done.
  """

  matching: Matching
  apart: frozenset[int] | None
  findings: tuple[Finding, ...] = ()
  notes: tuple[str, ...] = ()


def settle(found: Matching, example: Any, build: Callable[..., Any]) -> Settled:
  """Finds by running both models what names left open, and verifies it.

  Raises:
    MigrateError: where the example is none, or its variables are not those of the checkpoint.
  """
  from migrate.verify.linen_side import init_variables, plans_of, streams_of
  from migrate.verify.perturb import perturb
  from migrate.verify.records import SEED
  from migrate.workflows.proof import _example_of

  value = _example_of(example)
  if found.unmapped or found.unfilled:
    return Settled(found, None, (), ("the example was not run: some leaves have no counterpart",))
  variables = {p: x for p, x in init_variables(value, "example").items() if x is not None}
  _check_same(variables, found)
  if not any(True for _ in _unsure(found)):
    return _verified(found, frozenset(map(id, found.pairs)), value, build)
  variables = _equal(perturb(variables, seed=SEED), found)
  plans, streams = plans_of(value), tuple(streams_of(value))
  linen = _linen(value, variables, plans, streams)
  last: tuple[Finding, ...] = ()
  tried = 0
  for trial in itertools.islice(_trials(found), TRIES):
    tried += 1
    try:
      nnx = _nnx(trial, linen, build)
    except MigrateError as error:
      last = error.findings
      if tried == 1 and not _fits_shape(error):
        break
      continue
    if not _same_output(linen, nnx):
      last = (_differs(tried),)
      continue
    told = _told_apart(trial, linen, nnx)
    if told is None:
      last = (_differs(tried),)
      continue
    done = _verified(*told, value, build)
    if done.apart is not None:
      return done
    last = done.findings
  return Settled(found, None, last or (_differs(tried),))


def _verified(trial: Matching, apart: frozenset[int], value: Example, build: Callable[..., Any]) -> Settled:
  from migrate.workflows.proof import verify

  report = verify(value, build, trial.literal(), name="suggest")
  if report.proven:
    compared = report.examples[0].forward.compared
    note = f"both models ran on the same perturbed variables and agree: outputs ({compared}), collections and gradients"
    return Settled(trial, apart, (), (note,))
  return Settled(trial, None, tuple(report.examples[0].findings[:2]))


def _differs(tried: int) -> Finding:
  return Finding(
    "example",
    f"the models differ under each of the {tried} assignments that were tried",
    "an assignment under which they agree",
    "the NNX model computes something else, or holds its leaves in a layout that is not known: run `linen2nnx verify`",
    "eye",
  )


def _fits_shape(error: MigrateError) -> bool:
  return any(f.rule.startswith("L2N2") for f in error.findings)


def _check_same(variables: Mapping[Key, Any], found: Matching) -> None:
  mine = {key(p): s for p, s in found.source.items()}
  theirs = {key(p): spec_of(v) for p, v in variables.items()}
  odd = [
    k for k in {**mine, **theirs} if mine.get(k, ((),))[0] != theirs.get(k, ((),))[0] or (k in mine) != (k in theirs)
  ]
  if odd:
    k = min(odd)
    said = f"{theirs.get(k, 'nothing')} in the example, {mine.get(k, 'nothing')} in the checkpoint"
    do = "give an example of the model that the checkpoint was saved from, at its sizes"
    raise refuse(f"{show(k)} and {len(odd) - 1} more" if len(odd) > 1 else show(k), said, "the same variables", do)


def _unsure(found: Matching) -> Iterator[Item]:
  for pair in found.pairs:
    if pair.level >= NAMED:
      for move in pair.binding.moves:
        yield from move.sources


def _equal(variables: dict[Key, Any], found: Matching) -> dict[Key, Any]:
  """The variables, those that could be exchanged with the values of the first of their kind."""
  out = dict(variables)
  first: dict[tuple, Any] = {}
  for item in _unsure(found):
    for member in item.members:
      k = key((item.collection, *member))
      # a mean is no variance; parameters may be anything
      kind = "" if item.collection == "params" else item.name[-1]
      out[k] = first.setdefault((item.collection, kind, item.spec), out[k])
  return out


def _linen(value: Example, variables: dict[Key, Any], plans: Any, streams: tuple[str, ...]) -> Any:
  from migrate.verify.linen_side import brief, run_call
  from migrate.verify.records import LinenRecord

  try:
    calls = [run_call(value.module, variables, plan) for plan in plans]
  except Exception as error:
    do = "run `module.apply` with these arguments by itself and mend the example"
    raise refuse("example", f"the Linen model raised {brief(error)}", "a call that works", do) from error
  return LinenRecord(variables, streams, plans, calls)


def _nnx(trial: Matching, linen: Any, build: Callable[..., Any]) -> Any:
  from migrate.verify.nnx_side import build_model, record_nnx
  from migrate.workflows.bridge import StateBridge

  return record_nnx(linen, build_model(build, linen.streams, "example"), StateBridge(trial.literal()))


def _trials(found: Matching) -> Iterator[Matching]:
  asked = layouts(found)
  if not asked:
    yield found
    return
  # answers that change one question only come first
  every = itertools.product(*(range(n) for _, n in asked))
  for numbers in sorted(itertools.islice(every, 4096), key=lambda ns: (sum(n > 0 for n in ns), sum(ns))):
    yield answered(found, dict(zip((q for q, _ in asked), numbers, strict=True)))


def _same_output(linen: Any, nnx: Any) -> bool:
  from migrate.verify.compare import compare

  report = compare("suggest", linen, nnx)
  return bool(report.forward.compared) and not report.forward.different


def _gradients(record: Any, item: Item) -> np.ndarray | None:
  """The gradients of a leaf in every call, one after another."""
  parts = []
  for call in record.calls:
    for member in item.members:
      value = call.grads.get(key((item.collection, *member)))
      if value is not None:
        parts.append(np.asarray(value).astype(np.complex128).ravel())
  return np.concatenate(parts) if parts else None


def _told_apart(trial: Matching, linen: Any, nnx: Any) -> tuple[Matching, frozenset[int]] | None:
  """The matching with the leaves where their gradients say, and the pairs that could be told from all others.

  None where the gradients fit no exchange of leaves.
  """
  classes: dict[tuple, list[Item]] = {}
  for item in _unsure(trial):
    kind = "" if item.collection == "params" else item.name[-1]
    classes.setdefault((item.collection, kind, item.spec, item.count), []).append(item)
  units = {id(s): p for p in trial.pairs for m in p.binding.moves for s in m.sources}
  least = NOISE * max((float(np.abs(g).max(initial=0)) for c in linen.calls for g in c.grads.values()), default=0.0)
  instead: dict[int, Item] = {}
  open_slots: list[tuple[Item, list[Item]]] = []
  for items in classes.values():
    mine = [_gradients(linen, i) for i in items]
    theirs = [_gradients(nnx, i) for i in items]
    for slot, given in zip(items, theirs, strict=True):
      near = [x for x, g in zip(items, mine, strict=True) if _close(g, given, least)]
      if not near:
        return None
      if len(near) == 1:
        instead[id(slot)] = near[0]
      else:
        open_slots.append((slot, near))
  loose: set[int] = set()
  for slot, near in open_slots:
    # what has no gradient of its own goes with the rest of its layer
    partners = {id(_unit(units, instead[id(s)])) for s in _siblings(units, slot) if id(s) in instead}
    same = [x for x in near if id(_unit(units, x)) in partners and x.name[-1] == slot.name[-1]]
    if len(partners) == 1 and len(same) == 1:
      instead[id(slot)] = same[0]
    else:
      instead[id(slot)] = slot
      loose.add(id(_unit(units, slot)))
  if len({id(x) for x in instead.values()}) != len(instead):
    return None
  out = exchanged(trial, instead)
  apart = {id(new) for old, new in zip(trial.pairs, out.pairs, strict=True) if id(old) not in loose}
  return out, frozenset(apart)


def _unit(units: Mapping[int, Any], item: Item) -> Any:
  return units[id(item)]


def _siblings(units: Mapping[int, Any], item: Item) -> Iterator[Item]:
  for move in _unit(units, item).binding.moves:
    yield from (s for s in move.sources if s is not item)


def _close(a: np.ndarray | None, b: np.ndarray | None, least: float) -> bool:
  if a is None or b is None:
    return a is b
  if a.shape != b.shape:
    return False
  size = max(float(np.abs(a).max(initial=0)), float(np.abs(b).max(initial=0)))
  return bool(np.abs(a - b).max(initial=0) <= CLOSE * size + least)
