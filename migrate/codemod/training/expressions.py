"""Expressions of training programs, read."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Sequence

from migrate.codemod.imports_uses import bound_names
from migrate.codemod.training.analysis import Result
from migrate.codemod.training.program import Scope
from migrate.codemod.training.tuples import Tuples
from migrate.codemod.training.values import (
  NOTHING,
  PLAIN,
  PLAINLY,
  Apply,
  Captured,
  Changed,
  Copied,
  Dict,
  Function,
  Grads,
  Held,
  Live,
  Mixed,
  OptState,
  Others,
  Part,
  Plain,
  Recipe,
  Self,
  Stored,
  Train,
  Tree,
  Tup,
  Value,
  Variables,
  hides,
  lower,
  special,
  tokens,
)
from migrate.codemod.training.weights import Weights
from migrate.codemod.training.wraps import constant


class Expressions(Tuples, Weights):
  """Names, attributes, subscripts, tuples and dicts."""

  def eval(self, node: ast.expr) -> Result:
    """What an expression stands for, and what its new text is at run time."""
    method = getattr(self, f"_{type(node).__name__.lower()}", None)
    if method is not None:
      return method(node)
    self._children(node)
    return PLAIN, PLAINLY

  def _children(self, node: ast.AST) -> None:
    for child in ast.iter_child_nodes(node):
      if isinstance(child, ast.expr):
        self.plain(child)
      elif isinstance(child, (ast.keyword, ast.FormattedValue, ast.Slice)):
        self._children(child)

  def _name(self, node: ast.Name) -> Result:
    value = self.scope.find(node.id)
    if value is None and not self.scope.is_local(node.id):
      full = self.program.full(self.scope, node)
      function = self.program.function(full)
      if function is not None:
        return self.decorated(function), PLAINLY
      module, _, name = (full or "").rpartition(".")
      other = self.program.files.get(module)
      value = other.scope.values.get(name) if other is not None else None
      if value is None:
        return Plain(full or ""), PLAINLY
    return self._known(node, value)

  def _known(self, node: ast.Name | ast.Attribute, value: Value | None) -> Result:
    """What a variable holds, if that may be used."""
    if value is None:
      return PLAIN, PLAINLY
    for scope in self.scope.chain() if isinstance(node, ast.Name) and not isinstance(value, (Recipe, Apply)) else ():
      if ast.unparse(node) in scope.values:
        break
      scope.closed |= {t for t in tokens(value) if t in scope.given}
    if isinstance(value, Mixed) or not self.current(value):
      self.old_name(ast.unparse(node), value)
    if isinstance(value, Mixed):
      raise self.left(node, f"`{ast.unparse(node)}` is part of a model on one way here, and something else on another", "make it the same on every way")  # fmt: skip
    if not self.current(value):
      raise self.left(
        node, f"`{ast.unparse(node)}` is used after it was updated", "use what the update returned", "L2N403"
      )
    return value, self.form(value)

  def _attribute(self, node: ast.Attribute) -> Result:
    full = self.program.full(self.scope, node)
    function = self.program.function(full)
    if function is not None:
      return self.decorated(function), PLAINLY
    if node.attr == "step" and isinstance(node.value, ast.Name) and self._step_before(node, node.value):
      return PLAIN, PLAINLY
    if isinstance(node.value, ast.Name) and (state := self._same_before(node, node.value)) is not None:
      return self.field(node, state)
    field = self.record_field(node)
    if field is not None:
      return field
    value, form = self.eval(node.value)
    if full is not None or isinstance(value, (Held, Self)):
      self.followed.add(node)
    if isinstance(value, Self):
      known = value.scope.values.get(f"self.{node.attr}")
      if known is None and node.attr in value.methods:
        if any(ast.unparse(d) == "property" for d in value.methods[node.attr].decorator_list):
          return PLAIN, PLAINLY
        return self.decorated(self.method(value, node.attr)), PLAINLY
      return self._known(node, known)
    token = value.token if isinstance(value, Held) else None
    if isinstance(value, Train) and token is not None:
      if form is not None:
        raise self.left(node, "a part of a training state that has no name", "give it a name first")
      if node.attr == "params":
        return Part(token, self.epoch(token), whole=value.whole), None
      if node.attr == "opt_state":
        return OptState(token, self.epoch(token)), None
      if node.attr == "apply_fn":
        return Apply(token.members.get(self.apply_in.get(token.made)) or token), None
      if node.attr == "step":
        self.file.replace(node, f"{self.optimizer(token, node)}.step[...]{self._as_signed(node)}")
        return PLAIN, PLAINLY
      if node.attr == "tx":
        self.file.replace(node, f"{self.optimizer(token, node)}.tx")
        return PLAIN, PLAINLY
      if node.attr in token.fields:
        return self.field(node, value)
      if node.attr not in ("replace", "apply_gradients"):
        self.not_older(node, value)
        return Part(token, self.epoch(token), node.attr), None
      raise self.left(node, f"`{node.attr}` of a training state", "write what it does where it is used")
    if isinstance(value, Copied) and node.attr == "step":
      step = f"{self.optimizer(value.token, node)}.step[...]"
      self.file.replace(node, f"{value.text.format(step)}{self._as_signed(node)}")
      return PLAIN, PLAINLY
    if isinstance(value, Recipe) and token is not None:
      if node.attr in ("apply", "init", "__call__", "init_with_output", "lazy_init", "tabulate"):
        return Apply(token, method="apply" if node.attr == "__call__" else node.attr), None
      if token.initialised and form is None and node.attr in token.cls.parameters:
        self.file.replace(node, f"{self.model(token, node)}.{node.attr}")
        return PLAIN, PLAINLY
    if special(value):
      raise self.left(node, f"`.{node.attr}` of part of a model", "write it with the NNX model")
    return Plain(full or ""), PLAINLY

  def _step_before(self, node: ast.Attribute, state: ast.Name) -> bool:
    """`state.step` after `state.apply_gradients(...)` made a new state: one less than the optimizer has."""
    value = self.scope.find(state.id)
    if not isinstance(value, Train) or value.epoch < 0 or self.current(value):
      return False
    made = self.stepped.get(value.token, {})
    since = range(value.epoch + 1, self.epoch(value.token) + 1)
    if any(e not in made for e in since) or state.id not in self.scope.values:
      return False
    self.followed.add(node)
    step, count = f'{self.optimizer(value.token, node)}.step[...].astype("int32")', sum(made[e] for e in since)
    self.file.replace(node, f"({step} - {count})" if count else step)
    return True

  def _same_before(self, node: ast.Attribute, name: ast.Name) -> Train | None:
    """The new state, where `state.more` after `state.apply_gradients(grads=...)` is what it has too: a count of one's own."""
    value = self.scope.find(name.id)
    if not isinstance(value, Train) or value.epoch < 0 or self.current(value) or name.id not in self.scope.values:
      return None
    made, now = self.stepped.get(value.token, {}), self.epoch(value.token)
    if value.token.fields.get(node.attr) is not False or any(made.get(e) != 1 for e in range(value.epoch + 1, now + 1)):
      return None
    self.followed.add(node)
    return dataclasses.replace(value, epoch=now)

  def _as_signed(self, node: ast.expr) -> str:
    """The step is unsigned in NNX, which matters to whatever may subtract from it."""
    around = self.file.source.parents.get(node)
    name = ast.unparse(around.func).rpartition(".")[2] if isinstance(around, ast.Call) and node in around.args else ""
    return "" if name in ("int", "float", "fold_in") else '.astype("int32")'

  def _subscript(self, node: ast.Subscript) -> Result:
    member = self.member(node)
    if member is not None:
      return member
    value, form = self.eval(node.value)
    key = constant(node.slice, None)
    if isinstance(value, Variables) and isinstance(key, str):
      if form is not None:
        self.file.replace(node, self.file.text(node.value))
      if key != "params":
        self.not_older(node, value)
      return Part(value.token, value.epoch, key, value.inner), form
    if isinstance(value, Part) and value.whole and key == "params":
      if form is not None:
        self.file.replace(node, self.file.text(node.value))
      return dataclasses.replace(value, whole=False), form
    if isinstance(value, Changed) and isinstance(key, str) and not value.collection:
      return dataclasses.replace(value, collection=key), None
    if isinstance(value, Captured):
      return self.captured_item(node, value, key)
    if isinstance(value, Stored) and isinstance(key, str):
      return (PLAIN if value.key else Stored(key)), PLAINLY
    if isinstance(value, Dict) and isinstance(key, str) and key in value.items and not special(value.items[key]):
      return value.items[key], PLAINLY
    if hides(value):
      raise self.left(node, f"`{ast.unparse(node)[:60]}`: a training state out of a dict", "return it by itself")
    if isinstance(value, Tup) and isinstance(key, int) and -len(value.items) <= key < len(value.items):
      return self._item(node, value, key % len(value.items))
    single = self.weight(node, value, key)
    if single is not None:
      return single
    if special(value) or isinstance(value, (Grads, Tree)) or (isinstance(value, Live) and value.tree):
      raise self.left(node, f"`{ast.unparse(node)[:60]}`: a single parameter by its Linen name", "take the attribute of the NNX model")  # fmt: skip
    self._children_of(node.slice)
    return PLAIN, PLAINLY

  def _children_of(self, node: ast.expr) -> None:
    if isinstance(node, ast.Slice):
      self._children(node)
    else:
      self.plain(node)

  def _dict(self, node: ast.Dict) -> Result:
    found = [(k, *self.eval(v)) for k, v in zip(node.keys, node.values, strict=True)]
    returned = self._returned_dict(node, found) or self._kept_dict(node, found)
    if returned is not None:
      return returned, PLAINLY
    group = self.group_dict(node, found)
    if group is not None:
      return group
    held = [v for _, v, _ in found if isinstance(v, Held) and special(v)]
    trees = [v for _, v, _ in found if isinstance(v, Tree) or (isinstance(v, Live) and v.tree)]
    if trees:
      return self._others(node, trees, [(k, v) for k, v, _ in found])
    if any(special(v) and not isinstance(v, Held) for _, v, _ in found):
      raise self.left(node, "a dict with a model in a tuple in it", "give what is in the tuple by itself")
    if not held:
      for key in node.keys:
        self.plain(key)
      if node.keys and all(isinstance(k, ast.Constant) and isinstance(k.value, str) for k in node.keys):
        return Plain("dict", frozenset(ast.literal_eval(k) for k in node.keys if k is not None)), PLAINLY
      return PLAIN, PLAINLY
    parts: dict[str, Held] = {}
    for key, value, form in found:
      if form is not None or not isinstance(value, (Part, Changed, Variables)):
        raise self.left(node, "a dict of more than a model's collections", "give variables as {'params': ..., ...}")
      if isinstance(value, Variables) and key is None:
        parts |= dict.fromkeys({"*"} if value.collections is None else value.collections, value)
      elif isinstance(value, Part) and value.whole:
        if key is not None:
          raise self.left(node, "all variables as one collection", "give variables['params']")
        parts["params"] = value
      elif isinstance(key, ast.Constant) and isinstance(value, (Part, Changed)) and value.collection in (key.value, ""):
        parts[str(key.value)] = value
      else:
        raise self.left(node, "a collection under another name", "give every collection under its own name")
    if len({v.token for v in parts.values()}) > 1:
      raise self.left(node, "variables of two models in one dict", "call each model with its own variables")
    first = held[0]
    inner = any(getattr(v, "inner", False) for v in parts.values())
    changed = any(isinstance(v, Changed) for v in parts.values())
    if changed and first.token in self.pending:
      self.half_keep(first.token)
    return Variables(first.token, self.epoch(first.token), inner, frozenset(parts)), None

  def _returned_dict(self, node: ast.Dict, found: list[tuple[ast.expr | None, Value, object]]) -> Value | None:
    """`return {"state": (state, rng), "losses": losses}` of a function that makes the state: model and optimizer in its place."""
    keys = [k.value for k in node.keys if isinstance(k, ast.Constant) and isinstance(k.value, str)]
    parts = [v for _, v, _ in found if special(v)]
    whole = all(isinstance(v, Train) or (isinstance(v, Tup) and isinstance(v.items[0], Train)) for v in parts)
    if not parts or not whole or len(keys) != len(node.keys) or not isinstance(self.statement, ast.Return):
      return None
    if self.statement.value is not node or any(t not in self.created.get(self.scope, ()) for v in parts for t in tokens(v)):  # fmt: skip
      return None
    for inner, (_, value, _) in zip(node.values, found, strict=True):
      if special(value):
        rest = lower(value, set())
        if isinstance(value, Tup) and any(map(special, value.items[1:])):
          return None
        token = tokens(value)[0]
        more = self.file.text(inner)
        starred = isinstance(value, Tup) and sum(not special(v) for v in value.items) > 1
        texts = [self.model(token, node), self.optimizer(token, node), *([f"*{more}" if starred else more] if rest else [])]  # fmt: skip
        self.file.replace(inner, f"({', '.join(texts)})")
    return Dict(dict(zip(keys, (v for _, v, _ in found), strict=True)))

  def _kept_dict(self, node: ast.Dict, found: list[tuple[ast.expr | None, Value, object]]) -> Value | None:
    """`{"model": state, "config": config}`, to be written into a checkpoint."""
    keys = [k.value for k in node.keys if isinstance(k, ast.Constant) and isinstance(k.value, str)]
    parts = [v for _, v, form in found if special(v)]
    if not parts or len(keys) != len(node.keys) or not all(isinstance(v, Train) and not v.token.fields for v in parts):
      return None
    if isinstance(self.statement, ast.Assign) and self.statement.value is not node:
      return None
    if not isinstance(self.statement, (ast.Assign, ast.Expr)) or any(t in self.pending or t in self.spread for v in parts for t in tokens(v)):  # fmt: skip
      return None
    for inner, (_, value, form) in zip(node.values, found, strict=True):
      if isinstance(value, Train):
        if form is not None:
          return None
        self.file.replace(inner, self.state_text(value.token, node))
    return Dict(dict(zip(keys, (v for _, v, _ in found), strict=True)))

  def _others(self, node: ast.Dict, trees: Sequence[Held], found: list[tuple[ast.expr | None, Value]]) -> Result:
    """The variables of a model, but for its parameters, which are a tree beside it."""
    token = trees[0].token
    for key, value in found:
      name = key.value if isinstance(key, ast.Constant) else None
      own = isinstance(value, Part) and value.token is token and value.collection == name and not value.inner
      if not own and not (value is trees[0] and name == "params" and not getattr(value, "whole", False)):
        raise self.left(node, f"`{ast.unparse(node)[:50]}`: variables that are not a model's own", "call the model that holds them", "L2N402")  # fmt: skip
    tree = next(v for v, (_, value) in zip(node.values, found, strict=True) if value is trees[0])
    return Others(token, self.epoch(token), text=self.file.text(tree)), None

  def _ifexp(self, node: ast.IfExp | ast.BoolOp) -> Result:
    found = (self.changed_or_not(node) or self.late_or_not(node)) if isinstance(node, ast.IfExp) else None
    if found is not None:
      return found
    self.nested += 1
    kept = self._either_tree(node) if isinstance(node, ast.IfExp) else None
    if kept is None:
      self._children(node)
    self.nested -= 1
    return kept or PLAIN, PLAINLY

  def _either_tree(self, node: ast.IfExp) -> Tree | None:
    """`state.ema_params if ema else state.params`: a tree either way."""
    found = [(n, *self.eval(n)) for n in (node.body, node.orelse)]
    trees = [v for _, v, _ in found if isinstance(v, Tree) or (isinstance(v, Live) and v.tree)]
    parts = [(n, v) for n, v, form in found if isinstance(v, Part) and form is None and not v.inner]
    if len(trees) != 1 or len(parts) != 1:
      return None
    (inner, part), tree = parts[0], trees[0]
    if part.collection != "params" or part.token is not tree.token or part.whole != getattr(tree, "whole", False):
      return None
    self.plain(node.test)
    self.file.replace(inner, f"{self.nnx()}.state({self.model(part.token, node)}, {self.nnx()}.Param)")
    return Tree(part.token, whole=part.whole)

  def _constant(self, node: ast.Constant) -> Result:
    return (NOTHING if node.value is None else PLAIN), PLAINLY

  def _boolop(self, node: ast.BoolOp) -> Result:
    return self._ifexp(node)

  def _lambda(self, node: ast.Lambda) -> Result:
    return Function(node, self.file, self.scope), PLAINLY

  def _comprehension(self, node: ast.expr) -> Result:
    scope = Scope(self.file, self.scope, node)
    generators: list[ast.comprehension] = node.generators  # pyright: ignore
    scope.locals = set().union(*(bound_names([g.target]) for g in generators))
    self.plain(generators[0].iter)
    saved, self.scope = self.scope, scope
    self.nested += 1
    try:
      for i, generator in enumerate(generators):
        if i:
          self.plain(generator.iter)
        for condition in generator.ifs:
          self.plain(condition)
      for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
          self.plain(child)
    finally:
      self.scope = saved
      self.nested -= 1
    return PLAIN, PLAINLY

  _listcomp = _setcomp = _generatorexp = _comprehension

  def _dictcomp(self, node: ast.DictComp) -> Result:
    """`{name: f(key) for name, key in keys.items()}` has the names of `keys`."""
    self._comprehension(node)
    first = node.generators[0]
    call, target = first.iter, first.target
    if len(node.generators) > 1 or first.ifs or not isinstance(node.key, ast.Name):
      return PLAIN, PLAINLY
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or call.func.attr != "items":
      return PLAIN, PLAINLY
    if not isinstance(target, ast.Tuple) or ast.unparse(target.elts[0]) != node.key.id:
      return PLAIN, PLAINLY
    found, _ = self.eval(call.func.value)
    return (found if isinstance(found, Plain) and found.full == "dict" else PLAIN), PLAINLY
