"""Objects of classes that keep no model: `state = trainer.init_state(rng)`, `state, loss = trainer.step(state, batch)`.

Their methods are functions that the object is given to. A module that the constructor makes, and a method initialises, is
a partial of its class.
"""

from __future__ import annotations

import ast

from migrate.codemod.training.analysis import Result
from migrate.codemod.training.program import File, Scope
from migrate.codemod.training.trainers import Trainers
from migrate.codemod.training.values import PLAIN, PLAINLY, Apply, Left, Plain, Recipe, Self, leaves, special

STATES = {"apply_gradients", "apply_fn"}
NO_BASES = {"object", "abc.ABC", "ABC"}


class Instances(Trainers):
  """What an earlier reading found to keep no model is followed outside of its own methods."""

  def follows(self, file: File, node: ast.ClassDef) -> bool:
    """Whether objects of a class are followed."""
    full = f"{file.module}.{node.name}"
    if self.known.optimizing is None or self._class_place(file, node) in self.known.stateful or node.decorator_list:
      return False
    if full in self.classes or self.program.train_state(full) is not None or self.is_record(full) or node.keywords:
      return False
    if any(ast.unparse(b) not in NO_BASES for b in node.bases) or self._has_subclass(full):
      return False
    asks = any(isinstance(n, ast.Attribute) and n.attr in STATES for n in ast.walk(node))
    return asks and all(isinstance(s, ast.FunctionDef) or not self._speaks(file, s) for s in node.body)

  def _has_subclass(self, full: str) -> bool:
    every = [(f, c) for f in self.program.files.values() for c in f.classes.values()]
    return any(self.program.full(f.scope, b) == full for f, c in every for b in c.bases)

  def instance(self, node: ast.Call, full: str | None) -> Result | None:
    """`Trainer(config)`."""
    found = self.program.class_(full)
    if found is None or not self.follows(*found):
      return None
    for argument in [*node.args, *(k.value for k in node.keywords)]:
      self.plain(argument.value if isinstance(argument, ast.Starred) else argument)
    this = self.opened.get(found[1]) or self.open_class(*found)
    return (this or PLAIN), PLAINLY

  def open_class(self, file: File, node: ast.ClassDef) -> Self | None:
    """Reads the constructor of a class; None where that can't be followed."""
    saved = self.scope, self.statement, self.before, self.nested, set(self.pending), self.frames
    methods = {m.name: m for m in node.body if isinstance(m, ast.FunctionDef)}
    this = Self(Scope(file, file.scope, node), methods)
    self.late[this.scope] = self.find_late(this)
    self.opened[node] = this
    self.frames = []
    try:
      if "__init__" in methods:
        self._entry(this, "__init__")
    except Left as error:
      self.findings.append((node, error.finding))
      del self.opened[node]
      self.stateful.add(self._class_place(file, node))
    finally:
      self.scope, self.statement, self.before, self.nested, self.pending, self.frames = saved
      self.entry = ""
    self._check_stateless(this, node)
    return self.opened.get(node)

  def close_class(self, node: ast.ClassDef, this: Self) -> None:
    """Reads the methods that nothing called."""
    for name, method in this.methods.items():
      if method not in self.analysed:
        self._entry(this, name)
    self._check_stateless(this, node)
    if node in self.modelled or node in self.touched:
      self._check_class(this, node)

  def _check_stateless(self, this: Self, node: ast.ClassDef) -> None:
    if keeps_model(this):
      self.stateful.add(self._class_place(this.scope.file, node))

  def _class_place(self, file: File, node: ast.ClassDef) -> tuple[str, int, int]:
    return file.module, node.lineno, node.col_offset


def keeps_model(this: Self) -> bool:
  """Whether an attribute holds more of a model than the module."""
  held = [v for value in this.scope.values.values() for v in leaves(value)]
  return any(special(v) and not isinstance(v, (Recipe, Apply, Plain)) for v in held)
