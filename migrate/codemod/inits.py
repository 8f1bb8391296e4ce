"""The signature and first lines of `__init__`."""

from __future__ import annotations

import ast
import dataclasses
import re
import types
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import linen as nn

from migrate.codemod.dataclasses_kept import post_init, stays_dataclass
from migrate.codemod.field_docs import with_docs
from migrate.codemod.inheritance import all_fields, base_with_init
from migrate.codemod.names import lookup
from migrate.codemod.plain_bases import base_init, plain_dataclass
from migrate.codemod.project import ClassInfo, holds_modules
from migrate.codemod.remarks import layout_call
from migrate.codemod.site import SizeArg, follow_name
from migrate.codemod.sizes_pool import wrap
from migrate.codemod.source import dotted, names_in
from migrate.codemod.static import NotStatic
from migrate.codemod.stock_subclasses import stock_arguments
from migrate.codemod.super_setups import with_base
from migrate.codemod.unit import Unit
from migrate.core.report import MigrateError

_MAKES_MODULE = "Callable[[nnx.Rngs], nnx.Module]"


def init_text(
  unit: Unit, setup: list[str], init: list[str], sizes: list[SizeArg], inherited: list[SizeArg], indent: str
) -> str:
  every = [f for f in all_fields(unit) if f.name not in unit.call_fields]
  fields = [f for f in every if _is_argument(unit, f)]
  takes_functions = unit.maker_fields or any(size_type(s) == "Callable" for s in [*sizes, *inherited])
  if takes_functions and unit.names.resolve("Callable") is None:
    unit.need_import("from collections.abc import Callable")
  own = {f.name for f in unit.info.fields}
  unit.env, unit.parameters, unit.self_name = {}, set(), ""
  unit.need_import("from flax import nnx")
  if keeps_dataclass(unit):
    head = post_init([*inherited, *sizes], {s.name: size_type(s) for s in [*inherited, *sizes]}, indent)
    return head + _init_body(unit, [], setup, init, indent)
  stock = stock_arguments(unit)
  beside = plain_dataclass(unit.info.cls) is not None and stock is None
  rows: list[tuple[list[str], str, str]] = [([], "self", "")]
  layers: dict[str, str] = {}
  known = [s for s in [*inherited, *sizes] if not s.by_name]
  named = [s for s in [*inherited, *sizes] if s.by_name]
  rows += [([], _size_row(s), "") for s in known]
  keyword_rows: list[tuple[list[str], str, str]] = []
  seen_default = False
  for field in fields:
    home = next((i for i in unit.project.classes.values() if field in i.fields), unit.info)
    with unit.reading(home):
      annotation = unit.text(field.node.annotation) if field.name not in unit.maker_fields else _MAKES_MODULE
      default = _default(unit, field)
      layer = _default_layer(unit, field)
      if layer is not None:
        layers[field.name] = layer
        annotation, default = f"{annotation} | None", "None"
      elif _defaults_to_layer(unit, field):
        default = None
      elif _read_anew(unit, field) and default is not None:
        layers[field.name] = default
        annotation, default = f"{annotation} | None", "None"
      if home is not unit.info:
        annotation, default = _from_home(unit, home, annotation), default and _from_home(unit, home, default)
        layers |= {n: _from_home(unit, home, text) for n, text in layers.items() if n == field.name}
      said = f"{annotation}, {default}, {layers.get(field.name)}"
      foreign = {n: unit.names.resolve(n) for n in names_in(said)} if home is not unit.info else {}
    for name, full in foreign.items():
      if full and "." in full and unit.names.resolve(name) != full and not full.startswith("flax."):
        unit.need_import(
          f"from {full.rpartition('.')[0]} import {full.rpartition('.')[2]}"
          + ("" if full.endswith(f".{name}") else f" as {name}")
        )
    text = f"{field.name}: {annotation}" + (f" = {default}" if default is not None else "")
    comments = unit.source.comments_above(field.node) if field.name in own else []
    trailing = unit.source.trailing_comment(field.node) if field.name in own else ""
    if field.keyword_only or stock is not None or beside or (default is None and seen_default):
      keyword_rows.append((comments, text, trailing))
    else:
      rows.append((comments, text, trailing))
    seen_default = seen_default or default is not None
  keyword_rows += [([], _size_row(s), "") for s in named]
  if stock is None:
    rows += [([], "*args" if beside else "*", ""), *keyword_rows, ([], "rngs: nnx.Rngs", "")]
    rows += [([], "**kwargs", "")] * beside
  else:
    rows += [([], "*args", ""), *[([], text, "") for text in stock.rows], *keyword_rows]
    rows += [([], "rngs: nnx.Rngs", ""), ([], "**kwargs", "")]
  plain = not any(c or t for c, _, t in rows)
  line = f"{indent}def __init__({', '.join(t for _, t, _ in rows)}):"
  if plain and len(line) <= 100 and "\n" not in line:
    text = line + "\n"
  else:
    text = f"{indent}def __init__(\n"
    for comments, row, trailing in rows:
      text += "".join(f"{indent}    {c}\n" for c in comments)
      row = row.replace("\n", "\n    ")  # what went on over several lines stands one step further in
      text += f"{indent}    {row},{'  ' + trailing if trailing else ''}\n"
    text += f"{indent}):\n"
  lines: list[str] = []
  base = base_with_init(unit)
  if stock is not None:
    lines.append(f"super().__init__({', '.join(['*args', *stock.passed, 'rngs=rngs', '**kwargs'])})")
    lines += [f"self.{n} = {n}" for n in stock.kept]
    lines += with_docs(unit, [(f, _kept(unit, f, layers)) for f in fields if f.name not in stock.again])
  elif base is not None:
    base_fields = {
      f.name for b in base.info.cls.__mro__ for i in [unit.project.info(b)] if i is not None for f in i.fields
    }
    kept = [f for f in fields if f.name in own and f.name not in base_fields]
    lines += with_docs(unit, [(f, _kept(unit, f, layers)) for f in kept])
    given = [f"{s.name}={unit.super_sizes.get(s.name, s.name)}" for s in base.sizes]
    given += [f"{f.name}={f.name}" for f in fields if f.name in base_fields]
    room = 100 - len(indent + unit.step)
    given = ["*args", *given, "rngs=rngs", "**kwargs"] if beside else [*given, "rngs=rngs"]
    call = layout_call("super().__init__", given, "", room).split("\n")
    late = with_base(setup, call, base_fields)
    lines, setup = (lines, late) if late is not None else ([*lines, *call], setup)
  else:
    lines += [made] if (made := base_init(unit)) is not None and beside else []
    lines += with_docs(unit, [(f, _kept(unit, f, layers)) for f in fields if f.name not in unit.maker_fields])
  for field in (f for f in every if f not in fields and f.name in own):
    default = _default(unit, field)
    lines += unit.source.comments_above(field.node)
    if default is not None and not any(
      re.match(rf"\s*self\.{field.name}\b[^=]*=(?!=)", line) for line in [*setup, *init]
    ):
      lines.append(f"self.{field.name} = {default}")
  return text + _init_body(unit, lines, setup, init, indent)


