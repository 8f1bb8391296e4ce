"""Arguments of `init`: the key, and the sizes that Linen found in the inputs."""

from __future__ import annotations

import ast

from migrate.codemod.training.constructions import Constructions
from migrate.codemod.training.values import Token

SHAPED = {"ones", "zeros", "empty", "full", "ShapeDtypeStruct"}


class InitArguments(Constructions):
  """What `init` was given, for the constructor."""

  def _sizes(self, node: ast.Call, token: Token) -> list[str]:
    """Constructor arguments that Linen found in the call's arguments."""
    found: list[str] = []
    for name, (parameter, axis, values) in token.cls.sizes.items():
      argument = self._argument(node, token, parameter) if parameter else None
      text = self.handed(argument, values) if parameter and not axis else None
      text = self._axis(argument, axis) if argument is not None and text is None and axis else text
      if text is None:
        seen = list(dict.fromkeys(values))
        if len(seen) != 1:
          raise self.left(node, f"`{name}` of {token.cls.full}, which the examples give as {seen}", "give one example of this model")  # fmt: skip
        text = repr(seen[0])
        self.note(
          node, f"`{name}={text}` is what the example had", "check that this program's model has it too", "L2N412"
        )
      found.append(f"{name}={text}")
    return found

  def _argument(self, node: ast.Call, token: Token, parameter: str) -> ast.expr | None:
    for keyword in node.keywords:
      if keyword.arg == parameter:
        return keyword.value
    first = bool(node.args) and key_of(node) is node.args[0]
    index = token.cls.call.index(parameter) + first if parameter in token.cls.call else -1
    if index >= 0 and index < len(node.args) and not any(isinstance(a, ast.Starred) for a in node.args[: index + 1]):
      return node.args[index]
    return None

  def _axis(self, node: ast.expr, axis: int) -> str | None:
    """The text of an array's axis, counted from the end."""
    if isinstance(node, ast.Call):
      name = ast.unparse(node.func).rpartition(".")[2]
      shape = node.args[0] if node.args and name in SHAPED else None
      if name in ("normal", "uniform", "randint", "truncated_normal") and len(node.args) > 1:
        shape = node.args[1]
      shape = next((k.value for k in node.keywords if k.arg == "shape"), shape)
      if isinstance(shape, (ast.Tuple, ast.List)) and len(shape.elts) >= axis:
        element = shape.elts[-axis]
        return None if isinstance(element, ast.Starred) else self.file.text(element)
      if isinstance(shape, (ast.Name, ast.Attribute)):
        return f"{self.file.text(shape)}[-{axis}]"
      if name == "expand_dims" and node.args and ast.unparse(node).endswith((", 0)", ", axis=0)")):
        return self._axis(node.args[0], axis)
      full = self.program.full(self.scope, node.func) or ""
      return f"{self.file.text(node)}.shape[-{axis}]" if full.startswith(("jax.numpy.", "numpy.")) else None
    if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
      return f"{self.file.text(node)}.shape[-{axis}]"
    return None


def key_of(node: ast.Call) -> ast.expr | None:
  """The key that `init` is given: its first argument, or `rngs=`."""
  named = next((k.value for k in node.keywords if k.arg == "rngs"), None)
  return named or (node.args[0] if node.args and not isinstance(node.args[0], ast.Starred) else None)
