"""What a trace saw: immutable once the trace is done."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np
from flax import linen as nn

from migrate.trace.instrument import Position
from migrate.trace.sown import Sown


@dataclasses.dataclass(frozen=True)
class ArraySpec:
  """An array as the trace saw it: shape and dtype only.

  Attributes:
    shape: its axes.
    dtype: by name.
    host: whether it was NumPy's, whose values are known while tracing.
  """

  shape: tuple[int, ...]
  dtype: str
  host: bool = dataclasses.field(default=False, compare=False)


@dataclasses.dataclass(eq=False)
class Activation:
  """One running of one function of a traced file.

  Attributes:
    number: in order of entry, over the whole trace.
    file: the code's file.
    qualname: the code's qualified name.
    line: the code's first line.
    module: the Linen module that is the first argument, if it is one.
    path: that module's path of names.
    initializing: whether it ran inside `init`.
    parent: the activation that (perhaps through library code) called this one.
    call_position: where in the parent.
    events: position -> values, in order.
    orders: position -> event numbers, as `events`.
    arguments: local names at entry.
    extra: whether it ran in a call that the example does not make, with a flag turned over.
  """

  number: int
  file: str
  qualname: str
  line: int
  module: Any = None
  path: tuple[str, ...] = ()
  initializing: bool = False
  parent: Activation | None = None
  call_position: Position | None = None
  events: dict[Position, list[Any]] = dataclasses.field(default_factory=dict)
  orders: dict[Position, list[int]] = dataclasses.field(default_factory=dict)
  arguments: dict[str, Any] = dataclasses.field(default_factory=dict)
  extra: bool = False


@dataclasses.dataclass(eq=False)
class Origin:
  """The call expression that made a module; of a copy that the project's code makes, also what made the original."""

  activation: Activation
  position: Position
  index: int
  copied: Origin | None = None


@dataclasses.dataclass(eq=False)
class CallRecord:
  """One call of a module's method."""

  number: int
  module: Any
  cls: type
  path: tuple[str, ...]
  method: str
  args: tuple[Any, ...]
  kwargs: dict[str, Any]
  output: Any
  origin: Origin | None
  depth: int
  run: int


@dataclasses.dataclass
class Facts:
  """Everything a trace of one example saw.

  Attributes:
    name: the example's name.
    example: the example itself.
    variables: abstract variables, as `init` makes them.
    activations: every running of every function of a traced file.
    calls: every call of a method of a module.
    files: traced file -> module name.
    classes: Linen classes reached in included packages, in order of first call.
    created: modules by the position that made them: (file, position) -> modules.
    notes: what did not run.
    shared: path of a module whose variables lie in the scope of another (`nn.share_scope`) -> that one's path.
    sown: what `init` sowed, collection and module path first.
    packages: those whose classes are to be rewritten.
    foreign: whether those of any other package are, too, where the model names them.
  """

  name: str
  example: Any
  variables: Any
  activations: list[Activation]
  calls: list[CallRecord]
  files: dict[str, str]
  classes: list[type]
  created: dict[tuple[str, Position], list[tuple[Activation, int, Any]]]
  notes: list[str] = dataclasses.field(default_factory=list)
  shared: dict[tuple[str, ...], tuple[str, ...]] = dataclasses.field(default_factory=dict)
  sown: Sown = dataclasses.field(default_factory=Sown)
  packages: tuple[str, ...] = ()
  foreign: bool = False

  def includes(self, module: str) -> bool:
    """Whether the classes of a module are to be rewritten."""
    return not included(module, ("flax",)) and (self.foreign or included(module, self.packages))

  def calls_of(self, modules: Iterable[Any]) -> list[CallRecord]:
    """Calls whose module stems from one of these."""
    wanted = {id(m) for m in modules}
    return [c for c in self.calls if id(c.module) in wanted]


def included(module: str, packages: Iterable[str]) -> bool:
  """Whether a module is one of some packages, or in them."""
  return any(module == p or module.startswith(p + ".") for p in packages)


def summary(value: Any, depth: int = 3) -> Any:
  """The value with every array in it replaced by its `ArraySpec`; containers are copied, to `depth` levels."""
  if isinstance(value, nn.Module):
    return value  # asking a module for an attribute may run its setup
  if isinstance(value, np.integer | np.bool_):
    return value.item()  # `np.prod(shape)` is a size, no array
  shape = _attribute(value, "shape")
  if isinstance(shape, tuple) and _attribute(value, "dtype") is not None and not isinstance(value, type):
    return ArraySpec(tuple(value.shape), str(value.dtype), isinstance(value, np.ndarray))
  if depth and type(value) in (list, tuple):
    return type(value)(summary(v, depth - 1) for v in value)  # pyright: ignore
  if depth and type(value) is dict:
    return {k: summary(v, depth - 1) for k, v in value.items()}
  if depth and isinstance(value, tuple) and hasattr(value, "_fields"):
    return tuple(summary(v, depth - 1) for v in value)
  return value


def _attribute(value: Any, name: str) -> Any:
  """An attribute of a value; None where it has none, or a property of it does not work yet."""
  try:
    return getattr(value, name, None)
  except Exception:
    return None
