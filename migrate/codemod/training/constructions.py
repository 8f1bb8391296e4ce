"""Constructions of modules in a training program, and where they go."""

from __future__ import annotations

import ast
from typing import Any

from migrate.codemod.remarks import layout_call
from migrate.codemod.source import names_in
from migrate.codemod.training.analysis import Result
from migrate.codemod.training.meanings import Meanings
from migrate.codemod.training.values import PLAINLY, Plain, Recipe, Self, Token

# calls that give another thing each time: iterators, environments, queues
_MOVES_ON = {"next", "__next__", "get_next", "sample", "reset", "step", "pop", "popleft", "get", "read"}


class Constructions(Meanings):
  """`Model(...)`: it stays until `init` is met, which makes the model."""

  def construct(self, node: ast.Call, full: str | None) -> Result | None:
    """The construction of a module that is NNX once everything is rewritten."""
    if full is None and isinstance(node.func, ast.Name):  # an argument or a variable that holds the class
      held = self.scope.find(node.func.id)
      full = held.full if isinstance(held, Plain) else None
    full = self._kept_class(node.func) if full is None and isinstance(node.func, ast.Attribute) else full
    cls = self.classes.get(full or "")
    if cls is None or any(k.arg == "rngs" for k in node.keywords):
      return None
    for argument in [*node.args, *(k.value for k in node.keywords)]:
      self.plain(argument.value if isinstance(argument, ast.Starred) else argument)
    token = Token(cls, node, self.here(), streams=set(self.known.streams.get(self.place(self.file, node), ())))
    token.meaning = self.construction_meaning(node)
    self.made_in[node] = (self.scope, self.statement)
    self.class_made[node] = cls
    self.touched.add(token.owner)
    return Recipe(token), PLAINLY

  def _kept_class(self, node: ast.Attribute) -> str | None:
    """The class that an attribute of `self` holds, where nothing puts another into it."""
    this = self.scope.find(node.value.id) if isinstance(node.value, ast.Name) else None
    held = this.scope.values.get(f"self.{node.attr}") if isinstance(this, Self) else None
    if not isinstance(held, Plain) or held.full not in self.classes or self._stores(node.attr) != 1:
      return None
    return held.full

  def _stores(self, attribute: str) -> int:
    """How often the program puts something into an attribute of this name."""
    every = [n for f in self.program.files.values() for n in ast.walk(f.source.tree) if isinstance(n, ast.Attribute)]
    return sum(n.attr == attribute and not isinstance(n.ctx, ast.Load) for n in every)

  def handed(self, argument: ast.expr | None, values: tuple[object, ...]) -> str | None:
    """What stands for an argument itself: whether it is given, or the function that it is."""
    if values and all(isinstance(v, bool) for v in values):
      return str(argument is not None and not (isinstance(argument, ast.Constant) and argument.value is None))
    return self.file.text(argument) if argument is not None else None

  def note_dropped(self, node: ast.Call) -> None:
    """Tells of arguments of `init` that did something: NNX takes no inputs to make a model."""
    for argument in [*node.args[1:], *(k.value for k in node.keywords)]:
      for call in (n for n in ast.walk(argument) if isinstance(n, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
        full = self.program.full(self.scope, call.func) or ""
        if name in _MOVES_ON and not full.startswith(("jax.", "numpy.")):
          found = f"`{ast.unparse(call)[:60]}` was an argument of `init` and is not evaluated any more"
          self.note(node, found, "call it by itself where what comes after it counts on it", "L2N418")

  def _construction(self, node: ast.Call, token: Token, more: list[str]) -> str:
    """The construction with what `init` tells, taken from where it was."""
    made, (scope, statement) = token.made, self.made_in[token.made]
    inside = any(n is made for n in ast.walk(node))
    text = self._written(node, token, more)
    if made in self.partial or not (inside or self._movable(made, scope, statement, node)):
      self._make_partial(made, scope, statement)
      holder = self._holder(token)
      if holder is None and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Call):
        holder = self.file.text(node.func.value)  # what makes the module gives its partial now
      if holder is None:
        raise self.left(node, "an init of a module that has no name here", "give the module a name")
      return f"{holder}({', '.join(more)})"
    if not inside and statement is not None:
      self.link(self.here(), scope.file.owner(statement))
      self.erase(statement, scope.file)
    return text

  def _written(self, node: ast.Call, token: Token, more: list[str]) -> str:
    """The text of a construction; `more` are the arguments that Linen does not have."""
    made = token.made
    file = self.made_in[made][0].file
    names = [a for a in token.cls.parameters if a not in token.cls.sizes and a not in token.cls.keyword_only]
    texts: list[str] = []
    for i, argument in enumerate(made.args):
      text = file.text(argument)
      by_name = bool(token.cls.sizes) and not isinstance(argument, ast.Starred) and i < len(names)
      texts.append(f"{names[i]}={text}" if by_name else text)
    texts += [f"{k.arg}={file.text(k.value)}" if k.arg else f"**{file.text(k.value)}" for k in made.keywords]
    class_text = file.source.code(made.func)
    given = {t.partition("=")[0] for t in texts}
    lacking = [a for a in sorted(token.cls.required - {"rngs"} - set(token.cls.sizes)) if a not in given]
    if lacking and not any(isinstance(a, ast.Starred) for a in made.args) and all(k.arg for k in made.keywords):
      if token.cls.sizes or len(made.args) < len(lacking):
        raise self.left(made, f"{class_text} without {', '.join(lacking)}", "give it where the module is made")
    by_position = not token.cls.sizes and any(not t.partition("=")[0].isidentifier() for t in texts)
    arguments = [*texts, *more] if by_position else [*more[:-1], *texts, more[-1]]
    return self.call_text(node if any(n is made for n in ast.walk(node)) else made, class_text, arguments)

  def _movable(self, made: ast.Call, scope: Any, statement: ast.stmt | None, node: ast.Call) -> bool:
    """Whether the construction means the same where `init` is."""
    if not (isinstance(statement, ast.Assign) and statement.value is made and len(statement.targets) == 1):
      return False
    names = set().union(*(names_in(scope.file.source.code(a)) for a in ast.iter_child_nodes(made) if isinstance(a, (ast.expr, ast.keyword))))  # fmt: skip
    if scope is not self.scope and names <= {"self"} and scope.find("self") is self.scope.find("self"):
      return self._kept_still(made, statement)
    if scope is not self.scope:
      return scope.outer is None and scope.file is self.file and not any(self.scope.is_local(n) for n in names)
    for other in ast.walk(scope.node):
      if isinstance(other, ast.Name) and isinstance(other.ctx, ast.Store) and other.id in names:
        if statement.lineno < other.lineno < node.lineno:
          return False
    return True

  def _kept_still(self, made: ast.Call, statement: ast.Assign) -> bool:
    """Whether a construction of attributes means the same in another method that the constructor calls."""
    target = statement.targets[0]
    if self.entry != "__init__" or not isinstance(target, ast.Attribute):
      return False
    asked = {n.attr for n in ast.walk(made) if isinstance(n, ast.Attribute)}
    if any(self._stores(a) != 1 for a in asked) or any(
      isinstance(n, ast.Call) and n is not made for n in ast.walk(made)
    ):
      return False
    source = self.file.source
    for node in ast.walk(source.tree):
      if isinstance(node, ast.Attribute) and node.attr == target.attr and isinstance(node.ctx, ast.Load):
        around = source.parents.get(node)
        functions = [n for n in source.enclosing(node) if isinstance(n, (ast.FunctionDef, ast.Lambda))]
        if len(functions) < 2 and not (
          isinstance(around, ast.Attribute) and around.attr in ("init", "apply", "tabulate")
        ):
          return False
    return True

  def _holder(self, token: Token) -> str | None:
    for scope in self.scope.chain():
      for name, value in scope.values.items():
        if isinstance(value, Recipe) and value.token is token:
          return name
    return None

  def make_partial(self, token: Token) -> None:
    """A module that leaves its function before it has variables becomes a partial of its class."""
    made = token.made
    self._make_partial(made, *self.made_in[made])

  def settle_unused(self) -> None:
    """Modules that nothing initialises, beside those that are rewritten, become partials of their classes."""
    initialised = {t.made for t in self.inits.values()}
    for made, (scope, statement) in list(self.made_in.items()):
      owner = scope.file.owner(made)
      if made not in self.class_made or made in self.partial or made in initialised or self.root(owner) not in {self.root(m) for m in self.modelled}:  # fmt: skip
        continue
      start, end = scope.file.source.span(made)
      if not any(e.start <= start and e.end >= end for e in scope.file.edits.get(owner, [])):
        self.scope, self.statement = scope, statement
        self._make_partial(made, scope, statement)

  def _make_partial(self, made: ast.Call, scope: Any, statement: ast.stmt | None) -> None:
    if made in self.partial:
      return
    self.partial.add(made)
    file = scope.file
    names = [a for a in self.classes_of(made).parameters if a not in self.classes_of(made).sizes]
    by_name = bool(self.classes_of(made).sizes)
    texts = [file.source.code(made.func)]
    for i, argument in enumerate(made.args):
      starred = isinstance(argument, ast.Starred)
      texts.append(f"{names[i]}={file.text(argument)}" if by_name and not starred else file.text(argument))
    texts += [f"{k.arg}={file.text(k.value)}" if k.arg else f"**{file.text(k.value)}" for k in made.keywords]
    spelled = "functools.partial"
    owner = file.owner(made)
    file.imports.setdefault(owner, set()).add("import functools")
    indent = file.source.indent(statement) if statement is not None else ""
    width = 112 - made.col_offset if made.end_lineno != made.lineno else 9999
    file.replace(made, layout_call(spelled, texts, indent, width))
    self.link(self.here(), owner)

  def classes_of(self, made: ast.Call) -> Any:
    """The class that a construction makes."""
    return self.class_made[made]


def only_calls(node: ast.FunctionDef | ast.Lambda) -> bool:
  """Whether a function calls its first argument or its methods, and does nothing else with it."""
  arguments = [*node.args.posonlyargs, *node.args.args]
  called = {id(c.func) for c in ast.walk(node) if isinstance(c, ast.Call)}
  called |= {id(c.func.value) for c in ast.walk(node) if isinstance(c, ast.Call) and isinstance(c.func, ast.Attribute) and c.func.attr not in ("variables", "unbind", "bind", "clone", "copy")}  # fmt: skip
  uses = [n for n in ast.walk(node) if isinstance(n, ast.Name) and arguments and n.id == arguments[0].arg]
  return bool(arguments) and all(id(n) in called for n in uses)
