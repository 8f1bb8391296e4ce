"""Takes both sides apart into units; series of equal layers that the other side holds stacked become one."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Mapping, Sequence

from migrate.core.paths import Key, Path, key, natural
from migrate.core.tree import Spec
from migrate.match.bind import Records, Unit, bind, clash, form
from migrate.match.fits import Fit, Item, fits
from migrate.match.names import number


@dataclasses.dataclass(frozen=True)
class Model:
  """What is known of an NNX model.

  Attributes:
    leaves: {attribute path: (spec, collection of its Variable type)}, in the order of construction.
    modules: {attribute path: full name of the class}, the root included as ().
    ordered: whether the order is that of construction.
  """

  leaves: Mapping[Path, tuple[Spec, str]]
  modules: Mapping[Key, str]
  ordered: bool = True


def source_items(specs: Mapping[Path, Spec]) -> list[Item]:
  """The Linen leaves, in natural order."""
  rows = sorted(specs.items(), key=lambda kv: [natural(str(s)) for s in kv[0][1:]])
  return [Item(key(p[1:]), str(p[0]), spec, (p[1:],), n) for n, (p, spec) in enumerate(rows)]


def target_items(model: Model) -> list[Item]:
  """The NNX leaves, in the order of construction."""
  return [Item(key(p), c, spec, (p,), n) for n, (p, (spec, c)) in enumerate(model.leaves.items())]


def stack_series(sources: list[Item], targets: list[Item]) -> tuple[list[Item], list[Item]]:
  """Both sides, series of one side put together where the other side holds the same on an axis of its arrays."""
  sources = _stack_side(sources, targets, lambda part, whole: _natural(part, whole, fits(part, whole)))
  targets = _stack_side(targets, sources, lambda part, whole: _natural(part, whole, fits(whole, part)))
  return sources, targets


def _natural(one: Item, other: Item, found: Sequence[Fit]) -> bool:
  """Whether the shapes fit without turning anything round, and the roles don't speak against it."""
  return any(f.kind != "transpose" for f in found) and not clash(one, other)


def _stack_side(items: list[Item], others: list[Item], fit) -> list[Item]:
  kinds = list({(o.collection, o.spec, o.name[-1]): o for o in others if o.count == 1}.values())
  theirs = collections.Counter(o.spec.shape for o in others if o.count == 1)
  done = True
  while done:
    done = False
    mine = collections.Counter(i.spec.shape for i in items if i.count == 1)
    for at, stem, members in _series(items):
      whole = _together(at, stem, members)
      if not all(any(fit(w, o) for o in kinds) for w in whole):
        continue
      # where the other side has as many leaves of the members' own shape as this one, they are no stack
      if all(theirs[w.spec.shape] >= mine[w.spec.shape] for w in whole):
        continue
      gone = {id(i) for group in members.values() for i in group}
      items = sorted([i for i in items if id(i) not in gone] + whole, key=lambda i: i.order)
      done = True
      break
  return items


def _series(items: Sequence[Item]) -> list[tuple[int, str, dict[int, list[Item]]]]:
  """Numbered siblings that are alike, the outermost first: (depth, stem, {number: leaves})."""
  found: dict[tuple[Key, str], dict[int, list[Item]]] = {}
  for item in items:
    if item.count > 1:
      continue
    for at, segment in enumerate(item.name):
      if n := number(segment):
        found.setdefault((item.name[:at], n[0]), {}).setdefault(int(n[1]), []).append(item)
  out = []
  for (parent, stem), members in sorted(found.items(), key=lambda kv: len(kv[0][0])):
    values = sorted(members)
    if len(values) < 2 or values != list(range(values[0], values[0] + len(values))):
      continue
    at = len(parent)
    forms = {tuple(sorted((i.collection, i.name[at + 1 :], i.spec) for i in group)) for group in members.values()}
    if len(forms) == 1:
      out.append((at, stem, members))
  return out


def _together(at: int, stem: str, members: Mapping[int, list[Item]]) -> list[Item]:
  values = sorted(members)
  out = []
  for first in members[values[0]]:
    place = (first.collection, first.name[at + 1 :])
    same = [next(i for i in members[v] if (i.collection, i.name[at + 1 :]) == place) for v in values]
    name = (*first.name[:at], f"{stem}#", *first.name[at + 1 :])
    out.append(Item(name, first.collection, first.spec, tuple(i.members[0] for i in same), first.order))
  return out


