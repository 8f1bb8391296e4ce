"""Parameters whose first value an initializer computes from the inputs: zeros stand in `__init__`, with a finding."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING

from migrate.core.report import Finding
from migrate.trace.facts import ArraySpec

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


class InputValues:
  """Handling of such parameters, mixed into `Unit` as a part of `Variables`."""

  def from_inputs(self: Unit, maker: ast.AST, pieces: list[str], node: ast.Call) -> Callable[[], str] | None:
    """Zeros for a parameter whose first value an initializer computes from a call's arrays."""
    events = self.events(node)
    specs = [e.value for e in events]
    if not specs or not all(isinstance(v, ArraySpec) for v in specs) or len({len(v.shape) for v in specs}) != 1:
      return None
    if len({v.dtype for v in specs}) != 1 or not self.reads_arrays(maker):
      return None
    if pieces and "=" not in pieces[0]:
      shape = pieces[0]
    else:
      columns = zip(*(v.shape for v in specs), strict=True)
      sizes = [self._hoisted_value(node, node, [*column], events, i) for i, column in enumerate(columns)]
      shape = f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"
    self.need_import("import jax.numpy as jnp")
    kind = "" if specs[0].dtype == "float32" else f", jnp.{specs[0].dtype}"
    self.note(Finding(self.where(node), f"`{self.source.code(maker)}` computes a first value from the inputs: zeros stand there",
                      "a value known at construction", "set the parameter from a batch before you train a new model",
                      "eye", "L2N115"))  # fmt: skip
    return lambda: f"jnp.zeros({shape}{kind})"

  def reads_arrays(self: Unit, maker: ast.AST) -> bool:
    """Whether an initializer, a lambda or a function of the method, reads arrays of the call."""
    body = maker
    if isinstance(maker, ast.Name):
      method = next((n for n in self.source.enclosing(maker) if isinstance(n, ast.FunctionDef)), None)
      inside = ast.walk(method) if method is not None else ()
      body = next((n for n in inside if isinstance(n, ast.FunctionDef) and n.name == maker.id), maker)
    own = {a.arg for a in ast.walk(body) if isinstance(a, ast.arg)}
    return any(isinstance(n, ast.Name) and n.id not in own and self.array_events(n) for n in ast.walk(body))
