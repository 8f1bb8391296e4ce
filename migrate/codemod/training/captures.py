"""What modules sow: `mutable=["intermediates"]` and `capture_intermediates`, which are `nnx.capture` in NNX.

In Linen a module that sows does nothing unless the call makes the collection mutable. In NNX it keeps what it sows as a
Variable that grows with every call, and a jitted step compiles anew each time; under `nnx.capture` it does not.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Set

import flax

from migrate.codemod.training.analysis import Result
from migrate.codemod.training.base import Base
from migrate.codemod.training.values import PLAIN, PLAINLY, Captured, Changed, Token
from migrate.versions import numbers

INTERMEDIATES = "intermediates"
LEAST = (0, 12, 6)  # the first flax with `nnx.capture`


class Captures(Base):
  """Calls of models that sow, and what is taken from what they sowed."""

  def captures(self, node: ast.Call, names: Set[str], token: Token) -> bool:
    """Whether a call takes what modules sow.

    Args:
      node: the call.
      names: collections that it makes mutable.
      token: the model.
    """
    own = token.cls.sown - {INTERMEDIATES}
    if names & {"perturbations", *own} or ("*" in names and token.cls.sown):
      found = f"mutable={sorted(names)}" if "*" not in names else "mutable=True of a model that sows"
      raise self.left(node, found, "use nnx.capture", "L2N406")
    if INTERMEDIATES not in names:
      return False
    if token.cls.modules is None or token.cls.stacked:
      raise self.left(node, "intermediates of a model whose modules have no known place in NNX", "use nnx.capture", "L2N406")  # fmt: skip
    return True

  def capturing(self, node: ast.Call, callee: str, token: Token, taken: bool) -> str:
    """What is called: the model, or method, so that what it sows is given back, or does nothing."""
    if not taken and not token.cls.sown:
      return callee
    if numbers(flax.__version__) < LEAST:
      raise self.left(node, f"a call of a model that sows, and flax {flax.__version__}", "install flax 0.12.6 or newer, which has nnx.capture", "L2N406")  # fmt: skip
    nnx = self.nnx()
    if not taken:
      return f"{nnx}.capture({callee})"
    asked = next((k.value for k in node.keywords if k.arg == "capture_intermediates"), None)
    every = asked is not None and not (isinstance(asked, ast.Constant) and not asked.value)
    if isinstance(asked, ast.expr) and not isinstance(asked, ast.Constant):
      self.plain(asked)
    return f"{nnx}.capture({callee}, {nnx}.Intermediate{f', method_outputs={nnx}.Intermediate' if every else ''})"

  def captured_item(self, node: ast.Subscript, value: Captured, key: object) -> Result:
    """An entry of what a call gave beside its result."""
    if value.path is None and key == INTERMEDIATES:
      self.file.replace(node, self.file.text(node.value))
      return dataclasses.replace(value, path=(), more=False), PLAINLY
    if value.path is None and value.more and isinstance(key, str):
      return Changed(value.token, value.epoch, key), None
    if value.sown and isinstance(key, int):
      return PLAIN, PLAINLY
    modules = value.token.cls.modules
    if value.path is None or value.sown or not isinstance(key, str) or modules is None:
      raise self.left(node, f"`{ast.unparse(node)[:60]}`: what modules sowed, by a name that is not known", "write out the names that are sown", "L2N406")  # fmt: skip
    path = (*value.path, key)
    here, there = modules.get("/".join(value.path)), modules.get("/".join(path))
    if here is None or (there is None and any(m.startswith("/".join((*path, ""))) for m in modules)):
      raise self.left(node, f"`{ast.unparse(node)[:60]}`: a module that has no place of its own in NNX", "use nnx.capture", "L2N406")  # fmt: skip
    if there is None:
      return dataclasses.replace(value, path=path, sown=True), PLAINLY
    above, below = here.split("/") if here else [], there.split("/")
    if below[: len(above)] != above:
      raise self.left(node, f"`{ast.unparse(node)[:60]}`: a module that is elsewhere in NNX", "use nnx.capture", "L2N406")  # fmt: skip
    keys = "".join(f"[{int(k) if k.isdecimal() else _quoted(k)}]" for k in below[len(above) :])
    self.file.replace(node, f"{self.file.text(node.value)}{keys}")
    return dataclasses.replace(value, path=path), PLAINLY


def _quoted(name: str) -> str:
  return f'"{name}"'
