"""Kinds of values of a training program: what two calls of a function must have in common."""

from __future__ import annotations

import dataclasses
from typing import Any

from migrate.codemod.training.values import Apply, Held, Recipe, Record, Token, Train, Tup, Value


def sign(value: Value, order: list[Token]) -> Any:
  """The kind of a value, with models by number."""
  if isinstance(value, Tup):
    return tuple(sign(v, order) for v in value.items)
  if isinstance(value, Record):
    return ("Record", value.cls.name, tuple((n, sign(v, order)) for n, v in value.items))
  if isinstance(value, Held):
    order += [t for t in (value.token, *value.token.inside()) if t not in order]
    known = value.token.initialised if isinstance(value, (Recipe, Apply)) else None
    more = (
      getattr(value, "collection", ""),
      getattr(value, "method", "") or getattr(value, "when", ""),
      known,
      getattr(value, "whole", False),
      tuple(value.token.fields) if isinstance(value, Train) else getattr(value, "tree", False),
      tuple(value.token.members),
    )
    return (type(value).__name__, order.index(value.token), *more)
  return "plain"


def with_token(value: Value, table: dict[Token, Token], epochs: dict[Token, int]) -> Value:
  """The same value of other models, up to date."""
  if isinstance(value, Tup):
    return Tup(tuple(with_token(v, table, epochs) for v in value.items), value.made)
  if isinstance(value, Record):
    return Record(value.cls, tuple((n, with_token(v, table, epochs)) for n, v in value.items))
  if isinstance(value, Held):
    token = table.get(value.token, value.token)
    return dataclasses.replace(value, token=token, epoch=epochs.get(token, 0))
  return value
