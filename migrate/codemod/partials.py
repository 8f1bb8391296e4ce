"""Partials of layers, and what they leave to the call."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from flax import linen as nn

from migrate.codemod.site import Site

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


_SIZED = (ast.Name, ast.Attribute, ast.Constant, ast.BinOp, ast.Tuple, ast.List)  # what numbers are written as


class Partials:
  """Handling of partials, mixed into `Unit`."""

  def residue_of(self: Unit, node: ast.AST) -> dict[str, str]:
    """Arguments that a partial leaves to the call, because only the call knows them."""
    if isinstance(node, ast.Name):
      local = self.env.get(node.id)
      return local.residue if local is not None else {}
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == self.self_name:
      found: dict[str, str] = {}
      for base in self.info.cls.__mro__:
        for name in self.field_residues.get((base, node.attr), ()):
          found[name] = name
      return found
    if isinstance(node, ast.Call) and self.resolve(node.func) == "functools.partial" and node.args:
      base = self._partial_base(node)
      left = dict(self.residue_of(node.args[0]))
      for keyword in node.keywords:
        if (
          keyword.arg is not None
          and self.try_static(keyword.value) is None
          and (base is None or keyword.arg in base.call_fields)
        ):
          left[keyword.arg] = self.text(keyword.value)
      return left
    if isinstance(node, ast.IfExp):
      return self.residue_of(node.body) | self.residue_of(node.orelse)
    return {}

  def _partial_base(self: Unit, node: ast.Call) -> Any:
    for event in self.events(node.args[0]):
      value = event.value
      while hasattr(value, "func") and not isinstance(value, type):
        value = value.func
      if isinstance(value, type) and issubclass(value, nn.Module):
        return self.project.record(value)
    full = self.resolve(node.args[0])
    return self.project.layers.get(full) if full else None

  def partial_arguments(self: Unit, node: ast.AST) -> dict[str, str]:
    """What a local partial of a stock layer gives, by Linen's names."""
    local = self.env.get(node.id) if isinstance(node, ast.Name) else None
    made = local.node if local is not None else None
    if not isinstance(made, ast.Call) or self.resolve(made.func) != "functools.partial" or not made.args:
      return {}
    base = self._partial_base(made)
    order = list(base.positional) if base is not None else []
    given = [*zip(order, made.args[1:], strict=False), *((k.arg, k.value) for k in made.keywords if k.arg)]
    texts = {name: self.try_static(value) for name, value in given if isinstance(value, _SIZED)}
    return {name: text for name, text in texts.items() if text is not None}

  def static_partial(self: Unit, node: ast.Call, bound: frozenset[str]) -> str:
    """`partial(nn.Conv, ...)` with NNX's names, without what the call gives."""
    base = self._partial_base(node)
    left = self.residue_of(node)
    pieces = [self.static(node.args[0], bound)]
    order = list(base.positional) if base is not None else []
    fates = {a.linen: a for a in base.args if a.linen is not None} if base is not None else {}
    given: list[tuple[str | None, str]] = []
    for i, value in enumerate(node.args[1:]):
      given.append((order[i] if i < len(order) else None, self.static(value, bound)))
    for keyword in node.keywords:
      if keyword.arg in left:
        continue
      given.append(
        (keyword.arg, self.static(keyword.value, bound) if keyword.arg else f"**{self.static(keyword.value, bound)}")
      )
    for name, text in given:
      if name is None:
        pieces.append(text)
        continue
      arg = fates.get(name)
      if arg is not None:
        if arg.fate == "ignore" or (arg.fate == "refuse" and text in arg.allow):
          continue
        if arg.fate == "convert":
          text = self.template(arg.code.replace("{value}", text))
        name = arg.nnx or name
      pieces.append(f"{name}={text}")
    if base is not None and base.exact is not None and self._partial_half(node):
      for name, code in base.exact.args:
        pieces.append(f"{name}={self.template(code)}")
    function = self.static(node.func, bound)
    return f"{function}({', '.join(pieces)})"

  def _partial_half(self: Unit, node: ast.Call) -> bool:
    for event in self.events(node):
      dtype = getattr(event.value, "keywords", {}).get("dtype")
      if dtype is not None and getattr(dtype, "__name__", str(dtype)) in ("bfloat16", "float16"):
        return True
    return False

  def partial_positional(self: Unit, node: ast.AST) -> int:
    """How many positional arguments the called partial has already."""
    for event in self.events(node):
      count, value = 0, event.value
      while hasattr(value, "func") and not isinstance(value, type):
        count += len(getattr(value, "args", ()))
        value = value.func
      return count
    return 0

  def pass_residue(self: Unit, site: Site, field: str, inner: dict[str, str]) -> None:
    """A partial handed to another class: that class's calls must give what the partial left out."""
    for name, text in inner.items():
      site.residue[name] = text
      for cls in {type(m) for _, _, m in site.made}:
        self.field_residues.setdefault((cls, field), set()).add(name)
        self.residues.setdefault(cls, set()).add(name)
