"""Lambdas without parameters that make a layer and that a field holds: `Block(norm=lambda: nn.LayerNorm())`.

Whoever holds one makes the layer, so the lambda takes the layer's sizes and `rngs`:
`norm=lambda num_features, *, rngs: nnx.LayerNorm(num_features, rngs=rngs)`.
"""

from __future__ import annotations

import ast
import dataclasses
from typing import TYPE_CHECKING, Any

from migrate.codemod.maker_nodes import Definition, find_definition
from migrate.codemod.project import ClassInfo, Project
from migrate.codemod.source import Source

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


def holder(project: Project, source: Source, node: Definition | None) -> ClassInfo | None:
  """The class whose method hands such a lambda to a constructor, or whose field has it by default; None for others.

  The lambda reads of the module only fields: `__init__` knows them.
  """
  if not isinstance(node, ast.Lambda) or any(isinstance(c, ast.arg) for c in ast.walk(node.args)):
    return None
  above = source.parents.get(node)
  call = source.parents.get(above) if isinstance(above, ast.keyword) else above
  around = [n for n in source.enclosing(node) if isinstance(n, ast.FunctionDef | ast.ClassDef | ast.Lambda)]
  info = next((i for i in project.classes.values() if i.source is source and i.node in around), None)
  if info is None or around[-1] is not info.node:
    return None
  method = around[0] if isinstance(around[0], ast.FunctionDef) and len(around) == 2 else None
  if method is None and not (around[0] is info.node and isinstance(above, ast.AnnAssign)):
    return None
  if method is not None and not isinstance(call, ast.Call):
    return None
  own = method.args.args[0].arg if method is not None and method.args.args else ""
  fields = {n.target.id for n in info.node.body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)}
  for name in [n for n in ast.walk(node.body) if isinstance(n, ast.Name)]:
    read = source.parents.get(name)
    if name.id == own and not (isinstance(read, ast.Attribute) and read.attr in fields):
      return None
  return info


def captured(source: Source, node: Definition) -> set[str]:
  """Locals of the method around a lambda that it reads."""
  method = next((n for n in source.enclosing(node) if isinstance(n, ast.FunctionDef)), None)
  if method is None:
    return set()
  bound = {a.arg for a in ast.walk(method.args) if isinstance(a, ast.arg)} - {a.arg for a in method.args.args[:1]}
  bound |= {n.id for n in ast.walk(method) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
  return bound & {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


@dataclasses.dataclass(frozen=True)
class Idle:
  """A function that stands beside layers' classes and makes nothing."""

  text: str


def is_layer(unit: Unit, value: ast.AST) -> bool:
  """Whether an expression is a class of layers, or a partial of one."""
  made = value.args[0] if isinstance(value, ast.Call) and value.args else value
  full = unit.resolve(made) if isinstance(made, ast.Name | ast.Attribute) else None
  return full is not None and full in unit.project.layers


def _idle(unit: Unit, node: ast.Lambda) -> str | None:
  """What `lambda: lambda x: x` gives where another choice is a class of layers; None for any other lambda."""
  inner = node.body
  if not isinstance(inner, ast.Lambda) or any(isinstance(n, ast.arg) for n in ast.walk(node.args)):
    return None
  own = {a.arg for a in ast.walk(inner.args) if isinstance(a, ast.arg)}
  if not {n.id for n in ast.walk(inner) if isinstance(n, ast.Name)} <= own:
    return None
  return unit.source.code(inner) if any(is_layer(unit, v) for v in _choices(unit.source, node)) else None


def _choices(source: Source, node: ast.Lambda) -> list[ast.expr]:
  """What may stand where a lambda does: the values of its table, of its name, of its function."""
  above = source.parents.get(node)
  if isinstance(above, ast.Dict):
    return above.values
  if isinstance(above, ast.IfExp):
    return [above.body, above.orelse]
  method = next((n for n in source.enclosing(node) if isinstance(n, ast.FunctionDef)), None)
  inside = list(ast.walk(method)) if method is not None else []
  if isinstance(above, ast.Return):
    return [n.value for n in inside if isinstance(n, ast.Return) and n.value is not None]
  if not isinstance(above, ast.Assign) or not isinstance(above.targets[0], ast.Name):
    return []
  same = [n for n in inside if isinstance(n, ast.Assign) and ast.dump(n.targets[0]) == ast.dump(above.targets[0])]
  return [n.value for n in same]


def given_lambda(unit: Unit, node: ast.AST) -> Any:
  """The new text of a lambda that whoever holds it gives sizes and `rngs`, as a `Maker` has it; None for any other expression."""
  if isinstance(node, ast.Lambda) and (body := _idle(unit, node)) is not None:
    return Idle(f"lambda *args, **kwargs: {body}")
  if not isinstance(node, ast.Lambda) or unit.makers is None or unit.no_sites:
    return None
  if holder(unit.project, unit.source, node) is None:
    return None
  if any(unit.env.get(n) is None or unit.env[n].kind not in ("static", "size") for n in captured(unit.source, node)):
    return None  # only a call knows what it reads
  maker = unit.makers.at(unit, *_place(unit, node))
  if maker is not None:
    unit.imports |= maker.imports
    unit.templates |= maker.templates
  return maker


def _place(unit: Unit, node: ast.Lambda) -> tuple[str, str, int]:
  """File, name and line by which a trace knows a lambda; no example comes to one without a name."""
  for (file, qualname), runs in unit.project.activations.items():
    if file == unit.source.path and qualname.rpartition(".")[2] == "<lambda>":
      for line in {r.line for r in runs}:
        if find_definition(unit.source, "<lambda>", line) is node:
          return file, qualname, line
  return unit.source.path, "<lambda>", node.lineno
