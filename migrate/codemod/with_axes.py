"""Parameters with names of axes (`partitioning.param_with_axes`): read as `self.param(...)`, which Linen makes of them."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator

from migrate.codemod.imports import Names
from migrate.codemod.source import Source, dotted

WITH_AXES = "flax.linen.partitioning.param_with_axes"


def plain_parameters(source: Source, names: Names) -> Iterator[ast.Call]:
  """Turns every such call of a method into one of `self.param`, in the tree; the text stays.

  The names say how a parameter is spread over a mesh, which NNX keeps on the Variable and wants a mesh for.

  Args:
    source: the file.
    names: of the file.

  Yields:
    The calls.
  """
  if "param_with_axes" not in source.text:
    return
  for node in ast.walk(source.tree):
    full = dotted(node.func) if isinstance(node, ast.Call) else None
    if not isinstance(node, ast.Call) or full is None or names.resolve(full) != WITH_AXES:
      continue
    owner = _owner(source, node)
    given = {k.arg: k.value for k in node.keywords}
    module = given.get("module")
    if owner is None or None in given or (module is not None and dotted(module) != owner):
      continue
    node.keywords = [k for k in node.keywords if k.arg not in ("axes", "module")]
    func = ast.Attribute(ast.Name(owner, ast.Load()), "param", ast.Load())
    for part in (func, func.value):
      ast.copy_location(part, node.func)
      source.respelled[part] = ast.unparse(part)
    source.parents |= {func: node, func.value: func}
    node.func = func
    yield node


def only_named_axes(source: Source, names: Names, node: ast.Assign) -> bool:
  """Whether an assignment at the top of a file gives the function another name that nothing needs any more."""
  full = dotted(node.value)
  if full is None or names.resolve(full) != WITH_AXES or not all(isinstance(t, ast.Name) for t in node.targets):
    return False
  bound = {t.id for t in node.targets if isinstance(t, ast.Name)}
  return not any(
    isinstance(n, ast.Name) and n.id in bound and isinstance(n.ctx, ast.Load) for n in ast.walk(source.tree)
  )


def _owner(source: Source, node: ast.Call) -> str | None:
  """What the method around a call names its module."""
  around = [n for n in source.enclosing(node) if isinstance(n, ast.FunctionDef | ast.ClassDef)]
  for inner, outer in itertools.pairwise(around):
    if isinstance(outer, ast.ClassDef):
      arguments = [*inner.args.posonlyargs, *inner.args.args] if isinstance(inner, ast.FunctionDef) else []
      return arguments[0].arg if arguments else None
  return None
