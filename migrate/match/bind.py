"""Units (layers, or leaves by themselves) of both sides, and how the leaves of one become those of another."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from migrate.core.declare import LayerMapping, Leaf
from migrate.core.ops import Op, OpError, Stack, bind_ops
from migrate.core.paths import Key
from migrate.match.assign import NEVER, best, forced
from migrate.match.fits import Fit, Item, fits
from migrate.match.names import words

ONLY, NAMED, GUESS = 0, 1, 2
"""How a pair is known: nothing else fits; the names say so and others fit too; others fit and names don't tell."""

_ROLES = {"kernel", "bias", "scale", "embedding", "mean", "variance"}
KINDS = ("same", "reshape", "transpose")


@dataclasses.dataclass(frozen=True)
class Unit:
  """A layer with its leaves, or one leaf by itself.

  Attributes:
    path: of the module, below the collection; of the leaf where it is by itself.
    items: its leaves.
    classes: of an NNX module its class and those of the modules around it, innermost first.
    alone: whether it is one leaf of a larger module.
  """

  path: Key
  items: tuple[Item, ...]
  classes: tuple[str, ...] = ()
  alone: bool = False

  def below(self, item: Item) -> Key:
    """The item's name within the unit."""
    return item.name[len(self.path) :] or item.name[-1:]


@dataclasses.dataclass(frozen=True)
class Move:
  """Sources that become targets under operations."""

  sources: tuple[Item, ...]
  targets: tuple[Item, ...]
  ops: tuple[Op, ...] = ()


@dataclasses.dataclass(frozen=True)
class Binding:
  """How one unit becomes another.

  Attributes:
    moves: every leaf of both.
    tier: 0 where all shapes and roles are the same, 1 for reshapes, 2 for what is less usual.
    level: how sure it is, given that the units belong together.
    why: in words.
    others: other moves of the same leaves that fit as well.
  """

  moves: tuple[Move, ...]
  tier: int
  level: int
  why: str
  others: tuple[tuple[Move, ...], ...] = ()


def form(unit: Unit) -> tuple:
  """What says how a unit can be bound: units of equal forms are bound alike."""
  return (unit.alone, *((i.collection, unit.below(i), i.spec, i.count) for i in unit.items))


Records = Mapping[str, Sequence[LayerMapping]]


def bind(source: Unit, target: Unit, records: Records) -> Binding | None:
  """How the source unit becomes the target unit; None where it cannot."""
  for record in records.get(target.classes[0], ()) if target.classes and not target.alone else ():
    found = _by_record(source, target, record)
    if found is not None:
      return found
  if len(source.items) != len(target.items):
    return None
  return _by_shape(source, target, bool(records.get(target.classes[0])) if target.classes else False)


def _by_record(source: Unit, target: Unit, record: LayerMapping) -> Binding | None:
  theirs = {target.below(i): i for i in target.items}
  mine: dict[Key, Item] = {(i.collection, *source.below(i)): i for i in source.items}
  moves, used, filled = [], set(), set()
  for leaf in record.leaves:
    if any("**" in p or "{" in "".join(p) for p in (*leaf.linen, *leaf.nnx)):
      return None
    have = [p in mine for p in leaf.linen] + [p in theirs for p in leaf.nnx]
    if not any(have):
      if leaf.optional:
        continue
      return None
    if not all(have):
      return None
    move = _move_of(leaf, [mine[p] for p in leaf.linen if p in mine], [theirs[p] for p in leaf.nnx])
    if move is None:
      return None
    moves.append(move)
    used.update(leaf.linen)
    filled.update(leaf.nnx)
  if len(used) != len(mine) or len(filled) != len(theirs) or not moves:
    return None
  return Binding(tuple(moves), 0, ONLY, f"both are {record.nnx.rpartition('.')[2]}")


