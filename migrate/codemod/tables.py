"""Tables of functions that make layers: `NORMS = {"group": lambda: nn.GroupNorm(2), "none": lambda: lambda x: x}`.

Whoever takes one from the table gives it sizes and `rngs`, as the layers' classes beside it want them, so every function
of the table takes them, those that make nothing as well.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Callable, Sequence

from migrate.codemod.given_lambdas import is_layer
from migrate.codemod.makers import Maker, MakerUnit
from migrate.codemod.static import NotStatic
from migrate.codemod.unit import Unit
from migrate.core.report import MigrateError


def table_writer(unit: Unit, node: ast.Assign | ast.AnnAssign, makers: Sequence[Maker]) -> Callable[[ast.AST], str]:
  """What writes the parts of an assignment at the top of a file: for a table of layers, its lambdas anew.

  Args:
    unit: stands for the file.
    node: the assignment.
    makers: the functions of the program that make layers.
  """
  lambdas = [v for v in node.value.values if isinstance(v, ast.Lambda)] if isinstance(node.value, ast.Dict) else []
  if not isinstance(node.value, ast.Dict) or not lambdas:
    return unit.text
  found = {v: m for v in lambdas if (m := _maker(unit, v, makers)) is not None}
  classes = [v for v in node.value.values if not isinstance(v, ast.Lambda) and is_layer(unit, v)]
  if not found and not classes:
    return unit.text
  for maker in found.values():
    unit.imports |= maker.imports
    unit.templates |= maker.templates
  texts = {v: m.text for v, m in found.items()}
  sizes = {tuple(n.parameter for n in m.needs) for m in found.values()}
  for value in (v for v in lambdas if v not in found):
    head = _taking(value, next(iter(sizes)) if len(sizes) == 1 else None)
    if head is not None:
      texts[value] = f"lambda {head}: {unit.text(value.body)}"

  def write(part: ast.AST) -> str:
    if isinstance(part, ast.Lambda) and part in texts:
      return texts[part]
    return unit.compose(part, write) if part is node.value else unit.text(part)

  return write


def _maker(unit: Unit, node: ast.Lambda, makers: Sequence[Maker]) -> Maker | None:
  """What a lambda is that makes a layer, whether an example comes to it or not."""
  known = next((m for m in makers if m.node is node), None)
  calls = [n for n in ast.walk(node.body) if isinstance(n, ast.Call)]
  if known is not None or not any(unit.creates(c) for c in calls):
    return known
  with contextlib.suppress(NotStatic, MigrateError):
    return MakerUnit(unit, unit.source, node, [], {}, local=False).maker()
  return None


def _taking(node: ast.Lambda, sizes: tuple[str, ...] | None) -> str | None:
  """The parameters of a lambda that makes nothing, with those that the others of its table have; None where that is open."""
  plain = [*node.args.posonlyargs, *node.args.args]
  if any(isinstance(n, ast.arg) for n in ast.walk(node.args)):
    simple = len(plain) == sum(isinstance(n, ast.arg) for n in ast.walk(node.args)) and not node.args.defaults
    return ", ".join([*sizes, *(a.arg for a in plain), "*", "rngs"]) if simple and sizes is not None else None
  return "*args, **kwargs"
