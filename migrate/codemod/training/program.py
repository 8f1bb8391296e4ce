"""The files of a program, what their names refer to, and the edits that rewriting makes in them."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from migrate.codemod.imports import Names, follow
from migrate.codemod.imports_edit import Edit, apply_edits
from migrate.codemod.source import Source, dotted
from migrate.codemod.training.values import Function, Token, Value

TRAIN_STATE = "flax.training.train_state.TrainState"


class File:
  """One file: its tree, its names, the edits so far."""

  def __init__(self, path: str, module: str, text: str):
    self.path = path
    self.module = module
    self.source = Source(path, text)
    self.names = Names(text, module, path.endswith("__init__.py"), tree=self.source.tree)
    self.functions = {n.name: n for n in self.source.tree.body if isinstance(n, ast.FunctionDef)}
    self.classes = {n.name: n for n in self.source.tree.body if isinstance(n, ast.ClassDef)}
    self.scope = Scope(self, None, self.source.tree)
    # owner (a top-level definition, or the file itself) -> its edits
    self.edits: dict[Any, list[Edit]] = {}
    self.imports: dict[Any, set[str]] = {}
    self.erased: set[tuple[int, int]] = set()

  def owner(self, node: ast.AST) -> Any:
    """The top-level function or class that a node is in, or the file."""
    top: Any = None
    for around in (node, *self.source.enclosing(node)):
      if isinstance(around, (ast.FunctionDef, ast.ClassDef)):
        top = around
    return top if top is not None else self

  def replace(self, node: ast.AST, text: str) -> None:
    """Writes another text for a node; edits inside it are gone."""
    self.replace_span(node, *self.source.span(node), text)

  def replace_span(self, node: ast.AST, start: int, end: int, text: str) -> None:
    """Writes another text for a span that belongs to a node's owner."""
    edits = self.edits.setdefault(self.owner(node), [])
    edits[:] = [e for e in edits if e.end <= start or e.start >= end]
    edits.append(Edit(start, end, text.encode()))

  def reset(self, node: ast.AST) -> None:
    """Drops the edits inside a node."""
    start, end = self.source.span(node)
    edits = self.edits.get(self.owner(node), [])
    edits[:] = [e for e in edits if e.end <= start or e.start >= end]

  def text(self, node: ast.AST) -> str:
    """The node's text as it is by now."""
    start, end = self.source.span(node)
    return apply_edits(self.source.data, self.edits.get(self.owner(node), []), start, end).decode()

  def need(self, node: ast.AST, statement: str) -> None:
    """Remembers an import for what a node became."""
    self.imports.setdefault(self.owner(node), set()).add(statement)


@dataclasses.dataclass(eq=False)
class Scope:
  """The variables of a function, or of a file.

  Attributes:
    file: where it is.
    outer: the scope around it.
    node: the function, lambda or file.
    values: what its variables hold.
    models: names of models, by token.
    optimizers: names of optimizers, by token.
    given: models that it was given, and which it need not return.
    inner: models whose parameters it is differentiated by.
    wrapped: whether a transform is around the function.
    lifted: whether its body is traced by itself, so that no model from outside may change in it.
    closed: models that it was given and that it meets in the scopes around it, too.
    hidden: models that it has inside of objects.
  """

  file: File
  outer: Scope | None
  node: Any
  values: dict[str, Value] = dataclasses.field(default_factory=dict)
  models: dict[Token, str] = dataclasses.field(default_factory=dict)
  optimizers: dict[Token, str] = dataclasses.field(default_factory=dict)
  given: set[Token] = dataclasses.field(default_factory=set)
  inner: set[Token] = dataclasses.field(default_factory=set)
  returned: list[tuple[ast.Return | None, Value]] = dataclasses.field(default_factory=list)
  locals: set[str] = dataclasses.field(default_factory=set)
  wrapped: bool = False
  lifted: bool = False
  closed: set[Token] = dataclasses.field(default_factory=set)
  hidden: set[Token] = dataclasses.field(default_factory=set)

  def chain(self) -> Iterator[Scope]:
    """This scope and those around it."""
    scope: Scope | None = self
    while scope is not None:
      yield scope
      scope = scope.outer

  def find(self, name: str) -> Value | None:
    """What a variable holds, None where no scope has it."""
    for scope in self.chain():
      if name in scope.values:
        return scope.values[name]
      if name in scope.locals:
        return None
    return None

  def is_local(self, name: str) -> bool:
    """Whether a name is a variable of a function around here."""
    return any(name in s.locals or name in s.values for s in self.chain() if s.outer is not None)


class Program:
  """All files, by module."""

  def __init__(self, files: Iterable[File]):
    self.files = {f.module: f for f in files}
    self._names: Mapping[str, Names] = {m: f.names for m, f in self.files.items()}

  def full(self, scope: Scope, node: ast.AST) -> str | None:
    """The full name that an expression refers to, where it is no local variable."""
    text = dotted(node)
    if text is None or scope.is_local(text.partition(".")[0]):
      return None
    found = scope.file.names.resolve(text)
    return follow(found, self._names) if found else None

  def function(self, full: str | None) -> Function | None:
    """A function of the program by its full name."""
    module, _, name = (full or "").rpartition(".")
    file = self.files.get(module)
    if file is None or name not in file.functions:
      return None
    return Function(file.functions[name], file, file.scope)

  def class_(self, full: str | None) -> tuple[File, ast.ClassDef] | None:
    """A class of the program by its full name."""
    module, _, name = (full or "").rpartition(".")
    file = self.files.get(module)
    return (file, file.classes[name]) if file is not None and name in file.classes else None

  def base(self, file: File, node: ast.ClassDef, base: ast.expr) -> str | None:
    """The full name of a class's base; of `class State(State)` it is what was imported."""
    if isinstance(base, ast.Name) and base.id == node.name:
      found = file.names.shadowed.get(node.name)
      return follow(found, self._names) if found else None
    return self.full(file.scope, base)

  def train_state(self, full: str | None) -> list[str] | None:
    """Names of the fields that a TrainState class adds to Flax's; None where it is no TrainState."""
    if full == TRAIN_STATE:
      return []
    found = self.class_(full)
    if found is None:
      return None
    file, node = found
    for base in node.bases:
      added = self.train_state(self.base(file, node, base))
      if added is not None:
        return added + [_field(s) for s in node.body if not _is_docstring(s)]
    return None


def _is_docstring(node: ast.stmt) -> bool:
  return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def _field(node: ast.stmt) -> str:
  """A field's name; a method gives a name that no field has."""
  if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
    return node.target.id
  return f"<{getattr(node, 'name', 'statement')}>"
