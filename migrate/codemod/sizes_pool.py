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
    self.divisors: list[int] = []

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
    sums: list[Offer] = []
    for (a, x), (b, y) in itertools.combinations(self.same.get(j, []) if self.joins else (), 2):
      if a and b:
        sums.append(([f"{a[0]} + {b[0]}"], [p + q for p, q in zip(x, y, strict=True)]))
    if self.concatenates:  # what another axis measures has as much by chance
      found = self.same.get(j, []) + sums + self.statics + self.operands
    else:
      found = self.same.get(j, []) + self.statics + self.operands + sums
    if self.joins:
      found += self.products
      for (a, x), (b, y) in itertools.product(self.same.get(j, []), self.statics):
        if a and b:  # a number of copies side by side
          found.append(([f"{wrap(b[0])} * {wrap(a[0])}"], [p * q for p, q in zip(x, y, strict=True)]))
      for (a, x), (b, y), (c, z) in itertools.product(self.same.get(j, []), self.statics, self.statics):
        if a and (b[0] != c[0] or y == z):  # patches side by side: height times width times channels
          patch = f"{wrap(b[0])}**2" if b[0] == c[0] else f"{wrap(b[0])} * {wrap(c[0])}"
          found.append(([f"{patch} * {wrap(a[0])}"], [p * q * r for p, q, r in zip(x, y, z, strict=True)]))
      found += self.literals
      for a, x in self.same.get(j, []):
        for parts in self.divisors:
          if a and parts > 1 and all(p % parts == 0 for p in x):
            found.append(([divided(c, parts) for c in a], [p // parts for p in x]))
    return found


def literals(node: ast.AST) -> list[int]:
  """Integers written as bounds of slices or in shapes: they may be the size of what comes out."""
  found: list[int] = []
  for child in ast.walk(node):
    inner = [child.upper] if isinstance(child, ast.Slice) and child.step is None else []
    inner += child.elts if isinstance(child, ast.Tuple | ast.List) else []
    found += [n.value for n in inner if isinstance(n, ast.Constant) and type(n.value) is int and n.value > 1]
  return found


def divisors(node: ast.AST) -> list[int]:
  """Integers that a call is given as such: the number of equal parts, in `jnp.split(x, 2, axis=-1)`."""
  if not isinstance(node, ast.Call):
    return []
  given = [*node.args, *[k.value for k in node.keywords]]
  return [a.value for a in given if isinstance(a, ast.Constant) and type(a.value) is int and a.value > 1]


def divided(text: str, parts: int) -> str:
  """A size in so many equal parts: `2 * self.width` in two is `self.width`."""
  whole = re.fullmatch(rf"(.+) \* {parts}|{parts} \* ([\w.]+)", text)
  rest = next(filter(None, whole.groups()), None) if whole is not None else None
  if rest is not None and not re.search(r"[+\-/%]", re.sub(r"\([^()]*\)", "", rest)):
    return rest[1:-1] if re.fullmatch(r"\([^()]*\)", rest) else rest
  return f"{wrap(text)} // {parts}"


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
