"""The example contract: how a user shows the tool a model. Imports neither jax nor flax."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from migrate.core.report import refuse


@dataclasses.dataclass(frozen=True)
class Call:
  """One more call of the same variables: train mode, another method, other shapes.

  Attributes:
    args: positional arguments of `apply`, arrays or `jax.ShapeDtypeStruct`.
    kwargs: keyword arguments of `apply`.
    rngs: names of the streams that the call needs, e.g. `("dropout",)`.
    mutable: collections that the call may change, as in `Module.apply`.
    method: name of the method, None for `__call__`.
  """

  args: Sequence[Any] = ()
  kwargs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  rngs: Sequence[str] = ()
  mutable: Any = None
  method: str | None = None


@dataclasses.dataclass(frozen=True)
class Example:
  """A Linen model and how it is called.

  Attributes:
    module: an unbound Linen module.
    args: positional arguments of `apply`, arrays or `jax.ShapeDtypeStruct`.
    kwargs: keyword arguments of `apply`.
    init_args: replace `args` for `init` where they differ.
    init_kwargs: replace `kwargs` for `init` where they differ.
    init_rngs: names of the streams that `init` needs.
    rngs: names of the streams that the call needs.
    mutable: collections that the call may change, as in `Module.apply`.
    method: name of the method for `init` and `apply`, None for `__call__`.
    calls: further calls of the same variables, traced and verified too.
    init_method: name of the method for `init` where it differs from `method`.
  """

  module: Any
  args: Sequence[Any] = ()
  kwargs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  _: dataclasses.KW_ONLY
  init_args: Sequence[Any] | None = None
  init_kwargs: Mapping[str, Any] | None = None
  init_rngs: Sequence[str] = ("params", "dropout")
  rngs: Sequence[str] = ()
  mutable: Any = None
  method: str | None = None
  calls: Sequence[Call] = ()
  init_method: str | None = None

  @property
  def first_call(self) -> Call:
    """The call that `args`, `kwargs`, `rngs`, `mutable` and `method` describe."""
    return Call(self.args, self.kwargs, self.rngs, self.mutable, self.method)

  @property
  def all_calls(self) -> tuple[Call, ...]:
    """The first call and then `calls`."""
    return (self.first_call, *self.calls)


@dataclasses.dataclass(frozen=True)
class ExampleSpec:
  """`package.module:function` or `path/file.py:function`, not yet imported."""

  text: str
  location: str
  function: str

  @classmethod
  def parse(cls, text: str) -> ExampleSpec:
    """Splits the text. Raises MigrateError where it has no colon."""
    location, colon, function = text.rpartition(":")
    if not colon or not location or not function:
      raise refuse(
        text, "not an example", "package.module:function or path/file.py:function", "name a function after a colon"
      )
    return cls(text, location, function)

  @property
  def name(self) -> str:
    """The function's name; `ported.py` gives `build_<name>`."""
    return self.function

  def load(self) -> Callable[[], Example]:
    """Imports and returns the function. Raises MigrateError where either is missing."""
    module = _import_file(self.location) if self.location.endswith(".py") else _import_module(self.text, self.location)
    found = module
    for part in self.function.split("."):
      found = getattr(found, part, None)
    if not callable(found):
      names = sorted(n for n, v in vars(module).items() if _takes_nothing(v) and not n.startswith("_"))
      raise refuse(
        self.text,
        f"{self.location} has no function {self.function}",
        "a function without arguments",
        f"it has {', '.join(names[:12])}" if names else "write one that returns a migrate.Example",
      )
    return found  # pyright: ignore

  def build(self) -> Example:
    """Calls the function. Raises MigrateError where it fails or returns something else."""
    function = self.load()
    try:
      example = function()
    except Exception as error:
      raise refuse(
        self.text,
        f"the example raised {type(error).__name__}: {error}",
        "a migrate.Example",
        "call the function by itself and mend it",
      ) from error
    if not isinstance(example, Example):
      raise refuse(
        self.text,
        f"the example returned {type(example).__name__}",
        "a migrate.Example",
        "return migrate.Example(module, args)",
      )
    return example


def _import_module(text: str, location: str) -> Any:
  if "" not in sys.path and str(Path.cwd()) not in sys.path:
    sys.path.insert(0, str(Path.cwd()))
  try:
    return importlib.import_module(location)
  except ModuleNotFoundError as error:
    raise refuse(
      text,
      f"no module {error.name}",
      "an importable module",
      "install it, or run where it can be imported, or give path/file.py:function",
    ) from error


def _takes_nothing(value: Any) -> bool:
  """Whether a value is a function that can be called without arguments."""
  if not inspect.isfunction(value):
    return False
  parameters = inspect.signature(value).parameters.values()
  return all(p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)


def _import_file(location: str) -> Any:
  path = Path(location).resolve()
  if not path.is_file():
    raise refuse(location, "no such file", "a Python file", "give its path, from here or absolute")
  folder = str(path.parent)
  if folder not in sys.path:
    sys.path.insert(0, folder)
  name = path.stem
  known = sys.modules.get(name)
  if known is not None and getattr(known, "__file__", None) != str(path):
    # another module has that name already: keep both
    name = f"{path.stem}_{hashlib.sha1(str(path).encode()).hexdigest()[:8]}"
    known = sys.modules.get(name)
  if known is not None:
    return known
  spec = importlib.util.spec_from_file_location(name, path)
  assert spec is not None
  assert spec.loader is not None
  module = importlib.util.module_from_spec(spec)
  sys.modules[name] = module
  try:
    spec.loader.exec_module(module)
  except Exception as error:
    del sys.modules[name]
    raise refuse(
      location,
      f"the file raised {type(error).__name__}: {error}",
      "a file that imports",
      "import it by itself and mend it",
    ) from error
  return module
