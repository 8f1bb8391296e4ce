"""Classes that no example runs: those that stay Linen, and those that were rewritten by reading alone."""

from __future__ import annotations

import ast
import builtins
import sys
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flax import linen as nn

from migrate.codemod.imports_uses import bound_names, read_names
from migrate.codemod.project import ClassInfo, Project
from migrate.codemod.results import ClassResult
from migrate.codemod.site import follow_name
from migrate.codemod.source import dotted
from migrate.codemod.static import NotStatic
from migrate.core.report import Finding, MigrateError

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

SHOWN = 6  # names in one finding


def stays_linen(unit: Unit, node: ast.Call) -> str | None:
  """Why a call that no example reaches makes a module of Linen, or None where it does not.

  Args:
    unit: the class whose method is written.
    node: the call.
  """
  if unit.events(node):
    return None
  full = unit.untraced_callee(node.func)
  if full is None and _may_make_a_layer(unit, node):
    return f"`{ast.unparse(node.func)}`, which no example gives, may make a layer, and NNX makes layers in `__init__`"
  cls = follow_name(full) if full is not None else None
  if not isinstance(cls, type) or not issubclass(cls, nn.Module) or cls.__module__.startswith("flax."):
    return None
  if cls in unit.project.stays:
    return f"{cls.__qualname__}, which no example runs, stays a class of Linen ({unit.project.stays[cls]})"
  if cls not in unit.project.classes:
    return f"{cls.__module__}.{cls.__qualname__} stays a class of Linen: it is in no included package"
  return None


def _may_make_a_layer(unit: Unit, node: ast.Call) -> bool:
  """Whether what a field or a local holds is called as a class of layers is: `self.stem(name="stem")(x)`."""
  parent = unit.source.parents.get(node)
  if not isinstance(parent, ast.Call) or parent.func is not node:
    return False
  named = any(k.arg == "name" for k in node.keywords)
  field = isinstance(node.func, ast.Attribute) and dotted(node.func.value) == unit.self_name
  if field and isinstance(node.func, ast.Attribute) and node.func.attr in unit.field_names:
    return all(getattr(m, node.func.attr, None) is None for m in _instances(unit))
  return named and isinstance(node.func, ast.Name) and unit.resolve(node.func) is None


def _instances(unit: Unit) -> list[nn.Module]:
  return [c.module for f in unit.project.facts for c in f.calls if isinstance(c.module, unit.info.cls)]


def reason(error: Exception) -> str:
  """What a class could not be rewritten for, in short."""
  if isinstance(error, MigrateError):
    return error.findings[0].found
  return (
    f"`{error}` is known only in a call"
    if isinstance(error, NotStatic)
    else f"{type(error).__name__} while it was read"
  )


def unbound_name(unit: Unit, result: ClassResult) -> str | None:
  """A name that the `__init__` of a class reads and nothing binds; no run of it would tell."""
  tree = ast.parse(textwrap.dedent(result.text))
  init = next((n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
  if init is None:
    return None
  known = {
    *dir(builtins),
    *vars(sys.modules.get(unit.info.module, builtins)),
    *unit.names.imported,
    *unit.names.defined,
  }
  known |= bound_names(ast.parse("\n".join(result.imports)).body) | bound_names(tree.body)
  # what stands in the class, for annotations and defaults, and in the function that makes it
  known |= {n for c in tree.body if isinstance(c, ast.ClassDef) for n in bound_names(c.body)}
  around = [n for n in unit.own_source.enclosing(unit.info.node) if isinstance(n, ast.FunctionDef)]
  known |= {
    n for f in around for n in [*bound_names(f.body), *(a.arg for a in ast.walk(f.args) if isinstance(a, ast.arg))]
  }
  return min(read_names([init]) - known, default=None)


def tell_unbound_name(unit: Unit, name: str, leave: bool) -> None:
  """What to do about such a name: another try, or leaving the class; else a finding, since the example's own way runs.

  Raises:
    NotStatic: to `leave` the class for now.
  """
  if leave:
    raise NotStatic(name)
  unit.note(Finding(unit.where(unit.info.node), f"{unit.info.name}: where no example comes, `__init__` reads `{name}`, which nothing there gives a value",
                    "a value that construction knows", "write that branch by hand, or give an example that reaches it", "eye",
                    "L2N103"))  # fmt: skip


def by_reading(project: Project, infos: Iterable[ClassInfo]) -> list[Finding]:
  """What to tell of classes that were rewritten and that no example runs, one finding for all of them.

  Args:
    project: what the examples reached.
    infos: the classes that were rewritten.
  """
  ran = {type(c.module) for f in project.facts for c in f.calls} | project.reached
  bases = {b for cls in ran for b in cls.__mro__}
  found = [i for i in infos if i.cls not in bases]
  if not found:
    return []
  more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
  said = ", ".join(i.name for i in found[:SHOWN]) + more
  what = "class that no example runs, rewritten" if len(found) == 1 else "classes that no example runs, rewritten"
  return [
    Finding(
      f"{found[0].file}:{found[0].node.lineno}",
      f"{what} by reading alone: {said}",
      "a proof of what is written",
      "give an example that runs it, or read it before you use it",
      "note",
      "L2N122",
    )
  ]
