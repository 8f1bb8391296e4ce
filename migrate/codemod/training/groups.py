"""Parameters of several models in one dict or tuple, which one optimizer has: an `nnx.Dict` or `nnx.List` of the models.

params = {"actor": actor.init(k1, x), "critic": critic.init(k2, x)}  # models = nnx.Dict(actor=Actor(...), critic=...)
opt_state = tx.init(params)                                          # optimizer = nnx.Optimizer(models, tx, ...)
actor.apply(params["actor"], x)                                      # models["actor"](x)
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Sequence
from typing import Any

from migrate.codemod.remarks import layout_call
from migrate.codemod.training.analysis import Result
from migrate.codemod.training.base import Base
from migrate.codemod.training.model_class import ModelClass
from migrate.codemod.training.program import Scope
from migrate.codemod.training.values import (
  EFFECT,
  PLAIN,
  PLAINLY,
  Form,
  Grads,
  Held,
  Live,
  Part,
  Plain,
  Self,
  Token,
  Train,
  Tree,
  Tup,
  Value,
)
from migrate.codemod.training.wraps import constant

COLLECTIONS = {"params", "batch_stats"}
ARRAYS = ("jax.numpy.", "jax.random.")
GROUP = ModelClass(
  "flax.nnx.Dict", (), frozenset(), frozenset(), {}, (), frozenset({"params", "several"}), flags=None
)  # "several": it is no model that could be called by itself


class Groups(Base):
  """Every model of a group stays one by itself, too: an update of it makes the group another one."""

  # ---- made

  def group_dict(self, node: ast.Dict, found: Sequence[tuple[ast.expr | None, Value, Form]]) -> Result | None:
    """`{"actor": actor_params, "critic": critic_params}`."""
    items: dict[Any, tuple[ast.expr | None, Value, Form]] = {}
    spread = False
    given = {k.value for k in node.keys if isinstance(k, ast.Constant)}
    for inner, (key, value, form) in zip(node.values, found, strict=True):
      if key is None and isinstance(value, Part) and value.token.members and form is None:
        spread, names = True, value.token.members
        if None in names.values():
          return None
        items |= {k: (None, PLAIN if k in given else self._inside(value, k, node), None) for k in names}
      elif isinstance(key, ast.Constant) and isinstance(key.value, str) and key.value not in COLLECTIONS:
        items[key.value] = inner, value, form
      else:
        return None
    return self._group(node, items, spread)

  def group_call(self, node: ast.Call) -> Result | None:
    """`dict(actor=actor_params, critic=critic_params)`."""
    own = isinstance(node.func, ast.Name) and node.func.id == "dict" and self.scope.find("dict") is None
    if not own or node.args or not node.keywords or not all(k.arg and _may_be_part(k.value) for k in node.keywords):
      return None
    items: dict[Any, tuple[ast.expr | None, Value, Form]] = {
      k.arg: (k.value, *self.eval(k.value)) for k in node.keywords
    }
    return self._group(node, items, False) if COLLECTIONS.isdisjoint(items) else None

  def group_tuple(self, node: ast.Tuple, found: list[Result]) -> Result | None:
    """`(actor_params, critic_params)`, where one optimizer has both."""
    if not self._are_parts([v for v, _ in found]):
      return None
    items: dict[Any, tuple[ast.expr | None, Value, Form]] = {i: (e, v, f) for i, (e, (v, f)) in enumerate(zip(node.elts, found, strict=True))}  # fmt: skip
    known = self._known_group(items)
    if known is None and self.place(self.file, node) not in self.known.grouped:
      return None
    return self._group(node, items, False)

  def group_later(self, value: Value) -> bool:
    """Remembers that the parameters of a tuple have one optimizer."""
    if not isinstance(value, Tup) or not self._are_parts(value.items):
      return False
    self.grouped |= {value.made} if value.made is not None else set()
    return True

  def _are_parts(self, values: Sequence[Value]) -> bool:
    parts = [v for v in values if isinstance(v, Part) and v.collection == "params" and not v.token.members]
    return len(values) == len(parts) == len({p.token for p in parts}) > 1

  def _group(self, node: ast.Dict | ast.Tuple | ast.Call, items: dict[Any, tuple[ast.expr | None, Value, Form]], spread: bool) -> Result | None:  # fmt: skip
    parts = [v for _, v, _ in items.values() if isinstance(v, Part) and v.collection == "params"]
    arrays = [v for _, v, _ in items.values() if isinstance(v, Plain) and v.full.startswith(ARRAYS)]
    if not parts or len(parts) + len(arrays) < len(items) or len(items) < 2:
      return None
    if len({p.token for p in parts}) < len(parts):
      raise self.left(node, "the same parameters twice in one dict", "keep the second in a variable of its own")
    if any(p.token.members for p in parts) or len({p.inner for p in parts}) > 1:
      return None
    for key, (inner, value, form) in items.items():
      if form == EFFECT and inner is not None:  # `{"actor": optax.apply_updates(params["actor"], updates)}`
        self.put_before(inner, self.file.text(inner))
        items[key] = inner, value, None
    for part in parts:
      if not self.current(part):
        raise self.left(
          node, "parameters that were updated since, beside others", "use what the update returned", "L2N403"
        )
    known = self._known_group(items)
    if known is not None:
      return Part(known, self.epoch(known), inner=parts[0].inner), None
    if spread or parts[0].inner:
      raise self.left(
        node, "parameters of several models, put together anew", "update each with its own optimizer, in place"
      )
    return self._put_together(node, items)

  def _known_group(self, items: dict[Any, tuple[ast.expr | None, Value, Form]]) -> Token | None:
    """The group that has the same models under the same names, where it is at hand."""
    for group in self.groups:
      same = list(group.members) == list(items) and None not in group.members.values()
      if same and self.at_hand(group) and all(form is None and isinstance(v, Part) and v.token is m for (_, v, form), m in zip(items.values(), group.members.values(), strict=True)):  # fmt: skip
        return group
    return None

  def _put_together(
    self, node: ast.Dict | ast.Tuple | ast.Call, items: dict[Any, tuple[ast.expr | None, Value, Form]]
  ) -> Result:
    nnx = self.nnx()
    texts: dict[Any, str] = {}
    members: dict[Any, Token | None] = {}
    for key, (inner, value, form) in items.items():
      assert inner is not None
      text = self.file.text(inner)
      if isinstance(value, Part):
        name = self._name_of(value.token)
        if form is None:
          text = self.model(value.token, inner)
        elif name is not None:  # `self.actor = Actor(...)`, above
          self.put_before(inner, f"{name} = {text}")
          text = name
        members[key] = value.token
        self.whole_in[node, key] = value.whole
      else:
        text, members[key] = f"{nnx}.Param({text})", None
      texts[key] = text
    known = next((g for g in self.groups if g.made is node and g.members == members), None)
    token = known or Token(GROUP, node, self.here(), initialised=True, members=members)  # pyright: ignore
    self.made_in[node] = self.scope, self.statement  # pyright: ignore
    if known is None:
      self.groups.append(token)
    for member in token.inside():
      self.link(token.owner, member.owner)
    self.touch(token)
    self.created.setdefault(self.scope, set()).add(token)
    self.file.replace(node, self._literal(node, texts))
    return Part(token, self.advance(token) if known else self.epoch(token)), ("model", token)

  def _literal(self, node: ast.Dict | ast.Tuple | ast.Call, texts: dict[Any, str]) -> str:
    if isinstance(node, ast.Tuple):
      return f"{self.nnx()}.List([{', '.join(texts.values())}])"
    if not all(k.isidentifier() for k in texts):
      return f"{self.nnx()}.Dict({{{', '.join(f'{k!r}: {t}' for k, t in texts.items())}}})"
    indent = self.file.source.indent(self.statement) if self.statement is not None else ""
    apart = node.end_lineno != node.lineno
    return layout_call(
      f"{self.nnx()}.Dict", [f"{k}={t}" for k, t in texts.items()], indent, 100 - len(indent), apart=apart
    )

  def _name_of(self, token: Token) -> str | None:
    """The name that a model has already, an attribute of `self`."""
    return next((s.models[token] for s in self.scope.chain() if token in s.models), None)

  # ---- used

  def member_text(self, scope: Scope, token: Token, node: ast.AST) -> str | None:
    """How a model is reached through those that it is trained with."""
    for group in self.groups:
      if token in group.inside() and (group in scope.given or group in self.created.get(scope, ())):
        key = next(k for k, m in group.members.items() if m is token)
        return f"{self.model(group, node)}[{_quoted(key)}]"
    return None

  def member(self, node: ast.Subscript) -> Result | None:
    """`params["actor"]`, `grads["actor"]`, `target_params["actor"]`."""
    held = self._held(node.value)
    if held is None or not isinstance(held, (Part, Grads, Tree, Live)) or not held.token.members:
      return None
    key = constant(node.slice, None)
    members = held.token.members
    key = key % len(members) if isinstance(key, int) and 0 not in members and -len(members) <= key < 0 else key
    if key not in members or (isinstance(held, Live) and not held.tree):
      raise self.left(node, f"`{ast.unparse(node)[:60]}`, which is none of the models in it", "take one by its name")
    token = members[key]
    if isinstance(held, Part):
      if token is not None:
        return self._inside(held, key, node), None
      if not self.current(held):
        raise self.left(node, f"`{ast.unparse(node)[:60]}` is used after it was updated", "use what the update returned", "L2N403")  # fmt: skip
      self.file.replace(node, f"{self.model(held.token, node)}[{_quoted(key)}][...]")
      return PLAIN, PLAINLY
    self.eval(node.value)
    if token is None:
      self.file.replace(node, f"{self.file.text(node.value)}[{_quoted(key)}][...]")
      return PLAIN, PLAINLY
    whole = self.whole_in[held.token.made, key]
    if isinstance(held, Grads):
      return Grads(token, self._then(held, token)), PLAINLY
    return Tree(token, whole=whole), PLAINLY

  def _held(self, node: ast.expr) -> Value | None:
    """What a name or an attribute holds, be it old or not; a function's own or a state's."""
    if isinstance(node, ast.Name):
      return self.scope.find(node.id)
    if not isinstance(node, ast.Attribute):
      return None
    around = self.scope.find(node.value.id) if isinstance(node.value, ast.Name) else None
    if isinstance(around, Self):
      return around.scope.values.get(f"self.{node.attr}")
    if isinstance(self._held(node.value), (Train, Held)) or isinstance(node.value, ast.Attribute):
      return self.eval(node)[0] if self._states(node.value) else None
    return None

  def _then(self, held: Held, token: Token) -> int:
    """Which epoch a model was in when all of them were in this one; -1 where that is not known."""
    if held.epoch == self.epoch(held.token):
      return self.epoch(token)
    return self.member_epochs.get((held.token, held.epoch), {}).get(token, 0 if held.epoch == 0 else -1)

  def _states(self, node: ast.expr) -> bool:
    """Whether an expression is a training state of several models."""
    value = self._held(node)
    return isinstance(value, Train) and bool(value.token.members)

  def _inside(self, held: Part, key: Any, node: ast.AST) -> Part:
    """The parameters of one of the models, where they are up to date."""
    token = held.token.members[key]
    assert token is not None
    if self._then(held, token) != self.epoch(token):
      if isinstance(node, ast.Subscript):
        self.old_name(ast.unparse(node.value), held)
      raise self.left(node, f"the parameters of `{key}` are used after they were updated", "use what the update returned", "L2N403")  # fmt: skip
    return Part(token, self.epoch(token), inner=held.inner, whole=self.whole_in[held.token.made, key])

  def members_of(self, value: Value, node: ast.expr) -> Value:
    """The parameters of several models one by one, where they were a tuple."""
    if not isinstance(value, Part) or list(value.token.members) != list(range(len(value.token.members) or 1)):
      return value
    return Tup(tuple(self._inside(value, key, node) for key in value.token.members))

  def put_member(self, target: ast.Subscript, value: Value) -> bool:
    """`params["actor"] = actor_params`: they are there already."""
    held = self._held(target.value)
    key = constant(target.slice, None)
    if not isinstance(held, Part) or not isinstance(value, Part) or not isinstance(target.value, ast.Name):
      return False
    if key not in held.token.members or value.token is not held.token.members[key] or not self.current(value):
      return False
    for other, token in held.token.members.items():
      if other != key and token is not None:
        self._inside(held, other, target)
    self.scope.values[target.value.id] = dataclasses.replace(held, epoch=self.epoch(held.token))
    return True


def _may_be_part(node: ast.expr) -> bool:
  """Whether an expression may give parameters: a name, or what `init` returns."""
  while isinstance(node, ast.Subscript):
    node = node.value
  return isinstance(node, (ast.Name, ast.Attribute)) or (
    isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "init"
  )


def _quoted(key: str | int) -> str:
  return f'"{key}"' if isinstance(key, str) and '"' not in key else repr(key)
