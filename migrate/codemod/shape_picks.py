"""Sizes that a list of axes picks from a shape: `tuple(x.shape[a] for a in axis)` in the shape of a parameter.

How many there are hangs on the axes, so that they are one argument of the constructor, a tuple.
"""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
import contextlib
from typing import TYPE_CHECKING, Any

from migrate.codemod.site import Site
from migrate.codemod.static import NotStatic

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


class ShapePicks:
  """Handling of such lists, mixed into `Unit`."""

  def with_picks(self: Unit, node: ast.AST, site: ast.Call) -> str | None:
    """An expression of sizes that picks some from a shape, for `__init__`; None where it is another."""
    local = self.env.get(node.id) if isinstance(node, ast.Name) else None
    made = local.node if local is not None else None
    if made is not None and made is not node and any(_picked(n) for n in ast.walk(made)):
      text = self.with_picks(made, site) if self._still_holds(node, made) else None
      if text is not None:
        self.note_hoisted(node)  # pyright: ignore[reportArgumentType]
      return text
    picked = _picked(node)
    if picked is not None:
      return self._picked_sizes(node, picked, site)
    if not any(_picked(n) for n in ast.walk(node)):
      return None
    with contextlib.suppress(NotStatic):
      return self.compose(node, lambda c: self._part(c, site), self.outdent)
    return None

  def _part(self: Unit, node: ast.AST, site: ast.Call) -> str:
    text = self.with_picks(node, site)
    return self.static(node) if text is None else text

  def _still_holds(self: Unit, use: ast.AST, made: ast.AST) -> bool:
    """Whether no local that an expression reads was given another value after it."""
    method = next((n for n in self.source.enclosing(use) if isinstance(n, ast.FunctionDef)), None)
    if method is None:
      return False
    read = {n.id for n in ast.walk(made) if isinstance(n, ast.Name)}
    since, at = self.source.span(made)[1], self.source.span(use)[0]
    given = [n for n in ast.walk(method) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    return not any(n.id in read and since <= self.source.span(n)[0] < at for n in given)

  def _picked_sizes(self: Unit, node: ast.AST, array: ast.expr, site: ast.Call) -> str | None:
    events = self.events(node)
    values: list[Any] = [tuple(e.value) for e in events if isinstance(e.value, tuple | list)]
    if not values or len(values) != len(events) or not all(type(i) is int for v in values for i in v):
      return None
    pseudo = Site(
      self.suggest_variable(site), site, [(e.activation, 0, e.activation.module) for e in events], None,
      looped=bool(self.loops),
    )  # fmt: skip
    method = self.info.methods.get(self.method)
    first = [a.arg for a in method.args.args[1:2]] if method is not None else []
    name = array.id if isinstance(array, ast.Name) else ""
    wished = "in_shape" if name in ("", *first) else f"{name}_shape"
    return self.hoist(pseudo, "shape", values, wished)


def _picked(node: ast.AST) -> ast.expr | None:
  """`x` of `tuple(x.shape[a] for a in axes)`; None for anything else."""
  if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("tuple", "list"):
    return _picked(node.args[0]) if len(node.args) == 1 and not node.keywords else None
  if not isinstance(node, ast.ListComp | ast.GeneratorExp) or len(node.generators) != 1:
    return None
  generator, item = node.generators[0], node.elt
  if generator.ifs or not isinstance(generator.target, ast.Name) or not isinstance(item, ast.Subscript):
    return None
  by_axis = isinstance(item.slice, ast.Name) and item.slice.id == generator.target.id
  shape = item.value
  return shape.value if by_axis and isinstance(shape, ast.Attribute) and shape.attr == "shape" else None
