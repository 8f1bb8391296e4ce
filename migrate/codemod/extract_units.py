"""A file as its top-level units, and which of them a set of ported definitions needs."""

from __future__ import annotations

import ast
import dataclasses
import functools
from collections.abc import Iterable

from migrate.codemod.imports import dotted_text
from migrate.codemod.imports_edit import Positions
from migrate.codemod.imports_uses import bound_names, read_names, type_comment_names

_MUTATORS = {
  *("append", "extend", "insert", "add", "update", "setdefault", "pop", "popitem", "remove", "clear", "discard")
}
_MUTABLE_CALLS = {"dict", "list", "set", "defaultdict", "OrderedDict", "Counter", "deque", "WeakValueDictionary"}
_IDENTITY_CALLS = {
  *("object", "namedtuple", "NamedTuple", "TypedDict", "Enum", "IntEnum", "Flag", "IntFlag", "StrEnum", "NewType"),
  *("make_dataclass", "ContextVar", "Lock", "RLock", "local", "type", "new_class"),
}
# decorators that only change the function; any other may register it somewhere
_PLAIN_DECORATORS = {"jax", "functools", "typing", "flax", "nnx", "contextlib", "nn", "struct", "abc", "numpy", "jnp"}
_PLAIN_NAMES = {
  *("jit", "partial", "lru_cache", "cache", "overload", "contextmanager", "wraps", "custom_vjp", "custom_jvp")
}


@dataclasses.dataclass(eq=False)
class Unit:
  """Consecutive top-level statements that share lines (nearly always one statement).

  Attributes:
    nodes: the statements.
    start: byte offset where its leading comments and blank lines begin.
    code: byte offset of its first code line.
    end: byte offset after its last line.
    binds: names that it binds in the module.
    uses: module-level names that it reads.
    reaches_ported: whether it names a ported definition of another file.
  """

  nodes: list[ast.stmt]
  start: int
  code: int
  end: int
  binds: set[str]
  uses: set[str]
  reaches_ported: bool = False

  @property
  def node(self) -> ast.stmt:
    """The first statement."""
    return self.nodes[0]

  @functools.cached_property
  def is_import(self) -> bool:
    """Whether it holds imports only."""
    return all(isinstance(n, (ast.Import, ast.ImportFrom)) for n in self.nodes)

  @functools.cached_property
  def is_future(self) -> bool:
    """Whether it is a `__future__` import."""
    return self.is_import and any(isinstance(n, ast.ImportFrom) and n.module == "__future__" for n in self.nodes)

  @functools.cached_property
  def is_block(self) -> bool:
    """Whether it is an `if`, `try`, `for`, `with` at top level."""
    return isinstance(self.node, (ast.If, ast.Try, ast.TryStar, ast.With, ast.For, ast.While))

  @functools.cached_property
  def has_identity(self) -> bool:
    """Whether copying it would make a second thing where one is meant: a class, a sentinel, a registered function."""
    for node in _statements(self.nodes):
      if isinstance(node, ast.ClassDef):
        return True
      if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        if any(isinstance(inner, ast.Global) for inner in ast.walk(node)):
          return True
        if not all(map(_plain_decorator, node.decorator_list)):
          return True
      if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Call):
        name = (dotted_text(node.value.func) or "").rpartition(".")[2]
        if name in _IDENTITY_CALLS:
          return True
    return False


def _plain_decorator(node: ast.expr) -> bool:
  text = dotted_text(node.func if isinstance(node, ast.Call) else node) or ""
  return text.partition(".")[0] in _PLAIN_DECORATORS or text.rpartition(".")[2] in _PLAIN_NAMES


def _statements(nodes: Iterable[ast.stmt]) -> Iterable[ast.stmt]:
  """Statements of the module's own scope, blocks included."""
  for node in nodes:
    yield node
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
      for field in ("body", "orelse", "finalbody"):
        yield from _statements(getattr(node, field, ()))
      for handler in getattr(node, "handlers", ()):
        yield from _statements(handler.body)


def split_units(data: bytes, tree: ast.Module) -> list[Unit]:
  """The top-level units of a file in order, each with the comments and blank lines above it."""
  positions = Positions(data)
  units: list[Unit] = []
  last_line = 0
  for node in tree.body:
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
    end_line = _last_line(data, node)
    if units and first <= last_line:
      unit = units[-1]
      unit.nodes.append(node)
      unit.end = positions.line_start(end_line + 1)
    else:
      start = positions.line_start(last_line + 1)
      units.append(Unit([node], start, positions.line_start(first), positions.line_start(end_line + 1), set(), set()))
    last_line = end_line
  for unit in units:
    unit.binds = bound_names(unit.nodes)
    unit.uses = read_names(unit.nodes) | type_comment_names(data[unit.code : unit.end].decode())
  return units


