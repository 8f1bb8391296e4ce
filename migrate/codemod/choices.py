"""Classes of layers that `setup` chooses among by name, where each needs sizes of its own.

`block = CrossBlock` under one condition and `block = Block` under another: the call `block(...)` is the same for both, so
what only one of them needs goes to where it is chosen: `block = functools.partial(CrossBlock, context_features=...)`.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from migrate.codemod.remarks import layout_call
from migrate.codemod.site import Site, follow_name
from migrate.codemod.source import dotted
from migrate.core.report import Finding

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

_CHOICE = re.compile(r"CHOICE__(\d+)__")


def choice(unit: Unit, node: ast.stmt) -> str | None:
  """A placeholder for the class that a statement of `setup` chooses; None where it chooses none, or none that differs."""
  if not isinstance(node, ast.Assign) or len(node.targets) != 1 or not isinstance(node.targets[0], ast.Name):
    return None
  name = node.targets[0].id
  classes = _chosen(unit, name, node)
  own = _class_named(unit, node.value)
  if own is None or not _differ(unit, classes):
    return None
  unit.choices.append((name, own, unit.static(node.value)))
  return f"CHOICE__{len(unit.choices) - 1}__"


def chosen_sizes(unit: Unit, site: Site) -> set[str]:
  """Names of a site's sizes that the chosen class was given where it was chosen."""
  name = site.node.func.id if isinstance(site.node.func, ast.Name) else ""
  classes = [cls for n, cls, _ in unit.choices if n == name]
  if not classes or site not in unit.setup_sites:
    return set()
  sizes = [{s.name for s in unit.project_sizes(c)} for c in classes]
  return set.union(*sizes) - set.intersection(*sizes)


def is_choice(unit: Unit, site: Site) -> bool:
  """Whether a site calls a class that was chosen: sizes go by name, since their places differ."""
  return bool(chosen_sizes(unit, site))


def fill_choices(unit: Unit, line: str, indent: str) -> str:
  """A line with the chosen classes written out, with the sizes that only they need."""

  def fill(match: re.Match[str]) -> str:
    name, cls, text = unit.choices[int(match.group(1))]
    sizes: list[str] | None = None
    sites = [s for s in unit.setup_sites if isinstance(s.node.func, ast.Name) and s.node.func.id == name]
    for site in sorted(sites, key=lambda s: not _is_called(s)):
      unit.settle(site, None)
      names = chosen_sizes(unit, site) & {s.name for s in unit.project_sizes(cls)}
      own = [f"{n.parameter}={site.texts[n.parameter]}" for n in site.needs if n.parameter in names]
      if sizes is not None and sizes != own:
        if not _is_called(site):
          unit.note(Finding(unit.where(site.node), f"no example calls this {name}, and other calls tell other sizes of {cls.__name__}",
                            "sizes of what it is called with", "those of the other calls were written: check them", "eye",
                            "L2N104"))  # fmt: skip
          continue
        several = ", ".join(s.partition("=")[0] for s in own)
        raise unit.refusal(site.node, f"{name}, which is {cls.__name__} or a class without {several}, and not every call has the same",
                           "classes that take the same sizes", "call each class by its own name")  # fmt: skip
      sizes = own
    if not sizes:
      return text
    unit.need_import("import functools")
    return layout_call("functools.partial", [text, *sizes], indent, 90)

  return _CHOICE.sub(fill, line)


def _is_called(site: Site) -> bool:
  return any(value is not None for need in site.needs for value in need.values)


def _chosen(unit: Unit, name: str, node: ast.stmt) -> list[type]:
  """The classes that `setup` gives a name, where it does nothing with it but call it."""
  setup = next((n for n in unit.source.enclosing(node) if isinstance(n, ast.FunctionDef)), None)
  found: list[type] = []
  for inner in ast.walk(setup) if setup is not None else ():
    if isinstance(inner, ast.Name) and inner.id == name and isinstance(inner.ctx, ast.Load):
      call = unit.source.parents.get(inner)
      if not isinstance(call, ast.Call) or call.func is not inner:
        return []
    if isinstance(inner, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in inner.targets):
      cls = _class_named(unit, inner.value)
      if cls is None:
        return []
      found.append(cls)
  return found


def named_under_same_test(unit: Unit, function: ast.Name) -> str | None:
  """The full name of the class that a local is given under the conditions of a call that no example reaches.

  `if kind == "mlp": net = MLP` and `elif kind == "simba": net = SimBa`, and the calls under the same two tests.
  """
  here = _tests_around(unit, function)
  method = next((n for n in unit.source.enclosing(function) if isinstance(n, ast.FunctionDef)), None)
  given = [
    n.value
    for n in ast.walk(method or function)
    if isinstance(n, ast.Assign) and n.lineno < function.lineno and [dotted(t) for t in n.targets] == [function.id]
    and (tests := _tests_around(unit, n)) and tests <= here
  ]  # fmt: skip
  return unit.resolve(given[-1]) if given and isinstance(given[-1], ast.Name | ast.Attribute) else None


def _tests_around(unit: Unit, node: ast.AST) -> set[tuple[str, bool]]:
  """The tests of the `if` around a node in its function, each with whether it holds there."""
  found: set[tuple[str, bool]] = set()
  for outer in unit.source.enclosing(node):
    if isinstance(outer, ast.FunctionDef):
      break
    if isinstance(outer, ast.If) and node is not outer.test:
      found.add((ast.dump(outer.test), node in outer.body))
    node = outer
  return found


def _class_named(unit: Unit, node: ast.expr) -> type | None:
  full = unit.resolve(node) if isinstance(node, ast.Name | ast.Attribute) else None
  if full is None:
    return None
  return next(
    (c for c, i in unit.project.classes.items() if f"{i.module}.{i.name}" == full or follow_name(full) is c), None
  )


def _differ(unit: Unit, classes: list[type]) -> bool:
  return len({tuple(s.name for s in unit.project_sizes(c)) for c in classes}) > 1
