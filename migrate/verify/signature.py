"""Holds a record to the signatures of the installed flax: every argument on either side has one fate."""

from __future__ import annotations

import dataclasses
import inspect
from collections import Counter
from typing import Any

from flax import nnx

from migrate.core.axes import AxesError, parse
from migrate.core.declare import LayerMapping
from migrate.core.report import Finding
from migrate.verify.construct import NOT_FIELDS, resolve

ALWAYS_OURS = ("self", "rngs")  # NNX parameters that every call site handles itself
SHARDING = ("_metadata", "out_sharding", "qkv_sharding")  # NNX's names for how arrays are laid out


def check_signature(record: LayerMapping) -> list[Finding]:
  """Everything in which the record disagrees with the classes that it names."""
  linen, target = resolve(record.linen), resolve(record.nnx)
  found: list[Finding] = []

  def say(what: str, wanted: str) -> None:
    found.append(Finding(f"{record.linen} -> {record.nnx}", what, wanted, "mend the record"))

  fields = _fields(linen)
  parameters = _parameters(target)
  _account(say, "field", [a.linen for a in record.args if a.linen], list(fields))
  _account(
    say, "NNX parameter", [a.nnx for a in record.args if a.nnx and a.fate != "convert"], parameters, several=False
  )
  known = {a.nnx for a in record.args if a.nnx} | {n for n, _ in (record.exact.args if record.exact else ())}
  for name in sorted(known - set(parameters)):
    say(f"{record.nnx} has no parameter {name}", "a parameter of the installed flax")
  for name in [n for n in parameters if n not in known]:
    say(f"{record.nnx} has a parameter {name} without a fate", "infer, same, rename, convert, add or unused")
  if list(fields) != list(record.positional):
    say(f"positional is {record.positional}", f"the order of the fields, {tuple(fields)}")
  for arg in record.args:
    if arg.fate in ("add", "convert", "ignore", "refuse") and not arg.because:
      say(f"{arg.linen or arg.nnx} has no reason", "because=")
    if arg.fate in ("same", "rename") and arg.linen in fields and not arg.because:
      ours, theirs = fields[arg.linen], _default(target, arg.nnx or "")
      if not _alike(ours, theirs):
        say(f"the default of {arg.linen} is {ours!r} in Linen, {theirs!r} in NNX", "because=, or convert with absent=")
  _check_call(say, record, linen, target)
  for leaf in record.leaves:
    try:
      parse(leaf.axes)
    except AxesError as error:
      say(str(error), "axes that can be read")
  return found


def _fields(linen: Any) -> dict[str, Any]:
  """Linen's constructor fields with their defaults."""
  if dataclasses.is_dataclass(linen):
    return {f.name: f.default for f in dataclasses.fields(linen) if f.name not in NOT_FIELDS}
  parameters = inspect.signature(linen.__init__).parameters
  empty = inspect.Parameter.empty
  return {n: dataclasses.MISSING if p.default is empty else p.default for n, p in parameters.items() if n != "self"}


def _account(say: Any, kind: str, fates: list[str], names: list[str], several: bool = True) -> None:
  for name, count in Counter(fates).items():
    if count > 1:
      say(f"{kind} {name} has {count} fates", "one")
  if several:
    for name in [n for n in names if n not in fates]:
      say(f"{kind} {name} has no fate", "same, rename, convert, ignore or refuse")
    for name in [n for n in fates if n not in names]:
      say(f"there is no {kind} {name}", "a name of the installed flax")


def _signature(target: Any) -> dict[str, inspect.Parameter]:
  """Constructor parameters; those behind `**kwargs` of a subclass are the base class's."""
  found: dict[str, inspect.Parameter] = {}
  for cls in target.__mro__:
    if "__init__" not in vars(cls) or cls in (object, nnx.Module):
      continue
    parameters = inspect.signature(cls.__init__).parameters
    found |= {n: p for n, p in parameters.items() if n not in found and p.kind is not p.VAR_KEYWORD}
    if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
      break
  return found


def _parameters(target: Any) -> list[str]:
  names = []
  for name, parameter in _signature(target).items():
    if name not in ALWAYS_OURS and not name.endswith(SHARDING):
      names.append(f"*{name}" if parameter.kind is parameter.VAR_POSITIONAL else name)
  return names


def _default(target: Any, name: str) -> Any:
  parameter = _signature(target).get(name)
  return dataclasses.MISSING if parameter is None or parameter.default is parameter.empty else parameter.default


def defaults(target: Any) -> dict[str, Any]:
  """The defaults of a constructor's parameters."""
  found = {name: _default(target, name) for name in _signature(target)}
  return {name: value for name, value in found.items() if value is not dataclasses.MISSING}


def _alike(ours: Any, theirs: Any) -> bool:
  if ours is theirs:
    return True
  names = [getattr(d, "__name__", None) for d in (ours, theirs)]
  if callable(ours) and callable(theirs):
    return names[0] == names[1]
  return type(ours) is type(theirs) and ours == theirs


def _check_call(say: Any, record: LayerMapping, linen: Any, target: Any) -> None:
  """Call arguments: what NNX lacks must be renamed, what it takes elsewhere must go by keyword."""
  ours = {n: p for n, p in inspect.signature(linen.__call__).parameters.items() if n not in ("self", "args", "kwargs")}
  theirs = {n: p for n, p in inspect.signature(target.__call__).parameters.items() if n != "self"}
  places = {n: i for i, n in enumerate(n for n, p in theirs.items() if p.kind is p.POSITIONAL_OR_KEYWORD)}
  any_name = any(p.kind is p.VAR_KEYWORD for p in theirs.values())
  names = dict(record.call_args)
  by_place = [n for n, p in ours.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
  if record.call_positional and list(record.call_positional) != by_place:
    say(f"call_positional is {record.call_positional}", f"{tuple(by_place)}")
  if len(by_place) > 1 and not record.call_positional:
    say("call_positional is empty", f"{tuple(by_place)}")
  for i, name in enumerate(ours):
    there = names.get(name, name)
    if there is None or (i == 0 and name not in names):
      continue
    if there not in theirs and not any_name:
      say(f"call argument {name} is unknown to NNX", "an entry of call_args")
    if name in by_place and places.get(there) != by_place.index(name) and name not in record.call_keywords:
      say(f"call argument {name} is not at the same place in NNX", "an entry of call_keywords")
  for name in (*names, *record.call_keywords, *dict(record.call_code)):
    if name not in ours:
      say(f"there is no call argument {name}", "a name of the installed flax")