def _from_home(unit: Unit, home: ClassInfo, text: str) -> str:
  """An annotation or a default of a base's field, where it names what the body of the base defines (`class HParams`)."""
  own = {s.name for s in unit.info.node.body if isinstance(s, ast.ClassDef)}
  inside = {s.name for s in home.node.body if isinstance(s, ast.ClassDef)} - own
  for name in inside & names_in(text):
    text = re.sub(rf"(?<![\w.\"']){name}\b(?!\s*=[^=])", f"{home.name}.{name}", text)
    if unit.names.resolve(home.name) != f"{home.module}.{home.name}":
      unit.need_import(f"from {home.module} import {home.name}")
  return text


def _is_argument(unit: Unit, field: Any) -> bool:
  """Whether a field is given to the constructor: not `field(init=False)`, an attribute that the class makes itself."""
  found = unit.info.cls.__dataclass_fields__.get(field.name)
  return found is None or found.init


def _init_body(unit: Unit, lines: list[str], setup: list[str], init: list[str], indent: str) -> str:
  given = ["self.name = name"] if "name" in unit.hoists else []
  given += ["self.rngs = rngs.fork()"] if unit.needs_rngs else []
  given += [f"self.{f.attr} = {f.mutable}  # {f.set_by}" for f in unit.flags.values()]
  said, setup = docstring_of(setup)
  lines = [*said, *lines, *given, *setup, *init] or ["pass"]
  return "".join(f"{indent}{unit.step}{line}\n" if line.strip() else "\n" for line in lines)


