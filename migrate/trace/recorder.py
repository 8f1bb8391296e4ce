"""Collects events while a Linen model runs abstractly."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from flax import linen as nn
from flax.linen import transforms as linen_transforms

from migrate.trace.facts import Activation, CallRecord, Origin, included, summary
from migrate.trace.instrument import Position

_ORIGIN = "_linen2nnx_origin"
_ROOT = "_linen2nnx_root"
_COPIED = "_linen2nnx_copied"


def root_of(module: Any) -> Any:
  """The module that this one is a clone of, or itself."""
  return getattr(module, "__dict__", {}).get(_ROOT, module)


def origin_of(module: Any) -> Origin | None:
  """The call expression that made this module or the one it is a clone of."""
  return getattr(module, "__dict__", {}).get(_ORIGIN)


class Recorder:
  """Receives every expression's value and every method call."""

  def __init__(self, files: set[str]):
    self.files = files
    self.activations: list[Activation] = []
    self.calls: list[CallRecord] = []
    self.created: dict[tuple[str, Position], list[tuple[Activation, int, Any]]] = {}
    self.shared: dict[tuple[str, ...], tuple[str, ...]] = {}
    self.initializing = False
    self.run = 0
    self.extra = False
    self._by_frame: dict[types.FrameType, Activation] = {}
    self._clock = 0
    self._depth = 0
    self._busy = False
    self._keep: list[Any] = []

  def tick(self) -> int:
    """The next event number."""
    self._clock += 1
    return self._clock

  def record(self, key: Position, value: Any, made: bool = False) -> Any:
    """The hook of instrumented code: notes the value, returns it."""
    if self._busy:
      return value  # reading a value's shape ran traced code
    self._busy = True
    try:
      self._note(sys._getframe(1), key, value, made)
    finally:
      self._busy = False
    return value

  def _note(self, frame: types.FrameType, key: Position, value: Any, made: bool) -> None:
    activation = self._by_frame.get(frame) or self._enter(frame)
    values = activation.events.setdefault(key, [])
    activation.orders.setdefault(key, []).append(self.tick())
    if isinstance(value, nn.Module):
      if made and _ORIGIN not in value.__dict__:
        copied = value.__dict__.get(_COPIED)
        object.__setattr__(value, _ORIGIN, Origin(activation, key, len(values), copied))
        self.created.setdefault((activation.file, key), []).append((activation, len(values), value))
      values.append(value)
    else:
      values.append(summary(value))

  def _enter(self, frame: types.FrameType) -> Activation:
    code = frame.f_code
    first = code.co_varnames[0] if code.co_argcount else None
    owner = frame.f_locals.get(first) if first else None
    if owner is None and "self" in frame.f_locals:
      owner = frame.f_locals["self"]
    module = owner if isinstance(owner, nn.Module) else None
    parent, call_position, up = None, None, frame.f_back
    while up is not None:
      if up.f_code.co_filename in self.files:
        parent = self._by_frame.get(up)
        positions = list(up.f_code.co_positions())[up.f_lasti // 2]
        line, end, column, end_column = positions
        if line is not None:
          call_position = (line, column or 0, end or line, end_column or 0)
        break
      up = up.f_back
    if module is None and parent is not None:
      module = parent.module  # a function that a method calls works for the method's module
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    arguments = {n: summary(frame.f_locals[n]) for n in names if n in frame.f_locals}
    activation = Activation(
      len(self.activations),
      code.co_filename,
      code.co_qualname,
      code.co_firstlineno,
      module,
      self._path(module),
      self.initializing,
      parent,
      call_position,
      arguments=arguments,
      extra=self.extra,
    )
    self.activations.append(activation)
    self._by_frame[frame] = activation
    return activation

  def _path(self, module: Any) -> tuple[str, ...]:
    """Names from the root; a module in a scope that is not its own (`nn.share_scope`) still has its own name at the end."""
    scope = getattr(module, "scope", None)
    if scope is None:
      return ()
    path, parent = tuple(scope.path), module.parent
    above = getattr(parent, "scope", None) if isinstance(parent, nn.Module) else None
    if above is None or module.name is None or path == (*above.path, module.name):
      return path
    own = (*self._path(parent), module.name)
    self.shared[own] = path
    return own

  def _intercept(self, run: Any, args: Any, kwargs: Any, context: Any) -> Any:
    module = context.module
    if context.method_name == "<lambda>":
      return run(*args, **kwargs)  # how a lifted transform enters its class
    number = self.tick()
    self._depth += 1
    depth = self._depth
    record = CallRecord(
      number,
      module,
      type(module),
      self._path(module),
      context.method_name,
      tuple(summary(a) for a in args),
      {k: summary(v) for k, v in kwargs.items()},
      None,
      origin_of(module),
      depth,
      self.run,
    )
    self.calls.append(record)
    try:
      output = run(*args, **kwargs)
    finally:
      self._depth -= 1
    record.output = summary(output)
    return output

  def _asked(self, caller: types.FrameType | None) -> bool:
    """Whether the project's code itself calls `clone` or `copy`; Linen does so at every turn."""
    if caller is not None and caller.f_code is nn.Module.copy.__code__:
      caller = caller.f_back
    return caller is not None and caller.f_code.co_filename in self.files

  @contextlib.contextmanager
  def listening(self) -> Iterator[None]:
    """While active, method calls are recorded and clones remember their origin."""
    clone = nn.Module.clone

    def clone_with_origin(module: Any, *args: Any, **kwargs: Any) -> Any:
      copy = clone(module, *args, **kwargs)
      object.__setattr__(copy, _ROOT, module.__dict__.get(_ROOT, module))
      origin = origin_of(module)
      if self._asked(sys._getframe(1)):
        object.__setattr__(copy, _COPIED, origin)  # a construction of its own
      elif origin is not None and _ORIGIN not in copy.__dict__:
        object.__setattr__(copy, _ORIGIN, origin)
      self._keep.append(module)
      return copy

    nn.Module.clone = clone_with_origin  # type: ignore[method-assign]
    try:
      with nn.intercept_methods(self._intercept), traced_each():
        yield
    finally:
      nn.Module.clone = clone  # type: ignore[method-assign]
      self._by_frame.clear()


@contextlib.contextmanager
def traced_each() -> Iterator[None]:
  """While active, `nn.jit` runs the code of each module: equal ones would share one run, and only the first be recorded."""
  fingerprint = linen_transforms._module_fingerprint

  def with_path(module: nn.Module) -> Any:
    return (fingerprint(module), tuple(module.scope.path) if module.scope is not None else ())

  with mock.patch.object(linen_transforms, "_module_fingerprint", with_path):
    yield


def class_file(cls: type) -> str | None:
  """The file that defines a class, also where `__module__` names a package that re-exports it."""
  file = getattr(sys.modules.get(cls.__module__), "__file__", None)
  for value in vars(cls).values():
    function = (
      inspect.unwrap(getattr(value, "__func__", getattr(value, "fget", value) or value))  # pyright: ignore
      if callable(value) or isinstance(value, property)
      else None
    )
    code = getattr(function, "__code__", None)
    if (
      code is not None
      and code.co_qualname.rpartition(".")[0].endswith(cls.__qualname__)
      and not code.co_filename.startswith("<")
    ):
      return code.co_filename
  return file


@dataclasses.dataclass
class Reached:
  """Files and classes that a plain run touches."""

  files: dict[str, str] = dataclasses.field(default_factory=dict)
  classes: list[type] = dataclasses.field(default_factory=list)


@contextlib.contextmanager
def scouting(include: tuple[str, ...], foreign: bool = False) -> Iterator[Reached]:
  """While active, notes which files of the included packages make modules, parameters or variables.

  Args:
    include: packages.
    foreign: include the package of every class of modules that is met, Flax's own apart.
  """
  reached = Reached()
  names: dict[str | None, str] = {}

  def add(packages: tuple[str, ...]) -> None:
    names.update({getattr(m, "__file__", None): n for n, m in list(sys.modules.items()) if included(n, packages)})

  add(include)
  seen_modules = [len(sys.modules)]
  imports = _imports()

  def note() -> None:
    if len(sys.modules) != seen_modules[0]:  # some may be imported while the model runs
      seen_modules[0] = len(sys.modules)
      add(include)
    frame = sys._getframe(2)
    while frame is not None:
      file = frame.f_code.co_filename
      if file in names:
        reached.files.setdefault(file, names[file])
      frame = frame.f_back

  saved = {n: getattr(nn.Module, n) for n in ("__post_init__", "param", "variable", "make_rng", "sow")}

  def wrap(method: Any) -> Any:
    def wrapped(module: Any, *args: Any, **kwargs: Any) -> Any:
      if _imports() == imports:  # what a lazily imported file makes at its top is not the model's
        meet(type(module))
        note()
      return method(module, *args, **kwargs)

    return wrapped

  def meet(cls: type) -> None:
    nonlocal include
    if cls not in reached.classes:
      for base in cls.__mro__:
        file = class_file(base)
        outside = issubclass(base, nn.Module) and not included(base.__module__, ("flax", *include))
        if foreign and outside and file is not None and Path(file).is_file():
          include = (*include, base.__module__.partition(".")[0])
          add(include[-1:])
        if issubclass(base, nn.Module) and file in names:
          reached.files.setdefault(file, names[file])  # type: ignore[arg-type, index]
      if any(included(base.__module__, include) for base in cls.__mro__ if issubclass(base, nn.Module)):
        reached.classes.append(cls)

  def seen(run: Any, args: Any, kwargs: Any, context: Any) -> Any:
    meet(type(context.module))
    return run(*args, **kwargs)

  for name, method in saved.items():
    setattr(nn.Module, name, wrap(method))
  try:
    with nn.intercept_methods(seen):
      yield reached
  finally:
    for name, method in saved.items():
      setattr(nn.Module, name, method)


def _imports() -> int:
  """How many imports are under way."""
  frame, count = sys._getframe(1), 0
  while frame is not None:
    count += frame.f_code.co_name == "_find_and_load" and frame.f_code.co_filename.startswith("<frozen importlib")
    frame = frame.f_back
  return count