def _last_line(data: bytes, node: ast.stmt) -> int:
  """The last line of a statement; indented comments that end a class or function are its own."""
  end = node.end_lineno or node.lineno
  if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
    return end
  for number, line in enumerate(data.splitlines()[end:], end + 1):
    if line[:1] in (b" ", b"\t") and line.lstrip().startswith(b"#"):
      end = number
    elif line.strip():
      break
  return end


def mutated_names(tree: ast.Module) -> set[str]:
  """Top-level dicts, lists and sets that some statement of the file mutates, and names that a function rebinds."""
  containers: set[str] = set()
  for node in _statements(tree.body):
    if isinstance(node, (ast.Assign, ast.AnnAssign)) and _is_container(node.value):
      for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        if isinstance(target, ast.Name):
          containers.add(target.id)
  found: set[str] = set()
  for node in ast.walk(tree):
    if isinstance(node, ast.Global):
      found.update(node.names)
    for name in _mutates(node):
      if name in containers:
        found.add(name)
  return found


def _is_container(node: ast.expr | None) -> bool:
  if isinstance(node, (ast.Dict, ast.List, ast.Set, ast.DictComp, ast.ListComp, ast.SetComp)):
    return True
  return isinstance(node, ast.Call) and (dotted_text(node.func) or "").rpartition(".")[2] in _MUTABLE_CALLS


def _mutates(node: ast.AST) -> Iterable[str]:
  if isinstance(node, (ast.Subscript, ast.Attribute)) and isinstance(node.ctx, (ast.Store, ast.Del)):
    root = node.value
    if isinstance(root, ast.Name):
      yield root.id
  function = node.func if isinstance(node, ast.Call) else None
  if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.attr in _MUTATORS:
    yield function.value.id


@dataclasses.dataclass
class Choice:
  """What of a file goes where: `units` are copied, `original` names are imported from the original module."""

  units: list[Unit]
  original: set[str]


def choose(units: list[Unit], keep: set[str], mutable: set[str]) -> Choice:
  """Tree-shakes a file.

  Args:
    units: the file, `reaches_ported` set.
    keep: names of ported definitions.
    mutable: names of module-level state that is mutated.

  Returns:
    The units to copy, in order, and the names that must come from the original module.
  """
  by_name: dict[str, list[Unit]] = {}
  for unit in units:
    for name in unit.binds:
      by_name.setdefault(name, []).append(unit)
  # a statement such as `TABLE["x"] = Block` belongs to TABLE
  extra: dict[str, list[Unit]] = {}
  for unit in units:
    if not unit.binds:
      for node in unit.nodes:
        for inner in ast.walk(node):
          for name in _mutates(inner):
            extra.setdefault(name, []).append(unit)
  touches = _touching(by_name, extra, keep)
  chosen: set[int] = set()
  original: set[str] = set()
  todo = sorted(keep)
  seen: set[str] = set()
  while todo:
    name = todo.pop()
    if name in seen:
      continue
    seen.add(name)
    here = by_name.get(name, [])
    own = bool(here) and not all(u.is_import for u in here)
    if own and name not in touches and (name in mutable or any(u.has_identity for u in here)):
      original.add(name)
      continue
    for unit in (*here, *(extra.get(name, ()) if own else ())):
      if id(unit) not in chosen:
        chosen.add(id(unit))
        if not unit.is_import:
          todo.extend(unit.uses)
  copied = {n for u in units if id(u) in chosen and not u.is_import for n in u.binds}
  for unit in units:
    if not unit.binds and id(unit) not in chosen and _registers(unit, copied, by_name, original):
      chosen.add(id(unit))
  return Choice([u for u in units if id(u) in chosen], original)


def touching_names(units: list[Unit], keep: set[str]) -> set[str]:
  """Names of a file that reach a ported definition."""
  by_name: dict[str, list[Unit]] = {}
  for unit in units:
    for name in unit.binds:
      by_name.setdefault(name, []).append(unit)
  return _touching(by_name, {}, keep)


def _touching(by_name: dict[str, list[Unit]], extra: dict[str, list[Unit]], keep: set[str]) -> set[str]:
  """Names that reach a ported definition: a fixed point over the file's own references."""
  touching = set(keep)
  changed = True
  while changed:
    changed = False
    for name, here in by_name.items():
      if name in touching or all(u.is_import for u in here):
        continue
      if any(u.reaches_ported or not touching.isdisjoint(u.uses - {name}) for u in (*here, *extra.get(name, ()))):
        touching.add(name)
        changed = True
  return touching


def _registers(unit: Unit, copied: set[str], by_name: dict[str, list[Unit]], original: set[str]) -> bool:
  """Whether an expression statement registers a copied class with jax or flax."""
  if not isinstance(unit.node, ast.Expr) or not isinstance(unit.node.value, ast.Call):
    return False
  text = dotted_text(unit.node.value.func) or ""
  own = {n for n in unit.uses if n in by_name and not all(u.is_import for u in by_name[n])}
  return text.partition(".")[0] in ("jax", "flax", "nnx", "serialization") and bool(own) and own <= copied | original
