"""Long expressions, one argument a line; short ones as they are."""

from __future__ import annotations

import ast

WIDTH = 100
STEP = "  "


def layout(text: str, column: int = 0, indent: int = 0, width: int = WIDTH) -> str:
  """Lays an expression out so that lines stay within `width` where brackets allow it.

  Args:
    text: an expression.
    column: where its first character will stand.
    indent: how many spaces the line that it stands in is indented by.
    width: how long lines may get.

  Returns:
    The same expression; strings and numbers keep their spelling.
  """
  if column + len(text) <= width and "\n" not in text:
    return text
  return _Layout(text, width).expression(ast.parse(text, mode="eval").body, column, indent)


class _Layout:
  def __init__(self, text: str, width: int):
    self._data = text.encode()
    self._width = width
    self._starts = [0]
    for line in self._data.splitlines(keepends=True):
      self._starts.append(self._starts[-1] + len(line))

  def expression(self, node: ast.expr, column: int, indent: int, after: int = 0) -> str:
    text = self._text(node)
    if "\n" not in text and column + len(text) + after <= self._width:
      return text
    parts = self._parts(node)
    if parts is None or not parts[1]:
      return text
    opening, items, closing = parts
    inner = indent + len(STEP)
    lines = [opening]
    for prefix, item in items:
      value = self.expression(item, inner + len(prefix), inner, after=1) if item is not None else ""
      lines.append(f"{' ' * inner}{prefix}{value},")
    return "\n".join((*lines, " " * indent + closing))

  def _text(self, node: ast.expr) -> str:
    start = self._starts[node.lineno - 1] + node.col_offset
    end = self._starts[(node.end_lineno or 1) - 1] + (node.end_col_offset or 0)
    return self._data[start:end].decode()

  def _parts(self, node: ast.expr) -> tuple[str, list[tuple[str, ast.expr | None]], str] | None:
    """Opening text, (prefix, value) of each item, closing text; None for what has no brackets of its own."""
    if isinstance(node, ast.Call):
      items: list[tuple[str, ast.expr | None]] = [("", a) for a in node.args]
      items += [(f"{k.arg}=" if k.arg else "**", k.value) for k in node.keywords]
      return self._text(node.func) + "(", items, ")"
    if isinstance(node, ast.Dict):
      pairs = zip(node.keys, node.values, strict=True)
      return "{", [(f"{self._text(k)}: " if k is not None else "**", v) for k, v in pairs], "}"
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
      opening, closing = {ast.List: "[]", ast.Tuple: "()", ast.Set: "{}"}[type(node)]
      return opening, [("", e) for e in node.elts], closing
    return None
