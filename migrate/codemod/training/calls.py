"""Calls that a training program makes of Linen, Optax and JAX, and what NNX has for them."""

from __future__ import annotations

import ast
import dataclasses

from migrate.codemod.training.analysis import Result
from migrate.codemod.training.conds import COND
from migrate.codemod.training.functions import positional
from migrate.codemod.training.masks import TREES, Masks
from migrate.codemod.training.scans import SCAN
from migrate.codemod.training.values import (
  PLAIN,
  PLAINLY,
  Apply,
  Bound,
  Changed,
  Function,
  Grads,
  Held,
  Live,
  Part,
  Plain,
  Recipe,
  Self,
  Train,
  Tree,
  Tup,
  Value,
  Variables,
  Wrap,
  hides,
  special,
)

FREEZE = {"flax.core.freeze", "flax.core.unfreeze", "flax.core.frozen_dict.freeze", "flax.core.frozen_dict.unfreeze",
          "flax.core.FrozenDict", "flax.core.frozen_dict.FrozenDict"}  # fmt: skip
ENTRIES = {"absl.app.run"}  # they call the program's main function, and nobody reads what it returns
WAITS = {"jax.block_until_ready"}
APPLY = "flax.linen.apply"
EXAMPLES = {"migrate.Example", "migrate.example.Example"}
TRANSFORMS = {
  "jax.jit": "jit",
  "jax.grad": "grad",
  "jax.value_and_grad": "value_and_grad",
  "functools.partial": "partial",
  "jax.pmap": "pmap",
  "jax.vmap": "vmap",
  "jax.checkpoint": "remat",
  "jax.remat": "remat",
}
DEVICES = {
  f"{module}.{name}"
  for module in ("flax.jax_utils", "flax.training.common_utils", "jax")
  for name in ("replicate", "unreplicate", "pmap", "device_put_replicated", "device_put_sharded")
}
# pure functions of a tree of arrays, whatever its containers
TREE = {
  "jax.tree.leaves", "jax.tree.map", "jax.tree.reduce", "jax.tree.all", "jax.tree_util.tree_leaves",
  "jax.tree_util.tree_map", "jax.tree_util.tree_reduce", "jax.tree_map", "jax.tree_leaves", "optax.global_norm",
  "jax.block_until_ready", "jax.device_get", "optax.incremental_update", "jax.tree.structure", "jax.lax.stop_gradient",
}  # fmt: skip
# those of them that give a tree like the parameters where they are given one
LIKE = {"jax.tree.map", "jax.tree_util.tree_map", "jax.tree_map", "optax.incremental_update", "jax.lax.stop_gradient"}


