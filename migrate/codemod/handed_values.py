"""What a call hands to a module and layers are made with (`block(x, nn.relu)`, `net(x, dtype=jnp.bfloat16)`).

`__init__` takes it as well, under the same name and with the same default.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from flax import linen as nn

from migrate.codemod.names import lookup
from migrate.codemod.site import InstanceKey, Need, Site, SizeArg
from migrate.codemod.source import defaults_of
from migrate.core.report import Finding

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

RESERVED_ARGUMENTS = {"self", "rngs", "args", "kwargs"}


def handed_function(unit: Unit, reader: Unit, node: ast.Name) -> str | None:
  """The constructor argument for a call argument that was one function in every call of an instance; else None.

  Args:
    unit: the class.
    reader: what reads the name: the same, or a function inside one of its methods.
    node: the name.
  """
  return _argument(unit, reader, node, _is_function)


def handed_value(unit: Unit, node: ast.AST) -> str | None:
  """The same for a number, a string, a dtype or a tuple of such, for what `unit.static_handed` writes."""
  if not isinstance(node, ast.Name) or node.id not in unit.parameters or node.id in unit.env:
    return None
  return _argument(unit, unit, node, lambda v: _is_plain(v) or _is_function(v))


def _argument(unit: Unit, reader: Unit, node: ast.Name, fits: Callable[[Any], bool]) -> str | None:
  name = node.id
  if name in unit.hoists:
    return name if unit.hoists[name].parameter == name else None
  if unit.in_factory is not None or name in unit.field_names or name in RESERVED_ARGUMENTS:
    return None
  values: dict[InstanceKey, Any] = {}
  for event in reader.events(node):
    if event.activation.extra:
      continue  # a call that no example makes
    if not fits(event.value) or not _same(
      values.setdefault(unit.owner_key(event.activation), event.value), event.value
    ):
      return None
  method = unit.info.methods.get(unit.method)
  inside = list(ast.walk(method)) if method is not None else []
  if not values or any(isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Store) for n in inside):
    return None
  default = defaults_of(method.args).get(name) if method is not None else None
  text = unit.text(default) if default is not None else ""
  if not text and any(v is None or isinstance(v, tuple) for v in values.values()):
    return None  # None would read as what an instance does without, and a tuple is the shape of an array
  hint = next((a.annotation for a in inside if isinstance(a, ast.arg) and a.arg == name and a.annotation), None)
  unit.hoists[name] = SizeArg(name, name, 0, unit.method, values, default=text, hint=unit.text(hint) if hint else "")
  return name


def value_given(unit: Unit, site: Site, need: Need, call: ast.Call | None) -> str | None:
  """What the call of a layer gives for such an argument, if `__init__` can say it: where it gives none, the default."""
  if need.axis != 0 or need.call_parameter is None or call is None:
    return None
  given = unit.argument(call, site, need.call_parameter)
  if given is None:
    spread = any(isinstance(a, ast.Starred) for a in call.args) or any(k.arg is None for k in call.keywords)
    return need.default if need.default and not spread else None
  return unit.static_handed(given)


def tell_unread(unit: Unit, sizes: Sequence[SizeArg], texts: Mapping[str, str]) -> None:
  """Notes the arguments of calls that only construction reads now: a caller who gives another value there is not heard.

  Args:
    unit: the class.
    sizes: the constructor's arguments.
    texts: its methods as rewritten.
  """
  for size in sizes:
    method = unit.info.methods.get(size.method)
    if size.parameter != size.name or size.axis != 0 or method is None or size.method not in texts:
      continue
    body = ast.parse(textwrap.dedent(texts[size.method])).body
    if not any(isinstance(n, ast.Name) and n.id == size.name for s in body for n in ast.walk(s)):
      unit.note(Finding(
        unit.where(method), f"`{size.name}` of {unit.info.name}.{size.method} decides how layers are made: `__init__` takes "
        f"it now, and {size.method} does not read it any more", "a caller that gives it to the constructor",
        f"give {size.name} where {unit.info.name} is made, wherever it is not the default", "eye" if size.default else "note", "L2N123"))  # fmt: skip


def _is_function(value: Any) -> bool:
  return callable(value) and not isinstance(value, nn.Module | type) and not hasattr(value, "shape")


def _is_plain(value: Any) -> bool:
  """Whether a value is written as it is: a number, a string, a dtype (`jnp.float32` is an object of its own), a tuple."""
  if isinstance(value, tuple):
    return all(map(_is_plain, value))
  written = getattr(value, "__name__", None)
  dtype = isinstance(value, type | np.dtype) or (callable(value) and lookup(f"jax.numpy.{written}") is value)
  return value is None or dtype or isinstance(value, bool | int | float | str)


def _same(one: Any, other: Any) -> bool:
  return type(one) is type(other) and bool(one == other)
