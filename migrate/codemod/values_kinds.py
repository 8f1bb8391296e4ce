"""What each kind of value is written as: containers, types, functions, objects."""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import pathlib
import re
import sys
import types
import typing
from typing import Any

import numpy as np

from migrate.codemod.source import names_in
from migrate.codemod.values_arrays import dtype_text, scalar_text
from migrate.codemod.values_functions import FunctionText, factory_call, function_text
from migrate.codemod.values_names import constant_name, importable_name, public_name
from migrate.codemod.values_objects import rebuild
from migrate.codemod.values_same import same, state
from migrate.codemod.values_source import Source, Unwritable, Writer, join

_WITH_ATTRIBUTES = '''def with_attributes(made, attributes):
  """Sets attributes that the constructor does not take."""
  for name, value in attributes.items():
    object.__setattr__(made, name, value)
  return made'''


def write_kind(writer: Writer, value: Any, where: str) -> tuple[Source, bool]:
  """(source, whether it is an object with an identity of its own).

  Raises:
    Unwritable: none of the ways fits.
  """
  for way in (_plain, _named, _container, _function):
    found = way(writer, value, where)
    if found is not None:
      return found, False
  return _object(writer, value, where), True


def _plain(writer: Writer, value: Any, where: str) -> Source | None:
  """Numbers, slices, dtypes, enumerations, paths and patterns."""
  if type(value) in (float, complex):
    return Source(scalar_text(value))
  if isinstance(value, enum.Enum):
    cls = _reference(writer, type(value), where)
    name = value._name_
    if name is not None and type(value).__members__.get(name) is value:
      return cls.with_expression(f"{cls.expression}.{name}")
    return writer.call(cls, [writer.write(value.value, where)])
  if isinstance(value, slice):
    return _call(writer, "slice", where, value.start, value.stop, value.step)
  if isinstance(value, range):
    parts = (value.start, value.stop, value.step)
    return _call(writer, "range", where, *(parts if value.step != 1 else parts[:2] if value.start else parts[1:2]))
  if isinstance(value, np.dtype):
    text = dtype_text(value)
    if text is None:
      return Source(f"np.dtype({value.str!r})", frozenset({"import numpy as np"}))
    expression = text[0] if text[0].startswith("np.dtype(") else f"np.dtype({text[0]})"
    return Source(expression, frozenset({text[1], "import numpy as np"}))
  if isinstance(value, pathlib.PurePath):
    kind = "Path" if isinstance(value, pathlib.Path) else "PurePath"
    return Source(f"pathlib.{kind}({str(value)!r})", frozenset({"import pathlib"}))
  if isinstance(value, re.Pattern):
    return Source(f"re.compile({value.pattern!r}, {value.flags})", frozenset({"import re"}))
  if isinstance(value, types.ModuleType):
    alias = value.__name__.replace(".", "_")
    statement = f"import {value.__name__}" + (f" as {alias}" if alias != value.__name__ else "")
    if writer.bind(alias, statement):
      return Source(alias, frozenset({statement}))
  return None


def _named(writer: Writer, value: Any, where: str) -> Source | None:
  """What a public name leads to: types, functions, constants of libraries."""
  if isinstance(value, (types.GenericAlias, types.UnionType)) or typing.get_origin(value) is not None:
    return _generic(writer, value, where)
  if isinstance(value, type) or hasattr(value, "__qualname__"):
    renamed = writer.module_class_name(value)
    if renamed is not None:
      return writer.reference(*renamed)
    linen = sys.modules.get("flax.linen")
    if linen is not None and isinstance(value, type) and issubclass(value, linen.Module):
      raise writer.refuse(where, value, f"the Linen class {value.__module__}.{value.__qualname__} was not ported")
  found = public_name(value)
  if found is not None:
    return Source(found[0], frozenset({found[1]}))
  if isinstance(value, type):
    return _reference(writer, value, where)
  if isinstance(value, (tuple, list, dict, set, frozenset, str, bytes, int, float, functools.partial)):
    return None
  if getattr(value, "__self__", None) is not None and not isinstance(value.__self__, types.ModuleType):
    return None
  name = importable_name(value) if hasattr(value, "__name__") or hasattr(value, "_name") else None
  if name is not None and not name[0].startswith("flax.linen"):
    return writer.reference(*name)
  return None