class Calls(Masks):
  """One method a kind of call; the first that knows the call answers."""

  def _call(self, node: ast.Call) -> Result:
    full = self.program.full(self.scope, node.func)
    self.devices = ast.unparse(node.func) if full in DEVICES else ""
    if full in EXAMPLES:
      self.note(node, "this example shows the Linen model, which is NNX now", "take it away, or keep it with the Linen code", "L2N414", "note")  # fmt: skip
      return PLAIN, PLAINLY
    made = (
      self.class_method(node, full)
      or self.group_call(node)
      or self.construct(node, full)
      or self.make_record(node, full)
      or self.instance(node, full)
    )
    if made is not None:
      return made
    if full in TRANSFORMS:
      found = self._transformed(node, TRANSFORMS[full])
      if found is not None:
        return found
    if self.program.train_state((full or "").removesuffix(".create")) is not None and (full or "").endswith(".create"):
      return self.create(node, str(full))
    if full in FREEZE and len(node.args) == 1:
      value, form = self.eval(node.args[0])
      if special(value) or (isinstance(value, Plain) and value.full in TREES):
        if form is not None:
          self.file.replace(node, self.file.text(node.args[0]))
        return value, form
      return PLAIN, PLAINLY
    if isinstance(node.func, ast.Call) and self.program.full(self.scope, node.func.func) == APPLY:
      return self.apply_function(node, node.func)
    if full == SCAN:
      return self.scan(node)
    found = self.cond(node) if full == COND else None
    if found is not None:
      return found
    if full == "optax.apply_updates":
      return self.apply_updates(node)
    if (full or "").startswith("optax."):
      found = self.optax_function(node, str(full))
      if found is not None:
        return found
    if full in ("flax.core.pop", "flax.core.frozen_dict.pop"):
      return self._pop(node, *node.args[:2])
    method = self._method(node)
    if method is not None:
      return method
    known = full is not None or not isinstance(node.func, ast.Attribute) or self._is_self(node.func.value)
    function, _ = self.eval(node.func) if known else (PLAIN, None)
    if isinstance(function, Apply):
      return self.apply(node, function)
    if isinstance(function, Bound):
      return self.bound_call(node, function)
    if isinstance(function, Function):
      handed = self.handed_on(function)
      return self.apply(node, handed) if handed is not None else self.call_function(function, node)
    return self._other(node, full)

  # ---- methods

  def _method(self, node: ast.Call) -> Result | None:
    func = node.func
    if not isinstance(func, ast.Attribute):
      return None
    record = self.record_method(node, func)
    if record is not None:
      return record
    if self.program.full(self.scope, func.value) is not None and self.scope.find(ast.unparse(func.value)) is None:
      module_value = self._module_value(func.value)
      if module_value is None:
        return None
    base, form = self.eval(func.value)
    if isinstance(base, Bound) or (isinstance(base, Recipe) and func.attr == "bind"):
      return self.bind(node, base) if isinstance(base, Recipe) else self.bound_call(node, base, func)
    if isinstance(base, (Self, Held)):
      self.followed.add(func)
    if isinstance(base, Train) and func.attr == "apply_gradients":
      return self.apply_gradients(node, base)
    if isinstance(base, Train) and func.attr == "replace":
      return self.replaced(node, base)
    method = self.state_method(node, func, base, form) if isinstance(base, Train) else None
    if method is not None:
      return method
    if isinstance(base, (Train, Recipe)):
      value, _ = self.eval(func)
      return self.apply(node, value) if isinstance(value, Apply) else None
    if isinstance(base, Changed) and func.attr == "get" and node.args and isinstance(node.args[0], ast.Constant):
      return dataclasses.replace(base, collection=str(node.args[0].value)), None
    if _whole(base) and func.attr in ("get", "pop") and ast.unparse(node.args[0]) == "'params'" and len(node.args) == 1:
      return dataclasses.replace(base, whole=False), form  # pyright: ignore
    if isinstance(base, Variables) and func.attr in ("get", "pop") and node.args:
      if func.attr == "get" and isinstance(node.args[0], ast.Constant):
        return Part(base.token, base.epoch, str(node.args[0].value), base.inner), form
      return self._pop(node, func.value, node.args[0])
    if isinstance(base, (Variables, Part)) and func.attr in ("unfreeze", "copy") and not node.args:
      return base, form
    if special(base) or isinstance(base, Tree) or (isinstance(base, Live) and base.tree):
      raise self.left(node, f"`.{func.attr}()` of part of a model", "write it with the NNX model")
    if isinstance(base, (Function, Self)):
      return None
    return self.optax_method(node, func) or self.checkpoint_method(node, func, base)

  def _is_self(self, node: ast.expr) -> bool:
    if isinstance(node, ast.Call):  # `Trainer().init_state(key)`
      found = self.program.class_(self.program.full(self.scope, node.func))
      return found is not None and self.follows(*found)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
      around = self.scope.find(node.value.id)
      return isinstance(around, Self) and isinstance(around.scope.values.get(f"self.{node.attr}"), Self)
    return isinstance(node, ast.Name) and isinstance(self.scope.find(node.id), Self)

  def _module_value(self, node: ast.expr) -> Value | None:
    value, _ = self.eval(node)
    return value if special(value) else None

  def _pop(self, node: ast.Call, variables: ast.expr, name: ast.expr) -> Result:
    value, form = self.eval(variables)
    if not special(value):
      self._arguments_plain(node)
      return PLAIN, PLAINLY
    if _whole(value) and isinstance(name, ast.Constant) and name.value == "params" and form is None:
      return Tup((Variables(value.token, value.epoch, collections=frozenset()), dataclasses.replace(value, whole=False))), None  # fmt: skip # pyright: ignore
    if not isinstance(value, Variables) or not isinstance(name, ast.Constant) or form is not None:
      raise self.left(
        node, "a collection taken out of something else than named variables", "give the variables a name"
      )
    rest = dataclasses.replace(value, collections=frozenset({"batch_stats"}))
    part = Part(value.token, value.epoch, str(name.value), value.inner)
    return (
      part
      if isinstance(node.func, ast.Attribute) and len(node.args) == 1 and self._is_dict(node)
      else Tup((rest, part))
    ), None

  def _is_dict(self, node: ast.Call) -> bool:
    """`variables.pop(...)` as a statement's whole value with one target is a dict's pop, not FrozenDict's."""
    statement = self.statement
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    return not isinstance(target, (ast.Tuple, ast.List))

  # ---- transforms

  def _transformed(self, node: ast.Call, kind: str) -> Result | None:
    if not node.args:
      return None
    value, _ = self.eval(node.args[0])
    if isinstance(value, Apply) and kind == "jit":
      if value.method != "init":
        self.note(node, f"`{ast.unparse(node)[:60]}` is gone: calls of the model are compiled where they stand in a jitted function", "put calls outside of one into a function under nnx.jit that takes the model", "L2N419", "note")  # fmt: skip
      return value, None
    if isinstance(value, Apply) and kind == "partial" and (bound := self.bind_partly(node, value)) is not None:
      return bound
    if not isinstance(value, Function):
      if special(value):
        raise self.left(node, f"a {kind} of part of a model", "wrap a function that calls the model")
      self._arguments_plain(node, 1)
      return PLAIN, PLAINLY
    if kind == "partial":
      return self._partial(node, value)
    self._arguments_plain(node, 1)
    wrap = Wrap(kind, node.func, node, self.file)
    return dataclasses.replace(value, wraps=(*value.wraps, wrap)), PLAINLY

  def _partial(self, node: ast.Call, function: Function) -> Result:
    """A function of which some arguments are given already; a module may be one of them."""
    names = positional(function)
    if any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords) or len(node.args) - 1 > len(names):  # fmt: skip
      self._arguments_plain(node, 1)
      return PLAIN, PLAINLY
    given = dict(zip(names, node.args[1:], strict=False)) | {str(k.arg): k.value for k in node.keywords}
    bound: dict[str, Value] = {}
    for name, argument in given.items():
      value, form = self.eval(argument)
      if not (isinstance(value, (Recipe, Apply)) and value.token.initialised and form is None):
        self.plain(argument)
        value = PLAIN
      bound[name] = value
    wrap = Wrap("partial", node.func, node, self.file, bound, len(node.args) - 1)
    return dataclasses.replace(function, wraps=(*function.wraps, wrap)), PLAINLY

  # ---- everything else

  def _arguments_plain(self, node: ast.Call, start: int = 0) -> None:
    for argument in node.args[start:]:
      self.plain(argument)
    for keyword in node.keywords:
      self.plain(keyword.value)

  def _other(self, node: ast.Call, full: str | None) -> Result:
    """A call of something outside the program."""
    checkpoint = self.checkpoint(node, full)
    if checkpoint is not None:
      return checkpoint
    spread = self.device_call(node, full)
    if spread is not None:
      return spread
    mask = self.named_tree(node, full)
    if mask is not None:
      return mask
    if full is None or not isinstance(node.func, (ast.Name, ast.Attribute)):
      self.plain(node.func.value if isinstance(node.func, ast.Attribute) else node.func)
    grads: Grads | None = None
    tree: Held | None = None
    for argument in [*node.args, *(k.value for k in node.keywords)]:
      value, form = self.eval(argument)
      if isinstance(value, Grads):
        if (full or "").partition(".")[0] not in ("jax", "optax", "jnp") and full is not None:
          raise self.left(node, f"gradients given to `{ast.unparse(node.func)}`", "give it nnx.to_pure_dict(grads)")
        grads = value
      elif hides(value) and full not in WAITS:
        self.plain(argument)
      elif isinstance(value, Function):
        self.read_plainly(value, None if full in ENTRIES else argument)
      elif isinstance(value, Tree) or (isinstance(value, Live) and value.tree):
        if (full or "jax").partition(".")[0] not in ("jax", "optax"):
          raise self.left(node, f"a tree of parameters given to `{ast.unparse(node.func)}`", "give it nnx.to_pure_dict(tree), whose names are the NNX model's")  # fmt: skip
        tree = value
      elif special(value):
        if full not in TREE or not isinstance(value, Part) or form is not None:
          self.plain(argument)
        assert isinstance(value, Part)
        kinds = {"params": "nnx.Param", "batch_stats": "nnx.BatchStat"}
        if value.collection not in kinds:
          self.plain(argument)
        self.file.replace(
          argument, f"{self.nnx()}.state({self.model(value.token, argument)}, {kinds[value.collection]})"
        )
        tree = value if value.collection == "params" else tree
    if tree is not None and grads is None and full in LIKE:
      return Tree(tree.token, whole=getattr(tree, "whole", False)), PLAINLY
    if grads is not None and full is not None and full.rpartition(".")[2] in ("map", "tree_map", "pmean", "psum"):
      return grads, PLAINLY
    return Plain(full or ""), PLAINLY


def _whole(value: Value) -> bool:
  """Whether a collection stands for all variables."""
  return isinstance(value, Part) and value.whole
