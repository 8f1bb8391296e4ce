"""Single parameters by their Linen names: `state.params["Dense_0"]["kernel"]` is `model.dense.kernel[...]`."""

from __future__ import annotations

import ast

from migrate.codemod.training.analysis import Result
from migrate.codemod.training.base import Base
from migrate.codemod.training.values import PLAIN, PLAINLY, Grads, Part, Value, Weight


class Weights(Base):
  """Reads of one parameter, or of its gradient. The tables of names come from the examples' mappings."""

  def weight(self, node: ast.Subscript, value: Value, key: object) -> Result | None:
    """An entry of parameters or gradients; None where it is not certain which one NNX has for it."""
    if not isinstance(value, (Part, Grads, Weight)) or not isinstance(key, str) or not isinstance(node.ctx, ast.Load):
      return None
    if isinstance(value, Part) and (value.collection != "params" or value.whole):
      return None
    paths, modules = value.token.cls.paths, value.token.cls.modules
    if paths is None or modules is None:
      return None
    path = (*(value.path if isinstance(value, Weight) else ()), key)
    gradient = isinstance(value, Grads) or (isinstance(value, Weight) and value.gradient)
    found = next((new for old, new in paths if old == path), None)
    if found is not None and "/".join(path[:-1]) in modules:
      root = node
      for _ in path:
        root = root.value if isinstance(root, ast.Subscript) else root
      if gradient:
        text = self.file.text(root) + "".join(f"[{n}]" if isinstance(n, int) else f'["{n}"]' for n in found)
      else:
        text = self.model(value.token, node) + "".join(f"[{n}]" if isinstance(n, int) else f".{n}" for n in found)
      self.file.replace(node, f"{text}[...]")
      return PLAIN, PLAINLY
    around = self.file.source.parents.get(node)
    inside = isinstance(around, ast.Subscript) and around.value is node
    if not inside or not any(old[: len(path)] == path for old, _ in paths):
      return None
    return Weight(value.token, value.epoch, path, gradient), None
