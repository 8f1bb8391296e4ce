"""Builds the NNX layer that a record describes, beside a Linen layer that exists: what the codemod would write."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import importlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from flax import linen, nnx

from migrate.core import axes, registry
from migrate.core.declare import Arg, LayerMapping, Rule
from migrate.core.report import refuse

NOT_FIELDS = ("name", "parent")
Calls = dict[tuple[str, ...], dict[str, Any]]


def resolve(name: str) -> Any:
  """The object of a full name or of `template:file.name`."""
  if name.startswith("template:"):
    file, _, attribute = name.removeprefix("template:").partition(".")
    for package in registry.packages():
      try:
        return getattr(importlib.import_module(f"{package}.templates.{file}"), attribute)
      except ModuleNotFoundError:
        continue
    raise refuse(name, "no mapping package has this template")
  module, _, attribute = name.rpartition(".")
  return getattr(importlib.import_module(module), attribute)


def convert(code: str, value: Any) -> Any:
  """What a `convert` template gives for a value: `{value}`, `*{value}`, or one call of a template's function."""
  if code in ("{value}", "*{value}"):
    return value
  name, _, rest = code.partition("(")
  if rest == "{value})":
    return resolve(name.replace("nnx.", "flax.nnx.", 1) if name.startswith("nnx.") else name)(value)
  raise refuse(code, "conformance cannot run this template", "{value}, or one call of it")


def literal(code: str) -> Any:
  """The value of a source text that is a literal or the name of a template's object."""
  return resolve(code) if code.startswith("template:") else ast.literal_eval(code)


def fields_of(layer: Any) -> dict[str, Any]:
  """Every constructor field of a Linen module with its value."""
  return {f.name: getattr(layer, f.name) for f in dataclasses.fields(layer) if f.name not in NOT_FIELDS}


def given_fields(layer: Any) -> dict[str, Any]:
  """The fields of a Linen module that are not at their default."""
  given = {}
  for field in dataclasses.fields(layer):
    value = getattr(layer, field.name)
    default = field.default_factory() if callable(field.default_factory) else field.default
    if field.name not in NOT_FIELDS and not (value is default or (type(value) is type(default) and value == default)):
      given[field.name] = value
  return given


