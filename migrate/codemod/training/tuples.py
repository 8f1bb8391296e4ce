"""Tuples in training programs, of which less may be left once models are at hand."""

from __future__ import annotations

import ast

from migrate.codemod.source import names_in
from migrate.codemod.training.analysis import Result
from migrate.codemod.training.base import Base
from migrate.codemod.training.values import EFFECT, PLAIN, PLAINLY, Mixed, Tup, Value, lower, made, special, tokens


class Tuples(Base):
  """Tuples, their items, and tuples that are spread into others."""

  def form(self, value: Value) -> object:
    """What a variable holds at run time: nothing where the model is at hand."""
    forms = lower(value, set())
    return forms[0] if forms else None

  def _item(self, node: ast.Subscript, value: Tup, index: int) -> Result:
    """One item of a tuple, of which less may be left."""
    item = value.items[index]
    if not special(value):
      return item, PLAINLY
    forms = [lower(v, set()) for v in value.items]
    if not forms[index]:
      return item, None
    base = self.file.text(node.value)
    total = sum(map(len, forms))
    self.file.replace(node, base if total == 1 else f"{base}[{sum(map(len, forms[:index]))}]")
    return item, forms[index][0]

  def _tuple(self, node: ast.Tuple) -> Result:
    if any(isinstance(e, ast.Starred) for e in node.elts):
      return self._spread_tuple(node)
    found: list[Result] = []
    for i, element in enumerate(node.elts):
      lines = len(self.before)
      found.append(self.eval(element))
      if found[-1][1] == EFFECT or len(self.before) > lines:
        self._check_order(
          [e for e, (_, f) in zip(node.elts[:i], found, strict=False) if f != EFFECT], element, found[-1][0]
        )
    self.element_texts.update({e: self.file.text(e) for e in node.elts})
    group = self.group_tuple(node, found)
    if group is not None:
      return group
    value = Tup(tuple(v for v, _ in found), self.place(self.file, node))
    if not special(value):
      return value, PLAINLY
    kept = []
    for element, (_, form) in zip(node.elts, found, strict=True):
      if form == EFFECT or made(form) or (form is not None and form[0] == "elements"):
        kept = None
        break
      if form is not None:
        kept.append(self.file.text(element))
    if kept is None:  # a return statement may still know what to do with it
      return value, ("elements", [f for _, f in found])
    if kept:
      self.file.replace(node, kept[0] if len(kept) == 1 else f"({', '.join(kept)})")
    return value, self.form(value)

  def _check_order(self, before: list[ast.expr], node: ast.expr, value: Value) -> None:
    """An update becomes a statement above: nothing that comes before it in a tuple may ask the model."""
    names = {table[t] for s in self.scope.chain() for table in (s.models, s.optimizers) for t in tokens(value) if t in table}  # fmt: skip
    names = {n.partition(".")[0] for n in names}
    for element in before:
      asks = any(isinstance(n, ast.Call) for n in ast.walk(element)) and names & names_in(self.file.text(element))
      if asks:
        raise self.left(node, f"an update after `{ast.unparse(element)[:50]}` in one statement", "give what comes before it a name first", "L2N403")  # fmt: skip

  def _spread_tuple(self, node: ast.Tuple) -> Result:
    """`ret[0], *ret[1]`: a tuple that a function returned, of which less may be left."""
    items: list[Value] = []
    kept: list[str] = []
    for element in node.elts:
      inner = element.value if isinstance(element, ast.Starred) else element
      value, form = self.eval(inner)
      spread = value.items if isinstance(element, ast.Starred) and isinstance(value, Tup) else (value,)
      if not special(value):
        self.plain(inner)
        spread = spread if isinstance(value, Tup) or inner is element else None
        left = 2
      else:
        left = len(lower(value, set()))
        if form not in (None, PLAINLY) and form[0] != "tuple":  # pyright: ignore
          self.plain(inner)
      items += spread if spread is not None else [Mixed()]
      if left:
        kept.append(f"*{self.file.text(inner)}" if inner is not element and left > 1 else self.file.text(inner))
    value = Tup(tuple(items))
    if not special(value):
      return PLAIN, PLAINLY
    if any(isinstance(v, Mixed) for v in items):
      raise self.left(node, "a tuple of unknown length beside part of a model", "give its items one by one")
    bare = not self.file.source.code(node).startswith("(")
    self.file.replace(node, ", ".join(kept) if bare or len(kept) == 1 else f"({', '.join(kept)})")
    return value, self.form(value)
