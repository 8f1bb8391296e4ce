"""Statistics that a call changed: NNX has them in the model at once, Linen only where the program puts them.

A function that uses them and then throws them away changes nothing in Linen, and would change the model in NNX.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Set

from migrate.codemod.training.base import Base
from migrate.codemod.training.program import Scope
from migrate.codemod.training.values import Captured, Changed, Held, Part, Token, Train, Value, Variables, leaves


class Statistics(Base):
  """Follows changed statistics from the call to what keeps them."""

  def half_keep(self, token: Token) -> None:
    """What a call changed goes into variables or a name of this function: what has the old ones is old."""
    self.pending.discard(token)
    self.half_kept.add(token)
    for scope in self.scope.chain():
      for name, value in scope.values.items():
        if isinstance(value, Part) and value.token is token and value.collection != "params" and not value.whole:
          scope.values[name] = dataclasses.replace(value, epoch=-1)
        elif isinstance(value, Variables) and value.token is token and value.collections != frozenset({"params"}):
          scope.values[name] = dataclasses.replace(value, old=True)

  def not_older(self, node: ast.AST, value: Value) -> None:
    """Refuses statistics from before a call whose new ones went elsewhere."""
    old = isinstance(value, Variables) and value.old
    if old or (isinstance(value, Train) and value.token in self.half_kept):
      raise self.left(node, "statistics from before another call changed them", "put the new ones into the state first", "L2N404")  # fmt: skip

  def lost(self, scope: Scope, value: Value, pending: Set[Token], half_kept: Set[Token]) -> bool:
    """Whether a function changes statistics of a model that it was given, and does not give them back.

    Args:
      scope: of the function.
      value: what it returns.
      pending: models whose changed statistics nothing had taken before it was called.
      half_kept: those whose statistics a variable had.
    """
    back = {v.token for v in leaves(value) if isinstance(v, (Changed, Captured))}
    given = {v.token for v in leaves(value) if isinstance(v, (Part, Variables, Train, Changed)) and not _params(v)}
    mine = self.half_kept - half_kept - self.created.get(scope, set())
    self.half_kept = set(half_kept)
    return bool(self.pending - pending - back or mine - given - back)


def _params(value: Held) -> bool:
  return isinstance(value, Part) and value.collection == "params" and not value.whole