def docstring_of(setup: list[str]) -> tuple[list[str], list[str]]:
  """What `setup` says about itself, which `__init__` says now, and the rest of its lines."""
  try:
    tree = ast.parse("\n".join(setup))
  except SyntaxError:
    return [], setup
  if ast.get_docstring(tree, clean=False) is None or tree.body[0].lineno != 1:
    return [], setup
  last = tree.body[0].end_lineno or 1
  while last < len(setup) and not setup[last].strip():
    last += 1
  return setup[: tree.body[0].end_lineno], setup[last:]


def keeps_dataclass(unit: Unit) -> bool:
  """Whether the class stays a dataclass, for the sake of a decorator that reads its fields."""
  return stays_dataclass(unit, lambda field: "" if _defaults_to_layer(unit, field) else _stored(unit, field))


def _kept(unit: Unit, field: Any, layers: dict[str, str]) -> str:
  """The statement that keeps a field; a layer that the field has by default is made here."""
  if field.name in layers:
    return f"self.{field.name} = {field.name} if {field.name} is not None else {layers[field.name]}"
  return f"self.{field.name} = {_stored(unit, field)}"


def _defaults_to_layer(unit: Unit, field: Any) -> bool:
  """Whether a field's default is a layer, which NNX makes anew for every module that holds it."""
  found = unit.info.cls.__dataclass_fields__.get(field.name)
  if found is None:
    return False
  if found.default_factory is not dataclasses.MISSING:
    value = _factory(field)
    if isinstance(value, ast.Name | ast.Attribute):
      return _layer_class(unit, value) is not None
    return value is not None and unit.creates(value)
  return isinstance(found.default, nn.Module)


def _factory(field: Any) -> ast.expr | None:
  """What `field(default_factory=...)` calls: the body of a lambda, or a name."""
  for keyword in field.node.value.keywords if isinstance(field.node.value, ast.Call) else ():
    if keyword.arg == "default_factory":
      return keyword.value.body if isinstance(keyword.value, ast.Lambda) else keyword.value
  return None


def _read_anew(unit: Unit, field: Any) -> bool:
  """Whether `field(default_factory=lambda: settings.dtype)` reads an attribute that may be another one for the next module."""
  body = _factory(field)
  if not isinstance(body, ast.Attribute) or re.search(r"\bNone\b|\bOptional\b", field.annotation):
    return False
  root = (dotted(body) or "").partition(".")[0]
  owner = follow_name(unit.names.resolve(root) or f"{unit.info.module}.{root}")
  return owner is not None and not isinstance(owner, type | types.ModuleType)


def _layer_class(unit: Unit, node: ast.expr) -> type | None:
  """The class of layers that a name stands for."""
  full = unit.resolve(node)
  found = (lookup(full) if full.startswith("flax.") else follow_name(full)) if full is not None else None
  return found if isinstance(found, type) and issubclass(found, nn.Module) else None


def _default_layer(unit: Unit, field: Any) -> str | None:
  """The layer that a field has by default, where it needs no sizes; None where it must be given."""
  if not _defaults_to_layer(unit, field):
    return None
  value = _factory(field) or field.node.value
  if isinstance(value, ast.Name | ast.Attribute):
    cls = _layer_class(unit, value)
    record = unit.project.record(cls) if cls is not None else None
    known = record is not None or cls in unit.results
    if cls is None or not known or (record is not None and any(a.fate == "infer" for a in record.args)):
      return None
    needs = [s for s in unit.project_sizes(cls) if not s.optional]
    return None if needs else f"{unit.text(value)}(rngs=rngs)"
  if not isinstance(value, ast.Call) or not unit.creates(value):
    return None
  record = unit.untraced_layer(value)
  if record is not None and any(a.fate == "infer" for a in record.args):
    return None
  if any(s for c in unit.untraced_class(value) for s in unit.project_sizes(c) if not s.optional):
    return None
  try:
    return unit.constructor(value)
  except (NotStatic, MigrateError):
    return None


