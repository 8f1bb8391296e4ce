"""Lists given to modules: Linen keeps every attribute's lists as tuples, NNX keeps what it is given."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from migrate.codemod.project import has_array, holds_modules


def are_lists(values: Sequence[Any]) -> bool:
  """Whether all of the recorded values are lists of plain values."""
  return bool(values) and all(isinstance(v, list) and not has_array(v) and not holds_modules(v) for v in values)


def frozen(value: Any) -> Any:
  """A field's value as Linen's methods see it: lists of plain values are tuples."""
  return tuple(map(frozen, value)) if are_lists([value]) else value


def as_pairs(text: str) -> str:
  """An expression for a list of lists, as one for tuples; a name may stand for a word such as `SAME` too."""
  tuples = as_tuple(text)
  if not tuples.startswith("tuple(") or not text.replace(".", "").isidentifier():
    return tuples
  return f"{text} if isinstance({text}, str) else tuple(map(tuple, {text}))"


def as_tuple(text: str) -> str:
  """An expression for a list, as one for a tuple, lists inside a literal too."""
  try:
    tree = ast.parse(f"({text}\n)", mode="eval").body
  except SyntaxError:
    return text
  if isinstance(tree, ast.ListComp):
    return f"tuple({text.strip()[1:-1]})"
  if "#" not in text and (joined := _joined(tree)) is not None:
    return joined
  if not isinstance(tree, ast.List | ast.Tuple):
    return f"tuple({text})"
  data = f"({text}\n)".encode()
  starts = [0]
  for line in data.splitlines(keepends=True):
    starts.append(starts[-1] + len(line))
  edits: list[tuple[int, bytes]] = []
  queue: list[ast.expr] = [tree]
  while queue:
    node = queue.pop()
    queue += (
      [e for e in node.elts if isinstance(e, ast.List | ast.Tuple)] if isinstance(node, ast.List | ast.Tuple) else []
    )
    if isinstance(node, ast.List):
      start = starts[node.lineno - 1] + node.col_offset
      stop = starts[(node.end_lineno or 1) - 1] + (node.end_col_offset or 0)
      single = len(node.elts) == 1 and not data[start + 1 : stop - 1].rstrip().endswith(b",")
      edits += [(start, b"("), (stop - 1, b",)" if single else b")")]
  for at, new in sorted(edits, reverse=True):
    data = data[:at] + new + data[at + 1 :]
  return data.decode()[1:-2]


def _joined(tree: ast.expr) -> str | None:
  """`list(a) + [b]` as `(*a, b)`, `list(a)` as `tuple(a)`; None for anything else."""
  if (inner := _listed(tree)) is not None:
    return f"tuple({ast.unparse(inner)})"
  parts: list[str] = []
  while isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Add):
    tree, last = tree.left, tree.right
    parts = [*(_items(last) or [""]), *parts]
    if "" in parts:
      return None
  first = _items(tree)
  return f"({', '.join([*first, *parts])})" if first and parts else None


def _items(node: ast.expr) -> list[str] | None:
  """What a list holds, as the items of a tuple; None where it may be anything else."""
  if (inner := _listed(node)) is not None:
    return [f"*{ast.unparse(inner)}"]
  plain = isinstance(node, ast.List) and not any(isinstance(e, ast.List) for e in node.elts)
  return [ast.unparse(e) for e in node.elts] if isinstance(node, ast.List) and plain else None


def _listed(node: ast.expr) -> ast.expr | None:
  """`a` of `list(a)`."""
  if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id != "list" or node.keywords:
    return None
  name = node.args[0] if len(node.args) == 1 else None
  return name if isinstance(name, ast.Name | ast.Attribute | ast.Subscript) else None
