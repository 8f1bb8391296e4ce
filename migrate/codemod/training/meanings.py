"""Whether two modules are made alike: what the arguments of their constructions mean, through factories and callers."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Mapping
from typing import Any

from migrate.codemod.source import defaults_of
from migrate.codemod.training.base import Base
from migrate.codemod.training.values import Function, Plain, Token, Value

# a meaning is a tuple: a kind, then what it is made of; of an argument it is ("argument", function, name)
Meaning = tuple[Any, ...]
UNKNOWN = "unknown"


class Meanings(Base):
  """What expressions mean, as far as that can be compared in two places."""

  def meaning(self, node: ast.expr) -> Meaning:
    """What an expression means, in terms of the arguments and variables around it."""
    if isinstance(node, ast.Constant):
      return "constant", repr(node.value)
    if isinstance(node, ast.Name):
      return self._variable(node.id)
    if isinstance(node, ast.Attribute):
      return "attribute", self.meaning(node.value), node.attr
    if isinstance(node, (ast.Tuple, ast.List, ast.UnaryOp, ast.BinOp, ast.Compare, ast.Subscript, ast.Dict)):
      inner = tuple(self.meaning(c) for c in ast.iter_child_nodes(node) if isinstance(c, ast.expr))
      marks = tuple(type(c).__name__ for c in ast.walk(node) if isinstance(c, (ast.operator, ast.unaryop, ast.cmpop)))
      return type(node).__name__, marks, *inner
    if isinstance(node, ast.Call) and self.program.full(self.scope, node.func) is not None:
      texts = [(k.arg, self.meaning(k.value)) for k in node.keywords]
      return "call", self.meaning(node.func), *(self.meaning(a) for a in node.args), *texts
    return UNKNOWN, id(node)

  def made_alike(self, one: Token, other: Token) -> bool:
    """Whether two modules certainly have the same class and arguments."""
    if one.cls is not other.cls:
      return False
    found = [self._known_meaning(t.meaning, t.bound) for t in (one, other)]
    return found[0] == found[1] and UNKNOWN not in str(found[0])

  def same_init(self, one: Token, other: Token) -> bool:
    """Whether two models of a statement are made alike, from the same key."""
    calls = [c for t in (one, other) for c, made in self.inits.items() if made is t]
    alike = len(calls) == 2 and one.made is other.made and ast.dump(calls[0]) == ast.dump(calls[1])
    return alike and not any(isinstance(n, ast.Call) for n in ast.walk(calls[0].args[0]))

  def construction_meaning(self, node: ast.Call) -> Meaning:
    """What a module is made with."""
    named = sorted(((k.arg or "", self.meaning(k.value)) for k in node.keywords), key=lambda p: p[0])
    return "made", *(self.meaning(a) for a in node.args), *named

  def note_arguments(self, function: Function, node: ast.Call) -> dict[Meaning, Meaning]:
    """Remembers what a call gives to a function, and returns it."""
    arguments = function.node.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args)][function.bound is not None :]
    given = dict(zip(names, node.args, strict=False)) | {k.arg: k.value for k in node.keywords if k.arg}
    meanings = {n: self.meaning(v) for n, v in given.items()}
    saved, self.scope = self.scope, function.outer
    for argument, default in defaults_of(arguments).items():
      meanings.setdefault(argument, self.meaning(default))
    self.scope = saved
    table: dict[Meaning, Meaning] = {("argument", function.node, n): m for n, m in meanings.items()}
    for key, meaning in table.items():
      if self.arguments.setdefault(key, meaning) != meaning:
        if key in self.relied:
          raise self.left(node, f"`{key[2]}` decides how a module is made, and is another thing here than elsewhere", "make the module once, and give it as an argument")  # fmt: skip
        self.arguments[key] = UNKNOWN, id(node)
    return table

  def _variable(self, name: str) -> Meaning:
    for scope in self.scope.chain():
      if isinstance(scope.node, (ast.FunctionDef, ast.Lambda)) and name in scope.locals:
        stores = [n for n in ast.walk(scope.node) if isinstance(n, ast.Name) and n.id == name and not isinstance(n.ctx, ast.Load)]  # fmt: skip
        given = name in {a.arg for a in ast.walk(scope.node.args) if isinstance(a, ast.arg)}
        if len(stores) + given != 1:
          return UNKNOWN, name
        return ("argument", scope.node, name) if given else ("variable", scope.node, name)
    module = self.scope.file.source.tree
    stores = [n for n in ast.walk(module) if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Store)]
    full = self.program.full(self.scope, ast.Name(name, ast.Load()))
    return (UNKNOWN, name) if len(stores) > 1 else ("global", full or name)

  def _known_meaning(self, meaning: Any, bound: Mapping[Meaning, Meaning], depth: int = 0) -> Any:
    """A meaning with arguments replaced by what callers gave."""
    if not isinstance(meaning, tuple) or depth > 20:
      return meaning
    if len(meaning) == 3 and meaning[0] == "argument":
      found = bound.get(meaning)
      if found is None and meaning in self.arguments:
        found = self.arguments[meaning]
        self.relied.add(meaning)
      return meaning if found is None or found == meaning else self._known_meaning(found, bound, depth + 1)
    return tuple(self._known_meaning(m, bound, depth + 1) for m in meaning)

  def _same_class(self, one: Value, other: Value) -> bool:
    """Whether what is written for one class holds for another, where classes are given to a function."""
    names = [v.full if isinstance(v, Plain) else "" for v in (one, other)]
    found = [self.classes.get(n) for n in names]
    if found == [None, None] or names[0] == names[1]:
      return True
    return None not in found and len({repr(dataclasses.replace(c, full="", paths=None)) for c in found if c is not None}) == 1  # fmt: skip

  def _made_there(self, old: Token, new: Token, node: ast.AST) -> None:
    """A function that makes a model of the module that it is given makes one of another module, too."""
    if old.initialised and not new.initialised and new.made is not old.made:
      if old.made in self.partial:
        self.make_partial(new)
      elif not self.made_alike(old, new):
        raise self.left(node, "another module for a function that makes one of its own now", "make the module in the function", "L2N402")  # fmt: skip
