"""Objects that have parameters and optimizer state in fields of their own: `class State(NamedTuple): params; opt_state; step`.

The field of the parameters becomes one of the model, that of the optimizer state one of the optimizer; statistics are in
the model, and their field goes.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from migrate.codemod.training.analysis import derived_names
from migrate.codemod.training.base import Base
from migrate.codemod.training.values import EFFECT, Changed, Form, OptState, Part, Token, Value

BESIDE = ("target", "ema", "avg", "average", "old", "best")
Found = Mapping[str, tuple[ast.expr, Value, Form]]


class RecordParts(Base):
  """Which fields are parts of a model, and what is written for them."""

  def live_fields(self, found: Found) -> dict[str, str]:
    """Fields that are parts of models whose optimizers are in the same object -> their new names; "" for those that go."""
    optimized = {v.token for _, v, _ in found.values() if isinstance(v, OptState)}
    names: dict[str, str] = {}
    seen: set[Token] = set()
    for field, (_, value, _) in sorted(found.items(), key=lambda p: any(w in p[0] for w in BESIDE)):
      if isinstance(value, OptState):
        names[field] = derived_names(field, "optimizer")[0]
      elif isinstance(value, Part) and value.token in optimized and value.collection == "params":
        if value.token not in seen and not value.inner:
          names[field] = derived_names(field, "models" if value.token.members else "model")[0]
        seen.add(value.token)
      elif isinstance(value, (Part, Changed)) and value.token in optimized and not getattr(value, "when", ""):
        names[field] = ""
    new = [*(n for n in names.values() if n), *(f for f in found if f not in names)]
    return {f: (n if not n or new.count(n) == 1 else f) for f, n in names.items()}

  def live_item(self, node: ast.expr, value: Value, form: Form, texts: list[str]) -> tuple[str, Value]:
    """The text of such a field, and what it holds."""
    assert isinstance(value, (Part, OptState, Changed))
    token = value.token
    if isinstance(value, Changed):
      self.half_keep(token)
      return "", Part(token, self.epoch(token), value.collection)
    if form == EFFECT:
      if any(isinstance(n, ast.Call) for t in texts for n in ast.walk(ast.parse(t))):
        raise self.left(node, "an update after other calls in one statement", "give what comes before it a name first", "L2N403")  # fmt: skip
      self.put_before(node, self.file.text(node))
    if not self.current(value):
      raise self.left(node, f"`{ast.unparse(node)[:60]}` is used after it was updated", "use what the update returned", "L2N403")  # fmt: skip
    if isinstance(value, OptState):
      return (self.file.text(node) if form == ("optimizer", token) else self.optimizer(token, node)), value
    if value.collection != "params":
      return "", value
    return (self.file.text(node) if form == ("model", token) else self.model(token, node)), value

  def same_live(self, node: ast.expr, old: Value, value: Value, form: Form) -> Value:
    """What `state._replace(params=...)` gives to such a field: it is there already."""
    if isinstance(old, Part) and isinstance(value, Changed) and value.collection == old.collection and not value.when:
      self.half_keep(value.token)
      value = Part(value.token, self.epoch(value.token), value.collection)
    same = isinstance(value, (Part, OptState)) and isinstance(old, (Part, OptState)) and type(value) is type(old)
    if not same or value.token is not old.token or getattr(value, "collection", "") != getattr(old, "collection", ""):  # pyright: ignore
      raise self.left(
        node, "other parameters, or another optimizer's state, in an object", "update those that are there"
      )
    if form == EFFECT:
      self.put_before(node, self.file.text(node))
    elif form is not None:
      raise self.left(node, "a model made inside a call", "give it a name first")
    if not self.current(value):
      raise self.left(node, f"`{ast.unparse(node)[:60]}` is used after it was updated", "use what the update returned", "L2N403")  # fmt: skip
    return value