def _reference(writer: Writer, value: Any, where: str) -> Source:
  renamed = writer.module_class_name(value)
  found = public_name(value)
  if renamed is None and found is not None:
    return Source(found[0], frozenset({found[1]}))
  name = renamed or importable_name(value)
  if name is None:
    raise writer.refuse(where, value, f"{value!r} cannot be imported by its name")
  if name[0].startswith("flax.linen"):
    raise writer.refuse(where, value, f"{'.'.join(name)} belongs to Linen")
  return writer.reference(*name)


def _generic(writer: Writer, value: Any, where: str) -> Source:
  origin, args = typing.get_origin(value), typing.get_args(value)
  name = getattr(value, "_name", None)
  if not args and isinstance(name, str) and getattr(typing, name, None) is value:
    return Source(f"typing.{name}", frozenset({"import typing"}))
  if origin in (typing.Union, types.UnionType):
    parts = [writer.write(a, where) for a in args]
    return join(f"typing.Union[{', '.join(p.expression for p in parts)}]", parts, "import typing")
  parts = [writer.write(a, where) for a in args]
  base = writer.write(origin, where)
  return join(f"{base.expression}[{', '.join(p.expression for p in parts) or '()'}]", (base, *parts))


def _call(writer: Writer, function: Any, where: str, *args: Any, **kwargs: Any) -> Source:
  parts = [writer.write(a, f"{where}[{i}]") for i, a in enumerate(args)]
  return writer.call(function, parts, {k: writer.write(v, f"{where}.{k}") for k, v in kwargs.items()})


def _items(writer: Writer, items: Any, where: str) -> list[Source]:
  return [writer.write(v, f"{where}[{i}]") for i, v in enumerate(items)]


def _listed(parts: list[Source], opening: str, closing: str) -> Source:
  return join(opening + ", ".join(p.expression for p in parts) + closing, parts)


def _mapping(writer: Writer, value: Any, where: str) -> Source:
  keys = [writer.write(k, f"{where}.keys()") for k in value]
  values = [writer.write(v, f"{where}[{k!r}]") for k, v in value.items()]
  pairs = ", ".join(f"{k.expression}: {v.expression}" for k, v in zip(keys, values, strict=True))
  return join(f"{{{pairs}}}", (*keys, *values))


def _container(writer: Writer, value: Any, where: str) -> Source | None:
  cls = type(value)
  if cls is list:
    return _listed(_items(writer, value, where), "[", "]")
  if cls is tuple:
    return _listed(_items(writer, value, where), "(", ",)" if len(value) == 1 else ")")
  if cls in (set, frozenset):
    parts = [writer.write(v, where) for v in sorted(value, key=repr)]
    text = _listed(parts, "{", "}") if parts else Source("set()" if cls is set else "frozenset()")
    return text if cls is set or not parts else text.with_expression(f"frozenset({text.expression})")
  if cls is dict or (cls.__name__ == "FrozenDict" and cls.__module__.startswith("flax.core")):
    return _mapping(writer, value, where)
  if cls is types.SimpleNamespace:
    made = _call(writer, "types.SimpleNamespace", where, **vars(value))
    return join(made.expression, (made,), "import types")
  if cls is types.MappingProxyType:
    inner = _mapping(writer, value, where)
    return join(f"types.MappingProxyType({inner.expression})", (inner,), "import types")
  if cls.__module__.startswith("ml_collections") and hasattr(value, "to_dict"):
    return writer.call(_reference(writer, cls, where), [writer.write(value.to_dict(), where)])
  if cls is collections.defaultdict:
    return _call(writer, _reference(writer, cls, where), where, value.default_factory, dict(value))
  if cls is collections.deque:
    return _call(writer, _reference(writer, cls, where), where, list(value), **_given(maxlen=value.maxlen))
  if isinstance(value, tuple) and hasattr(cls, "_fields"):
    return _call(writer, _reference(writer, cls, where), where, **{n: getattr(value, n) for n in cls._fields})
  if cls.__name__ in ("P", "PartitionSpec") and cls.__module__.startswith("jax"):
    return _call(writer, Source("jax.sharding.PartitionSpec", frozenset({"import jax"})), where, *value)
  for base in (dict, list, tuple, set, frozenset, str, bytes, int, float):
    if isinstance(value, base):
      make: Any = base
      plain = make(value)
      try:
        good = same(cls(plain), value)
      except Exception:
        good = False
      return _call(writer, _reference(writer, cls, where), where, plain) if good else None
  return None


