"""The whole way from two sets of leaves to pairs of units, and from these to a mapping."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from migrate.core.declare import ModelMapping
from migrate.core.paths import Key, Path, key, show
from migrate.core.tree import Spec
from migrate.match.bind import GUESS, Move, Records
from migrate.match.fits import Item
from migrate.match.join import join
from migrate.match.names import Numbers, without_numbers
from migrate.match.rules import Draft, compress, drafts_of, mapping_of
from migrate.match.solve import Pair, Solver
from migrate.match.units import Model, broken, make_units, source_items, stack_series, target_items


@dataclasses.dataclass(frozen=True)
class Matching:
  """What becomes of what.

  Attributes:
    pairs: units that belong together.
    unmapped: source leaves without a counterpart.
    unfilled: target leaves without a counterpart.
    source: the source's specs.
    model: the target.
  """

  pairs: tuple[Pair, ...]
  unmapped: tuple[Item, ...]
  unfilled: tuple[Item, ...]
  source: Mapping[Path, Spec]
  model: Model

  def moves(self) -> list[tuple[Move, str]]:
    """Every move, with the question that it depends on."""
    return [(m, question(p)) for p in self.pairs for m in p.binding.moves]

  def drafts(self, *, tagged: bool = True) -> list[Draft]:
    """As few rules as say this; rules that rest on a guess apart from the others where `tagged`."""
    moves = self.moves() if tagged else [(m, "") for m, _ in self.moves()]
    target = {p: spec for p, (spec, _) in self.model.leaves.items()}
    return compress(drafts_of(moves), dict(self.source), target)

  def literal(self) -> ModelMapping:
    """A mapping with a rule for each move, for running."""
    return mapping_of(drafts_of(self.moves()))


def question(pair: Pair) -> str:
  """What a guess asks, the same for each layer of a series; empty where the pair is no guess."""
  if pair.level < GUESS:
    return ""
  left, right = (sorted({show(without_numbers(u.path)) for u in side}) for side in (pair.source, pair.target))
  return f"{' + '.join(left)} -> {' + '.join(right)}"


def match(source: Mapping[Path, Spec], model: Model, records: Records) -> Matching:
  """Finds what becomes of what.

  Args:
    source: specs of the Linen variables, collection first.
    model: the NNX model.
    records: layer records by the full name of the NNX class.
  """
  sources, targets = stack_series(source_items(source), target_items(model))
  order: Sequence[Key] | None = [i.name for i in targets] if model.ordered else None
  solver = Solver(records, Numbers([i.name for i in sources]), Numbers([i.name for i in targets], order))
  units_s, units_t = make_units(sources, targets, model, records)
  pairs, units_s, units_t = solver.pairs(units_s, units_t)
  more, units_s, units_t = join(units_s, units_t, solver)
  pairs += more
  loose, units_s, units_t = solver.pairs(broken(units_s), broken(units_t))
  pairs += loose
  more, units_s, units_t = join(units_s, units_t, solver)
  pairs += more
  left_s = tuple(i for u in units_s for i in u.items)
  left_t = tuple(i for u in units_t for i in u.items)
  return Matching(tuple(pairs), left_s, left_t, source, model)


def leaf_keys(items: Sequence[Item]) -> list[Key]:
  """The paths of all members, collection first."""
  return [key((i.collection, *m)) for i in items for m in i.members]


def exchanged(matching: Matching, instead: Mapping[int, Item]) -> Matching:
  """The same with other sources: `instead` gives for the id of a source leaf the one that is to take its place."""
  pairs = []
  for pair in matching.pairs:
    moves = tuple(
      dataclasses.replace(m, sources=tuple(instead.get(id(s), s) for s in m.sources)) for m in pair.binding.moves
    )
    pairs.append(dataclasses.replace(pair, binding=dataclasses.replace(pair.binding, moves=moves)))
  return dataclasses.replace(matching, pairs=tuple(pairs))


def layouts(matching: Matching) -> list[tuple[str, int]]:
  """The questions about operations, each with the number of its answers: how arrays are joined, or transposed."""
  out: dict[str, int] = {}
  for pair in matching.pairs:
    if pair.binding.others:
      out[_layout(pair)] = 1 + len(pair.binding.others)
  return list(out.items())


def answered(matching: Matching, answers: Mapping[str, int]) -> Matching:
  """The same with the numbered operations for each question of `layouts`."""
  pairs = []
  for pair in matching.pairs:
    number = answers.get(_layout(pair), 0) if pair.binding.others else 0
    if number:
      moves = pair.binding.others[number - 1]
      pair = dataclasses.replace(pair, binding=dataclasses.replace(pair.binding, moves=moves))
    pairs.append(pair)
  return dataclasses.replace(matching, pairs=tuple(pairs))


def _layout(pair: Pair) -> str:
  return f"{sorted(without_numbers(u.path) for u in (*pair.source, *pair.target))}"
