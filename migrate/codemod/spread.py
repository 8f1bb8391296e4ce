"""Arguments that a constructor call gets from a dict written in place: `Dense(**{"features": 8, **more, "name": "out"})`."""

from __future__ import annotations

import ast
from collections.abc import Callable

IDENTITY = ("name", "parent")  # what Linen wants to know of every module, and NNX of none


def spread(keyword: ast.keyword) -> list[tuple[str, ast.expr]]:
  """(field, expression) of what a `**` gives: the items where all keys are written out, else the dict as a whole."""
  value = keyword.value
  if isinstance(value, ast.Dict) and value.keys and all(_word(k) for k in value.keys):
    return [(_word(k), v) for k, v in zip(value.keys, value.values, strict=True)]
  return [("**", value)]


def spread_text(node: ast.expr, write: Callable[[ast.AST], str]) -> str:
  """The dict of a `**` without what NNX does not ask for."""
  if not isinstance(node, ast.Dict) or not any(_word(k) in IDENTITY for k in node.keys):
    return write(node)
  items = [(k, v) for k, v in zip(node.keys, node.values, strict=True) if _word(k) not in IDENTITY]
  return "{" + ", ".join(f"{write(k)}: {write(v)}" if k is not None else f"**{write(v)}" for k, v in items) + "}"


def name_given(call: ast.Call) -> ast.expr | None:
  """The expression for the module's name, as a keyword or in a dict."""
  for keyword in call.keywords:
    if keyword.arg == "name":
      return keyword.value
    if keyword.arg is None and isinstance(keyword.value, ast.Dict):
      found = [v for k, v in zip(keyword.value.keys, keyword.value.values, strict=True) if _word(k) == "name"]
      if found:
        return found[-1]
  return None


def _word(key: ast.expr | None) -> str:
  return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) and key.value.isidentifier() else ""
