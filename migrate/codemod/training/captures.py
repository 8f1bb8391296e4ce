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
from migrate.codemod.training.values import PLAIN, PLAINLY, Captured, Changed, Function, Token, Value
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
    if self._every(node) is None and INTERMEDIATES not in names:
      return False
    if token.cls.modules is None:
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
    every = self._every(node)
    if every is not None and not isinstance(every, ast.Constant):
      self.plain(every)
    return f"{nnx}.capture({callee}, {nnx}.Intermediate{f', method_outputs={nnx}.Intermediate' if every is not None else ''})"

  def _every(self, node: ast.Call) -> ast.expr | None:
    """What `capture_intermediates` is given, if the call captures what methods return."""
    asked = next((k.value for k in node.keywords if k.arg == "capture_intermediates"), None)
    if asked is None or (isinstance(asked, ast.Constant) and not asked.value):
      return None
    if not isinstance(asked, ast.Constant) and not isinstance(self.eval(asked)[0], Function):
      raise self.left(node, f"capture_intermediates={ast.unparse(asked)[:40]}", "give True, or a function of the program", "L2N406")  # fmt: skip
    return asked

  def captured_target(self, target: ast.expr) -> str:
    """The name of what was sown: of `_, state = ...`, where all that is read is `sown = state["intermediates"]`, the second."""
    text = self.file.text(target)
    function = next((n for n in self.file.source.enclosing(target) if isinstance(n, ast.FunctionDef)), None)
    if not isinstance(target, ast.Name) or function is None:
      return text
    names = [n for n in ast.walk(function) if isinstance(n, ast.Name) and n.id == target.id and n is not target]
    only = self._only_renamed(names[0]) if len(names) == 1 else None
    stores = [n for n in ast.walk(function) if only is not None and isinstance(n, ast.Name) and n.id == only.id and not isinstance(n.ctx, ast.Load)]  # fmt: skip
    return only.id if only is not None and stores == [only] else text

  def _only_renamed(self, name: ast.Name) -> ast.Name | None:
    """`sown` of the statement `sown = state["intermediates"]`."""
    parents = self.file.source.parents
    item = parents.get(name)
    assign = parents.get(item) if isinstance(item, ast.Subscript) and item.value is name else None
    if not isinstance(assign, ast.Assign) or assign.value is not item or len(assign.targets) != 1:
      return None
    key = item.slice.value if isinstance(item, ast.Subscript) and isinstance(item.slice, ast.Constant) else None
    target = assign.targets[0]
    return target if isinstance(target, ast.Name) and key == INTERMEDIATES else None

  def captured_again(self, target: ast.expr, source: ast.expr, value: Value) -> bool:
    """Whether a statement gives what was sown a name that it has already."""
    name = source.value if isinstance(source, ast.Subscript) and isinstance(value, Captured) else None
    if not isinstance(name, ast.Name) or not isinstance(target, ast.Name) or self._only_renamed(name) is not target:
      return False
    made = next((n for s in self.scope.chain() if s.node is not None for n in ast.walk(s.node) if isinstance(n, ast.Name)
                 and n.id == name.id and isinstance(n.ctx, ast.Store)), None)  # fmt: skip
    return made is not None and self.captured_target(made) == target.id

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
