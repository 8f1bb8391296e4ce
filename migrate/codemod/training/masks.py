"""Masks and labels over parameters: trees like Linen's parameters, which NNX's optimizers want as a State."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from migrate.codemod.training.analysis import Result
from migrate.codemod.training.base import Base
from migrate.codemod.training.values import PLAINLY, Function, Left, Live, Part, Plain, Token, Tree, Value

PATHS = "flax.traverse_util."
# functions of a tree that show its paths: NNX gives them the names of its own model
NAMED = {
  f"{PATHS}flatten_dict", f"{PATHS}path_aware_map", "jax.tree_util.tree_map_with_path", "jax.tree.map_with_path",
  "jax.tree_util.tree_flatten_with_path", "jax.tree.flatten_with_path", "jax.tree.leaves_with_path",
  "jax.tree_util.tree_leaves_with_path",
}  # fmt: skip
# those whose result is a tree like what they are given
TREES = {f"{PATHS}unflatten_dict", f"{PATHS}path_aware_map", "jax.tree_util.tree_map_with_path", "jax.tree.map_with_path"}  # fmt: skip
MAPS = {"jax.tree.map", "jax.tree_util.tree_map", "jax.tree_map"}


class Masks(Base):
  """`traverse_util.path_aware_map(f, params)`, `optax.masked(tx, mask)`."""

  def named_tree(self, node: ast.Call, full: str | None) -> Result | None:
    """A function that shows the paths of parameters."""
    if full in MAPS:
      return self._mapped_mask(node)
    if full not in NAMED:
      return None
    values = [(a, *self.eval(a)) for a in [*node.args, *(k.value for k in node.keywords)]]
    held = [(a, v) for a, v, form in values if isinstance(v, Part) and form is None and v.collection == "params"]
    trees = [(a, v) for a, v, _ in values if isinstance(v, Tree) or (isinstance(v, Live) and v.tree)]
    if len(held) + len(trees) != 1:
      return None
    function = next((v for _, v, _ in values if isinstance(v, Function)), None)
    self.check_names(node, function, (held or trees)[0][1].token)
    nnx = self.nnx()
    for argument, value in held:
      state = f"{nnx}.state({self.model(value.token, node)}, {nnx}.Param)"
      self.file.replace(argument, f"{nnx}.to_pure_dict({state})")
    for argument, _ in trees:
      self.file.replace(argument, f"{nnx}.to_pure_dict({self.file.text(argument)})")
    if function is not None:
      self.read_plainly(function, node)
    return Plain(str(full)), PLAINLY

  def _mapped_mask(self, node: ast.Call) -> Result | None:
    """A function of a mask, which gives another one."""
    values = [self.eval(a)[0] for a in node.args]
    if not any(isinstance(v, Plain) and v.full in TREES for v in values[1:]):
      return None
    if not all(isinstance(v, (Plain, Function)) for v in values) or node.keywords:
      return None
    if isinstance(values[0], Function):
      self.read_plainly(values[0], node)
    return next(v for v in values[1:] if isinstance(v, Plain) and v.full in TREES), PLAINLY

  def mask_text(self, node: ast.expr, value: Value) -> str | None:
    """A mask that is a tree, as NNX wants it; None where it is not certain that it is one."""
    nnx = self.nnx()
    if isinstance(value, Tree) or (isinstance(value, Live) and value.tree):
      return f"{nnx}.State({nnx}.to_pure_dict({self.file.text(node)}))"
    if isinstance(value, Plain) and value.full in TREES:
      return f"{nnx}.State({self.file.text(node)})"
    if isinstance(node, ast.Dict) and self._labels_group(node):
      return f"{nnx}.State({self.file.text(node)})"
    return None

  def _labels_group(self, node: ast.Dict) -> bool:
    """Whether a mask has one label for each of the models that are trained as one."""
    keys = [k.value for k in node.keys if isinstance(k, ast.Constant)]
    known = any(sorted(map(str, g.members)) == sorted(map(str, keys)) and self.at_hand(g) for g in self.groups)
    return known and len(keys) == len(node.values) and all(isinstance(v, ast.Constant) for v in node.values)

  # ---- names

  def check_masks(self) -> None:
    """Looks at the masks that are functions, once it is known for which models."""
    for scope, statement, node, function in self.wrapped_masks:
      self.scope, self.statement = scope, statement
      root = self.root(self.here())
      models = [t for t in dict.fromkeys(self.inits.values()) if self.root(t.owner) == root]
      for token in models or [None]:
        try:
          self.check_names(node, function, token)
        except Left as error:
          self.findings.append((self.here(), error.finding))

  def check_names(self, node: ast.AST, function: Function | None, token: Token | None) -> None:
    """Tells of names that a mask may ask for and that the NNX model does not have, or has elsewhere."""
    paths = token.cls.paths if token is not None else None
    if paths is not None and function is None and all(one == other for one, other in paths):
      return
    if paths is None or function is None:
      self.note(node, "paths and names of parameters are the NNX model's now", "check that nothing but the last name and the shape is asked for", "L2N415")  # fmt: skip
      return
    asked = sorted({c for f in self._functions_of(function) for c in self._constants(function, f)})
    for one, other in paths:
      wrong = next((c for c in asked if _answers(c, one) != _answers(c, other)), None)
      if wrong is not None:
        found = f"`{wrong}` asked for in the paths of parameters: {'/'.join(one)} of Linen is {'/'.join(map(str, other))} now"  # fmt: skip
        raise self.left(node, found, "ask for the names that the NNX model has", "L2N407")
    whole = any(isinstance(p, int) for _, path in paths for p in path)
    if whole and any(_as_text(f) for f in self._functions_of(function)):
      raise self.left(node, "paths of parameters used as text, where the NNX model has lists with numbers in their paths", "make text of the parts first", "L2N407")  # fmt: skip
    if any(len(one) != len(other) for one, other in paths) and any(_by_position(f) for f in self._functions_of(function)):  # fmt: skip
      self.note(node, "some paths of parameters are longer or shorter in the NNX model", "check what is asked of them by position", "L2N415")  # fmt: skip

  def _functions_of(self, function: Function) -> Iterator[ast.AST]:
    """The function, and those of the program that it calls."""
    seen: list[ast.AST] = []
    waiting = [function]
    while waiting:
      one = waiting.pop()
      if one.node in seen:
        continue
      seen.append(one.node)
      for call in (n for n in ast.walk(one.node) if isinstance(n, ast.Name)):
        other = self.program.function(self.program.full(one.outer, call))
        waiting += [other] if other is not None else []
    yield from seen

  def _constants(self, function: Function, node: ast.AST) -> Iterator[str]:
    """Strings that a function may compare names with."""
    docs = {id(s.value) for f in ast.walk(node) if isinstance(f, ast.FunctionDef) for s in f.body[:1] if isinstance(s, ast.Expr)}  # fmt: skip
    found: list[ast.AST] = [n for n in ast.walk(node) if id(n) not in docs]
    names = {n.id for n in found if isinstance(n, ast.Name)}
    for statement in function.unit.source.tree.body:
      if isinstance(statement, ast.Assign) and any(isinstance(t, ast.Name) and t.id in names for t in statement.targets):  # fmt: skip
        found += ast.walk(statement.value)
    for inner in found:
      if isinstance(inner, ast.Constant) and isinstance(inner.value, str) and inner.value:
        yield inner.value


def _answers(constant: str, path: tuple[str | int, ...]) -> list[object]:
  """What a path says to the questions that may be asked with a string."""
  parts = [str(p) for p in path]
  text = "/".join(parts)
  try:
    match = re.search(constant, text) is not None
  except re.error:
    match = False
  return [[i - len(parts) for i, p in enumerate(parts) if p == constant], constant in text, match]


def _as_text(node: ast.AST) -> bool:
  """Whether a function may make text of the parts of a path, or look into them."""
  inside = [c for n in ast.walk(node) if isinstance(n, (ast.GeneratorExp, ast.ListComp)) for c in ast.walk(n)]
  looks = any(isinstance(c, ast.Compare) and any(isinstance(o, (ast.In, ast.NotIn)) for o in c.ops) for c in inside)
  joins = any(isinstance(n, ast.Attribute) and n.attr == "join" for n in ast.walk(node))
  return looks or joins or any(isinstance(n, ast.keyword) and n.arg == "sep" for n in ast.walk(node))


def _by_position(node: ast.AST) -> bool:
  """Whether a function may ask for other parts of a path than the last."""
  return any(isinstance(n, ast.Subscript) and ast.unparse(n.slice) != "-1" for n in ast.walk(node))
