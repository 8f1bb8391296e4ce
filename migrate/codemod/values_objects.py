"""How to build an object again: the shortest constructor call that gives an equal one, found by trying."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from migrate.codemod.values_same import recipe, same, state

_MISSING = object()


@dataclasses.dataclass(frozen=True)
class Rebuild:
  """`cls(*args, **kwargs)`, then `attributes` set on it.

  `factory` stands for the class where it is given; `bare` makes the object without calling the constructor.
  """

  args: tuple[Any, ...]
  kwargs: dict[str, Any]
  attributes: dict[str, Any]
  bare: bool = False
  factory: Any = None


def rebuild(value: Any) -> Rebuild | None:
  """Finds a way to build `value` again. None where its state cannot be seen.

  Tried in this order: the constructor with what differs from its defaults; with every parameter; with further
  attributes through `**kwargs`; the nearest of these with the remaining attributes set; no constructor at all.
  """
  attributes = state(value)
  cls = type(value)
  with _quiet():
    attempts = list(_attempts(value, attributes or {}))
    built: list[tuple[dict[str, Any], Any]] = []
    for kwargs in attempts:
      made = _make(cls, kwargs)
      if made is not _MISSING:
        if same(made, value):
          return _positional(cls, _shrink(cls, kwargs, lambda m: same(m, value)))
        built.append((kwargs, made))
    if attributes is None:
      return _reduced(value)
    for kwargs, made in built:
      if _equal_by_own_rule(made, value):
        return _positional(cls, kwargs)
    patched = _patched(cls, built, attributes)
    if patched is not None:
      return patched
    if cls.__new__ is object.__new__:
      return Rebuild((), {}, attributes, bare=True)
  return None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Constructors tried may warn and log; nobody asked them."""
  level = logging.root.manager.disable
  logging.disable(logging.CRITICAL)
  try:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
      warnings.simplefilter("ignore")
      yield
  finally:
    logging.disable(level)


def _parameters(cls: type) -> list[inspect.Parameter] | None:
  try:
    return list(inspect.signature(cls).parameters.values())
  except (TypeError, ValueError):
    return None


def _attempts(value: Any, attributes: dict[str, Any]) -> Iterator[dict[str, Any]]:
  parameters = _parameters(type(value))
  if parameters is None:
    return
  full: dict[str, Any] = {}
  differing: dict[str, Any] = {}
  for parameter in parameters:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
      continue
    found = _attribute(value, parameter.name)
    if found is _MISSING:
      if parameter.default is parameter.empty:
        return
      continue
    full[parameter.name] = found
    if parameter.default is parameter.empty or not same(found, parameter.default):
      differing[parameter.name] = found
  yield differing
  if full.keys() != differing.keys():
    yield full
  if any(p.kind is p.VAR_KEYWORD for p in parameters):
    more = {k: v for k, v in attributes.items() if not k.startswith("_") and k not in full and k.isidentifier()}
    if more:
      yield {**differing, **more}
      yield {**full, **more}
      # attributes that the constructor derives from others may be refused: leave out what a plain one has anyway
      plain = _make(type(value), differing)
      if plain is not _MISSING:
        known = state(plain) or {}
        yield {**differing, **{k: v for k, v in more.items() if not same(known.get(k, _MISSING), v)}}


def _attribute(value: Any, name: str) -> Any:
  cls = type(value)
  for spelling in (name, f"_{name}", f"_{cls.__name__.lstrip('_')}__{name.lstrip('_')}", f"{name}_"):
    try:
      found = getattr(value, spelling)
    except Exception:
      continue
    if not (inspect.ismethod(found) and found.__self__ is value):
      return found
  return _MISSING


def _make(cls: type, kwargs: dict[str, Any]) -> Any:
  parameters = _parameters(cls) or []
  only = [p.name for p in parameters if p.kind is p.POSITIONAL_ONLY and p.name in kwargs]
  try:
    return cls(*(kwargs[n] for n in only), **{k: v for k, v in kwargs.items() if k not in only})
  except Exception:
    return _MISSING


def _shrink(cls: type, kwargs: dict[str, Any], good: Callable[[Any], bool]) -> dict[str, Any]:
  """Drops every argument without which the result is still good."""
  for name in reversed(tuple(kwargs)):
    fewer = {k: v for k, v in kwargs.items() if k != name}
    made = _make(cls, fewer)
    if made is not _MISSING and good(made):
      kwargs = fewer
  return kwargs


def _positional(cls: type, kwargs: dict[str, Any]) -> Rebuild:
  only = [p.name for p in _parameters(cls) or [] if p.kind is p.POSITIONAL_ONLY and p.name in kwargs]
  return Rebuild(tuple(kwargs[n] for n in only), {k: v for k, v in kwargs.items() if k not in only}, {})


def _equal_by_own_rule(made: Any, value: Any) -> bool:
  """Its class says that both are equal, and is not a dataclass whose fields were compared already."""
  if dataclasses.is_dataclass(value) or type(value).__eq__ is object.__eq__:
    return False
  try:
    return made == value and bool(made == value)
  except Exception:
    return False


def _reduced(value: Any) -> Rebuild | None:
  """The recipe that a class without visible state gives for its instances (`__reduce__`), tested by its own words."""
  found = recipe(value)
  if found is None:
    return None
  factory, args, attributes = found
  try:
    made = factory(*args)
    for name, inner in attributes.items():
      object.__setattr__(made, name, inner)
  except Exception:
    return None
  return Rebuild(args, {}, attributes, factory=factory) if same(recipe(made), found) else None


def _patched(cls: type, built: list[tuple[dict[str, Any], Any]], attributes: dict[str, Any]) -> Rebuild | None:
  """The built object that needs the fewest attributes set afterwards; none may have one that `value` lacks."""
  best: tuple[int, dict[str, Any], dict[str, Any]] | None = None
  for kwargs, made in built:
    known = state(made)
    if known is None or known.keys() - attributes.keys():
      continue
    change = {k: v for k, v in attributes.items() if k not in known or not same(known[k], v)}
    if best is None or len(change) < best[0]:
      best = len(change), kwargs, change
  if best is None or best[0] > max(4, len(attributes) // 2):
    return None
  _, kwargs, change = best

  def good(made: Any) -> bool:
    known = state(made) or {}
    return not known.keys() - attributes.keys() and all(
      k in change or (k in known and same(known[k], v)) for k, v in attributes.items()
    )

  found = _positional(cls, _shrink(cls, kwargs, good))
  return dataclasses.replace(found, attributes=change)
