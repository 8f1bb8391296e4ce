"""Parameters that start as those of a layer made for nothing else: in NNX they are the layer's."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

if TYPE_CHECKING:
  from migrate.codemod.site import Site
  from migrate.codemod.unit import Unit


def borrowed_parameter(unit: Unit, node: ast.Call, name: ast.expr, maker: ast.expr | None) -> str | None:
  """`self.param("kernel", lambda rng, x: conv.init(rng, x)["params"]["kernel"], x)` is the kernel of `conv`.

  Args:
    unit: the class.
    node: the call of `self.param`.
    name: the parameter's name.
    maker: what makes its first value, or a local name of it.

  Returns:
    The attribute, as `conv.kernel`; None where the value does not come from a layer that has no parent.
  """
  if isinstance(maker, ast.Name) and (local := unit.env.get(maker.id)) is not None:
    maker = local.node if isinstance(local.node, ast.expr) else None
  if not isinstance(maker, ast.Lambda) or not isinstance(name, ast.Constant) or unit.loops:
    return None
  path: list[str] = []
  inner: ast.AST = maker.body
  while isinstance(inner, ast.Subscript) and isinstance(inner.slice, ast.Constant):
    path.insert(0, str(inner.slice.value))
    inner = inner.value
  if not isinstance(inner, ast.Call) or not isinstance(inner.func, ast.Attribute) or inner.func.attr != "init":
    return None
  site = unit.site_of(inner.func.value)
  if site is None or site.looped or not _has_no_parent(site):
    return None
  own = {leaf.linen[0]: leaf.nnx[0] for leaf in site.record.leaves if not leaf.ops} if site.record is not None else {}
  attribute = own.get(tuple(path))
  if attribute is None or len(inner.args) < 2:
    return None
  unit.settle(site, ast.Call(inner.func, _given(node, maker, inner.args[1:]), inner.keywords))
  return ".".join([site.attr, *map(str, attribute)])


def _has_no_parent(site: Site) -> bool:
  return any(
    k.arg == "parent" and isinstance(k.value, ast.Constant) and k.value.value is None for k in site.node.keywords
  )


def _given(node: ast.Call, maker: ast.Lambda, arguments: list[ast.expr]) -> list[ast.expr]:
  """The arguments of `init`, where they are the lambda's, as `self.param` was given them."""
  names = [a.arg for a in maker.args.args][1:]
  passed = dict(zip(names, node.args[2:], strict=False))
  return [passed.get(a.id, a) if isinstance(a, ast.Name) else a for a in arguments]
