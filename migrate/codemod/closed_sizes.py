"""Sizes that a class returns, told to the classes that make it: locals of its `__init__` are written out."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from migrate.codemod.scope import Block, Dims, Stmt, given_in
from migrate.codemod.sizes_pool import TOKEN, replaced
from migrate.codemod.source import names_in

if TYPE_CHECKING:
  from migrate.codemod.site import Site
  from migrate.codemod.unit import Unit


def closed_outputs(unit: Unit, dims: Dims) -> Dims:
  """Candidates for each axis; where all of them read locals, one in which the locals are written out is added.

  Args:
    unit: the class.
    dims: of what a method returns.
  """
  known = _definitions(unit.block)
  outside = {"self", *unit.hoists}

  def free(text: str) -> bool:
    return all(n in outside or TOKEN.fullmatch(n) or unit.of_the_file(n) or unit.of_python(n) for n in names_in(text))

  found: Dims = []
  for axis in dims:
    more: list[str] = []
    if axis and not any(map(free, axis)):
      more = [text for c in axis if free(text := _written_out(c, known))][:1]
    found.append([*axis, *more])
  return found


def said_later(unit: Unit, site: Site, flow: Sequence[str]) -> str | None:
  """A size of a layer that a method makes before the locals which its size reads: they are written out.

  Args:
    unit: the class.
    site: where the layer is made.
    flow: what its call tells of the size, where that can't be read.
  """
  known = _definitions(unit.block)
  texts = [(c, _written_out(c, known)) for c in flow]
  return next((text for c, text in texts if text != c and unit.readable_at(site, text)), None)


def branch_of(text: str, modules: Iterable[Any], left: Collection[str] = ()) -> str:
  """`width if self.out is None else self.out`, `self.out or width` decided, where it comes out alike for all modules.

  Args:
    text: an expression over fields.
    modules: those whose fields decide.
    left: fields that may be otherwise in modules that no example made; what asks them stays.
  """
  if any(re.search(rf"\bself\.{re.escape(name)}\b", text) for name in left):
    return text
  try:
    tree = ast.parse(text, mode="eval").body
  except SyntaxError:
    return text
  if isinstance(tree, ast.BoolOp) and isinstance(tree.op, ast.Or):
    return _first_given(text, tree, [*modules])
  if not isinstance(tree, ast.IfExp) or not isinstance(tree.test, ast.Compare):
    return text
  field = re.fullmatch(r"self\.(\w+) is (not )?None", ast.unparse(tree.test))
  values = {getattr(m, field[1], None) is None for m in modules} if field is not None else set()
  if field is None or len(values) != 1:
    return text
  chosen = tree.body if values.pop() != bool(field[2]) else tree.orelse
  return branch_of(ast.get_source_segment(text, chosen) or text, modules)


def may_be_none(unit: Unit, text: str | None) -> bool:
  """Whether what a layer is given is a field of the class that says it may be None."""
  name = re.fullmatch(r"self\.(\w+)", text or "")
  field = next((f for f in unit.info.fields if name is not None and f.name == name[1]), None)
  return field is not None and (field.default == "None" or bool(re.search(r"\bNone\b|\bOptional\b", field.annotation)))


def _first_given(text: str, tree: ast.BoolOp, modules: list[Any]) -> str:
  """`self.out or width` as one of both, where the field decides alike for all modules."""
  first = ast.unparse(tree.values[0])
  field = re.fullmatch(r"self\.(\w+)", first)
  given = {bool(getattr(m, field[1], None)) for m in modules} if field is not None else set()
  if len(given) != 1:
    return text
  if given.pop():
    return first
  rest = text.encode()[tree.values[1].col_offset : tree.end_col_offset].decode() if "\n" not in text else text
  return branch_of(rest, modules) if rest != text else text


def _definitions(block: list[Stmt | Block]) -> dict[str, str]:
  """Locals that get one value, in a statement that always runs -> the expression."""
  given = [name for item in block for name in _each(item)]
  found: dict[str, str] = {}
  for item in block:
    for name in item.defines if isinstance(item, Stmt) and len(item.defines) == 1 else ():
      match = re.fullmatch(rf"{name} = (.*)", item.text(), re.S)  # pyright: ignore[reportAttributeAccessIssue]
      if match is not None and given.count(name) == 1:
        found[name] = match[1]
  return found


def _each(item: Stmt | Block) -> list[str]:
  if isinstance(item, Stmt):
    return sorted(given_in(item))
  return [name for _, body in item.parts for inner in body for name in _each(inner)]


def _written_out(text: str, known: dict[str, str]) -> str:
  for _ in range(4):
    names = [n for n in names_in(text) if n in known]
    if not names:
      break
    for name in names:
      text = replaced(text, rf"\b{name}\b", known[name])
  return text
