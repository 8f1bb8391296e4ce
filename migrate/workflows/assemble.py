"""One live NNX model from several checkpoints; what none fills is made by the model's own initializers, nothing else."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
from flax import nnx

from migrate.core.entries import Plan, plan_error
from migrate.core.paths import Key, Path, key, pattern, show
from migrate.core.plan import make_plan
from migrate.core.report import Finding, refuse
from migrate.core.translate import translate
from migrate.workflows.live import computed, flat_state, with_data
from migrate.workflows.mapping import load_mapping
from migrate.workflows.state import check_types, linen_leaves, specs, variable_leaves, write_values
from migrate.workflows.surgery import _put, _variables, at_path, some_leaves


@dataclasses.dataclass(frozen=True)
class Source:
  """Where leaves of a model come from.

  Attributes:
    leaves: a checkpoint's path, or Linen variables.
    mapping: what `migrate.load_mapping` takes, from these leaves to the model; None where names are kept.
    only: patterns of the leaves to take; the others are not read.
    item: the item of a composite checkpoint.
  """

  leaves: Any
  mapping: Any = None
  only: Sequence[str] = ()
  item: str | None = None


def assemble(build: Callable[..., Any], *sources: Source, fresh: Sequence[str] | bool = (), seed: int = 0) -> Any:
  """Makes a model whose leaves come from several checkpoints, and from its own initializers.

  The model is built abstractly. Only the leaves that no source fills are computed, by one jitted call of `build` that
  returns nothing else, so that no parameter is allocated to be thrown away.

  Args:
    build: makes the model, of an `nnx.Rngs` or of nothing.
    sources: what fills it. Every leaf of a source has a place or is dropped by its mapping, and no two fill one leaf.
    fresh: patterns of the attribute paths that the initializers may fill (`**/lora_a`); True for whatever is left.
    seed: of the `nnx.Rngs` that `build` gets.

  Raises:
    MigrateError: naming all that does not fit, and every leaf that nothing may fill.
  """
  from migrate.workflows.suggest import build_of

  make = build_of(build)
  if make is None:
    raise refuse(
      "build", f"a {type(build).__name__}", "a function that makes the model", "pass the class or a function"
    )
  made = lambda: make(nnx.Rngs(seed))
  model = nnx.eval_shape(lambda: with_data(made()))
  targets = variable_leaves(model)
  plans, findings = _plans(sources, targets)
  filled: dict[Key, int] = {}
  new: set[Key] = set()
  for number, (plan, _) in enumerate(plans):
    for entry in plan.entries:
      for leaf in entry.targets if entry.fate not in ("drop", "tie") else ():
        if entry.fate == "fresh":
          new.add(key(leaf.path))
        elif filled.setdefault(key(leaf.path), number) != number:
          said = f"sources {filled[key(leaf.path)] + 1} and {number + 1} both fill it"
          findings.append(Finding(show(leaf.path), said, "one source", "leave it out of one with only= or drop"))
  allowed = [pattern(p) for p in (["**"] if fresh is True else fresh or [])]
  missing = [p for p in targets if key(p) not in filled]
  for path in missing:
    if key(path) not in new and not any(p.match(key(path)) is not None for p in allowed):
      do = f"add a source, or fresh=[{show(path)!r}]"
      findings.append(Finding(show(path), "no source fills it", "a source, or an initializer", do, rule="L2N206"))
  if findings:
    raise plan_error(findings)
  for plan, leaves in plans:
    check_types(plan, targets)
    write_values(targets, list(translate(plan, leaves)))
  left = {key(p) for p in missing}
  wanted = lambda path, leaf: not isinstance(leaf, nnx.Variable) or isinstance(leaf, nnx.RngState) or key(path) in left
  _write(model, computed(jax.jit, made, wanted))
  return model


def _plans(sources: Sequence[Source], targets: dict[Path, Any]) -> tuple[list[tuple[Plan, dict]], list[Finding]]:
  out, findings = [], []
  for source in sources:
    stored = isinstance(source.leaves, str | os.PathLike)
    leaves = _variables(source.leaves, source.item) if stored else linen_leaves(source.leaves)
    leaves = some_leaves(leaves, source.only)
    mapping = None if source.mapping is None else load_mapping(source.mapping)
    plan = make_plan(leaves, specs(targets), mapping, strict=False)
    passed = ("L2N206", "L2N204") if source.only else ("L2N206",)
    findings += [f for f in plan.findings if f.rule not in passed]
    out.append((plan, leaves))
  return out, findings


def _write(model: Any, values: dict[Path, Any]) -> None:
  flat = flat_state(model)
  for path, value in values.items():
    leaf = flat.get(path)
    if isinstance(leaf, nnx.Variable):
      leaf.set_value(value)
    else:
      _put(at_path(model, path[:-1]), path[-1], nnx.data(value))