def _stored(unit: Unit, field: Any) -> str:
  """What `self.field` keeps: containers that may hold layers or arrays become NNX's own."""
  values = _field_values(unit, field.name)
  held = [v for v in values if holds_modules(v) and not isinstance(v, nn.Module)]
  if not held and any(v is None for v in values) and any(isinstance(v, nn.Module) for v in values):
    return f"nnx.data({field.name})"
  held += [v for v in values if isinstance(v, tuple | list | Mapping) and _holds_arrays(v)]
  if not held:
    return field.name
  # `nnx.data` could not be updated
  made = f"nnx.Dict({field.name})" if isinstance(held[0], Mapping) else f"nnx.List({field.name})"
  optional = any(v is None for v in values) or field.default == "None"
  return f"{made} if {field.name} is not None else None" if optional else made


def _holds_arrays(value: Any) -> bool:
  """Whether a field's value is an array, or a container with one in it: NNX takes it for a setting unless it is told."""
  if isinstance(value, Mapping):
    return any(map(_holds_arrays, value.values()))
  if isinstance(value, tuple | list):
    return any(map(_holds_arrays, value))
  return isinstance(value, jax.Array | np.ndarray)


def _field_values(unit: Unit, name: str) -> list[Any]:
  found = []
  for fact in unit.project.facts:
    for call in fact.calls:
      if isinstance(call.module, unit.info.cls):
        found.append(call.module.__dict__.get(name))
  return found


def _default(unit: Unit, field: Any) -> str | None:
  """The default of the argument. A name of the class body that it reads, another field's default, is written out."""
  text = _own_default(unit, field)
  home = next((i for i in unit.project.classes.values() if field in i.fields), unit.info)
  for other in reversed(home.fields[: home.fields.index(field)] if field in home.fields else ()):
    if text is not None and other.name in names_in(text):
      value = _own_default(unit, other) or "None"
      text = re.sub(rf"\b{other.name}\b", lambda _, v=value: wrap(v), text)
  return text


_EMPTY = {"dict": "{}", "list": "()", "tuple": "()"}


def _own_default(unit: Unit, field: Any) -> str | None:
  value = field.node.value
  if value is None:
    return None
  spellings = (ast.unparse(value.func), unit.resolve(value.func) or "") if isinstance(value, ast.Call) else ()
  if isinstance(value, ast.Call) and any(s.rpartition(".")[2] == "field" for s in spellings):
    for keyword in value.keywords:
      if keyword.arg == "default":
        return unit.text(keyword.value)
      if keyword.arg == "default_factory":
        inner = keyword.value
        if isinstance(inner, ast.Lambda):
          return "()" if ast.unparse(inner.body) == "[]" else unit.text(inner.body)
        text = unit.text(inner)
        return _EMPTY.get(text, f"{text}()")
    return None
  made = unit.info.cls.__dataclass_fields__.get(field.name)
  if isinstance(value, ast.Call) and made is not None:  # a function of the project may make the `dataclasses.field`
    if made.default_factory is not dataclasses.MISSING:
      return _EMPTY.get(getattr(made.default_factory, "__name__", ""), f"{unit.text(value)}.default_factory()")
    if made.default is dataclasses.MISSING:
      return None
  return unit.text(value)


def _size_row(size: SizeArg) -> str:
  hint = size_type(size)
  if not hint:
    return size.name + (f"={size.default}" if size.default else "")
  return f"{size.name}: {hint}" + (" | None = None" if size.optional else f" = {size.default}" if size.default else "")


def size_type(size: SizeArg) -> str:
  """The annotation of such an argument; empty where the source has none and the values tell none."""
  values = list(size.values.values())
  if size.hint:
    return size.hint
  if any(isinstance(v, tuple) for v in values):
    return "tuple"
  if any(isinstance(v, type | np.dtype) for v in values) or (size.default and all(v is None for v in values)):
    return ""
  if any(map(callable, values)):
    return "Callable"
  kinds = {type(v) for v in values if v is not None}
  return next(iter(kinds)).__name__ if len(kinds) == 1 and kinds <= {int, bool, str, float, list, dict} else "int"
