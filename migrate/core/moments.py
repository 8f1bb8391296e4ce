"""The parameter plan lifted over optimizer state.

Optax keeps trees shaped like the parameters (moments, traces, accumulated gradients) inside its states. They are
found by structure: a subtree whose every leaf has the path of a parameter. Each follows the parameters' own entries,
as long as these only move values: a moment of scaled or padded parameters is not the scaled or padded moment.
Everything else (counts, hyperparameters) keeps its path.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from migrate.core.entries import Entry, Plan, plan_error
from migrate.core.ops import OpError, bind_ops
from migrate.core.paths import Key, Path, key, show
from migrate.core.report import Finding
from migrate.core.tree import NOTHING, Leaf, Spec, leaves_of


def params_like(paths: list[Key], params: set[Key]) -> dict[Key, tuple[Key, Key, Key]]:
  """Splits the paths of an optimizer state that mirror a parameter.

  Args:
    paths: every path of the state.
    params: the parameters' paths, in every form that the state may use.

  Returns:
    {path: (prefix, parameter path, rest)}; `rest` is numbers where a state keeps a list for each parameter (SM3).
    The prefix is the shortest one below which every leaf has the path of a parameter.
  """
  splits: dict[Key, list[tuple[int, int]]] = {}
  lengths = sorted({len(p) for p in params})
  for path in paths:
    found = []
    for start in range(len(path)):
      for size in lengths:
        rest = path[start + size :]
        if start + size <= len(path) and path[start : start + size] in params and all(s.isdecimal() for s in rest):
          found.append((start, start + size))
    splits[path] = found
  below: dict[Key, list[Key]] = {}
  wanted = {path[:start] for path, found in splits.items() for start, _ in found}
  for path in paths:
    for end in range(len(path)):
      if path[:end] in wanted:
        below.setdefault(path[:end], []).append(path)
  whole = {p for p, members in below.items() if all(any(start == len(p) for start, _ in splits[m]) for m in members)}
  out: dict[Key, tuple[Key, Key, Key]] = {}
  for path, found in splits.items():
    # shortest prefix first; the longest parameter path below it
    for start, end in sorted(found, key=lambda s: (s[0], -s[1])):
      if path[:start] in whole:
        out[path] = (path[:start], path[start:end], path[end:])
        break
  return out


# copies of parameters, and what starts elsewhere than at zero
NOT_ZERO = frozenset({"params0", "init_params", "x0", "z", "init_particles", "scale", "step_sizes", "slow"})


def lift(
  plan: Plan,
  source: Any,
  target: Any = None,
  *,
  collection: str = "params",
  strict: bool = True,
  new: Collection[Key] | None = None,
) -> Plan:
  """Plans the way of an optimizer state from the plan of its parameters.

  Args:
    plan: the plan of the variables, `linen->nnx`.
    source: the Optax state with Linen parameters: a tree, or `{path: leaf}`; `NOTHING` for masked leaves.
    target: the same Optax state with NNX parameters; None where it is not known.
    collection: the collection that was trained.
    strict: raise where anything is missing or wrong.
    new: parameters of the NNX side. Those that the plan calls fresh get entries beside the moments of the others,
      to be filled with zeros; None leaves what is there as it is.

  Raises:
    MigrateError: with all findings.
  """
  lifter = _Lifter(
    plan, leaves_of(source, "optimizer state"), None if target is None else leaves_of(target, "target"), collection, new
  )
  out = lifter.run()
  if strict and not out.complete:
    raise plan_error(list(out.findings))
  return out


class _Lifter:
  def __init__(self, plan: Plan, source: dict[Key, Leaf], target: dict[Key, Leaf] | None, collection: str, new: Any):
    self.source, self.target = source, target
    self.entries: list[Entry] = []
    self.findings: list[Finding] = []
    self.unmapped: list[Path] = []
    self.by_param: dict[Key, tuple[Entry, int]] = {}
    self.copies: dict[Key, list[tuple[Entry, int]]] = {}
    self.refused = "tie" if plan.direction == "linen->nnx" else "copy"  # two Linen parameters that NNX has once
    for entry in plan.entries:
      for place, leaf in enumerate(entry.sources):
        path = key(leaf.path)
        for form in (path, path[1:]) if path[0] == collection else (path,):
          if entry.fate == "copy":
            self.copies.setdefault(form, []).append((entry, place))
          else:
            self.by_param[form] = (entry, place)
    self.by_tail: dict[Key, list[tuple[Path, Spec]]] = {}
    for entry in plan.entries:
      for leaf in entry.sources if entry.sources and entry.sources[0].path[:1] == (collection,) else ():
        self.by_tail.setdefault(key(leaf.path)[-2:], []).append((leaf.path, leaf.spec))
    self.fresh = {key(t.path) for e in plan.entries if e.fate == "fresh" for t in e.targets}
    fresh = [t for e in plan.entries if e.fate == "fresh" for t in e.targets]
    self.new = None if new is None else [t for t in fresh if key(t.path) in new]

  def run(self) -> Plan:
    mirrored = params_like(list(self.source), set(self.by_param))
    groups: dict[tuple[Key, Key, int], dict[int, Leaf]] = {}
    for k, leaf in self.source.items():
      if k not in mirrored:
        if leaf.spec != NOTHING:
          self._check_plain(k, leaf)
          self._put(Entry("same", (leaf,), (Leaf(leaf.path, leaf.spec),)))
        continue
      prefix, param, rest = mirrored[k]
      for entry, place in (self.by_param[param], *self.copies.get(param, ())):
        if entry.fate == "drop":
          self.entries.append(Entry("drop", (leaf,), (), (), entry.because, "", entry.rule))
        else:
          groups.setdefault((prefix, rest, id(entry)), {})[place] = leaf
    entries = {id(e): e for e, _ in (*self.by_param.values(), *(c for some in self.copies.values() for c in some))}
    for (prefix, rest, number), members in groups.items():
      self._mirror(prefix, rest, entries[number], members)
    if self.new:
      self._zeros(self.new, mirrored)
    unfilled = self._unfilled()
    return Plan(tuple(self.entries), "linen->nnx", tuple(self.unmapped), tuple(unfilled), tuple(self.findings))

  def _say(self, path: Path, found: str, wanted: str, do: str, kind: str) -> None:
    self.findings.append(Finding("optimizer state: " + show(path), found, wanted, do, rule=kind))

  def _check_plain(self, k: Key, leaf: Leaf) -> None:
    """Refuses what looks like a moment among others that mirror no parameter."""
    like = next((k[i:] for i in range(len(k) - 1) if k[i:] in self.by_param), None)
    if like is not None:
      found = f"looks like a moment of {show(like)}, and others beside it mirror no parameter"
      do = "give the variables that the optimizer was made for, all of them"
      self._say(leaf.path, found, "a subtree shaped like the parameters", do, "L2N216")
      return
    part = next((p for p, spec in self.by_tail.get(k[-2:], ()) if spec == leaf.spec and leaf.spec.shape), None)
    if part is not None and len(k) > 2:
      found = f"looks like a moment of {show(part)}, under another path: the optimizer held a part of the parameters"
      do = "save it under the parameters' own paths (optax.masked keeps them), or leave opt_state out of the source"
      self._say(leaf.path, found, "a subtree shaped like the parameters", do, "L2N216")

  def _mirror(self, prefix: Key, rest: Key, entry: Entry, members: dict[int, Leaf]) -> None:
    first = members[min(members)]
    if entry.fate == self.refused:
      self._say(
        first.path,
        "the parameter is tied to another one, so its moments have no place",
        "untied parameters",
        "start the optimizer anew",
        "L2N211",
      )
      return
    if len(members) < len(entry.sources):
      missing = next(s for i, s in enumerate(entry.sources) if i not in members)
      self._say(
        first.path,
        f"{entry.rule} also needs {show(missing.path)}, which has no moment here",
        "moments of all that is joined",
        "mask all of them or none",
        "L2N212",
      )
      return
    sources = tuple(members[i] for i in range(len(entry.sources)))
    paths = [(*prefix, *map(str, t.path), *rest) for t in entry.targets]
    empty = [s.spec == NOTHING for s in sources]
    if all(empty):
      self._put(Entry(entry.fate, sources, tuple(Leaf(p, NOTHING) for p in paths), (), "", "", entry.rule))
      return
    if not entry.ops:
      for leaf, path in zip(sources, paths, strict=True):
        self._put(Entry(entry.fate, (leaf,), (Leaf(path, leaf.spec),), (), "", "", entry.rule))
      return
    problem = "some of what is joined is masked" if any(empty) else self._not_liftable(entry, sources, rest)
    if problem:
      self._say(
        first.path,
        problem,
        "a moment that the operations may move",
        "start the optimizer anew, or keep the leaves separate",
        "L2N213",
      )
      return
    try:
      ops, shapes, dtype = bind_ops(entry.ops, [s.spec.shape for s in sources], sources[0].spec.dtype)
    except OpError as error:
      self._say(
        first.path,
        str(error),
        "a moment of the parameter's shape",
        "start the optimizer anew, or keep the leaves separate",
        "L2N213",
      )
      return
    self._put(
      Entry(
        entry.fate,
        sources,
        tuple(Leaf(p, Spec(s, dtype)) for p, s in zip(paths, shapes, strict=True)),
        ops,
        "",
        "",
        entry.rule,
      )
    )

  def _zeros(self, new: list[Leaf], mirrored: dict[Key, tuple[Key, Key, Key]]) -> None:
    """Moments of parameters that the source does not have, where all moments of a kind are like the parameters."""
    trees: dict[Key, list[tuple[Spec, Spec, Key]]] = {}
    for k, (prefix, param, rest) in mirrored.items():
      entry, place = self.by_param[param]
      trees.setdefault(prefix, []).append((self.source[k].spec, entry.sources[place].spec, rest))
    for prefix, members in trees.items():
      masked = [spec == NOTHING for spec, _, _ in members]
      own = all(spec.dtype == param.dtype for spec, param, _ in members)
      some = [m for m in members if m[0] != NOTHING]
      problem = ""
      if some and NOT_ZERO.intersection(prefix):
        problem = "not zero at the start"
      elif any(rest or spec.shape != param.shape for spec, param, rest in some):
        problem = "not shaped like the parameters"
      elif self.target is None and any(masked) and some:
        problem = "masked in part, so these may be"
      elif self.target is None and not own and len({spec.dtype for spec, _, _ in some}) > 1:
        problem = "of several dtypes"
      for leaf in new:
        path = (*prefix, *leaf.path)
        spec = NOTHING if all(masked) else leaf.spec if own else Spec(leaf.spec.shape, members[0][0].dtype)
        found = None if self.target is None else self.target.get(key(path))
        if self.target is not None:
          spec = NOTHING if found is None else found.spec
        if problem and spec != NOTHING:
          wanted, do = "a moment that starts at zero", "start the optimizer anew, or leave opt_state out of the source"
          said = f"the parameter is fresh, and moments there are {problem}"
          self._say(path, said, wanted, do, "L2N213")
          break
        self.entries.append(Entry("fresh", (), (Leaf(path, spec),), (), "the parameter is fresh: zeros"))

  def _not_liftable(self, entry: Entry, sources: tuple[Leaf, ...], rest: Key) -> str:
    odd = [op for op in entry.ops if not op.layout_only]
    if odd:
      return f"{odd[0]} changes values: its moments cannot follow"
    for moment, param in zip(sources, entry.sources, strict=True):
      if moment.spec.shape != param.spec.shape or rest:
        steps = ", ".join(map(str, entry.ops))
        return f"{moment.spec} is not of the parameter's shape {param.spec.shape}: {steps} cannot move it"
    if len({s.spec.dtype for s in sources}) > 1:
      return f"dtypes {', '.join(sorted({s.spec.dtype for s in sources}))} cannot be joined"
    return ""

  def _put(self, entry: Entry) -> None:
    if self.target is None:
      self.entries.append(entry)
      return
    targets = []
    for leaf in entry.targets:
      found = self.target.get(key(leaf.path))
      if found is None and leaf.spec == NOTHING:
        found = leaf
      elif found is None:
        self.unmapped += [s.path for s in entry.sources]
        do = "build the optimizer with the same transformation, in the same order"
        self._say(
          entry.sources[0].path,
          f"the new optimizer has no {show(leaf.path)}",
          "the same Optax transformation on both sides",
          do,
          "L2N214",
        )
        return
      if found.spec != leaf.spec:
        do = "build the optimizer with the same transformation and sizes"
        self._say(entry.sources[0].path, f"{leaf.spec}", f"{found.spec} at {show(leaf.path)}", do, "L2N203")
      targets.append(found)
    self.entries.append(
      Entry(entry.fate, entry.sources, tuple(targets), entry.ops, entry.because, entry.variable, entry.rule)
    )

  def _unfilled(self) -> list[Path]:
    if self.target is None:
      return []
    filled = {key(t.path) for e in self.entries for t in e.targets}
    out = []
    for k, leaf in self.target.items():
      if k in filled or leaf.spec == NOTHING:
        continue
      if self.new is None and any(k[i:] in self.fresh for i in range(len(k))):
        self.entries.append(Entry("fresh", (), (leaf,), (), "the parameter is fresh too"))
        continue
      out.append(leaf.path)
      do = "build the optimizer with the same transformation, in the same order"
      self._say(leaf.path, f"nothing fills {leaf.spec}", "the same Optax transformation on both sides", do, "L2N215")
    return out