def _move_of(leaf: Leaf, sources: list[Item], targets: list[Item]) -> Move | None:
  if not leaf.ops:
    found = [f for f in fits(sources[0], targets[0]) if f.kind == "same"]
    return Move((sources[0],), (targets[0],), found[0].ops) if found else None
  count = sources[0].count
  if any(s.count != count for s in sources) or any(t.count > 1 for t in targets):
    return None
  specs = [s.spec for _ in range(count) for s in sources]
  for stack in [()] if count == 1 else [(Stack(axis=a),) for a in range(len(targets[0].spec.shape))]:
    ops = (*leaf.ops, *stack)
    try:
      _, shapes, dtype = bind_ops(ops, [s.shape for s in specs], specs[0].dtype)
    except OpError:
      continue
    if shapes == [t.spec.shape for t in targets] and dtype == targets[0].spec.dtype:
      return Move(tuple(sources), tuple(targets), ops)
  return None


def role(name: str) -> str:
  """What a leaf is for, by its name: `weight` and `kernel` are one."""
  found = words(name)
  return found[0] if found else name


def _by_shape(source: Unit, target: Unit, known: bool) -> Binding | None:
  """Leaf by leaf; `known` says that the layout of the target's class is."""
  count = len(source.items)
  table: dict[tuple[int, int], Sequence[Fit]] = {}
  worth = np.full((count, count), NEVER)
  likes = np.zeros((count, count))
  for i, s in enumerate(source.items):
    for j, t in enumerate(target.items):
      if (s.collection == "params") != (t.collection == "params"):
        continue
      found = fits(s, t)
      if not found:
        continue
      table[i, j] = found
      likes[i, j] = _alike(s, t)
      worth[i, j] = likes[i, j] - KINDS.index(found[0].kind)
  chosen = best(worth)
  if -1 in chosen:
    return None
  sure = forced(worth > NEVER, chosen)
  level, tier = ONLY, 0
  moves, others, said = [], [], []
  for i, j in enumerate(chosen):
    s, t, options = source.items[i], target.items[j], table[i, chosen[i]]
    clash = likes[i, j] < 0
    tier = max(tier, KINDS.index(options[0].kind), 2 if clash else 0)
    same_name = s.name[-1] == t.name[-1]
    if not sure[i]:
      rivals = [b for b in range(count) if b != j and worth[i, b] > NEVER]
      clear = likes[i, j] > 0 and all(likes[i, j] > likes[i, b] for b in rivals)
      level = max(level, NAMED if clear else GUESS)
    layouts = options[1:] if not (known and options[0].kind == "same") else []
    if not options[0].sure or layouts:
      usual = options[0].kind == "same" and (same_name or len(t.spec.shape) > 2)
      level = max(level, NAMED if usual and options[0].sure else GUESS)
    if options[0].kind == "reshape":
      level = max(level, NAMED)
    if options[0].kind != "same":
      said.append(f"{s.name[-1]} by {options[0].kind}")
    moves.append(Move((s,), (t,), options[0].ops))
    others += [(i, f.ops) for f in layouts]
  why = "shapes fit" + (f", {', '.join(said)}" if said else "")
  changed = lambda i, ops: tuple(Move(m.sources, m.targets, ops) if k == i else m for k, m in enumerate(moves))
  return Binding(tuple(moves), tier, level, why, tuple(changed(i, ops) for i, ops in others))


def _alike(source: Item, target: Item) -> float:
  """1 where the roles are the same, -1 where they are two that are known."""
  a, b = role(source.name[-1]), role(target.name[-1])
  score = 0.0 if source.collection == target.collection else -0.5
  if a == b:
    return score + (1.5 if source.name[-1] == target.name[-1] else 1.0)
  # a torch habit: the scale of a norm, and the table of an embedding, are called weight
  if {a, b} in ({"kernel", "scale"}, {"kernel", "embedding"}):
    return score + 0.25
  return score - clash(source, target)


def clash(one: Item, other: Item) -> bool:
  """Whether both names say what the leaf is for, and not the same."""
  a, b = role(one.name[-1]), role(other.name[-1])
  return a != b and a in _ROLES and b in _ROLES
