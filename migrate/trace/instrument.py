"""Makes a copy of a file's code that reports the value of every expression, and swaps it in while tracing.

Only `__code__` of live functions is exchanged, so closures, decorators and Linen's own method wrappers stay as they
are; positions stay those of the original file.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import gc
import types
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

HOOK = "__linen2nnx_record__"
Position = tuple[int, int, int, int]


def position(node: ast.AST) -> Position:
  """(line, column, end line, end column) as `ast` gives them: lines from 1, columns in UTF-8 bytes."""
  return (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)  # type: ignore[attr-defined]


class _Instrument(ast.NodeTransformer):
  """Wraps every loaded expression `e` in `HOOK(position, e)`."""

  def _wrap(self, node: ast.expr) -> ast.expr:
    key = ast.Constant(position(node))  # pyright: ignore
    made = [ast.copy_location(ast.Constant(True), node)] if isinstance(node, ast.Call) else []
    call = ast.Call(ast.Name(HOOK, ast.Load()), [key, node, *made], [])
    for part in (call, call.func, key):
      ast.copy_location(part, node)
    return call

  def generic_visit(self, node: ast.AST) -> ast.AST:
    node = super().generic_visit(node)
    plain = isinstance(node, ast.expr) and not isinstance(node, ast.Slice | ast.Starred | ast.Constant)
    if plain and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
      return self._wrap(node)  # type: ignore[arg-type]
    return node

  def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
    return self._wrap(node)  # positions inside f-strings are wrong before Python 3.12

  def visit_Call(self, node: ast.Call) -> ast.AST:
    if isinstance(node.func, ast.Name) and node.func.id in ("super", "locals", "vars", "dir", "eval", "exec"):
      return self._wrap(node)
    return self.generic_visit(node)

  def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
    node.body = [self.visit(s) for s in node.body]
    return node

  def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
    node.body = self.visit(node.body)
    return node

  def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
    if node.value is not None:
      node.value = self.visit(node.value)
    return node

  def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
    node.body = [self.visit(s) for s in node.body]
    return node

  def visit_Match(self, node: ast.Match) -> ast.AST:
    node.subject = self.visit(node.subject)
    for case in node.cases:
      case.body = [self.visit(s) for s in case.body]
    return node


def compile_instrumented(path: str, text: str) -> types.CodeType:
  """Compiles the instrumented copy of a file."""
  tree = ast.parse(text, path)
  future = 0
  import __future__

  for statement in tree.body:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.If | ast.Try | ast.With) or (
      isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None
    ):
      _Instrument().visit(statement)
    elif isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
      for alias in statement.names:
        future |= getattr(__future__, alias.name).compiler_flag
  return compile(ast.fix_missing_locations(tree), path, "exec", flags=future, dont_inherit=True)


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
  for constant in code.co_consts:
    if isinstance(constant, types.CodeType):
      yield constant
      yield from _codes(constant)


@contextlib.contextmanager
def instrumented(files: Iterable[str], hook: Callable[[Position, object], object]) -> Iterator[None]:
  """While active, functions of `files` call `hook(position, value)` for every expression.

  Args:
    files: paths as in `__code__.co_filename`.
    hook: returns the value it was given.
  """
  copies: dict[tuple[str, str, int], types.CodeType | None] = {}
  for path in files:
    for code in _codes(compile_instrumented(path, Path(path).read_text(encoding="utf-8"))):
      key = (path, code.co_qualname, code.co_firstlineno)
      copies[key] = None if key in copies else code  # two lambdas of one line: leave both
  swapped: list[tuple[types.FunctionType, types.CodeType]] = []
  known = {path for path, _, _ in copies}
  for thing in gc.get_objects():
    if type(thing) is types.FunctionType and thing.__code__.co_filename in known:
      code = thing.__code__
      copy = copies.get((code.co_filename, code.co_qualname, code.co_firstlineno))
      if copy is not None and set(copy.co_freevars) == set(code.co_freevars):
        swapped.append((thing, code))
        thing.__code__ = copy
  setattr(builtins, HOOK, hook)
  try:
    yield
  finally:
    for function, code in swapped:
      function.__code__ = code
    delattr(builtins, HOOK)
