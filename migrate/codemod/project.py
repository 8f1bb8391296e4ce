"""Facts of all examples beside the sources they are about, with the questions that rewriting asks of them."""

from __future__ import annotations

import ast
import dataclasses
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from flax import linen as nn

from migrate.codemod.scan import SKIP
from migrate.codemod.scopes import ask_the_module
from migrate.codemod.source import Source, key
from migrate.codemod.spoken import spoken_of
from migrate.codemod.star_imports import names_of
from migrate.codemod.with_axes import plain_parameters
from migrate.core.declare import LayerMapping
from migrate.core.report import Finding
from migrate.trace.facts import Activation, ArraySpec, CallRecord, Facts
from migrate.trace.instrument import Position
from migrate.trace.recorder import class_file, origin_of, root_of


@dataclasses.dataclass
class Event:
  """One value that an expression had."""

  activation: Activation
  order: int
  value: Any


@dataclasses.dataclass
class FieldInfo:
  """A dataclass field of a Linen class, as written."""

  name: str
  annotation: str
  default: str | None
  node: ast.AnnAssign
  keyword_only: bool = False


@dataclasses.dataclass(eq=False)
class ClassInfo:
  """A Linen class of an included package: its source and what the traces saw of it."""

  cls: type
  node: ast.ClassDef
  source: Source
  module: str
  fields: list[FieldInfo]
  methods: dict[str, ast.FunctionDef]
  bases: list[ClassInfo] = dataclasses.field(default_factory=list)

  @property
  def name(self) -> str:
    """The class's name, with those of the classes or functions around it."""
    return self.cls.__qualname__

  @property
  def home(self) -> str:
    """The full name."""
    return f"{self.module}.{self.name}"

  @property
  def file(self) -> str:
    """The class's file."""
    return self.source.path

  def compact_methods(self) -> list[str]:
    """Names of own methods decorated as compact."""
    return [n for n, m in self.methods.items() if any("compact" in ast.unparse(d) for d in m.decorator_list)]


