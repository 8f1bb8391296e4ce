"""Shapes with named axes: parse `* in_features 4*hidden`, unify with real shapes, evaluate.

A spec is a string of terms separated by spaces:

  `features`              one axis, of the size that the name has
  `5`                     one axis of that size
  `4*hidden`, `a/groups`  one axis; products and quotients, read from left to right
  `*kernel_size`          as many axes as the name has sizes
  `*`                     any number of axes; at most one in a spec, and only beside bound names
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

Dims = dict[str, int | tuple[int, ...]]


class AxesError(ValueError):
  """A shape does not fit its spec; the caller adds the path."""


@dataclasses.dataclass(frozen=True)
class Term:
  """One term: `factors` with their exponents 1 or -1, or a starred name (empty for `*`)."""

  text: str
  factors: tuple[tuple[str | int, int], ...] = ()
  star: str | None = None


@functools.cache
def parse(spec: str) -> tuple[Term, ...]:
  """The terms of a spec. Raises AxesError where it is not one."""
  terms = tuple(_term(text) for text in spec.split())
  if sum(t.star == "" for t in terms) > 1:
    raise AxesError(f"{spec!r} has more than one *")
  return terms


def _term(text: str) -> Term:
  if text.startswith("*"):
    if text[1:] and not text[1:].isidentifier():
      raise AxesError(f"{text!r} is not * and a name")
    return Term(text, star=text[1:])
  factors: list[tuple[str | int, int]] = []
  power, rest = 1, text
  while rest:
    ends = [i for i in (rest.find("*"), rest.find("/")) if i >= 0]
    end = min(ends, default=len(rest))
    factor, sign = rest[:end], rest[end : end + 1]
    if not (factor.isdecimal() or factor.isidentifier()) or (sign and end + 1 == len(rest)):
      raise AxesError(f"{text!r} is not a product of names and numbers")
    factors.append((int(factor) if factor.isdecimal() else factor, power))
    power, rest = (-1 if sign == "/" else 1), rest[end + 1 :]
  return Term(text, tuple(factors))


def sizes_of(value: Any) -> int | tuple[int, ...] | None:
  """A size, a tuple of sizes or a mapping of them as what a name is bound to; None for anything else."""
  if isinstance(value, bool):
    return None
  if isinstance(value, int):
    return value
  if isinstance(value, Mapping):
    value = tuple(value.values())
  if isinstance(value, (tuple, list)) and all(isinstance(v, int) and not isinstance(v, bool) for v in value):
    return tuple(value)
  return None


def evaluate(spec: str, dims: Mapping[str, int | tuple[int, ...]]) -> tuple[int, ...]:
  """The shape of a spec whose names are all bound. Raises AxesError otherwise."""
  shape: list[int] = []
  for term in parse(spec):
    if term.star is None:
      above, below, unknown = _ratio(term, dims)
      if unknown or below == 0 or above % below:
        raise AxesError(f"{term.text} in {spec!r} is {'not known' if unknown else f'{above}/{below}'}")
      shape.append(above // below)
    elif term.star in dims:
      shape.extend(_tuple(dims[term.star]))
    else:
      raise AxesError(f"*{term.star} in {spec!r} is not known")
  return tuple(shape)


def unify(spec: str, shape: tuple[int, ...], dims: Mapping[str, int | tuple[int, ...]]) -> Dims:
  """The bindings that make `spec` be `shape`, added to `dims`.

  Raises:
    AxesError: where the rank or a size does not fit, or more than one name of a term is unknown.
  """
  terms = parse(spec)
  bound: Dims = dict(dims)
  fixed = sum(1 if t.star is None else len(_tuple(bound[t.star])) if t.star in bound else 0 for t in terms)
  open_ended = [t for t in terms if t.star is not None and t.star not in bound]
  spare = len(shape) - fixed
  if spare < 0 or (spare and not open_ended) or len(open_ended) > 1:
    raise AxesError(f"{shape} does not fit {spec!r}: {fixed} axes are named")
  at = 0
  for term in terms:
    if term.star is None:
      _solve(term, shape[at], bound, spec, shape)
      at += 1
      continue
    known = _tuple(bound[term.star]) if term.star in bound else None
    taken = shape[at : at + (spare if known is None else len(known))]
    if known is not None and taken != known:
      raise AxesError(f"{shape} does not fit {spec!r}: *{term.star} is {known}")
    if term.star:
      bound[term.star] = taken
    at += len(taken)
  return bound


def _tuple(value: int | tuple[int, ...]) -> tuple[int, ...]:
  return value if isinstance(value, tuple) else (value,)


def _ratio(term: Term, dims: Mapping[str, Any]) -> tuple[int, int, list[tuple[str, int]]]:
  """Numerator and denominator of the known factors, and the unknown names with their powers."""
  above = below = 1
  unknown: list[tuple[str, int]] = []
  for factor, power in term.factors:
    value = factor if isinstance(factor, int) else dims.get(factor)
    if value is None:
      unknown.append((str(factor), power))
      continue
    sizes = _tuple(value)
    if len(sizes) != 1:
      raise AxesError(f"{factor} stands for {len(sizes)} axes in {term.text!r}")
    above, below = (above * sizes[0], below) if power > 0 else (above, below * sizes[0])
  return above, below, unknown


def _solve(term: Term, size: int, bound: Dims, spec: str, shape: tuple[int, ...]) -> None:
  """Binds the one unknown name of a term, or checks that it has this size."""
  above, below, unknown = _ratio(term, bound)
  if not unknown:
    if above != size * below:
      raise AxesError(f"{shape} does not fit {spec!r}: {term.text} is {above}{f'/{below}' if below > 1 else ''}")
    return
  if len(unknown) > 1:
    raise AxesError(f"{unknown[0][0]} and {unknown[1][0]} in {spec!r} are not known")
  name, power = unknown[0]
  # size = above / below * name ** power
  numerator, denominator = (size * below, above) if power > 0 else (above, size * below)
  if denominator == 0 or numerator % denominator:
    raise AxesError(f"{shape} does not fit {spec!r}: {name} would not be a whole number")
  bound[name] = numerator // denominator
