"""Classes of a training program that keep a model in `self`: attributes are variables that all methods share.

Every method is read as if it were called first with whatever the attributes held after `__init__`, so each must leave
them up to date. Nothing outside may look at an attribute that goes away.
"""

from __future__ import annotations

import ast
from typing import Any

from migrate.codemod.training.analysis import Analysis
from migrate.codemod.training.kinds import sign, with_token
from migrate.codemod.training.late import LateStates
from migrate.codemod.training.program import TRAIN_STATE, File, Scope
from migrate.codemod.training.values import (
  NOTHING,
  Apply,
  Function,
  Held,
  OptState,
  Plain,
  Recipe,
  Record,
  Self,
  Token,
  Train,
  Tup,
  Value,
  leaves,
  special,
  tokens,
)

SPARE = {
  "model": ("model", "net", "module"),
  "models": ("models", "modules"),
  "optimizer": ("optimizer", "opt", "updater"),
}


class Trainers(LateStates):
  """`self.state = TrainState.create(...)`, `self.state = self.state.apply_gradients(...)`."""

  def read_class(self, file: File, node: ast.ClassDef) -> None:
    """Reads the methods of a class that is no module."""
    full = f"{file.module}.{node.name}"
    if full in self.classes or self.program.train_state(full) is not None or self.is_record(full):
      return
    methods = {m.name: m for m in node.body if isinstance(m, ast.FunctionDef)}
    this = Self(Scope(file, file.scope, node), methods)
    odd = [s for s in node.body if not isinstance(s, ast.FunctionDef) and self._speaks(file, s)]
    if node.decorator_list and self._speaks(file, node):
      odd.append(node)
    if odd:
      self.statement = node
      self.link_mentioned(file, node)
      raise self.left(odd[0], f"class `{node.name}` uses a model in its body, or has a decorator", "keep the model in `self`, in a class without decorators")  # fmt: skip
    if node.decorator_list:
      return
    asked = {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute) and _is_self(n.value)}
    self.late[this.scope] = self.find_late(this)
    makes = self.makes(this, self.late[this.scope])
    order = sorted(methods, key=lambda name: (name != "__init__", name not in makes, name in asked))
    for name in order:
      if methods[name] not in self.analysed:
        try:
          self._entry(this, name)
        finally:
          held = [v for value in this.scope.values.values() for v in leaves(value)]
          if any(special(v) and not isinstance(v, (Recipe, Apply)) for v in held):
            self.stateful.add((file.module, node.lineno, node.col_offset))
    if node in self.modelled or node in self.touched:
      self._check_class(this, node)

  def link_mentioned(self, file: File, node: ast.ClassDef) -> None:
    """A class that is left as it is counts on the functions that it calls."""
    for inner in ast.walk(node):
      function = self.program.function(self.program.full(file.scope, inner)) if isinstance(inner, (ast.Name, ast.Attribute)) else None  # fmt: skip
      if function is not None:
        self.link(node, function.node)

  def _speaks(self, file: File, node: ast.AST) -> bool:
    """Whether code names a class of modules or of training states."""
    for inner in ast.walk(node):
      if isinstance(inner, (ast.Name, ast.Attribute)):
        full = self.program.full(file.scope, inner) or ""
        if full in self.classes or full == TRAIN_STATE or self.program.train_state(full) is not None:
          return True
    return False

  def _entry(self, this: Self, name: str) -> None:
    """Reads a method as the first that is called after `__init__`."""
    self.refresh(this)
    self.entry = name
    function = self.decorated(self.method(this, name))
    classes = self.class_arguments.get(this.scope.node, {}) if name == "__init__" else {}
    given = {n: Plain(c.full) for n, c in classes.items()}
    analysis = Analysis((), [], {"self": this, **given} if function.bound is not None else {})
    self.analysed[function.node] = analysis
    self.statement = this.scope.node
    self._read(function, analysis)
    if special(analysis.value) and any(t not in analysis.fresh for t in tokens(analysis.value)):
      raise self.left(function.node, f"method `{name}` returns part of a model to whoever calls it", "return what is computed from it")  # fmt: skip

  def method(self, this: Self, name: str) -> Function:
    """A method of the class that is being read."""
    node = this.methods[name]
    static = any(ast.unparse(d) == "staticmethod" for d in node.decorator_list)
    return Function(node, this.scope.file, this.scope, (), None if static else this)

  def settle(self, this: Self, node: ast.AST) -> None:
    """Refuses a method that leaves something old in an attribute."""
    old = [n for n, v in this.scope.values.items() if special(v) and not self.current(v)]
    old = [n for n in old if n.removeprefix("self.") not in self.late[this.scope].first]
    if old:
      for name in old:
        self.old_name(name, None)
      self.refresh(this)
      raise self.left(node, f"`{old[0]}` is left as it was before an update", f"put what the update returned into {old[0]}", "L2N403")  # fmt: skip

  def refresh(self, this: Self) -> None:
    """What the attributes hold is up to date, as every method leaves it."""
    values = this.scope.values
    values |= {n: with_token(v, {}, self.epochs) for n, v in values.items() if special(v)}

  # ---- attributes

  def keep(self, this: Self, target: ast.Attribute, value: Value) -> None:
    """An attribute holds a value from now on."""
    name = f"self.{target.attr}"
    old = this.scope.values.get(name)
    value = self.came_back(this.scope, name, value)
    set_first = self.entry == "__init__" and old is not None and not special(old)  # `self.state = None` above
    set_first |= target.attr in self.late[this.scope].states and old == NOTHING and isinstance(value, Train)
    if (special(value) or (old is not None and special(old))) and old is not None and not set_first:
      if sign(old, []) != sign(value, []) or tokens(old) != tokens(value):
        self.old_name(name, None)
        raise self.left(target, f"`{name}` holds another thing than before", "give it an attribute of its own")
    this.scope.values[name] = value
    self.half_kept -= set(tokens(value))
    self.followed.add(target)
    if not special(value):
      return
    self.link(self.here(), this.scope.node)
    if isinstance(value, Record):
      self.name_record(this.scope, name, value)
      self.created.setdefault(this.scope, set()).update(tokens(value))
    for one in value.items if isinstance(value, Tup) else (value,):
      if isinstance(one, Held) and not (isinstance(one, Recipe) and not one.token.initialised):
        self._named(this, target, one.token, "model")
        if isinstance(one, (Train, OptState)):
          self._named(this, target, one.token, "optimizer")

  def _named(self, this: Self, target: ast.Attribute, token: Token, what: str) -> None:
    """Gives a model or an optimizer an attribute of its own."""
    table = _table(this.scope, what)
    if token in table:
      return
    taken = {n.attr for n in ast.walk(this.scope.node) if isinstance(n, ast.Attribute) and _is_self(n.value)}
    mine = {n for n, v in this.scope.values.items() if token in tokens(v)}
    mine -= {n for n in mine if isinstance(this.scope.values[n], Recipe) and token.made in self.partial}
    taken = {f"self.{t}" for t in taken} - mine
    taken |= {*this.scope.models.values(), *this.scope.optimizers.values()}
    name = next(
      n
      for w in (*SPARE["models" if token.members and what == "model" else what], *(f"{what}_{i}" for i in range(99)))
      for n in [f"self.{w}"]
      if n not in taken
    )
    table[token] = name
    self.created.setdefault(this.scope, set()).add(token)
    inside = [s for s in self.scope.chain() if s is not this.scope and s.outer is not None]
    local = next((n for s in inside for n in [_table(s, what).get(token)] if n), None)
    if local is not None:
      self.put_before(target, f"{name} = {local}")
    for scope in inside if local is None else ():
      if token in self.created.get(scope, ()):
        _table(scope, what)[token] = name

  def keep_made(self, token: Token) -> None:
    """A model takes the attribute of the module that it is made from."""
    for scope in self.scope.chain():
      for name, value in scope.values.items():
        if name.startswith("self.") and isinstance(value, Recipe) and value.token is token:
          if self.entry != "__init__":
            if scope.node in self.opened or token.made in self.partial:
              continue
            raise self.left(self.statement or token.made, "an init outside of `__init__` of a module that `__init__` makes", "call init where the module is made")  # fmt: skip
          scope.models[token] = self.scope.models[token] = name
          self.created.setdefault(scope, set()).add(token)

  # ---- what others see

  def _check_class(self, this: Self, node: ast.ClassDef) -> None:
    file: File = this.scope.file
    self.write_late(this)
    self.statement = node
    self.scope = file.scope
    if [b for b in node.bases if ast.unparse(b) not in ("object", "abc.ABC", "ABC")] or node.keywords:
      raise self.left(node, f"class `{node.name}`, which keeps a model and has base classes", "take the bases away")
    full = f"{file.module}.{node.name}"
    for other in self.program.files.values():
      for cls in other.classes.values():
        if any(self.program.full(other.scope, b) == full for b in cls.bases):
          raise self.left(cls, f"a subclass of `{node.name}`, which keeps a model", "rewrite both by hand")
    gone = {n.removeprefix("self.") for n, v in this.scope.values.items() if special(v)}
    for other in self.program.files.values():
      for use in ast.walk(other.source.tree):
        if isinstance(use, ast.Attribute) and use.attr in gone and use not in self.followed:
          if not (_is_self(use.value) and other.owner(use) is not node):
            where = f"{other.path}:{use.lineno}"
            raise self.left(node, f"`{ast.unparse(use)}` ({where}) may be an attribute of `{node.name}`, which keeps a model in it", "ask a method of the class for what is needed")  # fmt: skip


def _table(scope: Any, what: str) -> dict[Token, str]:
  return scope.models if what == "model" else scope.optimizers


def _is_self(node: ast.expr) -> bool:
  return isinstance(node, ast.Name) and node.id == "self"
