"""What the rules of training programs share: where they are, what holds by now, what was found."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from migrate.codemod.remarks import layout_call
from migrate.codemod.training.analysis import WHAT, Analysis, Known, Place, derived_names
from migrate.codemod.training.class_arguments import class_arguments
from migrate.codemod.training.declared import Declared
from migrate.codemod.training.model_class import ModelClass
from migrate.codemod.training.program import File, Program, Scope
from migrate.codemod.training.values import (
  Bound,
  Copied,
  Function,
  Grads,
  Held,
  Left,
  Live,
  OptState,
  Part,
  Record,
  Self,
  Stats,
  Token,
  Train,
  Tree,
  Tup,
  Value,
  Variables,
  hides,
  outermost,
  special,
  tokens,
)
from migrate.core.report import Finding


class Base(Declared):
  """The state of reading a program; the rules are in the subclasses."""

  def __init__(self, program: Program, classes: Mapping[str, ModelClass], known: Known):
    self.program = program
    self.class_arguments = class_arguments(program, classes)
    self.classes = {**classes, **{c.full: c for given in self.class_arguments.values() for c in given.values()}}
    self.known = known
    self.streams: dict[ast.Call, set[str]] = {}
    self.scope: Scope = Scope(next(iter(program.files.values())), None, None)
    self.statement: ast.stmt | None = None
    self.before: list[str] = []
    self.nested = 0  # inside a lambda, comprehension or condition, where no statement can be put before
    self.epochs: dict[Token, int] = {}
    self.groups: list[Token] = []  # models that are trained as one
    self.whole_in: dict[tuple[ast.expr, Any], bool] = {}  # whether a group was given all variables of a model
    self.apply_in: dict[ast.expr, Any] = {}  # which model of a group a training state has the `apply_fn` of
    self.grouped: set[Place] = set(known.grouped)  # tuples of parameters that have one optimizer
    self.member_epochs: dict[tuple[Token, int], dict[Token, int]] = {}  # epoch of such models -> those of each
    self.pending: set[Token] = set()
    self.half_kept: set[Token] = set()  # models whose changed statistics a variable of the function has
    self.analysed: dict[ast.AST, Analysis] = {}
    self.created: dict[Scope, set[Token]] = {}
    self.optimized_in: dict[Scope, set[Token]] = {}  # where a model that may come from outside gets its optimizer
    self.made_in: dict[ast.Call, tuple[Scope, ast.stmt | None]] = {}
    self.class_made: dict[ast.Call, ModelClass] = {}
    self.partial: set[ast.Call] = set()
    self.inits: dict[ast.Call, Token] = {}  # call of init -> the model that it makes
    self.arguments: dict[Any, Any] = {}  # argument of a function -> what its calls give
    self.relied: set[Any] = set()  # those of them by which modules were found to be alike
    self.several: set[Place] = set(known.several)
    self.findings: list[tuple[Any, Finding]] = []
    self.links: dict[Any, Any] = {}
    self.touched: set[Any] = set()
    self.modelled: set[Any] = set()  # owners that a model is in
    self.masks: set[Any] = set()  # owners whose optimizers have masks
    self.wrapped_masks: list[tuple[Scope, ast.stmt | None, ast.expr, Function | None]] = []
    self.element_texts: dict[ast.expr, str] = {}
    self.followed: set[ast.AST] = set()  # attributes of which it is known what they are
    self.state_fields: dict[str, list[str]] = {}  # TrainState class -> its fields that are no collections
    self.else_bound: set[Place] = set()  # variables that hold None or trees somewhere
    self.second: dict[Place, set[Place]] = {}  # variable -> where it gets to be a second name of parameters or a state
    self.second_of: dict[Token, set[Place]] = {}  # the same of states
    self.cloned_as: dict[Place, Token] = {}  # variable -> the model that it is a clone in
    self.clones: dict[Token, set[Place]] = {}  # model that is a clone -> where it is made
    self.cloned: set[Place] = set(known.cloned)  # clones whose optimizers are used
    self.copies: set[Place] = set(known.copies)
    self.devices = ""  # a function of several devices that is being called
    self.stepped: dict[Token, dict[int, int]] = {}  # epoch of a model -> how many steps of its optimizer made it
    self.spread: set[Token] = set()  # models that are on several devices by now
    self.devices_of: dict[Any, str] = {}  # partial around a function of several devices -> what is written for it
    self.records: dict[ast.ClassDef, tuple[set[str], set[str]]] = {}  # class -> fields of states, fields of trees
    self.record_values: dict[ast.ClassDef, Record] = {}  # such a class -> an object of it
    self.state_classes: dict[ast.expr, str] = {}  # construction of a module -> the TrainState class of its state
    self.states_made: dict[Token, Train] = {}  # states of classes with methods
    self.live: dict[
      ast.ClassDef, dict[str, str]
    ] = {}  # such a class -> new names of its fields that are parts of models
    self.late: dict[Scope, Any] = {}  # class -> what it makes after its constructor
    self.stateful: set[Place] = set(known.stateful)
    self.opened: dict[ast.ClassDef, Self] = {}  # class without a model in `self` whose constructor was read
    self.entry = ""  # the method that is being read
    self.optimizing: set[Any] = set()  # functions that use an optimizer that they are given
    self.branches: set[ast.AST] = set()  # functions that are branches of a cond
    self.defined: list[Function] = []  # functions inside others, as they were met
    self.read_in: dict[Any, Any] = {}  # function -> the scope of its reading
    self.frames: list[Scope] = []  # the functions that are being read, callers first
    self.traced: set[ast.AST] = set()  # functions whose bodies something else than the program traces

  @property
  def file(self) -> File:
    """The file that is being read."""
    return self.scope.file

  # ---- what belongs together

  def root(self, owner: Any) -> Any:
    """What stands for everything that must be rewritten together with an owner."""
    while owner in self.links:
      owner = self.links[owner]
    return owner

  def link(self, one: Any, other: Any) -> None:
    """Both are rewritten, or neither."""
    self.touched |= {one, other}
    one, other = self.root(one), self.root(other)
    if one is not other:
      self.links[one] = other

  def here(self) -> Any:
    """The owner of what is being read."""
    return self.file.owner(self.statement) if self.statement is not None else self.file

  def touch(self, token: Token) -> None:
    """What is being read belongs to a model."""
    self.link(self.here(), token.owner)
    self.modelled.add(token.owner)

  def place(self, file: File, node: ast.expr | ast.stmt) -> Place:
    """Where something is, whatever the reading."""
    return file.module, node.lineno, node.col_offset

  # ---- findings

  def left(self, node: ast.AST, found: str, do: str, rule: str = "L2N401") -> Left:
    """The error for what can't be rewritten with certainty."""
    self.touched.add(self.here())
    where = f"{self.file.path}:{getattr(node, 'lineno', 0)}"
    return Left(
      Finding(where, f"training code left as it was: {found}", "a meaning that NNX has too", do, "error", rule)
    )

  def note(self, node: ast.AST, found: str, do: str, rule: str, severity: Any = "eye") -> None:
    """Keeps a finding about something that was rewritten."""
    self.findings.append((self.here(), Finding(f"{self.file.path}:{getattr(node, 'lineno', 0)}", found, "", do, severity, rule)))  # fmt: skip

  # ---- models

  def current(self, value: Value) -> bool:
    """Whether nothing was updated since."""
    if isinstance(value, (Tup, Record)):
      return all(map(self.current, value.items if isinstance(value, Tup) else dict(value.items).values()))
    if isinstance(value, (Train, Part, Variables, OptState, Live, Copied, Stats, Bound)):
      return value.epoch == self.epochs.get(value.token, 0)
    return True

  def advance(self, token: Token) -> int:
    """The model is updated: what was taken from it before is old."""
    updated = [token, *token.inside()]
    groups = [g for g in self.groups if any(t in g.inside() for t in updated)]
    for one in dict.fromkeys((*updated, *groups)):
      self.epochs[one] = self.epochs.get(one, 0) + 1
    for group in {token, *groups}:
      self.member_epochs[group, self.epochs[group]] = {m: self.epoch(m) for m in group.inside()}
    return self.epochs[token]

  def epoch(self, token: Token) -> int:
    """How often the model was updated."""
    return self.epochs.get(token, 0)

  def at_hand(self, token: Token) -> bool:
    """Whether there is a variable here that holds the model."""
    return any(token in s.given or token in self.created.get(s, ()) for s in self.scope.chain())

  def new_here(self, scope: Scope, value: Value) -> set[Any]:
    """Models and optimizers of a value that this scope makes, as `lower` asks for them."""
    held = tokens(value)
    fresh: set[Any] = {t for t in held if t in self.created.get(scope, ())}
    return outermost(fresh | {("optimizer", t) for t in held if t in self.optimized_in.get(scope, ())}, value)

  def scopes_at_hand(self, node: ast.AST) -> Iterator[Scope]:
    """The scopes whose models may be used here: not those of `self` from inside a jitted method."""
    wrapped = False
    for scope in self.scope.chain():
      if wrapped and isinstance(scope.node, ast.ClassDef):
        raise self.left(node, "a model of `self` in a method that is jitted", "give the training state as an argument")
      yield scope
      wrapped = wrapped or scope.wrapped

  def model(self, token: Token, node: ast.AST) -> str:
    """The name of the variable that holds the model."""
    self.touch(token)
    for scope in self.scopes_at_hand(node):
      if token in scope.models:
        return self.reached(scope, scope.models[token], node)
      if token in scope.hidden:
        raise self.left(node, "a model of an object that has no name here", "give the object a name first")
      if token in scope.given or token in self.created.get(scope, ()):
        if (inside := self.member_text(scope, token, node)) is not None:
          return inside
        if token.first is not None:
          self.several.add(self.place(self.made_in[token.made][0].file, token.made))
        scope.models[token] = self.choose(scope, token, "model")
        return scope.models[token]
    raise self.left(node, "a model that is no argument of this function", "give it as an argument")

  def optimizer(self, token: Token, node: ast.AST) -> str:
    """The name of the variable that holds the optimizer."""
    self.touch(token)
    self.cloned |= self.clones.get(token, set())
    for scope in self.scopes_at_hand(node):
      if token in scope.optimizers:
        self.optimizing.add(scope.node)
        return self.reached(scope, scope.optimizers[token], node)
      if token in scope.hidden:
        raise self.left(node, "a model of an object that has no name here", "give the object a name first")
      if token in scope.given or token in self.created.get(scope, ()):
        scope.optimizers[token] = self.choose(scope, token, "optimizer")
        self.optimizing.add(scope.node)
        return scope.optimizers[token]
    raise self.left(node, "an optimizer that is no argument of this function", "give it as an argument")

  def reached(self, scope: Scope, name: str, node: ast.AST) -> str:
    """The name of a model, where the object that it is in is what it is there."""
    first, dot, _ = name.partition(".")
    for inner in self.scope.chain() if dot and first != "self" else ():
      if inner is scope:
        break
      if first in inner.locals:
        raise self.left(node, f"`{name}`, where `{first}` is something else", "give it another name")
    return name

  def choose(self, scope: Scope, token: Token, what: str) -> str:
    """A name that nothing else has in a scope."""
    holders = [
      n
      for n, v in scope.values.items()
      if isinstance(v, Held) and v.token is token and not isinstance(v, (Grads, Tree, Live))
    ]
    alone = self.place(self.made_in[token.made][0].file, token.made) not in self.known.several
    recipes = [n for n in holders if type(scope.values[n]).__name__ == "Recipe"] if what == "model" else []
    holders = [n for n in holders if alone or n not in recipes]
    target = self.statement.targets[0] if isinstance(self.statement, ast.Assign) and not holders else None
    holders += [target.id] if isinstance(target, ast.Name) and scope is self.scope else []
    wished = recipes if alone else []
    what = "models" if token.members and what == "model" else what
    derived = [w for h in holders for w in derived_names(h, what)]
    others = {t for s in scope.chain() for t in (*s.given, *self.created.get(s, ()))} - {token}
    wished += [what] if not holders or (what == "optimizer" and alone and not others) else []
    wished += sorted(derived, key=lambda w: w == what)
    wished += [f"{h}_optimizer" for h in holders if what == "optimizer" and h != "optimizer"]
    short = {
      "model": ("model", "net", "module"),
      "models": ("modules", "all_models"),
      "optimizer": ("optimizer", "opt", "updater"),
    }[what]
    wished += [*short, *(f"{what}_{i}" for i in range(1, 9))]
    taken = {n.id for n in ast.walk(scope.node) if isinstance(n, ast.Name)}
    taken |= {a.arg for a in ast.walk(scope.node) if isinstance(a, ast.arg)}
    held = {n for n in taken for v in [scope.find(n)] if isinstance(v, Held) and v.token is token}
    mine = {n for n in {*holders, *held} if not self._otherwise(scope, n, token)}
    mine -= {n for n in mine if token.made in self.partial and n not in scope.values and scope.outer is not None}
    used = {*scope.models.values(), *scope.optimizers.values()}
    return next(w for w in wished if (w not in taken or w in mine) and w not in used and w.isidentifier())

  def _otherwise(self, scope: Scope, name: str, token: Token) -> bool:
    """Whether a nested function has an argument of the same name that is something else."""
    for inner in ast.walk(scope.node):
      if inner is not scope.node and isinstance(inner, (ast.FunctionDef, ast.Lambda)):
        if any(a.arg == name for a in ast.walk(inner.args) if isinstance(a, ast.arg)):
          known = self.analysed.get(inner)
          value = known.given.get(name) if known is not None else None
          if not (isinstance(value, Held) and value.token is token):
            return True
    return False

  # ---- text

  def copied(self, token: Token, node: ast.AST) -> str:
    """A tree of the model's parameters as they are now, which no update of the model changes."""
    numpy = next((n for n, f in self.file.names.imported.items() if f == "jax.numpy"), "jnp")
    jax = next((n for n, f in self.file.names.imported.items() if f == "jax"), "jax")
    for name, statement in ((numpy, "import jax.numpy as jnp"), (jax, "import jax")):
      if name not in self.file.names.imported:
        self.file.need(self.statement or node, statement)
    return f"{jax}.tree.map({numpy}.copy, {self.nnx()}.state({self.model(token, node)}, nnx.Param))"

  def call_text(self, node: ast.Call, function: str, arguments: list[str]) -> str:
    """A call in the place of another, laid out as that was."""
    indent = self.file.source.indent(self.statement) if self.statement is not None else ""
    lead = node.col_offset if node.end_lineno == node.lineno else len(indent) + 8
    return layout_call(function, arguments, indent, 112 - lead) if node.end_lineno != node.lineno else (
      f"{function}({', '.join(arguments)})"
    )  # fmt: skip

  def nnx(self) -> str:
    """How NNX is spelled in this file."""
    owner = self.here()
    self.file.imports.setdefault(owner, set()).add("from flax import nnx")
    return "nnx"

  def put_before(self, node: ast.AST, text: str) -> None:
    """Writes a statement above the one that is being read."""
    if self.nested or self.statement is None:
      raise self.left(node, "a call inside an expression that needs a statement of its own", "write it as a statement")
    self.before.append(text)

  # ---- what must be plain

  def plain(self, node: ast.expr | None) -> None:
    """Reads an expression that nothing of a model may come out of."""
    if node is None or (isinstance(node, (ast.Compare, ast.UnaryOp)) and self.asked_late(node)):
      return
    value, _ = self.eval(node)
    if isinstance(value, Function) and (isinstance(node, ast.Lambda) or self.nested_in(value)):
      self.read_plainly(value, node)
    if hides(value):
      raise self.left(node, f"`{ast.unparse(node)[:60]}`, a dict with a model in it, goes where it can't be followed", "return the model by itself")  # fmt: skip
    if special(value) and self.devices:
      raise self.left(node, f"`{ast.unparse(node)[:60]}` is given to `{self.devices}`", "train with jax.jit and a batch that is sharded over a mesh, then run the codemod", "L2N416")  # fmt: skip
    if special(value):
      what = type(next(v for v in [value] if True)).__name__
      raise self.left(node, f"`{ast.unparse(node)[:60]}` ({WHAT.get(what, 'part of a model')}) goes where it can't be followed",
                      "rewrite this use by hand, or take it out of the training code")  # fmt: skip

  def plain_test(self, node: ast.expr) -> None:
    """Reads what decides between two ways."""
    if not self.asked_late(node):
      self.plain(node)

  def nested_in(self, function: Function) -> bool:
    """Whether a function is defined inside another one."""
    return function.outer.outer is not None and function.bound is None
