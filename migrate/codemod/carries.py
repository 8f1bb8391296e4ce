"""Initial carries of recurrent cells that are made for nothing else: `nn.GRUCell(8).initialize_carry(key, shape)`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from migrate.codemod.source import dotted
from migrate.codemod.unpacked import unpacked_items
from migrate.core.declare import LayerMapping
from migrate.core.report import Finding

if TYPE_CHECKING:
  from migrate.codemod.site import Site
  from migrate.codemod.unit import Unit


def free_carry(unit: Unit, node: ast.Call) -> str | None:
  """The carry itself, which is zeros: an NNX cell would make parameters. None for any other call.

  Args:
    unit: the class being rewritten.
    node: a call.
  """
  function = node.func
  if not isinstance(function, ast.Attribute) or function.attr != "initialize_carry":
    return None
  arguments = unpacked_items(unit.source, node.args)
  made: ast.AST | None = function.value
  if isinstance(made, ast.Name):
    made = _made_for_carry(unit, made)
  record = _cell(unit, made)
  if record is None or not isinstance(made, ast.Call):
    return None
  if len(arguments) > 2 or any(isinstance(a, ast.Starred) for a in [*arguments, *made.args]):
    return None
  fields = dict(zip(record.positional, made.args, strict=False)) | {k.arg: k.value for k in made.keywords}
  given = dict(zip(("rng", "input_shape"), arguments, strict=False)) | {k.arg: k.value for k in node.keywords}
  features, shape = fields.get("features"), given.get("input_shape")
  if features is None or shape is None or "carry_init" in fields or None in fields or None in given:
    return None
  if isinstance(shape, ast.Tuple) and shape.elts and not isinstance(shape.elts[-1], ast.Starred):
    before = [f"*{unit.text(e.value)}" if isinstance(e, ast.Starred) else unit.text(e) for e in shape.elts[:-1]]
    sizes = [*before, unit.text(features)]
  else:
    whole = unit.text(shape)
    sizes = [f"*{whole if _is_atom(shape) else f'({whole})'}[:-1]", unit.text(features)]
  zeros = f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"
  if "param_dtype" in fields:
    zeros += f", {unit.text(fields['param_dtype'])}"
  return unit.template(record.carry.replace("{zeros}", f"jnp.zeros({zeros})"))


def made_for_carry(unit: Unit, node: ast.Call) -> bool:
  """Whether a construction is the cell of such a carry: `nn.GRUCell(8)` of `nn.GRUCell(8).initialize_carry(...)`."""
  attribute = unit.source.parents.get(node)
  call = unit.source.parents.get(attribute) if isinstance(attribute, ast.Attribute) else None
  return isinstance(call, ast.Call) and call.func is attribute and free_carry(unit, call) is not None


def made_alike(unit: Unit, node: ast.Call) -> Site | None:
  """The layer made alike before, for a construction of which only an unwrapped method is asked; None for any other.

  `Stack(depth=2).initialize_carry(key, shape)` in a method that Linen leaves alone: the module has no parameters there.
  """
  attribute = unit.source.parents.get(node)
  call = unit.source.parents.get(attribute) if isinstance(attribute, ast.Attribute) else None
  if not isinstance(attribute, ast.Attribute) or not isinstance(call, ast.Call) or call.func is not attribute:
    return None
  classes = [type(m) for _, _, m in unit.made_at(node)] or unit.untraced_class(node)
  if unit.loops or not classes or not all(getattr(getattr(c, attribute.attr, None), "nowrap", False) for c in classes):
    return None
  wanted = what_is_made(node)
  alike = [s for n, s in unit.sites.items() if isinstance(n, ast.Call) and not s.looped and what_is_made(n) == wanted]
  return next((s for s in alike if s.statement in unit.block), None)  # made whatever the fields are


def what_is_made(node: ast.Call) -> tuple[str, list[str]]:
  """What is made, and of what, whatever its name."""
  keywords = [k for k in node.keywords if k.arg not in ("name", "parent")]
  return ast.dump(node.func), [*map(ast.dump, node.args), *sorted(map(ast.dump, keywords))]


def only_for_carry(unit: Unit, statement: ast.stmt) -> bool:
  """Whether a statement names a cell of which nothing but `initialize_carry` is asked."""
  if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
    return False
  target = statement.targets[0]
  if not isinstance(target, ast.Name) or _cell(unit, statement.value) is None:
    return False
  uses = _uses(unit, target)
  return bool(uses) and all(free_carry(unit, call) is not None for call in uses)


def _cell(unit: Unit, made: ast.AST | None) -> LayerMapping | None:
  if not isinstance(made, ast.Call):
    return None
  full = unit.resolve(made.func)
  record = unit.project.layers.get(full) if full is not None else _cell_in_field(unit, made)
  return record if record is not None and record.carry else None


def _cell_in_field(unit: Unit, made: ast.Call) -> LayerMapping | None:
  """The cell that `self.cell_type(...)` made every time."""
  if not isinstance(made.func, ast.Attribute) or dotted(made.func.value) != unit.self_name:
    return None
  records = [unit.project.record(type(m)) for _, _, m in unit.made_at(made)]
  record = records[0] if records and all(r is records[0] for r in records) else None
  if record is not None:
    unit.note(Finding(unit.where(made), f"`{unit.source.code(made.func)}` was {record.linen} wherever an example came",
                      "one cell", "change the carry where it is another", "note", "L2N114"))  # fmt: skip
  return record


def _made_for_carry(unit: Unit, name: ast.Name) -> ast.AST | None:
  """What a local stands for, where it is assigned once and only its `initialize_carry` is called."""
  function = next((n for n in unit.source.enclosing(name) if isinstance(n, ast.FunctionDef)), None)
  made = [
    n.value
    for n in (ast.walk(function) if function is not None else ())
    if isinstance(n, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name.id for t in n.targets)
  ]
  return made[0] if len(made) == 1 and _uses(unit, name) else None


def _uses(unit: Unit, name: ast.Name) -> list[ast.Call]:
  """Calls of `name.initialize_carry`; none where the name is used in any other way, or bound twice."""
  function = next((n for n in unit.source.enclosing(name) if isinstance(n, ast.FunctionDef)), None)
  found: list[ast.Call] = []
  stores = 0
  for node in ast.walk(function) if function is not None else ():
    if not isinstance(node, ast.Name) or node.id != name.id:
      continue
    stores += isinstance(node.ctx, ast.Store)
    if isinstance(node.ctx, ast.Load):
      attribute = unit.source.parents.get(node)
      call = unit.source.parents.get(attribute) if attribute is not None else None
      if not isinstance(attribute, ast.Attribute) or attribute.attr != "initialize_carry":
        return []
      if not isinstance(call, ast.Call) or call.func is not attribute:
        return []
      found.append(call)
  return found if stores == 1 else []


def _is_atom(node: ast.AST) -> bool:
  return isinstance(node, ast.Name | ast.Attribute | ast.Subscript | ast.Call)
