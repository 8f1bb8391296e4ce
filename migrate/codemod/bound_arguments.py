"""Arguments of functions that make layers, as the functions see them.

A partial that a call hands over leaves to the layers' calls what `__init__` does not know: `norm = partial(nn.BatchNorm,
use_running_average=not train)`, then `self.block(x, norm)`. The method takes `use_running_average` then.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

from migrate.codemod.closures import Helper
from migrate.codemod.mixed_partials import EVERY
from migrate.codemod.scope import Local
from migrate.codemod.source import dotted

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


def bound_argument(unit: Unit, name: str, value: ast.expr | None) -> Local:
  """What a parameter stands for where a call gives it `value`; None where neither the call nor a default does."""
  if value is None:
    return Local("dynamic")
  if unit.array_events(value):
    return Local("array", value, unit.dims(value))
  local = unit.env.get(value.id) if isinstance(value, ast.Name) else None
  if local is not None and local.kind in ("site", "modules"):
    return local
  static = unit.try_static(value)
  if static is not None and static == name:
    return Local("static", value, residue=unit.residue_of(value))
  if static is not None:
    return Local("size", value, target=[static], residue=unit.residue_of(value))
  return Local("dynamic", value)


def hand_over(
  unit: Unit, node: ast.Call, helper: Helper, env: dict[str, Local], parameters: Sequence[str]
) -> list[str]:
  """Makes what the given partials leave to the layers' calls arguments of the function; returns those of this call.

  Raises:
    MigrateError: the calls of one function leave different things to it.
  """
  if helper.kind == "closure":
    return []  # it reads the names of the method around it
  left = {(name, field): text for name in parameters for field, text in env[name].residue.items()}
  if helper.left is None:
    helper.left = _named(helper, left)
  if set(left) != set(helper.left):
    raise unit.refusal(node, f"{dotted(node.func)} is called with partials that leave different arguments to it",
                       "partials of the same fields, given as keywords, in all calls", "give them in every call")  # fmt: skip
  for name in parameters:
    env[name].residue = {field: helper.left[name, field] for field in env[name].residue}
  given = {helper.left[place]: text for place, text in left.items()}
  return [f"{name}={text}" for name, text in given.items()]


def _named(helper: Helper, left: dict[tuple[str, str], str]) -> dict[tuple[str, str], str]:
  """Names of the new parameters: the field's, with the partial's before it where two would be one."""
  taken = {n.id for n in ast.walk(helper.node) if isinstance(n, ast.Name)}
  taken |= {a.arg for a in ast.walk(helper.node) if isinstance(a, ast.arg)}
  shared = {field for _, field in left if len({t for (_, f), t in left.items() if f == field}) > 1}
  taken |= {EVERY}
  spelled = {EVERY: "arguments"}
  return {(p, f): f"{p}_{spelled.get(f, f)}" if f in taken | shared else f for p, f in left}
