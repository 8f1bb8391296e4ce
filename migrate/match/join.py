"""Units of one side that are one unit on the other: fused query, key and value, gates, and their like."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from migrate.core.ops import OpError, Stack, bind_ops, invert_ops
from migrate.core.paths import Key
from migrate.core.tree import Spec
from migrate.match.assign import NEVER, best
from migrate.match.bind import GUESS, Binding, Move, Unit, form, role
from migrate.match.evidence import coded
from migrate.match.fits import Item, Joint, joints
from migrate.match.names import words
from migrate.match.solve import Pair, Solver, rebound

MOST = 4  # parts of one array
ALTERNATIVES = 24


def join(sources: Sequence[Unit], targets: Sequence[Unit], solver: Solver) -> tuple[list[Pair], list[Unit], list[Unit]]:
  """Pairs of several units with one, either way; and what is left."""
  pairs = _side(sources, targets, solver, False)
  used = {id(u) for p in pairs for u in (*p.source, *p.target)}
  sources = [u for u in sources if id(u) not in used]
  targets = [u for u in targets if id(u) not in used]
  pairs += _side(targets, sources, solver, True)
  used = {id(u) for p in pairs for u in (*p.source, *p.target)}
  return pairs, [u for u in sources if id(u) not in used], [u for u in targets if id(u) not in used]


def _side(parts: Sequence[Unit], wholes: Sequence[Unit], solver: Solver, split: bool) -> list[Pair]:
  """`split` says that the wholes are the sources."""
  groups: dict[Key, list[Unit]] = {}
  for unit in parts:
    groups.setdefault(unit.path[:-1], []).append(unit)
  sets = list(groups.values())
  forms, rows = coded([_form(g) for g in sets])  # layers come in hundreds, and their forms don't
  kinds, columns = coded([(form(w), w.path[-1:]) for w in wholes])
  found: dict[tuple[int, int], tuple[Sequence[Unit], Unit, tuple[Unit, ...], Binding]] = {}
  worth = np.full((len(sets), len(wholes)), NEVER)
  for f, k in itertools.product(range(len(forms)), range(len(kinds))):
    mine, theirs = np.flatnonzero(rows == f), np.flatnonzero(columns == k)
    group, whole = sets[int(mine[0])], wholes[int(theirs[0])]
    one = _fit(group, whole, split)
    if one is None:
      continue
    found[f, k] = (group, whole, *one)
    first = next(n for n, u in enumerate(group) if u is one[0][0])
    firsts, ends = [sets[i][first] for i in mine.tolist()], [wholes[j] for j in theirs.tolist()]
    named, order = solver.evidence.of(ends, firsts) if split else solver.evidence.of(firsts, ends)
    named, order = (named.T, order.T) if split else (named, order)
    near = np.abs(mine[:, None] / len(sets) - theirs[None, :] / len(wholes))
    worth[np.ix_(mine, theirs)] = 100 * named + 20 * order - near
  if not found:
    return []
  out = []
  for i, j in enumerate(best(worth)):
    if j >= 0:
      group, whole, members, binding = found[rows[i], columns[j]]
      binding = rebound(binding, (*group, whole), (*sets[i], wholes[j]))
      same = {id(a): b for a, b in zip(group, sets[i], strict=True)}
      parted = tuple(same[id(u)] for u in members)
      solver.families += 1
      sides = ((wholes[j],), parted) if split else (parted, (wholes[j],))
      out.append(Pair(*sides, binding, GUESS, (), solver.families))
  return out


def _form(group: Sequence[Unit]) -> tuple:
  """What says how the members can be joined: their forms, names, and order."""
  ranks = sorted(range(len(group)), key=lambda n: group[n].items[0].order)
  return (tuple((form(u), u.path[-1]) for u in group), tuple(ranks))


def _fit(group: Sequence[Unit], whole: Unit, split: bool) -> tuple[tuple[Unit, ...], Binding] | None:
  """The members of the group that make the whole, and how; the largest set that fits, the best names first."""
  able = [u for u in group if len(u.items) == len(whole.items)]
  sets = [c for size in range(min(len(able), MOST), 1, -1) for c in itertools.combinations(able, size)]
  sets.sort(key=lambda c: (-len(c), not _initials(c, whole)))
  for members in sets[:60]:
    binding = _binding(_in_order(members, whole), whole, split)
    if binding is not None:
      return members, binding
  return None


def _binding(members: Sequence[Unit], whole: Unit, split: bool) -> Binding | None:
  ways: list[dict[str, tuple[Move, str]]] = []
  orders = list(itertools.permutations(members))[: math.factorial(MOST)]
  for order in orders:
    each: list[list[tuple[Move, str]]] = []
    for number, item in enumerate(whole.items):
      mine = [_counterpart(u, item, number) for u in order]
      if any(m is None for m in mine):
        return None
      options = _moves([m for m in mine if m is not None], item, split)
      if not options:
        return None
      each.append(options)
    for _, meaning in each[0]:  # kernel and bias are joined alike
      chosen = [next((o for o in options if o[1] == meaning), options[0]) for options in each]
      ways.append({str(n): o for n, o in enumerate(chosen)})
  said = f"{' + '.join(u.path[-1] for u in members)} {'from' if split else 'into'} {whole.path[-1]}"
  made = [tuple(move for move, _ in way.values()) for way in ways]
  return Binding(made[0], 1, GUESS, f"{said}: {ways[0]['0'][1]}", tuple(made[1:ALTERNATIVES]))


def _counterpart(unit: Unit, item: Item, number: int) -> Item | None:
  alike = [i for i in unit.items if i.collection == item.collection and role(i.name[-1]) == role(item.name[-1])]
  if len(alike) == 1:
    return alike[0]
  other = unit.items[number]
  return other if len(unit.items) == 1 and (other.collection == "params") == (item.collection == "params") else None


def _moves(parts: list[Item], whole: Item, split: bool) -> list[tuple[Move, str]]:
  count = parts[0].count
  if whole.count > 1 or any(p.count != count for p in parts):
    return []
  spec, stack = whole.spec, ()
  if count > 1:
    if not spec.shape or spec.shape[0] != count or split:
      return []
    spec, stack = Spec(spec.shape[1:], spec.dtype), (Stack(axis=0),)
  out = []
  for way in joints([p.spec for p in parts], spec):
    if not split:
      out.append((Move(tuple(parts), (whole,), (*way.ops, *stack)), way.meaning))
    elif (back := _back(way, parts)) is not None:
      out.append((Move((whole,), tuple(parts), back), way.meaning))
  return out


def _back(way: Joint, parts: list[Item]):
  try:
    bound, _, _ = bind_ops(way.ops, [p.spec.shape for p in parts], parts[0].spec.dtype)
    return invert_ops(bound)
  except OpError:
    return None


def _first_letters(members: Sequence[Unit]) -> list[str]:
  return [(words(u.path[-1]) or (u.path[-1],))[0][:1] for u in members]


def _initials(members: Sequence[Unit], whole: Unit) -> bool:
  """Whether the whole is named after its parts: `qkv`."""
  letters = sorted(_first_letters(members))
  return any(sorted(w) == letters for w in words(whole.path[-1]))


def _in_order(members: Sequence[Unit], whole: Unit) -> list[Unit]:
  """As the whole's name has them, else query, key, value, else as they are declared."""
  letters = dict(zip(_first_letters(members), members, strict=True))
  for word in words(whole.path[-1]):
    if sorted(word) == sorted(letters) and len(letters) == len(members):
      return [letters[c] for c in word]
  usual = ["query", "key", "value", "gate", "up"]
  rank = lambda u: next((usual.index(w) for w in words(u.path[-1]) if w in usual), len(usual))
  return sorted(members, key=lambda u: (rank(u), u.items[0].order))
