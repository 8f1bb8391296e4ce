"""`nn.Sequential` of what only a call can make: `__init__` makes its layers, and each call puts them together.

A function in its list may read arrays of the call, or make a layer of its own; a layer in it may be told `train`.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flax import linen as nn

from migrate.codemod.remarks import layout_call, star_rows
from migrate.codemod.scope import Local
from migrate.codemod.site import Site
from migrate.core.report import MigrateError

if TYPE_CHECKING:
  from migrate.codemod.ledger import Visit
  from migrate.codemod.unit import Unit

_LINEN = "flax.linen.Sequential"


def is_opened(unit: Unit, node: ast.AST) -> bool:
  """Whether an expression makes such a `Sequential`."""
  if not isinstance(node, ast.Call) or unit.in_setup or unit.no_sites or unit.pipeline or _items(node) is None:
    return False
  if node not in unit.opened:
    unit.opened[node] = False  # while it is looked at
    made = [m for _, _, m in unit.made_at(node)]
    record = unit.untraced_layer(node) if not made else None
    known = all(type(m) is nn.Sequential for m in made) if made else record is not None and record.linen == _LINEN
    unit.opened[node] = known and _needs_call(unit, node)
  return unit.opened[node]


def opened_sequential(unit: Unit, node: ast.Call) -> str | None:
  """The text of such a `Sequential`, or of its call."""
  if isinstance(node.func, ast.Call) and is_opened(unit, node.func):
    for argument in node.args:
      unit.text(argument)  # names are settled left to right, before sizes are read off the arguments
    return unit.respell(node, _written(unit, node.func, node))
  return _written(unit, node, None) if is_opened(unit, node) else None


def _items(node: ast.Call) -> list[ast.expr] | None:
  """What is in the list, where that is written out."""
  given = [*node.args, *(k.value for k in node.keywords if k.arg == "layers")]
  others = [k for k in node.keywords if k.arg not in ("layers", "name")]
  if len(given) != 1 or others or not isinstance(given[0], ast.List | ast.Tuple):
    return None
  return None if any(isinstance(e, ast.Starred) for e in given[0].elts) else given[0].elts


def _needs_call(unit: Unit, node: ast.Call) -> bool:
  items = _items(node) or []
  if any(isinstance(e, ast.Lambda) and unit.makes_layers(e, unit.source) for e in items):
    return True
  return any(_is_late(unit, e) for e in items)


def _is_late(unit: Unit, node: ast.expr) -> bool:
  """Whether `__init__` can't say an item."""
  state = unit.snapshot()
  try:
    if not isinstance(node, ast.Call) or not unit.creates(node):
      return unit.try_static(node) is None
    site = unit.site(node, "")
    unit.prepare(site)
    return bool(site.residue)
  except MigrateError:
    return False
  finally:
    unit.restore(state)


def _written(unit: Unit, node: ast.Call, call: ast.Call | None) -> str:
  items = _items(node) or []
  row = (
    f"sequential_{node.lineno}_{node.col_offset}_"  # carries the size from one layer to the next, as for `pipelines`
  )
  axes = unit.dims(call.args[0]) if call is not None and call.args else None
  unit.carried[row] = row
  unit.env[row] = Local("array", None, [list(axes[-1][:1]) if axes else []])
  texts: list[str] = []
  for i, item in enumerate(items):
    if not unit.creates(item):
      texts.append(unit.text(item))
      continue
    assert isinstance(item, ast.Call)
    unit.pipeline = row
    try:
      site = unit.make(item, unit.suggest(item))
    finally:
      unit.pipeline = ""
    _settle(unit, site, row, ast.Call(site.node, call.args, call.keywords) if call is not None and not i else None)
    texts.append(unit.site_reference(site))
  source = unit.source
  listed = next(a for a in [*node.args, *(k.value for k in node.keywords)] if isinstance(a, ast.List | ast.Tuple))
  start, end = source.span(listed)
  rows = source.between(start, end)
  shifted = 0
  for item, text in zip(items, texts, strict=True):
    a, b = source.span(item)
    a, b = a - start + shifted, b - start + shifted
    data = rows.encode()
    rows = (data[:a] + text.encode() + data[b:]).decode()
    shifted += len(text.encode()) - (source.span(item)[1] - source.span(item)[0])
  found = star_rows(rows)
  statement = next((n for n in source.enclosing(node) if isinstance(n, ast.stmt)), None)
  indent = source.indent(statement) if statement is not None else ""
  width = 100 - node.col_offset - (len(source.code(call)) - len(source.code(node)) if call is not None else 0)
  name = unit.global_name(node.func) if not isinstance(node.func, ast.Call) else unit.text(node.func)
  apart = "\n" in source.code(listed) and len(found) > 1
  return layout_call(name, [t for t, _ in found], indent, width, [r for _, r in found], apart=apart)


def _settle(unit: Unit, site: Site, row: str, call: ast.Call | None) -> None:
  """Settles a layer's sizes from the layer before it, and keeps what it gives to the next one."""
  came = next(iter((unit.env[row].dims or [[]])[0]), None)
  for need in site.needs:
    if came is not None and need.axis == 1 and unit.holds(site, came, need.values) and unit.readable_at(site, came):
      site.texts[need.parameter] = came
      site.names |= {came}
  unit.settle(site, call)
  came = next((site.texts[n.parameter] for n in site.needs if n.axis == 1), came)
  known = len(unit.produced)
  unit.note_features(site)
  gives = unit.produced[-1][1] if len(unit.produced) > known else came
  if site.needs or gives != came:  # else it is around a layer that said so itself
    unit.env[row] = Local("array", None, [[gives] if gives is not None else []])


def without_opened(linen: Sequence[Visit], ported: Sequence[Visit]) -> list[Visit]:
  """Linen's calls without those of a `Sequential` that the ported model puts together in the call: it has no path there."""
  kept: list[Visit] = []
  for visit in linen:
    mine = ported[len(kept)].kind if len(kept) < len(ported) else ""
    if visit.kind != "Sequential" or visit.record is None or mine == visit.kind:
      kept.append(visit)
  return kept
