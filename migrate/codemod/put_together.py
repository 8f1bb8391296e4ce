"""Axes of arrays that are split, cut, or put together: quotients, differences and sums of axes of others."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from migrate.codemod.project import Event
from migrate.codemod.scope import Local, Stmt
from migrate.codemod.sizes_pool import Pool, added, align
from migrate.codemod.source import dotted

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

_SPLITS = {"split", "array_split", "vsplit", "hsplit", "dsplit"}
_RESHAPES = {"reshape", "rearrange", "ravel", "space_to_depth", "pixel_unshuffle"}
JOINS = {"concatenate", "concat", "hstack", "column_stack", "dstack"}


def put_together(unit: Unit, node: ast.AST, events: list[Event], pool: Pool) -> None:
  """Adds what a split, a slice or a concatenation makes of the axes of its operands to what they offer."""
  if isinstance(node, ast.Subscript):
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    for part in inner:
      if isinstance(part, ast.Slice) and part.step is not None and part.lower is None and part.upper is None:
        pool.parts += _number(unit, part.step)
      elif isinstance(part, ast.Slice) and part.lower is not None and part.upper is None:
        pool.cut += _number(unit, part.lower)
    node = node.value  # one of the parts
  if not isinstance(node, ast.Call):
    return
  name = (dotted(node.func) or (node.func.attr if isinstance(node.func, ast.Attribute) else "")).rpartition(".")[2]
  if name in _SPLITS:
    for sections in [*node.args[1:2], *[k.value for k in node.keywords if k.arg == "indices_or_sections"]]:
      if isinstance(sections, ast.List | ast.Tuple):
        for index in sections.elts[-1:]:
          pool.cut += _number(unit, index)
        if len(sections.elts) == 1:
          pool.statics += _first(unit, sections.elts[0], events)
      else:
        pool.parts += _number(unit, sections)
  elif name in _RESHAPES:
    given = [*node.args, *(k.value for k in node.keywords if name == "rearrange")]  # `h=self.heads` of einops
    for inner in [a for n in given for a in (n.elts if isinstance(n, ast.Tuple | ast.List) else [n])]:
      pool.parts += [n for n in _number(unit, inner) if n[1] > 1]
  elif name in JOINS and node.args:
    arrays = node.args[0]
    _sum(unit, node, arrays.elts if isinstance(arrays, ast.List | ast.Tuple) else [arrays], events, pool)


def _first(unit: Unit, node: ast.expr, events: list[Event]) -> list[tuple[list[str], list[int]]]:
  return [([text], [n] * len(events)) for text, n in _number(unit, node)]


def _number(unit: Unit, node: ast.expr) -> list[tuple[str, int]]:
  """An integer that `__init__` can say and that was the same in every run, with its text."""
  if isinstance(node, ast.Constant):
    return [(str(node.value), node.value)] if type(node.value) is int and node.value > 0 else []
  seen = {e.value for e in unit.events(node) if type(e.value) is int}
  text = unit.try_static(node) if len(seen) == 1 else None
  return [(text, n) for n in seen if n > 0] if text is not None else []


def _sum(unit: Unit, call: ast.Call, arrays: list[ast.expr], events: list[Event], pool: Pool) -> None:
  """Adds the sums of axes of arrays that are written out, and of what `__init__` keeps lists of last axes of."""
  lists = [_list_of_sizes(unit, a) for a in arrays]
  seen = [None if names else unit.array_events(a) for a, names in zip(arrays, lists, strict=True)]
  dims = [None if names else unit.dims(a) for a, names in zip(arrays, lists, strict=True)]
  if (len(arrays) < 2 and not all(lists)) or any(
    not n and not (s and d) for n, s, d in zip(lists, seen, dims, strict=True)
  ):
    return
  last = 1 if any(lists) else min(len(d or ()) for d in dims)
  for j in range(1, last + 1):
    texts = [f"sum({n})" if n else next(iter((d or [])[-j]), "") for n, d in zip(lists, dims, strict=True)]
    sizes = []
    for node, name, found in zip(arrays, lists, seen, strict=True):
      pairs = [(e, e.value.shape[-j]) for e in found or [] if len(e.value.shape) >= j]
      if name:
        inner = node.value if isinstance(node, ast.Starred) else node
        pairs = [(e, sum(v.shape[-1] for v in e.value)) for e in unit.events(inner)]
      sizes.append(align(pairs, events))
    if not all(texts) or any(s is None for s in sizes):
      continue
    total = [sum(t) for t in zip(*sizes, strict=True)]
    if any(lists) and total != [e.value.shape[-j] for e in events]:
      continue
    changing = next((n for n in lists if n), "") if not _goes_into_layer(unit, call) else ""
    pool.joined[j] = ([_settled(unit, added(texts), changing)], total)


def _list_of_sizes(unit: Unit, node: ast.expr) -> str:
  """The name of a list of arrays, or of one that is starred, of whose last axes `__init__` keeps a list."""
  inner = node.value if isinstance(node, ast.Starred) else node
  local = unit.env.get(inner.id) if isinstance(inner, ast.Name) else None
  return inner.id if local is not None and local.kind == "arrays" and isinstance(inner, ast.Name) else ""


def _goes_into_layer(unit: Unit, node: ast.AST) -> bool:
  """Whether an expression stands inside a layer's call: the layer is made where the list is as it is here."""
  for outer in unit.source.enclosing(node):
    if isinstance(outer, ast.stmt):
      return False
    if isinstance(outer, ast.Call) and (unit.creates(outer.func) or unit._site_called(outer) is not None):
      return True
  return False


def _settled(unit: Unit, text: str, changing: str) -> str:
  """A sum over a list that goes on growing is taken where it stands."""
  if not changing:
    return text
  fresh, i = f"{changing}_features", 1
  while fresh in unit.env or fresh in unit.parameters:
    i += 1
    fresh = f"{changing}_features_{i}"
  unit.block.append(Stmt(lambda: f"{fresh} = {text}", frozenset({fresh})))
  unit.env[fresh] = Local("static", None)
  unit.bound_names = unit.bound_names | {fresh}
  return fresh
