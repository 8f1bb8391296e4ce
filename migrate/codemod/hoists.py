"""Constructor arguments for what nothing else tells."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from migrate.codemod.handed_values import handed_function, handed_value
from migrate.codemod.scope import Stmt
from migrate.codemod.site import InstanceKey, Site, SizeArg
from migrate.codemod.static import NotStatic
from migrate.trace.facts import Activation

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


class Hoists:
  """Hoisted arguments, mixed into `Unit` as a part of `SiteSizes`."""

  def hoist(self: Unit, site: Site, what: str, values: list[Any], wished: str = "") -> str:
    """Makes an argument of the constructor for what nothing else gives."""
    if self.in_factory is not None:
      return self.factory_size(site, what, values)
    owner = (site.attr or self.suggest(site.node)).lstrip("_")
    base = what if what.startswith(f"{owner}_") else f"{owner}_{what}"  # `lstm_cell_features` of `lstm` as it is
    if wished and wished not in self.field_names:
      base = wished
    name, i = base, 1
    while name in self.hoists or name in self.used_arguments:
      i += 1
      name = f"{base}_{i}"
    self._same_in_every_call(site, what, values)
    by_instance: dict[InstanceKey, list[Any]] = {}
    for (activation, _, _), value in zip(site.made, values, strict=True):
      runs = by_instance.setdefault(self.owner_key(activation), [])
      runs.append((self._run_of(activation).number, value))
    settled: dict[InstanceKey, Any] = {}
    several = False
    for instance, runs in by_instance.items():
      first = runs[0][0]
      sequence = [v for n, v in runs if n == first]
      if any(v is None for v in sequence):
        longer = [v for _, v in runs if v is not None]
        sequence = [longer[0] if longer else None] if len(sequence) == 1 else sequence
      if len(set(map(repr, sequence))) > 1:
        several = True
      settled[instance] = tuple(sequence)
    for instance, sequence in settled.items():
      settled[instance] = sequence if several else sequence[0]
    same = [
      n
      for n, h in self.hoists.items()
      if h.values == settled and ((n.endswith(f"_{what}") and site.record is not None) or n == wished)
    ]
    name = same[0] if same and not several else name
    self.hoists[name] = SizeArg(name, None, 0, "", settled)
    if several and not site.looped and site in self.setup_sites:
      self.size_iterators.append(name)
      return f"next({name}_iter)"
    loop = self.loops[-1] if self.loops else None
    if several and not site.looped and loop is not None and loop.node is not None and site not in self.setup_sites:
      if len(self.loops) == 1 and loop.index is not None and not loop.conditional:  # one layer a round
        return f"{name}[{loop.index}]"
      self.loops[0].before.append(Stmt(lambda: f"{name}_iter = iter({name})", keep=True))
      return f"next({name}_iter)"
    if not several or not site.looped:
      return name
    if self.iterator:  # the list holds other layers too
      self.block_for_lists().insert(0, Stmt(lambda: f"{name}_iter = iter({name})", keep=True))
      return f"next({name}_iter)"
    if loop is not None and loop.dynamic and loop.item is None:
      taken = {*self.hoists, *self.used_arguments, *self.env}
      loop.item = (next(n for n in ("size", f"{base}_item") if n not in taken), name)
      return loop.item[0]
    if loop is not None and not loop.dynamic and self.counted(loop):
      return f"{name}[{loop.index}]"
    return f"{name}[len(self.{site.attr})]"

  def _same_in_every_call(self: Unit, site: Site, what: str, values: list[Any]) -> None:
    """Raises MigrateError where a later call of an instance made the layer with something else: NNX makes it once."""
    calls: dict[InstanceKey, dict[int, list[Any]]] = {}
    for (activation, _, _), value in zip(site.made, values, strict=True):
      runs = calls.setdefault(self.owner_key(activation), {})
      while activation.parent is not None and activation.parent.module is activation.module:
        activation = activation.parent  # a method that the call runs several times
      runs.setdefault(activation.number, []).append(value)
    for first, *others in (list(runs.values()) for runs in calls.values()):
      for later in (o for o in others if len(o) == len(first)):
        for one, other in zip(first, later, strict=True):
          if one is not None and other is not None and repr(one) != repr(other):
            raise self.refusal(site.node, f"`{what}` differs between the calls of one module: {one!r}, then {other!r}",
                               "a layer that is made once", "make a module for each, or give it in the call")  # fmt: skip

  def function_handed_over(self: Unit, node: ast.Name) -> str | None:
    """An argument of the constructor for a function that calls hand over, or a value where construction asks for it."""
    return handed_value(self, node) if self.hands_over else handed_function(self, self, node)

  def static_handed(self: Unit, node: ast.AST, bound: frozenset[str] = frozenset()) -> str | None:
    """As `try_static`, over arguments of the call as well, which become the constructor's.

    Only for what makes a layer: where any expression that `__init__` takes over asked for them, flags such as `train` would
    become arguments of the constructor.
    """
    before, self.hands_over = self.hands_over, True
    try:
      return self.static(node, bound)
    except NotStatic:
      return None
    finally:
      self.hands_over = before

  def _run_of(self: Unit, activation: Activation) -> Activation:
    """The run of the method in which a layer-making function, or one inside the method, ran."""
    while activation.parent is not None and (
      "<locals>" in activation.qualname
      or "." not in activation.qualname
      or (self.iterator and activation.qualname.rpartition(".")[2] != self.method)
    ):
      activation = activation.parent
    return activation