class Project:
  """What is known before anything is rewritten."""

  def __init__(self, facts: list[Facts], layers: Mapping[str, LayerMapping], variants: Sequence[Facts] = ()):
    """Indexes the traces.

    Args:
      facts: of the examples.
      layers: records by Linen name.
      variants: of the same models at other sizes; expressions must hold there too.
    """
    self.examples = facts
    facts = [*facts, *variants]
    self.facts = facts
    self.layers = layers
    self.findings: list[Finding] = []
    self.sources: dict[str, Source] = {}
    self.modules: dict[str, str] = {}
    self.activations: dict[tuple[str, str], list[Activation]] = {}
    self.calls_by_origin: dict[tuple[int, str, Position, int], list[CallRecord]] = {}
    self.calls_by_path: dict[tuple[int, tuple[str, ...]], list[CallRecord]] = {}
    self._by_file: dict[str, list[Activation]] = {}
    self.called_from: dict[tuple[str, Position], list[Activation]] = {}
    self._events: dict[tuple[str, Position], list[Event]] = {}
    for fact in facts:
      for path, module in fact.files.items():
        if path not in self.sources:
          self.sources[path] = Source(path, Path(path).read_text(encoding="utf-8"))
          self.modules[path] = module
          self._plain_parameters(path)
      for activation in fact.activations:
        self.activations.setdefault((activation.file, activation.qualname), []).append(activation)
        if activation.parent is not None and activation.call_position is not None:
          self.called_from.setdefault((activation.parent.file, activation.call_position), []).append(activation)
        for position, values in activation.events.items():
          orders = activation.orders[position]
          bucket = self._events.setdefault((activation.file, position), [])
          bucket.extend(Event(activation, o, v) for o, v in zip(orders, values, strict=True))
      for call in fact.calls:
        origin = call.origin
        while origin is not None:
          self.calls_by_origin.setdefault(origin_key(origin), []).append(call)
          origin = origin.copied
        self.calls_by_path.setdefault((id(fact), call.path), []).append(call)
    self._fact_of = {id(a): f for f in facts for a in f.activations}
    self.classes: dict[type, ClassInfo] = {}
    self.constructed: set[tuple[type, str]] = set()  # fields that `__init__` reads, so that no call may give them
    for fact in facts:
      for cls in fact.classes:
        self._add(cls)
    self.reached = set(self.classes)
    self.stays: dict[type, str] = {}  # classes that no example runs and that can't be rewritten, with the reason
    self.named: dict[type, list[type]] = {}
    for info in list(self.classes.values()):
      self._add_named(info)

  def fact_of(self, activation: Activation) -> Facts:
    """The trace that an activation belongs to."""
    return self._fact_of[id(activation)]

  def activations_in(self, file: str) -> list[Activation]:
    """Every run of a function of a file."""
    if file not in self._by_file:
      self._by_file[file] = [a for (path, _), runs in self.activations.items() if path == file for a in runs]
    return self._by_file[file]

  def events(self, source: Source, node: ast.AST) -> list[Event]:
    """Every value that an expression had, over all traces, in order."""
    return self._events.get((source.path, key(node)), [])

  def calls_of(self, module: Any) -> list[CallRecord]:
    """Calls of a module or of its clones."""
    origin = origin_of(module)
    if origin is not None:
      return self.calls_by_origin.get(origin_key(origin), [])
    root = root_of(module)
    return [c for f in self.facts for c in f.calls if c.module is module or root_of(c.module) is root]

  def output_features(self, module: Any) -> int | None:
    """The last axis of what a module returned, if it was an array."""
    for call in self.calls_of(module):
      if isinstance(call.output, ArraySpec) and call.output.shape:
        return call.output.shape[-1]
    return None

  def record(self, cls: type) -> LayerMapping | None:
    """The layer record of a Linen class, by its full name."""
    name = f"flax.linen.{cls.__name__}"
    if cls.__module__.startswith("flax.linen") and name in self.layers:
      return self.layers[name]
    return None

  def stock_base(self, cls: type) -> type | None:
    """The layer of Linen's that a class of the project extends, if it is more than an interface."""
    bases = cls.__mro__[1:] if cls in self.classes else ()
    return next((b for b in bases if (record := self.record(b)) is not None and (record.args or record.leaves)), None)

  def made_by(self, cls: type) -> LayerMapping | None:
    """The record by which a class is constructed: its own, or that of the layer it extends."""
    base = self.stock_base(cls)
    return self.record(cls) if base is None else self.record(base)

  def plain(self, cls: type) -> type:
    """The class behind one that a transform made (`nn.remat(Block)`)."""
    if cls in self.classes or not cls.__module__.startswith("flax.linen.transforms"):
      return cls
    return next((b for b in cls.__mro__[1:] if b in self.classes or self.record(b) is not None), cls)

  def name_of_lifted(self, cls: type) -> tuple[str, str] | None:
    """The module and name of a class that a transform made at the top of a file: `Batch = nn.vmap(Net)`."""
    if cls.__module__ != "flax.linen.transforms" or self.plain(cls) is cls:
      return None
    for module in dict.fromkeys(self.modules.values()):
      for name, value in vars(sys.modules[module]).items() if module in sys.modules else ():
        if value is cls:
          return module, name
    return None

  def owners_of(self, cls: type, field: str) -> list[type]:
    """A class and those of its bases that know the field too: the method that runs may be theirs."""
    bases = [b for b in cls.__mro__[1:] if b in self.classes]
    return [cls, *(b for b in bases if field in getattr(b, "__dataclass_fields__", ()))]

  def info(self, cls: type) -> ClassInfo | None:
    """The class's source, where it is to be rewritten."""
    return self.classes.get(cls)

  def called_function(self, source: Source, node: ast.AST) -> tuple[Source, ast.FunctionDef, str] | None:
    """The one function at the top of a file that a call came to in every run: its file, its definition, its name."""
    places = {(a.file, a.qualname, a.line) for a in self.called_from.get((source.path, key(node)), ())}
    if len(places) != 1:
      return None
    file, name, line = places.pop()
    other = self.sources.get(file)
    definition = other.function(line, name) if other is not None and "." not in name else None
    return (other, definition, name) if other is not None and definition is not None else None

  def _plain_parameters(self, path: str) -> None:
    source = self.sources[path]
    for node in plain_parameters(source, names_of(source.text, self.modules[path], path)):
      self.findings.append(Finding(f"{path}:{node.lineno}", "names of a parameter's axes", "an argument that every mesh knows",
                                   "they were left out: NNX keeps them on the Variable, nnx.Param(..., sharding_names=...)", "note", "L2N112"))  # fmt: skip

  def _add_named(self, info: ClassInfo) -> None:
    """Classes that a class speaks of and no example reaches: NNX makes layers that Linen put off."""
    for found in spoken_of(info, self.sources):
      self._open(found)
      if found not in self.classes:
        new = self._add(found)
        if new is not None:
          self._add_named(new)
      if found in self.classes:
        self.named.setdefault(info.cls, []).append(found)

  def _open(self, cls: type) -> None:
    """Reads the files of a class that no example reaches."""
    for base in cls.__mro__:
      path = class_file(base) if issubclass(base, nn.Module) else None
      if path is None or path in self.sources or not any(f.includes(base.__module__) for f in self.facts):
        continue
      if Path(path).is_file():
        self.sources[path] = Source(path, Path(path).read_text(encoding="utf-8"))
        self.modules[path] = base.__module__
        self._plain_parameters(path)

  def _add(self, cls: type) -> ClassInfo | None:
    if cls in self.classes:
      return self.classes[cls]
    path = class_file(cls) if issubclass(cls, nn.Module) else None
    if path is None or path not in self.sources:
      return None
    source = self.sources[path]
    node = find_class(source.tree, cls.__qualname__)
    if node is None or SKIP.search(source.line(node.lineno)):
      return None
    ask_the_module(node)
    bases = [b for b in (self._add(base) for base in cls.__bases__) if b is not None]
    methods = {s.name: s for s in node.body if isinstance(s, ast.FunctionDef) and not _accompanies(s)}
    info = ClassInfo(cls, node, source, self.modules[path], list(_fields(cls, node, source)), methods, bases)
    self.classes[cls] = info
    return info


