"""State translation as the verifier uses it: one plan, read in both directions, with its holes named."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from migrate.core.declare import ModelMapping, Rule
from migrate.core.mutable import Flags
from migrate.core.paths import show
from migrate.core.report import MigrateError
from migrate.core.translate import translate
from migrate.core.tree import nest
from migrate.workflows.mapping import make_plan
from migrate.workflows.state import linen_leaves, optimizer_to_linen, optimizer_to_nnx, specs, to_nnx, variable_leaves

_SHOWN = 8  # findings of a plan that are passed on


class StateBridge:
  """State translation as the verifier needs it: one plan, made from the Linen variables, read in both directions.

  What the mapping does not place is left out on either side and named in the report, so that a mapping with a hole
  still tells how far the rest agrees.
  """

  def __init__(self, mapping: ModelMapping):
    self.mapping = mapping
    self.rng_paths: Mapping[str, str] = dict(mapping.metadata.get("rng_paths", {}))
    self._plan: Any = None
    self.flags: Flags = dict(mapping.metadata.get("mutable", {}))

  def plan(self, variables: Mapping[str, Any], model: Any) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    """See `migrate.verify.nnx_side.Bridge`."""
    leaves, targets = linen_leaves(variables), specs(variable_leaves(model))
    loose = make_plan(leaves, targets, self.mapping, strict=False)
    holes = (
      *(Rule("drop", (_literal(p),), (), (), "unmapped") for p in loose.unmapped),
      *(Rule("fresh", (), (_literal(p),), (), "unfilled") for p in loose.unfilled),
    )
    gone = {_literal(p) for p in (*loose.unmapped, *loose.unfilled)}
    kept = (r for r in self.mapping.rules if not gone.intersection((*r.source, *r.target)))
    self.mapping = dataclasses.replace(self.mapping, rules=(*kept, *holes))
    try:
      self._plan = make_plan(leaves, targets, self.mapping)
    except MigrateError as error:
      raise MigrateError(*(loose.findings[:_SHOWN] or error.findings)) from error
    carried = sum(len(entry.sources) for entry in self._plan.entries if entry.fate not in ("drop", "fresh", "copy"))
    return carried, tuple(show(p) for p in loose.unmapped), tuple(show(p) for p in loose.unfilled)

  def fill(self, variables: Mapping[str, Any], model: Any) -> Any:
    """See `migrate.verify.nnx_side.Bridge`."""
    return to_nnx(variables, model, self.mapping)

  def back(self, model: Any) -> Mapping[str, Any]:
    """See `migrate.verify.nnx_side.Bridge`."""
    values = {path: v.get_value() for path, v in variable_leaves(model).items()}
    return nest(dict(translate(self._plan.inverse(), values)))

  def fill_optimizer(self, opt_state: Any, optimizer: Any, step: int) -> Any:
    """See `migrate.verify.training.OptimizerBridge`."""
    # what joins change is for the comparison to tell
    return optimizer_to_nnx(opt_state, optimizer, self.mapping, step=step, allow_optimizer_change=True)

  def optimizer_back(self, optimizer: Any, opt_state: Any) -> Any:
    """See `migrate.verify.training.OptimizerBridge`."""
    return optimizer_to_linen(optimizer, opt_state, self.mapping)

  def pairs(self) -> dict[tuple[str, ...], tuple[str, ...]]:
    """Linen module path -> NNX attribute path, of the modules that hold exactly the same leaves."""
    from migrate.verify.modules import pair_modules

    named = lambda leaves: tuple(tuple(map(str, leaf.path)) for leaf in leaves)
    moved = [e for e in self._plan.entries if e.fate in ("same", "move")]
    entries = [(tuple(p[1:] for p in named(e.sources)), named(e.targets)) for e in moved]
    return pair_modules(entries, self.mapping.metadata.get("modules"))


def _literal(path: Sequence[str | int]) -> tuple[str | int, ...]:
  """A path as a pattern that matches just itself."""
  return tuple(p.replace("{", "{{").replace("}", "}}") if isinstance(p, str) else p for p in path)