@contextlib.contextmanager
def watch_calls() -> Iterator[Calls]:
  """Collects the first call of every module that runs inside, by path."""
  calls: Calls = {}

  def note(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
    if context.method_name == "__call__":
      calls.setdefault(context.module.path, bind_call(context.module, args, kwargs))
    return call(*args, **kwargs)

  with linen.intercept_methods(note):
    yield calls


def bind_call(layer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
  """The call's arguments by Linen's parameter names, arrays as shapes."""
  bound = inspect.signature(type(layer).__call__).bind(layer, *args, **kwargs).arguments
  bound.pop("self", None)
  flat = {**bound, **bound.pop("kwargs", {})}
  return {k: tuple(v.shape) if hasattr(v, "shape") else v for k, v in flat.items()}


def inferred(record: LayerMapping, layer: Any, call: Mapping[str, Any]) -> dict[str, Any]:
  """Constructor arguments that follow from the call's shapes."""
  wanted = [a.nnx for a in record.args if a.fate == "infer" and a.nnx]
  found: dict[str, Any] = {}
  if wanted and record.inputs:
    shape = call[record.input] if record.input else next(iter(call.values()))
    dims = axes.unify(record.inputs, shape, {})
    found = {name: dims[name] for name in wanted if name in dims}
  if record.infer is not None:
    found |= record.infer.compute(fields_of(layer), call)
  return found


def arguments(
  record: LayerMapping, layer: Any, given: Mapping[str, Any], call: Mapping[str, Any], *, exact: bool
) -> tuple[tuple[Any, ...], dict[str, Any]]:
  """Positional and keyword arguments of the NNX constructor.

  Args:
    record: the record that serves these fields.
    layer: the Linen module.
    given: the fields that the call site gives, by Linen name.
    call: the traced call, from `bind_call`.
    exact: whether the record's exact arguments are added.
  """
  star: tuple[Any, ...] = ()
  kwargs = inferred(record, layer, call)
  for arg in record.args:
    if arg.fate in ("infer", "ignore"):
      continue
    if arg.linen is not None and arg.linen not in given:
      if arg.absent and arg.nnx:
        kwargs[arg.nnx] = literal(arg.absent)
      continue
    if arg.fate == "refuse":
      raise refuse(f"{record.linen}({arg.linen}=...)", arg.because)
    if arg.nnx is None:
      continue
    value = _value(arg, given)
    if arg.nnx.startswith("*"):
      star = tuple(value)
    else:
      kwargs[arg.nnx] = value
  if exact and record.exact is not None:
    for name, code in record.exact.args:
      kwargs.setdefault(name, literal(code))
  return star, kwargs


def _value(arg: Arg, given: Mapping[str, Any]) -> Any:
  if arg.fate == "add":
    return literal(arg.code)
  value = given[arg.linen or ""]
  return convert(arg.code, value) if arg.fate == "convert" else value


@dataclasses.dataclass(frozen=True)
class Made:
  """An NNX layer that was made.

  Attributes:
    record: the record that served.
    model: the layer.
    arguments: what it was made with, without rngs.
    rules: its leaves, and those of the layers that it wraps.
  """

  record: LayerMapping
  model: Any
  arguments: dict[str, Any]
  rules: tuple[Rule, ...]


def construct(
  mapping: LayerMapping,
  layer: Any,
  given: Mapping[str, Any],
  calls: Calls,
  *,
  path: tuple[str, ...] = (),
  exact: bool = False,
  rngs: nnx.Rngs,
) -> Made:
  """Makes the NNX layer, and those that it wraps, from the record.

  Args:
    mapping: the record of the layer's class.
    layer: the Linen module.
    given: the fields that the call site gives, by Linen name.
    calls: the traced calls, from `watch_calls`.
    path: where the layer is in them.
    exact: whether records' exact arguments are added.
    rngs: gives the parameters.
  """
  record = mapping.choose(fields_of(layer))
  given = dict(given)
  rules = [Rule("move", leaf.linen, leaf.nnx, leaf.ops) for leaf in record.leaves if "**" not in leaf.linen[0]]
  for field, attribute in record.children:
    many = isinstance(given[field], (tuple, list))
    inside = []
    for i, child in enumerate(given[field] if many else (given[field],)):
      name = f"{field}_{i}" if many else field
      made = _child(child, calls, path=(*path, name), exact=exact, rngs=rngs)
      inside.append(made.model if made else child)
      place = (attribute, str(i)) if many else (attribute,)
      rules += [_below(rule, name, place) for rule in (made.rules if made else ())]
    given[field] = inside if many else inside[0]
  star, kwargs = arguments(record, layer, given, calls.get(path, {}), exact=exact)
  if record.takes_rngs:
    kwargs["rngs"] = rngs
  model = resolve(record.nnx)(*star, **kwargs)
  kwargs.pop("rngs", None)
  return Made(record, model, kwargs, tuple(rules))


def _child(layer: Any, calls: Calls, **where: Any) -> Made | None:
  """A wrapped layer, made from its own record; None for a plain function."""
  if not isinstance(layer, linen.Module):
    return None
  name = f"flax.linen.{type(layer).__name__}"
  return construct(registry.load_layers()[name], layer, given_fields(layer), calls, **where)


def _below(rule: Rule, name: str, place: tuple[str, ...]) -> Rule:
  """The rule of a wrapped layer, as its wrapper's."""
  source = tuple((path[0], name, *path[1:]) for path in rule.source)
  return dataclasses.replace(rule, source=source, target=tuple((*place, *path) for path in rule.target))


def call_keywords(record: LayerMapping, kwargs: Mapping[str, Any]) -> dict[str, Any]:
  """Linen's call keywords as NNX takes them."""
  names, codes = dict(record.call_args), dict(record.call_code)
  out = {}
  for name, value in kwargs.items():
    target = names.get(name, name)
    if target is not None:
      out[target] = convert(codes[name], value) if name in codes else value
  return out