def _given(**kwargs: Any) -> dict[str, Any]:
  return {k: v for k, v in kwargs.items() if v is not None}


def _function(writer: Writer, value: Any, where: str) -> Source | None:
  if isinstance(value, functools.partial):
    cls = type(value)
    made = _reference(writer, cls, where)
    parts = [writer.write(value.func, f"{where}.func"), *_items(writer, value.args, where)]
    return writer.call(made, parts, {k: writer.write(v, f"{where}.{k}") for k, v in value.keywords.items()})
  if isinstance(value, (types.MethodType, types.BuiltinMethodType)) and getattr(value, "__self__", None) is not None:
    owner = writer.write(value.__self__, f"{where}.__self__")
    return owner.with_expression(f"{owner.expression}.{value.__name__}")
  if isinstance(value, types.FunctionType):
    return writer.once(value, lambda: _written_function(writer, value, where))
  return None


def _of_nnx(text: FunctionText) -> tuple[FunctionText, dict[str, str]]:
  """The function with NNX's own where it takes from Linen what both have (`nn.relu`), and what to import for it."""
  from flax import nnx

  for name, inner in text.free.items():
    used = set(re.findall(rf"\b{name}\.(\w+)", text.text)) if isinstance(inner, types.ModuleType) else set()
    if not used or inner.__name__ != "flax.linen" or "nnx" in text.free:
      continue
    if all(getattr(nnx, a, None) is getattr(inner, a, inner) for a in used):
      free = {n: v for n, v in text.free.items() if n != name} | {"nnx": nnx}
      return dataclasses.replace(text, text=re.sub(rf"\b{name}\.", "nnx.", text.text), free=free), {
        "nnx": "from flax import nnx"
      }
  return text, {}


def _as_ported(text: FunctionText, ported: str) -> tuple[FunctionText, dict[str, str]]:
  """A function that makes layers as it is now, and what to import for it."""
  indent = ported[: len(ported) - len(ported.lstrip(" "))]
  own = "\n".join(line.removeprefix(indent) for line in ported.rstrip().split("\n"))
  used = names_in(own)
  free = {n: v for n, v in text.free.items() if n in used}
  imports = {"nnx": "from flax import nnx"} if "nnx" in used else {}
  new = " ".join(ported.split()) if text.is_lambda else own
  return dataclasses.replace(text, text=new, free=free), imports


