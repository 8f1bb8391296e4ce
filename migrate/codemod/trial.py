"""What a trial run may change, and conditions held against what was seen."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


class Trial:
  """Trial runs and conditions on shapes, mixed into `Unit`."""

  def shape_comparison(self: Unit, test: ast.AST, beside: str = "") -> str | None:
    """`x.shape != y.shape` by the axes whose sizes are known, and by strides; held against every recorded truth.

    Args:
      test: the condition.
      beside: source of what else is asked, whose strides need no second mention.
    """
    if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not isinstance(test.ops[0], ast.Eq | ast.NotEq):
      return None
    sides = [test.left, test.comparators[0]]
    if not all(isinstance(s, ast.Attribute) and s.attr == "shape" for s in sides):
      return None
    left, right = (self.dims(s.value) for s in sides)  # type: ignore[attr-defined]
    truths = self.events(test)
    shapes = [self.events(s) for s in sides]
    if left is None or right is None or not truths or len(shapes[0]) != len(truths) or len(shapes[1]) != len(truths):
      return None
    unequal = isinstance(test.ops[0], ast.NotEq)
    terms: list[str] = []
    seen = [False] * len(truths)
    for axis in range(1, min(len(left), len(right)) + 1):
      a, b = self.pick(left[-axis]), self.pick(right[-axis])
      if a is None or b is None or a == b:
        continue
      terms.append(f"{a} {'!=' if unequal else '=='} {b}")
      seen = [s or x.value[-axis] != y.value[-axis] for s, x, y in zip(seen, *shapes, strict=True)]
    for name in self.field_names:
      if "stride" not in name.lower() or name not in self.readable or f"{self.self_name}.{name}" in beside:
        continue
      values = [getattr(e.activation.module, name, None) for e in truths]
      if all(isinstance(v, int) for v in values):
        terms.append(f"self.{name} {'!=' if unequal else '=='} 1")
        seen = [s or v != 1 for s, v in zip(seen, values, strict=True)]
      elif all(isinstance(v, tuple | list) and v for v in values) and len({len(v) for v in values}) == 1:  # pyright: ignore
        ones = "(" + ", ".join("1" for _ in values[0]) + ("," if len(values[0]) == 1 else "") + ")"  # pyright: ignore
        terms.append(f"tuple(self.{name}) {'!=' if unequal else '=='} {ones}")
        seen = [s or any(i != 1 for i in v) for s, v in zip(seen, values, strict=True)]  # pyright: ignore
    if not terms or [bool(e.value) for e in truths] != [s == unequal for s in seen]:
      return None
    return (" or " if unequal else " and ").join(terms)

  def snapshot(self: Unit) -> dict[str, Any]:
    """Everything that a trial run of a loop's body may change."""
    names = ("env", "_dims", "block", "used", "sites", "hoists", "readable", "variable_attrs", "variable_nodes", "tokens",
             "attribute_residue", "helpers", "helper_calls", "method_iterators", "templates", "imports", "outputs", "dead_lists", "static_arrays", "pipelines",
             "carried", "comprehension_texts", "maker_fields")  # fmt: skip
    state = {n: type(getattr(self, n))(getattr(self, n)) for n in names}
    for n in ("findings", "inner_sites", "produced", "variable_sites", "loops", "conditions"):
      state[n] = list(getattr(self, n))
    state["flows"] = [(site, {k: list(v) for k, v in site.flow.items()}) for site in self.setup_sites]
    state["loop_state"] = [(loop, list(loop.before), list(loop.iterators)) for loop in self.loops]
    state["helper_state"] = [(helper, helper.layers, helper.text) for helper in self.helpers.values()]
    state["env"] = {n: dataclasses.replace(v) for n, v in self.env.items()}
    state["own_block"] = self.block
    return state

  def restore(self: Unit, state: dict[str, Any]) -> None:
    """Undoes a trial run."""
    own_block = state.pop("own_block")  # the branch around the loop holds this very list
    own_block[:] = state.pop("block")
    self.block = own_block
    for loop, before, iterators in state.pop("loop_state"):
      loop.before[:], loop.iterators[:] = before, iterators  # a function's loop shares the list with the one around it
    for helper, layers, text in state.pop("helper_state"):
      helper.layers, helper.text = layers, text
    for site, flow in state.pop("flows"):
      site.flow = flow
    for name, value in state.items():
      setattr(self, name, value)
