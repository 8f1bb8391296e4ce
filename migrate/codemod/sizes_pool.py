"""What the operands of an expression offer for the sizes of its result."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterable, Sequence
from typing import Any

from migrate.codemod.project import Event
from migrate.codemod.scope import Dims
from migrate.codemod.source import names_in
from migrate.trace.facts import Activation

Offer = tuple[list[str], list[int]]
TOKEN = re.compile(r"\bSIZE__(\w+?)__(\d+)\b")
SETUP_LOCAL = re.compile(r"\bSETUP__(\w+?)__LOCAL\b")  # a local of `setup` in a size that methods carry


class Pool:
  """Sizes that the operands of an expression offer: (candidates, the size in every event of the result).

  Args:
    joins: whether sums and products of axes are offered: a layer neither joins nor flattens axes.
    concatenates: whether the expression puts arrays one after another.
  """

  def __init__(self, joins: bool, concatenates: bool = False):
    self.joins = joins
    self.concatenates = concatenates
    self.same: dict[int, list[Offer]] = {}
    self.operands: list[Offer] = []
    self.statics: list[Offer] = []
    self.products: list[Offer] = []
    self.literals: list[Offer] = []
    self.parts: list[tuple[str, int]] = []  # numbers that an axis is divided by
    self.cut: list[tuple[str, int]] = []  # where slices begin
    self.joined: dict[int, Offer] = {}  # axis -> the sum over all arrays that are put together
    self.pairs = False  # whether an operand has an axis of two, before its last: two heads, say

  def add_operand(self, dims: Dims, sizes: list[list[int] | None]) -> None:
    """Takes an array's axes, with their sizes from the last axis on."""
    for j, found in enumerate(sizes, 1):
      if found is not None:
        self.pairs = self.pairs or (j > 1 and set(found) == {2})
        self.same.setdefault(j, []).append((dims[-j], found))
        self.operands.append((dims[-j], found))
    for a, b in itertools.combinations(range(1, len(dims) + 1), 2):
      run = [s for s in sizes[a - 1 : b] if s is not None]
      if len(run) == b - a + 1 and all(dims[-j] for j in range(a, b + 1)):
        text = multiplied([dims[-j][0] for j in range(b, a - 1, -1)])
        self.products.append(([text], [_product(t) for t in zip(*run, strict=True)]))

  def of(self, j: int) -> list[Offer]:
    """Offers for an axis, counted from the last, likeliest first."""
    sums: list[Offer] = []
    for (a, x), (b, y) in itertools.combinations(self.same.get(j, []) if self.joins else (), 2):
      if a and b and a[0] == b[0] and self.pairs and not self.concatenates:
        continue  # the axis of two, flattened, is as large
      if a and b and (j == 1 or self.concatenates):  # what else adds heights up does so by chance
        sums.append(([added([a[0], b[0]])], [p + q for p, q in zip(x, y, strict=True)]))
    if self.concatenates:  # what another axis measures has as much by chance
      found = self.same.get(j, []) + sums + self.statics + self.operands
    else:
      found = self.same.get(j, []) + self.statics + self.operands + sums
    if self.joins:
      found += [self.joined[j]] if j in self.joined else []
      found += self._divided(j)
      found += self.products
      for (a, x), (b, y) in itertools.product(self.same.get(j, []), self.statics):
        if a and b:  # a number of copies side by side
          found.append(([f"{wrap(b[0])} * {wrap(a[0])}"], [p * q for p, q in zip(x, y, strict=True)]))
      for (a, x), (b, y), (c, z) in itertools.product(self.same.get(j, []), self.statics, self.statics):
        if a and (b[0] != c[0] or y == z):  # patches side by side: height times width times channels
          patch = f"{wrap(b[0])}**2" if b[0] == c[0] else f"{wrap(b[0])} * {wrap(c[0])}"
          found.append(([f"{patch} * {wrap(a[0])}"], [p * q * r for p, q, r in zip(x, y, z, strict=True)]))
      found += self.literals
    return found

  def _divided(self, j: int) -> list[Offer]:
    """An axis in equal parts, or what is left of it after the first few."""
    found: list[Offer] = []
    for (axes, sizes), (text, n) in itertools.product(self.same.get(j, []) + self.operands, self.parts):
      if axes and n > 0 and not any(s % n for s in sizes):
        found.append(([c for a in axes if (c := divided(a, text))], [s // n for s in sizes]))
    for (axes, sizes), (text, n) in itertools.product(self.same.get(j, []), self.cut):
      if axes:
        found.append(([f"{a} - {wrap(text)}" for a in axes], [s - n for s in sizes]))
    return found


def literals(node: ast.AST) -> list[int]:
  """Integers written as bounds of slices or in shapes: they may be the size of what comes out."""
  found: list[ast.expr | None] = []
  queue: list[tuple[ast.AST, bool]] = [(node, False)]
  while queue:
    child, axes = queue.pop(0)
    if isinstance(child, ast.Slice):
      found += [child.upper] if child.step is None else []
    elif isinstance(child, ast.Tuple | ast.List) and not axes:
      found += child.elts
    axes = _orders_axes(child) if isinstance(child, ast.Call) else axes
    named = isinstance(child, ast.keyword) and "ax" in (child.arg or "")
    queue += [(c, axes or named) for c in ast.iter_child_nodes(child)]
  return [n.value for n in found if isinstance(n, ast.Constant) and type(n.value) is int and n.value > 1]


def _orders_axes(call: ast.Call) -> bool:
  """Whether the numbers that a call is given are axes, and no sizes."""
  name = call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
  return name in ("transpose", "permute_dims", "moveaxis", "swapaxes", "expand_dims", "squeeze", "flip", "roll", "mean", "sum",
                  "max", "min", "var", "std", "prod", "tensordot", "split", "array_split")  # fmt: skip


def wrap(text: str) -> str:
  """An expression as an operand."""
  return text if re.fullmatch(r"[\w.]+(\[-?\w+\][\w.]*)*|\([^()]*\)", text) else f"({text})"


def multiplied(texts: Sequence[str]) -> str:
  """The product of expressions, without ones."""
  found = [t for t in texts if t != "1"]
  return " * ".join(map(wrap, found)) if len(found) > 1 else next(iter(found), "1")


def divided(text: str, by: str) -> str:
  """`text // by`; a factor of the text is just taken out."""
  factors = _factors(ast.parse(text, mode="eval").body, text)
  if by in factors and len(factors) > 1:
    factors.remove(by)
    rest = " * ".join(factors)
    return rest[1:-1] if re.fullmatch(r"\([^()]*\)", rest) else rest
  return f"{wrap(text)} // {wrap(by)}"


def _factors(tree: ast.expr, text: str) -> list[str]:
  if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Mult):
    return [*_factors(tree.left, text), *_factors(tree.right, text)]
  return [wrap(ast.get_source_segment(text, tree) or "")]


def added(texts: Sequence[str]) -> str:
  """The sum of expressions, equal ones counted."""
  found = [wrap(t) if re.search(r"//|%| if ", t) else t for t in texts]
  if len(set(found)) == 1 and len(found) > 1:
    return f"{len(found)} * {wrap(found[0])}"
  return " + ".join(found)


def replaced(text: str, pattern: str, value: str) -> str:
  """A text with an expression for a name, in parentheses unless it is all that there is."""
  return value if re.fullmatch(pattern, text) else re.sub(pattern, lambda _: wrap(value), text)


def _product(numbers: Iterable[int]) -> int:
  total = 1
  for n in numbers:
    total *= n
  return total


def align(values: Sequence[tuple[Event, Any]], like: Sequence[Event]) -> list[Any] | None:
  """For every event, the last value seen before it in the same activation; None where one is missing."""
  by_activation: dict[int, list[tuple[int, Any]]] = {}
  for event, value in values:
    by_activation.setdefault(id(_home(event.activation)), []).append((event.order, value))
  found = []
  for event in like:
    before = [v for o, v in by_activation.get(id(_home(event.activation)), ()) if o <= event.order]
    if not before:
      return None
    found.append(before[-1])
  return found


def _home(activation: Activation) -> Activation:
  """The running of the function that a comprehension stands in."""
  while activation.parent is not None and activation.qualname.endswith(("comp>", "<genexpr>")):
    activation = activation.parent
  return activation


def closed(text: str) -> bool:
  """Whether an expression reads only fields, constants and sizes of arguments."""
  return all(n == "self" or TOKEN.fullmatch(n) or SETUP_LOCAL.fullmatch(n) for n in names_in(text))
