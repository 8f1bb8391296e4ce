"""Training states that a class makes after its constructor: `self.state = None` there, `TrainState.create(...)` later.

    params = self.init_params if self.state is None else self.state.params

Both are what the model holds: nothing has trained it where the state is None, and its parameters are the state's
where it is not.
"""

from __future__ import annotations

import ast
import dataclasses

from migrate.codemod.training.analysis import Result
from migrate.codemod.training.base import Base
from migrate.codemod.training.values import PLAIN, PLAINLY, Part, Self, Train, Value


@dataclasses.dataclass
class Late:
  """What is late in a class.

  Attributes:
    states: attributes that are None at first -> the statements that say so.
    first: attributes that are read only where a state is None yet.
  """

  states: dict[str, list[ast.Assign]] = dataclasses.field(default_factory=dict)
  first: set[str] = dataclasses.field(default_factory=set)


class LateStates(Base):
  """What is asked of a state that may be None."""

  def find_late(self, this: Self) -> Late:
    """The attributes of a class that its constructor leaves None, and others do not."""
    node: ast.ClassDef = this.scope.node
    late = Late()
    stores: dict[str, list[ast.Assign | None]] = {}
    for inner in ast.walk(node):
      if isinstance(inner, ast.Attribute) and not isinstance(inner.ctx, ast.Load) and _of_self(inner):
        around = self.file_of(this).source.parents.get(inner)
        none = isinstance(around, ast.Assign) and len(around.targets) == 1 and ast.unparse(around.value) == "None"
        stores.setdefault(inner.attr, []).append(around if none and isinstance(around, ast.Assign) else None)
    early = self._only_constructing(this)
    for name, found in stores.items():
      none = [s for s in found if s is not None]
      if none and None in found and all(any(s in ast.walk(m) for m in early) for s in none):
        late.states[name] = none
    asked = [(n, late_test(n.test)) for n in ast.walk(node) if isinstance(n, ast.IfExp)]
    spared = {id(_ways(n)[0]) for n, t in asked if t in late.states and _same_of_state(_ways(n)[1], str(t))}
    reads = [n for n in ast.walk(node) if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Load) and _of_self(n)]
    for name in stores:
      mine = [n for n in reads if n.attr == name]
      if mine and all(id(n) in spared for n in mine):
        late.first.add(name)
    return late

  def file_of(self, this: Self):
    """The file that a class is in."""
    return this.scope.file

  def _only_constructing(self, this: Self) -> list[ast.FunctionDef]:
    """The constructor, and the methods that nothing but it calls."""
    init = this.methods.get("__init__")
    if init is None:
      return []
    inside = set(ast.walk(init))
    found = [init]
    for name, method in this.methods.items():
      uses = [n for f in self.program.files.values() for n in ast.walk(f.source.tree) if isinstance(n, ast.Attribute) and n.attr == name]  # fmt: skip
      if uses and all(n in inside for n in uses):
        found.append(method)
    return found

  def makes(self, this: Self, late: Late) -> set[str]:
    """Methods after which a late state is there: they store it, or call one that does."""
    found: set[str] = set()
    none = {s for every in late.states.values() for s in every}
    while True:
      new = {
        name
        for name, method in this.methods.items()
        for n in ast.walk(method)
        if isinstance(n, ast.Attribute) and _of_self(n)
        and (n.attr in found if isinstance(n.ctx, ast.Load) else n.attr in late.states and not any(n in s.targets for s in none))
      }  # fmt: skip
      if new <= found:
        return found
      found |= new

  def late_or_not(self, node: ast.IfExp) -> Result | None:
    """`a if self.state is None else self.state.b`."""
    this = self._reading()
    name = late_test(node.test)
    if this is None or name not in self.late[this.scope].states:
      return None
    first, after = _ways(node)
    state: Value | None = this.scope.values.get(f"self.{name}")
    if _same_of_state(after, str(name)):
      value, form = self.eval(first)
      others = [n for n, v in this.scope.values.items() if isinstance(v, Train) and n != f"self.{name}"]
      if isinstance(value, Part) and form is None and value.collection == after.attr:  # pyright: ignore
        alone = not any(this.scope.values[n].token is value.token for n in others)  # pyright: ignore
        if alone and (not isinstance(state, Train) or state.token is value.token):
          self.followed |= {n for part in (node.test, after) for n in ast.walk(part) if isinstance(n, ast.Attribute)}
          whole = value.whole
          return Part(value.token, self.epoch(value.token), value.collection, whole=whole), None
    if not isinstance(state, Train):
      return None
    self.nested += 1
    self.plain_test(node.test)
    self.plain(first)
    self.plain(after)
    self.nested -= 1
    return PLAIN, PLAINLY

  def asked_late(self, node: ast.expr) -> bool:
    """`self.state is None`, `self.state` as a test: the optimizer takes the state's place. Whether it is one."""
    name, this = late_test(node), self._reading()
    state = this.scope.values.get(f"self.{name}") if this is not None else None
    if this is None or name not in self.late[this.scope].states or not isinstance(state, Train):
      return False
    attribute = next(n for n in ast.walk(node) if isinstance(n, ast.Attribute))
    self.followed.add(attribute)
    self.file.replace(attribute, self.optimizer(state.token, node))
    return True

  def write_late(self, this: Self) -> None:
    """What was None at first is the optimizer now."""
    for name, statements in self.late[this.scope].states.items():
      state = this.scope.values.get(f"self.{name}")
      optimizer = this.scope.optimizers.get(state.token) if isinstance(state, Train) else None
      for statement in statements if optimizer is not None else ():
        self.file_of(this).replace(statement.targets[0], str(optimizer))

  def _reading(self) -> Self | None:
    value = self.scope.find("self")
    return value if isinstance(value, Self) and value.scope in self.late else None


def late_test(node: ast.expr) -> str | None:
  """The attribute of `self` that a test asks for None."""
  if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not) and isinstance(node.operand, ast.Attribute):
    node = node.operand
  if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], (ast.Is, ast.IsNot)):
    node = node.left if ast.unparse(node.comparators[0]) == "None" else node
  return node.attr if isinstance(node, ast.Attribute) and _of_self(node) else None


def _ways(node: ast.IfExp) -> tuple[ast.expr, ast.expr]:
  """What is taken where the attribute is None, and where it is not."""
  test = node.test
  none = isinstance(test, ast.UnaryOp) or (isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Is))
  return (node.body, node.orelse) if none else (node.orelse, node.body)


def _same_of_state(node: ast.expr, state: str) -> bool:
  """Whether an expression is `self.state.params`."""
  inner = node.value if isinstance(node, ast.Attribute) else None
  return isinstance(inner, ast.Attribute) and inner.attr == state and _of_self(inner)


def _of_self(node: ast.Attribute) -> bool:
  return isinstance(node.value, ast.Name) and node.value.id == "self"
