"""What is known of a training program's functions, and what one reading of it tells the next."""

from __future__ import annotations

import dataclasses
from typing import Any

from migrate.codemod.training.values import Form, Plain, Token, Value

Result = tuple[Value, Form]


@dataclasses.dataclass(eq=False)
class Analysis:
  """What is known of a function once it was read.

  Attributes:
    signature: the kinds of its arguments.
    tokens: models of its arguments, in order of appearance.
    given: what its arguments stand for.
    emits: argument -> what takes its place.
    names: argument -> names of what takes its place.
    places: argument -> positions of what takes its place.
    value: what it returns.
    fresh: models that it makes and returns.
    optimized: models whose optimizers it makes and returns.
    changed: models that it updates.
    pending: models whose changed statistics it returns.
    closed: models of its arguments that it meets in the scopes around it, too.
    modules: modules without variables that it makes and returns.
    moves: models from outside whose variables its calls change, so that a transform around it must be given them.
    extra: those of them that it is given as arguments of their own -> their names.
    spread: whether models are on several devices after it.
    leading: models that a method of a training state is given after `self` -> their names.
    lines: statements that a lambda stands for, beside what it returns.
    done: whether it was read to its end.
  """

  signature: tuple[Any, ...]
  tokens: list[Token]
  given: dict[str, Value]
  emits: dict[str, list[Form]] = dataclasses.field(default_factory=dict)
  names: dict[str, list[str]] = dataclasses.field(default_factory=dict)
  places: dict[str, list[int]] = dataclasses.field(default_factory=dict)
  value: Value = dataclasses.field(default_factory=Plain)
  fresh: set[Token] = dataclasses.field(default_factory=set)
  optimized: set[Token] = dataclasses.field(default_factory=set)
  changed: set[Token] = dataclasses.field(default_factory=set)
  pending: set[Token] = dataclasses.field(default_factory=set)
  closed: set[Token] = dataclasses.field(default_factory=set)
  modules: set[Token] = dataclasses.field(default_factory=set)
  moves: set[Token] = dataclasses.field(default_factory=set)
  extra: dict[Token, str] = dataclasses.field(default_factory=dict)
  leading: dict[Token, str] = dataclasses.field(default_factory=dict)
  lines: list[str] = dataclasses.field(default_factory=list)
  spread: dict[Token, bool] = dataclasses.field(default_factory=dict)
  done: bool = False


Place = tuple[str, int, int]


@dataclasses.dataclass
class Known:
  """What an earlier reading of the program found, by place.

  Attributes:
    streams: construction of a module -> RNG streams that its calls are given.
    optimizing: functions that use the optimizer of a training state; None before the first reading.
    copies: names that are second ones of parameters or a state, and that are used after an update.
    cloned: those of them whose optimizers are used.
    trees: variables with second names in them that hold None or trees elsewhere.
    several: construction of a module of which several models are made.
    grouped: tuples of parameters that have one optimizer.
    stateful: classes that keep a model in `self`; objects of the others are followed.
  """

  streams: dict[Place, set[str]] = dataclasses.field(default_factory=dict)
  optimizing: set[Place] | None = None
  copies: set[Place] = dataclasses.field(default_factory=set)
  cloned: set[Place] = dataclasses.field(default_factory=set)
  trees: set[Place] = dataclasses.field(default_factory=set)
  several: set[Place] = dataclasses.field(default_factory=set)
  grouped: set[Place] = dataclasses.field(default_factory=set)
  stateful: set[Place] = dataclasses.field(default_factory=set)


WHAT = {
  "Train": "the training state",
  "Part": "parameters or statistics",
  "Variables": "the variables",
  "Changed": "what the call changed",
  "Bound": "a module bound to its variables",
  "Captured": "what modules sowed",
  "Recipe": "a module",
  "Apply": "a bound method of a module",
  "OptState": "optimizer state",
  "Copied": "a copy of the training state",
  "Stats": "statistics",
  "Record": "an object with a training state in it",
}


def derived_names(holder: str, what: str) -> list[str]:
  """`g_state` gives `g_model`."""
  holder = holder.removeprefix("initial_").removeprefix("init_")
  for word in ("train_state", "opt_state", "state", "params", "variables", "apply_fn"):
    if word in holder:
      return [holder.replace(word, what).strip("_") or what]
  if what == "optimizer" and holder.endswith("_opt"):
    return [f"{holder}imizer"]
  return [what]