def make_units(
  sources: list[Item], targets: list[Item], model: Model, records: Records
) -> tuple[list[Unit], list[Unit]]:
  """The units of both sides. A layer with parts (an LSTM cell, attention) is one where the source has it as one."""
  wholes_t = _wholes(targets, model, records)
  wholes_s: dict[Key, Unit] = {}
  kept_t: list[Unit] = []
  if wholes_t:
    prefixes: dict[Key, list[Item]] = {}
    for item in sources:
      for end in range(len(item.name)):
        prefixes.setdefault(item.name[:end], []).append(item)
    trees = [Unit(p, tuple(members)) for p, members in prefixes.items()]
    forms = [form(t) for t in trees]
    alike = dict(zip(reversed(forms), reversed(trees), strict=True))  # layers come in hundreds, and their forms don't
    known: dict[tuple, bool] = {}
    for whole in wholes_t:
      kind = (form(whole), whole.classes[:1])
      if kind not in known:
        able = {f for f, tree in alike.items() if _is_whole(tree, whole, records)}
        fitting = [tree for tree, f in zip(trees, forms, strict=True) if f in able]
        known[kind] = bool(fitting)
        wholes_s |= {u.path: u for u in fitting}
      if known[kind]:
        kept_t.append(whole)
  taken_s = {id(i) for u in wholes_s.values() for i in u.items}
  taken_t = {id(i) for u in kept_t for i in u.items}
  rest_s = [i for i in sources if id(i) not in taken_s]
  rest_t = [i for i in targets if id(i) not in taken_t]
  return [*wholes_s.values(), *_layers(rest_s, None)], [*kept_t, *_layers(rest_t, model)]


def _is_whole(tree: Unit, whole: Unit, records: Records) -> bool:
  found = bind(tree, whole, records) if len(tree.items) >= len(whole.items) else None
  return found is not None and found.why.startswith("both")


def _wholes(targets: list[Item], model: Model, records: Records) -> list[Unit]:
  """Modules of known classes whose leaves are in parts of theirs."""
  out: list[Unit] = []
  taken: set[Key] = set()
  below: dict[Key, list[Item]] = {}
  for item in targets:
    path = key(item.members[0])
    for end in range(len(path) + 1):
      below.setdefault(path[:end], []).append(item)
  for path, name in sorted(model.modules.items(), key=lambda kv: len(kv[0])):
    deep = any(len(p) > 1 for r in records.get(name, ()) for leaf in r.leaves for p in leaf.nnx if "**" not in p)
    parts = any(len(p) > 2 for r in records.get(name, ()) for leaf in r.leaves for p in leaf.linen if "**" not in p)
    items = below.get(path)
    if items and (deep or parts) and not any(path[:end] in taken for end in range(len(path) + 1)):
      out.append(Unit(_marked(items[0], path), tuple(items), _classes(path, model)))
      taken.add(out[-1].path)
  return out


def _marked(item: Item, path: Key) -> Key:
  return item.name[: len(path)]


def _classes(path: Key, model: Model) -> tuple[str, ...]:
  return tuple(model.modules[path[:end]] for end in range(len(path), -1, -1) if path[:end] in model.modules)


def _layers(items: list[Item], model: Model | None) -> list[Unit]:
  groups: dict[Key, list[Item]] = {}
  for item in items:
    groups.setdefault(item.name[:-1], []).append(item)
  above = {p[:end] for p in groups for end in range(len(p))}
  out = []
  for path, members in groups.items():
    classes = _classes(key(members[0].members[0])[: len(path)], model) if model else ()
    if path in above or not path:
      out += [Unit(i.name, (i,), classes, True) for i in members]
    else:
      out.append(Unit(path, tuple(members), classes))
  return out


def broken(units: Sequence[Unit]) -> list[Unit]:
  """The leaves of the units, each by itself."""
  return [Unit(i.name, (i,), u.classes, True) for u in units for i in u.items]
