"""The Linen leaves that an NNX model must have come from: a mapping read from right to left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from migrate.core.declare import ModelMapping
from migrate.core.entries import plan_error
from migrate.core.ops import OpError, bind_ops, invert_ops
from migrate.core.paths import Captures, Key, Path, key, natural, show
from migrate.core.report import Finding
from migrate.core.rules import Compiled, Hit, Index, compile_rules
from migrate.core.tree import Leaf, Spec, leaves_of


def derive_source(
  target: Any, mapping: ModelMapping | Sequence[ModelMapping] | None, collection_of: Mapping[Path, str]
) -> dict[Path, Spec]:
  """The Linen tree of which `make_plan` with this mapping makes `target`.

  Args:
    target: a tree of NNX leaves.
    mapping: as for `make_plan`.
    collection_of: the collection of each target path that no rule names.

  Returns:
    Specs by Linen path. Make the forward plan from them: it proves the derivation and knows its inverse.

  Raises:
    MigrateError: where rules fight, or an operation cannot be undone.
  """
  mappings = (mapping,) if isinstance(mapping, ModelMapping) else tuple(mapping or ())
  rules, findings = compile_rules(mappings)
  index = Index([r for r in rules if r.target], "target")
  leaves = leaves_of(target, "target")
  out: dict[Path, Spec] = {}
  groups: dict[Any, tuple[Hit, Captures, dict[str, dict[int, Leaf]]]] = {}
  collections = {key(p): c for p, c in collection_of.items()}
  for k, leaf in leaves.items():
    # a tie names a second source of a target that a move (or nothing) fills: both are derived
    if any(h.rule.rule.kind == "copy" for h in index.hits(k)):
      continue  # its source is derived from the target that a move fills
    hit, problem, ties = _decide(index, k, collections.get(k, "params"))
    if problem:
      findings.append(problem)
      continue
    for one in ties:
      (shape,) = bind_ops(invert_ops(one.rule.rule.ops), [leaf.spec.shape], leaf.spec.dtype)[1]
      out[one.rule.source[0].fill(one.captures)] = Spec(shape, leaf.spec.dtype)
    if hit is None:
      out[(collections.get(k, "params"), *map(str, leaf.path))] = leaf.spec
    elif hit.rule.rule.kind == "move":
      shared = {n: v for n, v in hit.captures.items() if n not in hit.rule.spread}
      free = next((str(hit.captures[n]) for n in hit.rule.spread), "")
      group = (hit.rule.level, hit.rule.number, *sorted(shared.items()))
      groups.setdefault(group, (hit, shared, {}))[2].setdefault(free, {})[hit.place] = leaf
  for hit, shared, members in groups.values():
    try:
      out |= _sources(hit.rule, shared, members)
    except OpError as error:
      findings.append(
        Finding(
          hit.pattern.text,
          f"{hit.rule} cannot be undone: {error}",
          "operations with an inverse",
          "give the operation its other side",
        )
      )
  if findings:
    raise plan_error(findings)
  return out


def _decide(index: Index, k: Key, collection: str) -> tuple[Hit | None, Finding | None, list[Hit]]:
  hits = index.hits(k)
  ties = [h for h in hits if h.rule.rule.kind == "tie"]
  if not ties:
    return (*index.winner(k, collection), [])
  others = [h for h in hits if h.rule.rule.kind != "tie"]
  others = [h for h in others if h.rule.collection == collection] or others
  if len(others) > 1:
    return None, Finding(show(k), f"{others[0].rule} and {others[1].rule} both match", "one rule", "remove one"), []
  return (others[0] if others else None), None, ties


def _sources(rule: Compiled, shared: Captures, members: dict[str, dict[int, Leaf]]) -> dict[Path, Spec]:
  values = sorted(members, key=natural)
  if rule.spread and values != [str(i) for i in range(len(values))]:
    raise OpError(f"its targets are numbered {', '.join(values[:12])}")
  targets: list[Leaf] = []
  for value in values:
    if len(members[value]) != len(rule.target):
      missing = [one.text for place, one in enumerate(rule.target) if place not in members[value]]
      raise OpError(f"the model lacks {', '.join(missing)}")
    targets += [members[value][place] for place in range(len(rule.target))]
  ops = invert_ops(rule.rule.ops)
  _, shapes, dtype = bind_ops(ops, [t.spec.shape for t in targets], targets[0].spec.dtype)
  name = next(iter(rule.gathered), None)
  if name is None:
    paths = [one.fill(shared) for one in rule.source]
  else:
    paths = [one.fill({**shared, name: str(i)}) for i in range(len(shapes) // len(rule.source)) for one in rule.source]
  if len(paths) != len(shapes):
    raise OpError(f"{len(shapes)} arrays for {len(paths)} paths")
  return {path: Spec(shape, dtype) for path, shape in zip(paths, shapes, strict=True)}