def _written_function(writer: Writer, function: types.FunctionType, where: str) -> Source:
  made = factory_call(function)
  if made is not None:
    factory = _reference(writer, made.factory, where)
    return writer.inlined(_call(writer, factory, where, *made.args, **made.kwargs))
  text = function_text(function)
  if isinstance(text, str):
    name = f"{function.__module__}.{function.__qualname__}"
    raise writer.refuse(where, function, f"{name} has no importable name, and {text}")
  ported = writer.maker_text(function)
  text, imports = _of_nnx(text) if ported is None else _as_ported(text, ported)
  for name, inner in text.free.items():
    if isinstance(inner, types.ModuleType) and name not in imports and not inner.__name__.startswith("flax.linen"):
      imports[name] = f"import {inner.__name__}" + (f" as {name}" if name != inner.__name__ else "")
  if text.is_lambda and set(text.free) <= set(imports) and all(writer.bind(n, s) for n, s in imports.items()):
    return Source(text.text, frozenset(imports.values()))
  # names taken from outside become locals of a function that returns it
  lines, parts = [], []
  for name, inner in text.free.items():
    if name in imports:
      lines.append(imports[name])
    elif inner is not function:
      part = writer.inlined(writer.write(inner, f"{where}.{name}"))
      parts.append(part)
      if part.expression != name:
        lines.append(f"{name} = {part.expression}")
  body = [f"return {text.text}"] if text.is_lambda else [*text.text.splitlines(), f"return {text.name}"]
  maker = writer.fresh(f"make_{text.name}")
  helper = "\n".join((f"def {maker}():", *(f"  {line}".rstrip() for line in (*lines, *body))))
  made_of = join(f"{maker}()", parts)
  return Source(made_of.expression, made_of.imports, (*made_of.helpers, helper))


def _object(writer: Writer, value: Any, where: str) -> Source:
  if type(value).__name__ in ("Mesh", "NamedSharding", "ShapeDtypeStruct") and type(value).__module__.startswith("jax"):
    return _of_jax(writer, value, where)
  if isinstance(value, types.FunctionType) or "Tracer" in type(value).__name__:
    raise writer.refuse(where, value, "it cannot be written")
  try:
    return _rebuilt(writer, value, where)
  except Unwritable:
    # the last resort: a variable of a module holds it
    constant = constant_name(value)
    if constant is None or constant[0].startswith("flax.linen"):
      raise
    return writer.reference(*constant)


def _rebuilt(writer: Writer, value: Any, where: str) -> Source:
  cls = _reference(writer, type(value), where)
  found = rebuild(value)
  if found is None:
    because = "no constructor call gives an equal one"
    if state(value) is None:
      because += ", and its attributes cannot be seen"
    raise writer.refuse(where, value, because)
  if found.bare:
    made = join(f"object.__new__({cls.expression})", (cls,))
  else:
    maker = cls if found.factory is None else writer.write(found.factory, where)
    args = [writer.write(a, f"{where}[{i}]") for i, a in enumerate(found.args)]
    made = writer.call(maker, args, {k: writer.write(v, f"{where}.{k}") for k, v in found.kwargs.items()})
  if not found.attributes:
    return made
  attributes = _mapping(writer, found.attributes, where)
  joined = join(f"with_attributes({made.expression}, {attributes.expression})", (made, attributes))
  writer.bind("with_attributes", _WITH_ATTRIBUTES)
  return Source(joined.expression, joined.imports, (*joined.helpers, _WITH_ATTRIBUTES))


def _of_jax(writer: Writer, value: Any, where: str) -> Source:
  import jax

  at = frozenset({"import jax"})
  kind = type(value).__name__
  if kind == "ShapeDtypeStruct":
    return _call(writer, Source("jax.ShapeDtypeStruct", at), where, value.shape, value.dtype)
  if kind == "NamedSharding":
    return _call(writer, Source("jax.sharding.NamedSharding", at), where, value.mesh, value.spec)
  shape, names = tuple(value.shape.values()), tuple(value.axis_names)
  try:
    equal = jax.make_mesh(shape, names, axis_types=value.axis_types) == value
  except Exception:
    equal = False
  if equal:
    return _call(writer, Source("jax.make_mesh", at), where, shape, names, axis_types=value.axis_types)
  because = f"jax.make_mesh({shape}, {names}) is another mesh"
  raise writer.refuse(where, value, because, "make the mesh with jax.make_mesh")
