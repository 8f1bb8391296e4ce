"""Makes a Plan from two trees of specs and a mapping: complete, or refused with every reason."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from migrate.core.declare import ModelMapping
from migrate.core.entries import Entry, Plan, plan_error
from migrate.core.ops import OpError, bind_ops
from migrate.core.paths import Captures, Key, Path, natural, show
from migrate.core.report import Finding
from migrate.core.rules import Compiled, Hit, Index, compile_rules
from migrate.core.tree import Leaf, Spec, leaves_of


def make_plan(
  source: Any, target: Any, mapping: ModelMapping | Sequence[ModelMapping] | None, *, strict: bool = True
) -> Plan:
  """Plans the way from Linen leaves to NNX leaves.

  Args:
    source: a tree of Linen leaves (arrays or anything with shape and dtype), collection first; nested or flat.
    target: a tree of NNX leaves by attribute path; None checks the mapping by itself.
    mapping: rules; several mappings in order of precedence; None for no rules.
    strict: raise where anything is missing or wrong; else the plan tells (`unmapped`, `unfilled`, `findings`).

  Returns:
    A plan in which every leaf has one fate.

  Raises:
    MigrateError: with all findings; its message shows the first ones.
  """
  mappings = (mapping,) if isinstance(mapping, ModelMapping) else tuple(mapping or ())
  planner = _Planner(leaves_of(source, "source"), None if target is None else leaves_of(target, "target"), mappings)
  plan = planner.run()
  if strict and not plan.complete:
    raise plan_error(list(plan.findings))
  return plan


class _Planner:
  def __init__(self, source: dict[Key, Leaf], target: dict[Key, Leaf] | None, mappings: Sequence[ModelMapping]):
    self.source, self.target = source, target
    self.rules, self.findings = compile_rules(mappings)
    self.by_source = Index([r for r in self.rules if r.source and r.rule.kind != "copy"], "source")
    self.by_copy = Index([r for r in self.rules if r.rule.kind == "copy"], "source")
    self.by_target = Index([r for r in self.rules if r.rule.kind == "fresh"], "target")
    self.entries: list[Entry] = []
    self.filled: dict[Key, Entry] = {}
    self.unmapped: list[Path] = []
    self.unfilled: list[Path] = []
    self.idle: list[str] = []
    self.spread: dict[Any, tuple[int, Leaf]] = {}

  def run(self) -> Plan:
    groups: dict[Any, dict[str, dict[int, Leaf]]] = {}
    heads: dict[Any, tuple[Hit, Captures]] = {}

    def member(hit: Hit, leaf: Leaf) -> None:
      shared = {n: v for n, v in hit.captures.items() if n not in hit.rule.gathered}
      group = (hit.rule.level, hit.rule.number, *sorted(shared.items()))
      free = next((str(hit.captures[n]) for n in hit.rule.gathered), "")
      heads.setdefault(group, (hit, shared))
      groups.setdefault(group, {}).setdefault(free, {})[hit.place] = leaf

    for k, leaf in self.source.items():
      for hit in self.by_copy.hits(k):
        self.by_copy.matched.add((hit.rule.level, hit.rule.number))
        member(hit, leaf)
      hit, problem = self.by_source.winner(k)
      if problem:
        self.findings.append(problem)
      elif hit is None:
        self._same(k, leaf)
      elif hit.rule.rule.kind == "drop":
        self._add(Entry("drop", (leaf,), (), (), hit.rule.rule.because, "", str(hit.rule)))
      else:
        member(hit, leaf)
    layers = self._layers(groups, heads)
    for group, members in groups.items():
      hit, shared = heads[group]
      if not self._lacks_layers(hit, members, layers.get(_series(hit, shared), {})):
        self._group(hit, shared, members)
    self._ties()
    self._targets()
    self._unused()
    findings = sorted(self.findings, key=lambda f: f.rule)
    return Plan(
      tuple(self.entries), "linen->nnx", tuple(self.unmapped), tuple(self.unfilled), tuple(findings), tuple(self.idle)
    )

  def _layers(self, groups: dict[Any, dict], heads: dict[Any, tuple[Hit, Captures]]) -> dict[Any, dict[str, None]]:
    """The numbers that each gathering rule finds, over all leaves of a layer."""
    out: dict[Any, dict[str, None]] = {}
    for group, members in groups.items():
      hit, shared = heads[group]
      if hit.rule.gathered:
        out.setdefault(_series(hit, shared), {}).update(dict.fromkeys(members))
    return out

  def _lacks_layers(self, hit: Hit, members: dict[str, dict[int, Leaf]], layers: dict[str, None]) -> bool:
    """Whether a leaf is in some of the layers only; that is said."""
    missing = sorted((n for n in layers if n not in members), key=natural)
    if missing and len(members) < len(layers) and sorted(layers, key=natural) == [str(i) for i in range(len(layers))]:
      first = min(members.values(), key=lambda m: natural(show(next(iter(m.values())).path)))
      self._say(
        next(iter(first.values())).path,
        f"is in {len(members)} of {len(layers)} layers; {', '.join(missing[:5])} have none",
        "layers that are alike",
        f"leave those that differ out of {hit.rule}, with rules of their own",
      )
      return True
    return False

  def _say(self, where: Path | str, found: str, wanted: str, do: str, kind: str = "L2N203") -> None:
    self.findings.append(Finding(where if isinstance(where, str) else show(where), found, wanted, do, rule=kind))

  def _add(self, entry: Entry) -> None:
    self.entries.append(entry)
    for leaf in entry.targets if entry.fate != "tie" else ():
      k = tuple(map(str, leaf.path))
      other = self.filled.setdefault(k, entry)
      if other is not entry:
        names = " and ".join(" + ".join(show(s.path) for s in e.sources) for e in (other, entry))
        self._say(
          leaf.path,
          f"{names} both go here",
          "one source for each target",
          "name another target for one of them, drop it, or tie it",
        )

  def _same(self, k: Key, leaf: Leaf) -> None:
    found = self.target.get(k[1:]) if self.target is not None else Leaf(leaf.path[1:], leaf.spec)
    if found is None or len(k) < 2:
      self.unmapped.append(leaf.path)
      hint = self._like(leaf.spec, k) if self.target is not None else ""
      self._say(
        leaf.path,
        f"{leaf.spec} has no place: no rule names it and the model has no {show(k[1:]) or 'such path'}",
        "a fate for every leaf",
        f"{hint}add move({show(leaf.path)!r}, ...) or drop({show(leaf.path)!r}, because=...)",
        "L2N205",
      )
    elif self._agrees(leaf, leaf.spec, found, ""):
      self._add(Entry("same", (leaf,), (found,)))

  def _group(self, hit: Hit, shared: Captures, members: dict[str, dict[int, Leaf]]) -> None:
    rule = hit.rule
    values = sorted(members, key=natural)
    if rule.gathered and values != [str(i) for i in range(len(values))]:
      missing = [str(i) for i in range(len(values)) if str(i) not in members]
      name = min(rule.gathered)
      self._say(
        hit.pattern.text,
        f"{{{name}}} is {', '.join(values[:12])}",
        "0, 1, 2... without gaps",
        f"{rule} lacks {', '.join(missing[:5])}",
      )
      return
    sources: list[Leaf] = []
    for value in values:
      free = dict.fromkeys(rule.gathered, value)
      for place, one in enumerate(rule.source):
        if place not in members[value]:
          self._say(
            show(one.fill({**shared, **free})),
            "is not in the source",
            f"{rule} needs it",
            "remove it from the rule, or use the right checkpoint",
          )
          return
        sources.append(members[value][place])
    dtypes = {s.spec.dtype for s in sources}
    if len(dtypes) > 1:
      self._say(
        sources[0].path,
        f"joined with leaves of another dtype: {', '.join(sorted(dtypes))}",
        "one dtype",
        "move them one by one",
      )
      return
    try:
      ops, shapes, dtype = bind_ops(rule.rule.ops, [s.spec.shape for s in sources], sources[0].spec.dtype)
    except OpError as error:
      self._say(
        sources[0].path,
        f"{sources[0].spec}: {error}",
        f"what the operations of {rule} take",
        "correct the operations, or use the right checkpoint",
      )
      return
    paths = self._target_paths(rule, shared, len(shapes))
    if len(paths) != len(shapes):
      self._say(
        sources[0].path,
        f"{rule} makes {len(shapes)} arrays",
        f"{len(paths)}, one for each target",
        "correct the operations or the paths",
      )
      return
    if rule.spread:
      count, first = self.spread.setdefault(_series(hit, shared), (len(shapes), sources[0]))
      if count != len(shapes):
        self._say(
          sources[0].path,
          f"{sources[0].spec} holds {len(shapes) // len(rule.target)} layers, {show(first.path)} {count // len(rule.target)}",
          "layers that are alike",
          f"take those that differ apart by a rule of their own, beside {rule}",
        )
        return
    targets, good = [], True
    for path, shape in zip(paths, shapes, strict=True):
      spec = Spec(shape, dtype)
      found = Leaf(path, spec) if self.target is None else self.target.get(path)
      if found is None:
        self.unmapped += [s.path for s in sources] if good else []
        self._say(
          sources[0].path,
          f"{rule} sends it to {show(path)}, which the model does not have",
          "a path of the model",
          self._like(spec, path) or "correct the rule",
        )
        good = False
      elif not self._agrees(sources[0], spec, found, f" after {', '.join(map(str, ops))}" if ops else ""):
        good = False
      else:
        targets.append(found)
    if good:
      self._add(
        Entry(
          rule.rule.kind,
          tuple(sources),
          tuple(targets),
          ops,
          "",
          rule.rule.variable,
          str(rule),
        )
      )

  def _target_paths(self, rule: Compiled, shared: Captures, count: int) -> list[Key]:
    if not rule.spread:
      return [one.fill(shared) for one in rule.target]
    name = min(rule.spread)
    return [one.fill({**shared, name: str(i)}) for i in range(count // len(rule.target)) for one in rule.target]

  def _agrees(self, source: Leaf, spec: Spec, target: Leaf, after: str) -> bool:
    if spec == target.spec:
      return True
    if spec.shape != target.spec.shape:
      do = _shape_hint(spec.shape, target.spec.shape)
    else:
      do = f"add Cast({target.spec.dtype!r}) to a rule for it, or build the model with param_dtype {spec.dtype}"
    self.filled.setdefault(tuple(map(str, target.path)), Entry("fresh", (), (target,)))
    self._say(source.path, f"{spec}{after}", f"{target.spec} at {show(target.path)}", do)
    return False

  def _like(self, spec: Spec, path: Key) -> str:
    assert self.target is not None
    free = [
      k
      for k, leaf in self.target.items()
      if leaf.spec.shape == spec.shape and k not in self.filled and k[-1:] == path[-1:]
    ]
    close = difflib.get_close_matches(show(path), [show(k) for k in free[:500]], 2, 0.0)
    return f"of the same shape: {', '.join(close)}; " if close and len(self.findings) < 20 else ""

  def _ties(self) -> None:
    for entry in self.entries:
      if entry.fate == "tie" and tuple(map(str, entry.targets[0].path)) not in self.filled:
        self._say(
          entry.targets[0].path,
          f"nothing fills it: {show(entry.sources[0].path)} is only tied to it",
          "a move as well",
          "use move for one of the tied leaves",
        )
    placed = {s.path for e in self.entries if e.fate in ("same", "move") for s in e.sources}
    for entry in self.entries:
      if entry.fate == "copy" and entry.sources[0].path not in placed:
        do = "use move for one of its targets, and copy for the others"
        self._say(entry.sources[0].path, f"{entry.rule}, and it goes nowhere else", "a move as well", do)

  def _targets(self) -> None:
    fresh = any(r.rule.kind == "fresh" for r in self.rules)
    for k, leaf in (self.target or {}).items() if self.target is not None else ():
      filler = self.filled.get(k)
      if filler is not None and not fresh:
        continue
      hit, problem = self.by_target.winner(k)
      if filler is not None:
        if hit and not (filler.fate == "move" and hit.pattern.tail is not None) and filler.sources:
          self._say(
            leaf.path,
            f"{hit.rule} says it is fresh, and {show(filler.sources[0].path)} goes here",
            "one fate",
            "drop the source, or remove the rule",
          )
      elif problem:
        self.findings.append(problem)
      elif hit:
        self._add(Entry("fresh", (), (leaf,), (), hit.rule.rule.because, "", str(hit.rule)))
      else:
        self.unfilled.append(leaf.path)
        self._say(
          leaf.path,
          f"nothing fills {leaf.spec}",
          "a source for every target",
          f"add a move to it, or fresh({show(leaf.path)!r}, because=...)",
          "L2N206",
        )

  def _unused(self) -> None:
    collections = {k[0] for k in self.source if k}
    for rule in self.rules:
      index = {"fresh": self.by_target, "copy": self.by_copy}.get(rule.rule.kind, self.by_source)
      if (rule.level, rule.number) in index.matched or (rule.rule.kind == "fresh" and self.target is None):
        continue
      prefixes = {p.literal_prefix[:1] for p in rule.source}
      if rule.level > 0 or (rule.source and () not in prefixes and not any(p[0] in collections for p in prefixes)):
        self.idle.append(str(rule))
        continue
      side, known = ("target", self.target or {}) if rule.rule.kind == "fresh" else ("source", self.source)
      text = (rule.target if rule.rule.kind == "fresh" else rule.source)[0].text
      close = (
        difflib.get_close_matches(text, [show(k) for k in list(known)[:2000]], 2, 0.4)
        if sum(f.rule == "L2N204" for f in self.findings) < 20
        else []
      )
      self._say(
        str(rule),
        f"matches nothing in the {side}",
        "a path that is there",
        f"nearest: {', '.join(close)}" if close else "remove or correct the rule",
        "L2N204",
      )


def _series(hit: Hit, shared: Captures) -> Any:
  """The layers that a rule joins or takes apart: all leaves below `**` are of the same."""
  others = sorted((n, v) for n, v in shared.items() if n != "**")
  return (hit.rule.level, hit.rule.number, *others)


def _shape_hint(found: tuple[int, ...], wanted: tuple[int, ...]) -> str:
  size = 1
  for n in wanted:
    size *= n
  for n in found:
    size = size / n if n else size
  if len(found) == len(wanted) > 1 and found[::-1] == wanted:
    return "if it was saved transposed, add Transpose() to a rule for it"
  if len(found) == len(wanted) + 1 and wanted in [found[:i] + found[i + 1 :] for i in range(len(found))]:
    return "if it holds stacked layers, add Unstack(axis=...) to a rule with {i} in the target"
  if size == 1 and sorted(found) == sorted(wanted):
    return "if its axes are in another order, add Transpose((...)) to a rule for it"
  if size == 1:
    return f"if it has as many elements by intent, add Reshape({wanted}) to a rule for it"
  return "build the model with the sizes of the checkpoint, or use the right checkpoint"


__all__ = ["Entry", "Plan", "make_plan"]
