"""Setups of copies that nothing calls: Linen runs them where a module outside the model is asked for an attribute."""

from __future__ import annotations

from collections.abc import Sequence

from migrate.trace.facts import Activation, CallRecord


def idle_setups(root: type, activations: Sequence[Activation], calls: Sequence[CallRecord]) -> set[int]:
  """Ids of the activations that belong to no instance of the model.

  Args:
    root: the class of the example's module, whose path is empty too.
    activations: every running of every function.
    calls: every call of a method of a module.
  """
  called = {c.cls for c in calls if c.method != "setup"}
  outside = {c.cls for c in calls if c.method != "setup" and not c.path}  # run by `apply`
  idle: set[int] = set()
  for activation in activations:  # a caller comes before what it calls
    cls = type(activation.module) if activation.module is not None else None
    copy = cls is not None and cls is not root and not activation.path and cls in called - outside
    if id(activation.parent) in idle or (copy and activation.qualname.endswith(".setup")):
      idle.add(id(activation))
  return idle
