"""Sizes of layers that one comprehension makes, each taking what the one before gives.

`nn.Sequential([nn.Dense(n) for n in self.widths])` has a size for every layer, and nothing in the comprehension names it:

    net_in_features = [in_features, *self.widths]
    net_in_features_iter = iter(net_in_features)
"""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
import itertools
from typing import TYPE_CHECKING, Any

from flax import linen as nn

from migrate.codemod.site import Chain, Site
from migrate.codemod.source import names_in
from migrate.codemod.static import NotStatic
from migrate.trace.facts import ArraySpec

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

_REPEATED = (ast.For, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Rows:
  """Such sizes, mixed into `Unit` as a part of `SiteSizes`."""

  def _in_row(self: Unit, site: Site, values: list[Any]) -> str | None:
    """The next of the sizes that a comprehension goes through; None where its layers are no row."""
    if site.chain is not None and site.chain.row:
      return f"next({site.chain.row}_iter)" if site.chain.values == values else None
    comprehension = self._own_comprehension(site)
    runs = self._rounds_of(site, values, self._is_sequential(comprehension)) if comprehension is not None else None
    step = site.arguments.get("features") or self._step_of(site) if runs else None
    if comprehension is None or runs is None or step is None:
      return None
    generator = comprehension.generators[0]
    try:
      iterable = self.static(generator.iter)
    except NotStatic:
      return None
    inner = {n.id for n in ast.walk(generator.target) if isinstance(n, ast.Name)}
    if inner & names_in(iterable) or "SIZE__" in step + iterable:
      return None
    head = Site(site.attr, site.node, [(r[0][0], 0, r[0][1]) for r in runs], site.record)
    firsts = [r[0][2] for r in runs]
    start = next((c for c in self.chain_starts([r[0] for r in runs]) if self.readable_at(site, c)), None)
    owned = self.matches([(r[0][0].module, r[0][2]) for r in runs if r[0][0].module is not None])
    start = start or (owned[0][1] if owned and owned[0][0] >= 2 else None) or self._recent(head, firsts)
    start = start or self._after_chain(head, firsts, site) or self.hoist(head, "in_features", firsts)
    name = f"{site.attr or 'layer'}_in_features"
    if name in {start, *self.hoists, *self.env}:
      name = f"{name}_of_each"
    target = self.source.code(generator.target)
    each = iterable if step == target else f"({step} for {target} in {iterable})"
    text = f"[{start}, *{each}]"
    site.chain = Chain(f"{name}[-1]", text, step, values, row=name)
    self.bound_names = self.bound_names | {name, site.chain.name}
    return f"next({name}_iter)"

  def _own_comprehension(self: Unit, site: Site) -> ast.ListComp | ast.GeneratorExp | None:
    """The comprehension of one `for` whose element the layer is, where `__init__` keeps it as it is."""
    around = self.source.parents.get(site.node)
    if not isinstance(around, ast.ListComp | ast.GeneratorExp) or around.elt is not site.node:
      return None
    kept = site in self.setup_sites and all(site is not made for made, *_ in self.comprehensions)
    if any(isinstance(n, _REPEATED) for n in self.source.enclosing(around)):
      return None
    single = len(around.generators) == 1 and not around.generators[0].ifs
    return around if kept and single and self.in_factory is None else None

  def _is_sequential(self: Unit, comprehension: ast.AST) -> bool:
    """Whether the layers are called one after another, however many there are."""
    around = itertools.takewhile(lambda n: not isinstance(n, ast.stmt), self.source.enclosing(comprehension))
    calls = [n for n in around if isinstance(n, ast.Call)]
    made = [e.value for e in self.events(calls[0])] if calls else []
    return bool(made) and all(type(m) is nn.Sequential for m in made)

  def _rounds_of(self: Unit, site: Site, values: list[Any], row: bool) -> list[list[tuple[Any, Any, Any]]] | None:
    """(activation, module, size) of every round, by run; None unless each layer takes what the one before gives."""
    runs: dict[int, list[tuple[Any, Any, Any]]] = {}
    gives: dict[int, list[Any]] = {}
    for (activation, _, module), value in zip(site.made, values, strict=True):
      outputs = [c.output for c in self.project.calls_of(module) if isinstance(c.output, ArraySpec) and c.output.shape]
      runs.setdefault(id(activation), []).append((activation, module, value))
      gives.setdefault(id(activation), []).append(outputs[0].shape[-1] if outputs else None)
    for run, outputs in zip(runs.values(), gives.values(), strict=True):
      if any(type(v) is not int for _, _, v in run) or any(
        later[2] != output for (_, later), output in zip(itertools.pairwise(run), outputs, strict=False)
      ):
        return None
    differ = any(len({v for _, _, v in r}) > 1 for r in runs.values())
    alone = row and all(
      len(r) == 1 and o[0] not in (None, r[0][2]) for r, o in zip(runs.values(), gives.values(), strict=True)
    )
    return list(runs.values()) if differ or alone else None
