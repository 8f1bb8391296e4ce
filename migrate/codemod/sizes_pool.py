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


class Pool:
  """Sizes that the operands of an expression offer: (candidates, the size in every event of the result).

  Args:
    joins: whether sums and products of axes are offered: a layer neither joins nor flattens axes.
  """

  def __init__(self, joins: bool):
    self.joins = joins
    self.same: dict[int, list[Offer]] = {}
    self.operands: list[Offer] = []
    self.statics: list[Offer] = []
    self.products: list[Offer] = []
    self.literals: list[Offer] = []

  def add_operand(self, dims: Dims, sizes: list[list[int] | None]) -> None:
    """Takes an array's axes, with their sizes from the last axis on."""
    for j, found in enumerate(sizes, 1):
      if found is not None:
        self.same.setdefault(j, []).append((dims[-j], found))
        self.operands.append((dims[-j], found))
    for a, b in itertools.combinations(range(1, len(dims) + 1), 2):
      run = [s for s in sizes[a - 1 : b] if s is not None]
      if len(run) == b - a + 1 and all(dims[-j] for j in range(a, b + 1)):
        text = " * ".join(wrap(dims[-j][0]) for j in range(b, a - 1, -1))
        self.products.append(([text], [_product(t) for t in zip(*run, strict=True)]))

  def of(self, j: int) -> list[Offer]:
    """Offers for an axis, counted from the last, likeliest first."""
    found = self.same.get(j, []) + self.statics + self.operands
    if self.joins:
      for (a, x), (b, y) in itertools.combinations(self.same.get(j, []), 2):
        if a and b:
          found.append(([f"{a[0]} + {b[0]}"], [p + q for p, q in zip(x, y, strict=True)]))
      found += self.products
      for (a, x), (b, y) in itertools.product(self.same.get(j, []), self.statics):
        if a and b:  # a number of copies side by side
          found.append(([f"{wrap(b[0])} * {wrap(a[0])}"], [p * q for p, q in zip(x, y, strict=True)]))
      found += self.literals
    return found


def literals(node: ast.AST) -> list[int]:
  """Integers written as bounds of slices or in shapes: they may be the size of what comes out."""
  found: list[int] = []
  for child in ast.walk(node):
    inner = [child.upper] if isinstance(child, ast.Slice) and child.step is None else []
    inner += child.elts if isinstance(child, ast.Tuple | ast.List) else []
    found += [n.value for n in inner if isinstance(n, ast.Constant) and type(n.value) is int and n.value > 1]
  return found


def wrap(text: str) -> str:
  """An expression as an operand."""
  return text if re.fullmatch(r"[\w.]+(\[-?\w+\][\w.]*)*|\([^()]*\)", text) else f"({text})"


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
  return all(n == "self" or TOKEN.fullmatch(n) for n in names_in(text))
