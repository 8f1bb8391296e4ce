"""Which module-level names a piece of code reads: scopes, annotations in strings, type comments, `__all__`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

_TYPE_COMMENT = re.compile(r"#\s*type:\s*(?!ignore)([^#\n]*)")
_WORD = re.compile(r"[A-Za-z_]\w*")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def bound_names(nodes: Iterable[ast.AST]) -> set[str]:
  """Names that these statements bind in their own scope (not those of nested functions and classes)."""
  found: set[str] = set()
  for node in nodes:
    _bound(node, found)
  return found


def _bound(node: ast.AST, found: set[str]) -> None:
  if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
    found.add(node.name)
    return
  if isinstance(node, ast.Lambda):
    return
  if isinstance(node, _COMPREHENSIONS):
    # only a walrus inside a comprehension binds outside it
    found.update(n.target.id for n in ast.walk(node) if isinstance(n, ast.NamedExpr) and isinstance(n.target, ast.Name))
    return
  if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
    found.add(node.id)
  elif isinstance(node, ast.alias):
    found.add(node.asname or node.name.partition(".")[0])
  elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
    found.add(node.name)
  elif isinstance(node, ast.MatchMapping) and node.rest:
    found.add(node.rest)
  for child in ast.iter_child_nodes(node):
    _bound(child, found)


class _Reader(ast.NodeVisitor):
  """Collects names that resolve at module level. `hidden` holds the names of enclosing function scopes."""

  def __init__(self) -> None:
    self.names: set[str] = set()
    self.nodes: list[ast.Name] = []
    self._hidden: list[set[str]] = []

  def visit_Name(self, node: ast.Name) -> None:
    if not any(node.id in scope for scope in self._hidden):
      if isinstance(node.ctx, ast.Load) or self._hidden:
        self.names.add(node.id)
      self.nodes.append(node)

  def visit_Global(self, node: ast.Global) -> None:
    self.names.update(node.names)

  def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
    args = node.args
    for default in (*args.defaults, *(d for d in args.kw_defaults if d is not None)):
      self.visit(default)
    every = [*args.posonlyargs, *args.args, *args.kwonlyargs, *filter(None, (args.vararg, args.kwarg))]
    for arg in every:
      self._annotation(arg.annotation)
    body = node.body if isinstance(node.body, list) else [node.body]
    if not isinstance(node, ast.Lambda):
      for decorator in node.decorator_list:
        self.visit(decorator)
      self._annotation(node.returns)
    local = bound_names(body) | {a.arg for a in every}
    for inner in _own_statements(body):
      if isinstance(inner, ast.Global):
        local.difference_update(inner.names)
    self._hidden.append(local)
    for statement in body:
      self.visit(statement)
    self._hidden.pop()

  visit_FunctionDef = _function
  visit_AsyncFunctionDef = _function
  visit_Lambda = _function

  def visit_ClassDef(self, node: ast.ClassDef) -> None:
    for child in (*node.decorator_list, *node.bases, *node.keywords):
      self.visit(child)
    # Class scope is invisible to methods; a name read in the body before it is bound there is a global, so count it.
    for statement in node.body:
      self.visit(statement)

  def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
    local = set()
    for generator in node.generators:
      local |= bound_names([generator.target])
    self.visit(node.generators[0].iter)
    self._hidden.append(local)
    for index, generator in enumerate(node.generators):
      if index:
        self.visit(generator.iter)
      for condition in generator.ifs:
        self.visit(condition)
    for part in (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,):
      self.visit(part)
    self._hidden.pop()

  visit_ListComp = _comprehension
  visit_SetComp = _comprehension
  visit_DictComp = _comprehension
  visit_GeneratorExp = _comprehension

  def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
    self.visit(node.target)
    self._annotation(node.annotation)
    if node.value is not None:
      self.visit(node.value)

  def _annotation(self, node: ast.expr | None) -> None:
    if node is None:
      return
    self.visit(node)
    for inner in ast.walk(node):
      self._text(inner)

  def visit_Call(self, node: ast.Call) -> None:
    self.generic_visit(node)
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in ("cast", "TypeVar", "ForwardRef", "NewType"):
      for inner in (*node.args, *(k.value for k in node.keywords)):
        self._text(inner)

  def visit_Subscript(self, node: ast.Subscript) -> None:
    # `Alias = Optional["Thing"]` outside an annotation
    self.generic_visit(node)
    name = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
    if name in ("Optional", "Union", "Callable", "List", "Dict", "Tuple", "Sequence", "Mapping", "Type"):
      for inner in ast.walk(node.slice):
        self._text(inner)

  def _text(self, node: ast.AST) -> None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
      try:
        inner = ast.parse(node.value.strip(), mode="eval")
      except (SyntaxError, ValueError):
        return
      self.names.update(n.id for n in ast.walk(inner) if isinstance(n, ast.Name))


def _own_statements(body: Iterable[ast.AST]) -> Iterable[ast.AST]:
  for node in body:
    yield node
    if not isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
      yield from _own_statements(ast.iter_child_nodes(node))


def read_names(nodes: Iterable[ast.AST]) -> set[str]:
  """Names that these nodes read from the module's scope, string annotations included."""
  reader = _Reader()
  for node in nodes:
    reader.visit(node)
  return reader.names


def module_level_names(nodes: Iterable[ast.AST]) -> list[ast.Name]:
  """The `Name` nodes (reads and writes) that mean a name of the module's scope."""
  reader = _Reader()
  for node in nodes:
    reader.visit(node)
  return reader.nodes


def type_comment_names(text: str) -> set[str]:
  """Words of `# type:` comments: a superset of the names they use."""
  if "type:" not in text:
    return set()
  return {word for comment in _TYPE_COMMENT.findall(text) for word in _WORD.findall(comment)}


def exported_names(body: Iterable[ast.stmt]) -> list[str]:
  """The strings of every `__all__ = [...]`, `__all__ += [...]` and `__all__.append(...)`, in order."""
  found: list[str] = []
  for node in body:
    value: ast.AST | None = None
    if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
      value = node.value
    elif isinstance(node, (ast.AugAssign, ast.AnnAssign)) and isinstance(node.target, ast.Name):
      value = node.value if node.target.id == "__all__" else None
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
      owner = getattr(node.value.func, "value", None)
      if isinstance(owner, ast.Name) and owner.id == "__all__":
        value = node.value
    if value is not None:
      found += [n.value for n in ast.walk(value) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
  return found
