"""Whether a call gives an argument (`if context is not None: ...`): where layers depend on it, `__init__` takes a flag.

What makes the module writes the flag from the call itself: an argument that stands there is given.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from migrate.codemod.site import InstanceKey, Need, Site, SizeArg

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


def asked_for(unit: Unit, test: ast.AST) -> str:
  """The argument of which a condition asks whether it is given; empty for other conditions."""
  if isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.IsNot) and isinstance(test.left, ast.Name):
    known = test.left.id in unit.parameters and ast.unparse(test.comparators[0]) == "None"
    return test.left.id if known and len(test.ops) == 1 else ""
  return ""


def flag(unit: Unit, parameter: str, values: dict[InstanceKey, Any]) -> str | None:
  """The constructor's flag for a call argument; None where its name is taken by something else."""
  name = f"has_{parameter}"
  known = unit.hoists.get(name)
  if known is None and name not in unit.used and name not in unit.field_names and name not in unit.parameters:
    unit.hoists[name] = SizeArg(name, parameter, 0, unit.method or "__call__", dict(values))
    return name
  if known is None or known.parameter != parameter or any(known.values.get(k, v) != v for k, v in values.items()):
    return None
  known.values.update(values)
  return name


def is_flag(need: Need) -> bool:
  """Whether a need is such a flag of the class that is made."""
  return need.axis == 0 and need.parameter == f"has_{need.call_parameter}"


def flag_text(unit: Unit, site: Site, need: Need, call: ast.Call) -> str | None:
  """What a call of the module tells of the flag, if `__init__` can say it."""
  wanted = {v for v in need.values if v is not None}
  given = unit.argument(call, site, need.call_parameter)
  if given is None or (isinstance(given, ast.Constant) and given.value is None):
    return "False" if wanted == {False} else None
  if isinstance(given, ast.Name) and given.id in unit.parameters and given.id != unit.self_name:
    values: dict[InstanceKey, Any] = {}
    for (activation, _, _), value in zip(site.made, need.values, strict=True):
      if value is not None and values.setdefault(unit.owner_key(activation), value) != value:
        return None
    if {e.value is not None for e in unit.events(given)} == {True} and not _may_be_none(unit, given.id):
      return "True" if wanted == {True} else None
    return flag(unit, given.id, values)
  seen = {e.value is not None for e in unit.events(given)}
  return repr(seen.pop()) if len(seen) == 1 and seen == wanted else None


def _may_be_none(unit: Unit, name: str) -> bool:
  """Whether an argument of the method has a default, or says that it may be None."""
  method = unit.info.methods.get(unit.method)
  if method is None:
    return True
  plain = [*method.args.posonlyargs, *method.args.args]
  optional = {a.arg for a in plain[len(plain) - len(method.args.defaults) :]} if method.args.defaults else set()
  optional |= {a.arg for a, d in zip(method.args.kwonlyargs, method.args.kw_defaults, strict=True) if d is not None}
  hints = {a.arg: ast.unparse(a.annotation) for a in ast.walk(method.args) if isinstance(a, ast.arg) and a.annotation}
  return name in optional or "None" in hints.get(name, "") or "Optional" in hints.get(name, "")