def _accompanies(node: ast.FunctionDef) -> bool:
  """Whether a method only goes with another one of its name: the setter of a property, a signature for type checkers."""
  names = [ast.unparse(d).rpartition(".") for d in node.decorator_list]
  return any(last == "overload" or (first == node.name and last in ("setter", "deleter")) for first, _, last in names)


def is_local(cls: type) -> bool:
  """Whether a class was made by a function."""
  return "<locals>" in cls.__qualname__


def origin_key(origin: Any) -> tuple[int, str, Position, int]:
  """What tells one construction from another."""
  return (id(origin.activation), origin.activation.file, origin.position, origin.index)


def find_class(tree: ast.Module, qualname: str) -> ast.ClassDef | None:
  """The class definition of a qualified name, `<locals>` included."""
  scope: Iterable[ast.AST] = ast.iter_child_nodes(tree)
  found: ast.AST | None = None
  for part in [p for p in qualname.split(".") if p != "<locals>"]:
    found = None
    queue = list(scope)
    while queue:
      node = queue.pop(0)
      if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == part:
        found = node
        if isinstance(node, ast.ClassDef):
          break
      elif not isinstance(node, ast.ClassDef | ast.FunctionDef):
        queue = list(ast.iter_child_nodes(node)) + queue
    if found is None:
      return None
    scope = ast.iter_child_nodes(found)
  return found if isinstance(found, ast.ClassDef) else None


def _fields(cls: type, node: ast.ClassDef, source: Source) -> Iterable[FieldInfo]:
  own = set(cls.__dict__.get("__annotations__", {}))  # noqa: RUF063  (own ones only, unevaluated)
  keyword_only = False
  for statement in node.body:
    if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
      continue
    annotation = source.code(statement.annotation)
    if annotation.split(".")[-1].split("[")[0] == "KW_ONLY":
      keyword_only = True
      continue
    if annotation.split(".")[-1].startswith("ClassVar") or statement.target.id not in own:
      continue
    default = source.code(statement.value) if statement.value is not None else None
    yield FieldInfo(statement.target.id, annotation, default, statement, keyword_only)


def is_array(value: Any) -> bool:
  """Whether a recorded value was an array."""
  return isinstance(value, ArraySpec)


def has_array(value: Any) -> bool:
  """Whether there is an array anywhere in a recorded value."""
  if isinstance(value, list | tuple):
    return any(map(has_array, value))
  if isinstance(value, Mapping):
    return any(map(has_array, value.values()))
  return is_array(value)


def holds_modules(value: Any) -> bool:
  """Whether a recorded value is a module, or a container with one in it."""
  if isinstance(value, nn.Module):
    return True
  if isinstance(value, list | tuple):
    return any(map(holds_modules, value))
  if isinstance(value, Mapping):
    return any(map(holds_modules, value.values()))
  return False


def all_modules(value: Any) -> bool:
  """Whether a value is a module, or a container of nothing else."""
  if isinstance(value, nn.Module):
    return True
  if isinstance(value, list | tuple):
    return bool(value) and all(map(all_modules, value))
  if isinstance(value, Mapping):
    return bool(value) and all(map(all_modules, value.values()))
  return False
