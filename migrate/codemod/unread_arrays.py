"""Arrays that only construction needed: statements of a method that made them, where nothing reads them any more."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Sequence


def spelled(text: str) -> str:
  """A simple statement however it is laid out."""
  return ast.unparse(ast.parse(textwrap.dedent(text).strip()))


def unread_arrays(tree: ast.Module, known: frozenset[str] | set[str]) -> ast.stmt | None:
  """A statement whose values no later statement reads.

  Args:
    tree: a module with one function.
    known: statements that `__init__` has too, as `spelled` gives them.

  Returns:
    The last such statement; None where there is none.
  """
  function = tree.body[0]
  assert isinstance(function, ast.FunctionDef)
  if not known or any(isinstance(n, ast.Try | ast.Match | ast.Break | ast.Continue) for n in ast.walk(function)):
    return None
  found: list[ast.stmt] = []
  _backwards(function.body, set(), known, found)
  return found[0] if found else None


def _backwards(
  block: Sequence[ast.stmt], live: set[str], known: frozenset[str] | set[str], found: list[ast.stmt]
) -> set[str]:
  """Names that are read from the block's start on; statements that nothing reads are added to `found`."""
  for node in reversed(block):
    if isinstance(node, ast.If):
      live = _backwards(node.body, live, known, found) | _backwards(node.orelse, live, known, found) | _loads(node.test)
    elif isinstance(node, ast.For | ast.While):
      head = _loads(node.iter if isinstance(node, ast.For) else node.test)
      around = live | head | _backwards(node.orelse, live, known, [])
      for _ in range(3):  # what a later round reads counts too
        around |= _backwards(node.body, around, known, [])
      live = around | _backwards(node.body, around, known, found)
    elif isinstance(node, ast.With):
      live = _backwards(node.body, live, known, found) | {n for i in node.items for n in _loads(i.context_expr)}
    elif isinstance(node, ast.Assign) and all(map(_plain, node.targets)):
      stored = {n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)}
      if not stored & live and ast.unparse(node) in known:
        found.append(node)
        continue
      live = (live - stored) | _loads(node.value)
    else:
      live = live | _loads(node)
  return live


def _plain(target: ast.expr) -> bool:
  return isinstance(target, ast.Name) or (isinstance(target, ast.Tuple) and all(map(_plain, target.elts)))


def _loads(node: ast.AST) -> set[str]:
  return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
