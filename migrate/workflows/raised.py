"""What to do about a ported model that raises."""

from __future__ import annotations

import re

_LINEN = {
  "param", "variable", "make_rng", "has_rng", "has_variable", "get_variable", "put_variable", "is_initializing",
  "is_mutable_collection", "perturb",
}  # fmt: skip
_SCOPE = {"scope", "parent", "path", "variables", "_state"}


def what_to_do(error: Exception) -> str:
  """Says what in the original makes the ported model raise, where the error tells it.

  Args:
    error: what it raised.
  """
  found = re.search(r"object has no attribute '(\w+)'", str(error)) if isinstance(error, AttributeError) else None
  name = found[1] if found is not None else ""
  if name in _LINEN:
    return f"let the class that calls `self.{name}` be a `nn.Module`: a class that is none (a mixin) stays as it is"
  if name in _SCOPE:
    return f"NNX modules have no `{name}`: let a field or an argument tell what it is asked for"
  if type(error).__name__ == "CallCompactUnboundModuleError":
    return "a function that a field or an argument holds makes layers: make it a class of modules, and give an instance"
  return "look at the line; the original is beside it"
