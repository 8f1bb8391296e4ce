"""Values as Python source, for the program that builds a ported model from nothing but text.

A value that cannot be written is refused, with its place in the model. Nothing is evaluated to find out whether the
text is right: constructor calls are found by making them and comparing.
"""

from __future__ import annotations

import builtins
import dataclasses
import enum
import functools
import keyword
import re
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from migrate.codemod.values_arrays import LOAD_VALUES, array_text
from migrate.codemod.values_kinds import write_kind
from migrate.codemod.values_layout import layout
from migrate.codemod.values_same import is_array, same
from migrate.codemod.values_source import Source, Unwritable, join
from migrate.core.report import Finding

__all__ = ["Source", "Unwritable", "ValueWriter", "layout", "same"]

_PLACEHOLDER = re.compile(r"\b__shared_(\d+)__\b")
_SHORT = 40


@dataclasses.dataclass
class _Shared:
  value: Any
  source: Source
  identity: bool
  hint: str


class ValueWriter:
  """Writes values; one writer for one file, since it owns the names that the file's imports bind.

  Attributes:
    arrays: arrays to be saved in `ported_values.npz` beside the file.
  """

  def __init__(
    self,
    module_class_name: Callable[[Any], tuple[str, str] | None] | None = None,
    write_module: Callable[[Any], Source | None] | None = None,
    maker_text: Callable[[Any], str | None] | None = None,
    *,
    reserved: Iterable[str] = (),
    small: int = 32,
  ):
    """Sets up a writer.

    Args:
      module_class_name: for a class or function, the (module, qualified name) that replaces it: the NNX class of a
        ported or stock Linen class, the ported copy of a function. None leaves it. A Linen Module class for which it
        gives None is refused.
      write_module: for a Linen Module instance, or a `functools.partial` of a Linen Module class, its source; it may
        call `write` for the fields. None is refused for an instance and means the ordinary way for a partial.
      maker_text: for a lambda or a function defined in another, its new text where it makes layers. None leaves it.
      reserved: names that the file uses otherwise.
      small: arrays with more elements go to the file of values, unless all elements are the same.
    """
    self.arrays: dict[str, np.ndarray] = {}
    self.module_class_name = module_class_name or (lambda value: None)
    self.maker_text = maker_text or (lambda value: None)
    self._write_module = write_module or (lambda value: None)
    self._small = small
    self._names: dict[str, str] = dict.fromkeys((*reserved, *dir(builtins), *keyword.kwlist), "")
    for name, statement in _USUAL.items():
      self._names[name] = statement
    self._depth = 0
    self._shared: list[_Shared] = []
    self._by_id: dict[int, int] = {}
    self._active: list[int] = []
    self._functions: dict[int, tuple[Any, Source]] = {}
    self._stored: dict[int, tuple[Any, str]] = {}

  def write(self, value: Any, where: str = "value") -> Source:
    """Source of a value.

    Within `write_module`, nested calls share objects with the outer one: their expressions hold placeholders, which
    the outermost call resolves.

    Args:
      value: anything.
      where: its place, for messages, such as `module.config`.

    Raises:
      Unwritable: with the place and what to do.
    """
    outermost = self._depth == 0
    if outermost:
      self._shared, self._by_id, self._active = [], {}, []
    self._depth += 1
    try:
      source = self._write(value, where)
    finally:
      self._depth -= 1
    return self._resolve(source) if outermost else source

  def call(
    self, function: Source | str, args: Sequence[Source] = (), kwargs: Mapping[str, Source] | None = None
  ) -> Source:
    """Source of a call. Keys that are no identifiers go into `**{...}`."""
    kwargs = kwargs or {}
    texts = [a.expression for a in args]
    odd = {k: v for k, v in kwargs.items() if not k.isidentifier() or keyword.iskeyword(k)}
    texts += [f"{k}={v.expression}" for k, v in kwargs.items() if k not in odd]
    if odd:
      texts.append("**{" + ", ".join(f"{k!r}: {v.expression}" for k, v in odd.items()) + "}")
    function = function if isinstance(function, Source) else Source(function)
    return join(f"{function.expression}({', '.join(texts)})", (function, *args, *kwargs.values()))

  def reference(self, module: str, qualname: str) -> Source:
    """`from module import name`, under another name where the file has that one already."""
    if module == "builtins":
      return Source(qualname)
    for prefix, statement, spelling in _SPELLED:
      if module == prefix:
        return Source(f"{spelling}.{qualname}", frozenset({statement}))
    root, dot, rest = qualname.partition(".")
    for name in (root, f"{root}_{module.rpartition('.')[2].lstrip('_')}", *(f"{root}_{i}" for i in range(2, 99))):
      statement = f"from {module} import {root}" + (f" as {name}" if name != root else "")
      if self._names.setdefault(name, statement) == statement:
        return Source(name + dot + rest, frozenset({statement}))
    raise AssertionError(f"no free name for {module}.{qualname}")

  def bind(self, name: str, statement: str) -> bool:
    """Claims a name for an import statement. False where the file uses it for something else."""
    return self._names.setdefault(name, statement) == statement

  def fresh(self, hint: str) -> str:
    """A name that nothing uses yet, claimed."""
    name, number = hint, 2
    while name in self._names:
      name, number = f"{hint}_{number}", number + 1
    self._names[name] = ""
    return name

  def once(self, value: Any, make: Callable[[], Source]) -> Source:
    """Makes the helper of a function once in a file."""
    if id(value) not in self._functions:
      self._functions[id(value)] = value, make()
    return self._functions[id(value)][1]

  def refuse(self, where: str, value: Any, because: str, do: str = "") -> Unwritable:
    """The error for a value that cannot be written."""
    text = f"{type(value).__module__}.{type(value).__qualname__}: {because}"
    do = do or "build the example without it, or give it a name at the top level of an importable module"
    return Unwritable(Finding(where, text, "a value that can be written as Python source", do))

  def inlined(self, source: Source) -> Source:
    """The source with every shared object written out in place, for text in another scope."""
    parts = [source]

    def expand(match: re.Match[str]) -> str:
      inner = self.inlined(self._shared[int(match[1])].source)
      parts.append(inner)
      return inner.expression

    return join(_PLACEHOLDER.sub(expand, source.expression), parts)

  # the walk

  def _write(self, value: Any, where: str) -> Source:
    if value is None or isinstance(value, (bool, types.EllipsisType)) or type(value) in (int, str, bytes):
      return Source("..." if value is Ellipsis else repr(value))
    if id(value) in self._by_id:
      return Source(f"__shared_{self._by_id[id(value)]}__")
    if id(value) in self._active:
      raise self.refuse(where, value, "it contains itself")
    self._active.append(id(value))
    try:
      source, shares, identity = self._source(value, where)
    finally:
      self._active.pop()
    if not shares or source.expression.isidentifier():
      return source
    index = len(self._shared)
    self._shared.append(_Shared(value, source, identity, _snake(type(value).__name__)))
    self._by_id[id(value)] = index
    return Source(f"__shared_{index}__")

  def _source(self, value: Any, where: str) -> tuple[Source, bool, bool]:
    """(source, may be shared, must be one object where used twice)."""
    linen = sys.modules.get("flax.linen")
    if linen is not None and isinstance(value, linen.Module):
      made = self._write_module(value)
      if made is None:
        raise self.refuse(where, value, "a Linen module that was not ported")
      return made, True, True
    if (
      linen is not None
      and isinstance(value, functools.partial)
      and (_is_module_class(value.func, linen) or isinstance(value.func, types.FunctionType))
    ):
      made = self._write_module(value)
      if made is not None:
        return made, False, False
    if is_array(value) and not isinstance(value, enum.Enum):
      source = self._array(value, where)
      return source, True, bool(source.helpers)
    source, identity = write_kind(self, value, where)
    return source, identity or isinstance(value, (list, dict, set)), identity

  def _array(self, value: Any, where: str) -> Source:
    text = array_text(value, self._small)
    if text is None:
      raise self.refuse(where, value, "an array of Python objects")
    if text.stored is None:
      return Source(text.expression, text.imports)
    if id(value) not in self._stored:
      hint = re.sub(r"\W+", "_", where).strip("_") or "array"
      name, number = hint, 2
      while name in self.arrays:
        name, number = f"{hint}_{number}", number + 1
      self.arrays[name] = text.stored
      self._stored[id(value)] = value, name
    expression = text.expression.replace("{name}", self._stored[id(value)][1])
    return Source(expression, text.imports, (LOAD_VALUES,))

  # shared objects

  def _resolve(self, root: Source) -> Source:
    counts: dict[int, int] = {}
    order: list[int] = []

    def visit(text: str) -> None:
      for match in _PLACEHOLDER.finditer(text):
        index = int(match[1])
        counts[index] = counts.get(index, 0) + 1
        if counts[index] == 1:
          visit(self._shared[index].source.expression)
          order.append(index)

    visit(root.expression)
    names: dict[int, str] = {}
    taken = dict(self._names)

    def expand(text: str) -> str:
      return _PLACEHOLDER.sub(lambda m: names.get(int(m[1])) or expand(self._shared[int(m[1])].source.expression), text)

    setup: list[str] = []
    for index in order:
      shared = self._shared[index]
      text = expand(shared.source.expression)
      if counts[index] > 1 and (shared.identity or len(text) > _SHORT):
        name, number = shared.hint, 2
        while name in taken:
          name, number = f"{shared.hint}_{number}", number + 1
        taken[name] = ""
        names[index] = name
        setup.append(f"{name} = {layout(text, len(name) + 3, width=96)}")
    made = join(expand(root.expression), (root, *(self._shared[i].source for i in order)))
    return dataclasses.replace(made, setup=tuple(dict.fromkeys((*made.setup, *setup))))


_USUAL = {
  "np": "import numpy as np",
  "jnp": "import jax.numpy as jnp",
  "jax": "import jax",
  "nnx": "from flax import nnx",
  "optax": "import optax",
  "functools": "import functools",
  "collections": "import collections",
  "types": "import types",
  "typing": "import typing",
  "pathlib": "import pathlib",
  "re": "import re",
  "VALUES": LOAD_VALUES,
}
_SPELLED = (
  ("flax.nnx", "from flax import nnx", "nnx"),
  ("jax.numpy", "import jax.numpy as jnp", "jnp"),
  ("jax", "import jax", "jax"),
  ("numpy", "import numpy as np", "np"),
  ("functools", "import functools", "functools"),
  ("collections", "import collections", "collections"),
  ("typing", "import typing", "typing"),
)


def _is_module_class(value: Any, linen: Any) -> bool:
  return isinstance(value, type) and issubclass(value, linen.Module)


def _snake(name: str) -> str:
  return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower().lstrip("_") or "value"
