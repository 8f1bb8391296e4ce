"""Statements of training programs, read and written anew."""

from __future__ import annotations

import ast
import dataclasses
from typing import Any

from migrate.codemod.source import names_in
from migrate.codemod.training.branches import Branches
from migrate.codemod.training.values import (
  EFFECT,
  PLAIN,
  PLAINLY,
  Apply,
  Captured,
  Changed,
  Form,
  Function,
  Mixed,
  Plain,
  Recipe,
  Record,
  Self,
  Train,
  Tup,
  Value,
  lower,
  made,
  merged,
  special,
  tokens,
)


class Statements(Branches):
  """One method a kind of statement; each returns whether what follows is reached."""

  def block(self, body: list[ast.stmt]) -> bool:
    """Reads statements; whether the end is reached."""
    reached = True
    for statement in body:
      saved = self.statement, self.before, self.nested
      self.statement, self.before, self.nested = statement, [], 0
      if not isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        self.file.reset(statement)
        for inner in ast.walk(statement):  # with what was written in them
          if isinstance(inner, (ast.FunctionDef, ast.Lambda)):
            self.analysed.pop(inner, None)
      try:
        method = getattr(self, f"_{type(statement).__name__.lower()}", self.anything)
        reached = method(statement) is not False and reached
        if self.before:
          self._write_before(statement, self.before)
      finally:
        self.statement, self.before, self.nested = saved
    return reached

  def anything(self, node: ast.stmt) -> None:
    """A statement that has no rule."""
    for child in ast.iter_child_nodes(node):
      if isinstance(child, ast.expr):
        self.plain(child)

  def _functiondef(self, node: ast.FunctionDef) -> None:
    self.scope.values[node.name] = self._defined(node)

  def _defined(self, node: ast.FunctionDef) -> Value:
    self.defined.append(function := self.decorated(Function(node, self.file, self.scope)))
    return function

  def _classdef(self, node: ast.ClassDef) -> None:
    self.scope.values.pop(node.name, None)

  def _import(self, node: ast.stmt) -> None:
    pass

  _importfrom = _pass = _import

  def _delete(self, node: ast.Delete) -> None:
    """`del params`: the model that held them goes on; a name that held part of it is no more."""
    kept: list[ast.expr] = []
    for target in node.targets:
      if isinstance(target, ast.Name) and special(self.scope.values.get(target.id, PLAIN)):
        for token in tokens(self.scope.values.pop(target.id)):
          self.touch(token)
      else:
        self.plain(target)
        kept.append(target)
    if not kept:
      self.erase(node, self.file)
    elif len(kept) < len(node.targets):
      self.file.replace(node, f"del {', '.join(self.file.text(k) for k in kept)}")

  def _global(self, node: ast.Global | ast.Nonlocal) -> None:
    for name in node.names:
      if any(special(s.values[name]) for s in self.scope.chain() if name in s.values):
        raise self.left(node, f"`{name}`, part of a model, is changed from inside a function", "give it as an argument and return it")  # fmt: skip

  _nonlocal = _global

  # ---- assignments

  def _assign(self, node: ast.Assign) -> None:
    value, form = self.eval(node.value)
    if not special(value):
      for target in node.targets:
        self.bind_plain(target, value)
      return
    if len(node.targets) > 1:
      raise self.left(node, "part of a model under two names", "assign it twice")
    self._assigned(node, node.targets[0], node.value, value, form)

  def _annassign(self, node: ast.AnnAssign) -> None:
    if node.value is None:
      return
    value, form = self.eval(node.value)
    if not special(value):
      self.bind_plain(node.target, value)
      return
    self._assigned(node, node.target, node.value, value, form)

  def _augassign(self, node: ast.AugAssign) -> None:
    self.plain(node.value)
    if isinstance(node.target, ast.Name):
      self.scope.values[node.target.id] = PLAIN
    else:
      self.plain(node.target)

  def bind_plain(self, target: ast.expr, value: Value) -> None:
    """A variable holds something that is no part of a model."""
    self.note_bound(target, value)
    if isinstance(target, ast.Name):
      self.rebind(target, value)
      old = self.scope.values.get(target.id)
      if self.scope.outer is not None or old is None or not special(old):
        self.scope.values[target.id] = value
      else:
        self.scope.values[target.id] = Mixed()
    elif isinstance(target, (ast.Tuple, ast.List)):
      items = value.items if isinstance(value, Tup) and len(value.items) == len(target.elts) else None
      for i, element in enumerate(target.elts):
        self.bind_plain(element, items[i] if items else PLAIN)
    elif isinstance(target, ast.Starred):
      self.bind_plain(target.value, PLAIN)
    elif isinstance(target, ast.Attribute) and self._self(target) is not None:
      self.keep(self._self(target), target, value)  # pyright: ignore
    else:
      self.plain(target)
      if isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
        held = self.scope.find(target.value.id)
        if isinstance(held, Plain) and held.full == "dict":  # another key in a dict
          key = ast.unparse(target.slice)[1:-1] if isinstance(target.slice, ast.Constant) else ""
          self.scope.values[target.value.id] = dataclasses.replace(held, keys=held.keys | {key}) if key else PLAIN

  def _assigned(
    self, node: ast.Assign | ast.AnnAssign, target: ast.expr, source: ast.expr, value: Value, form: Form
  ) -> None:
    """A statement that gives names to parts of a model."""
    if self.second_name(node, target, source, value, form):
      return
    self._bind(target, value)
    if self.captured_again(target, source, value):
      self.erase(node, self.file)
      return
    if isinstance(value, Recipe) and not value.token.initialised:
      return  # the construction stays until `init` is met
    if form is None or (isinstance(value, Record) and self.file.text(source) == self.file.text(target)):
      self._drop(node)
      return
    if form == EFFECT:
      self.file.replace(node, self.file.text(source))
      return
    if form[0] == "elements":
      self._element_by_element(node, target, source, value, form[1])
      return
    texts = self._targets(target, value, made(form), set())
    if not texts:
      self._drop(node) if not isinstance(source, ast.Call) else self.file.replace(node, self.file.text(source))
      return
    if form != PLAINLY and form[0] == "optimizer" and isinstance(value, Train):
      texts = [self.optimizer(form[1], node)]
    self.file.replace(node, f"{', '.join(texts)} = {self.file.text(source)}")

  def _element_by_element(
    self, node: ast.stmt, target: ast.expr, source: ast.expr, value: Value, forms: list[Form]
  ) -> None:
    if not (isinstance(target, ast.Tuple) and isinstance(source, ast.Tuple) and isinstance(value, Tup)):
      raise self.left(node, "parts of a model made inside a tuple", "make them one by one")
    lines: list[str] = []
    given: set[str] = set()
    for element, item, inner, form in zip(target.elts, source.elts, value.items, forms, strict=True):
      text = self.file.text(item)
      if form is None:
        continue
      if names_in(text) & given:
        raise self.left(node, "parts of a model made from one another in one statement", "make them one by one")
      if form == EFFECT:
        lines.append(text)
      else:
        names = self._targets(element, inner, made(form), set())
        if form[0] == "optimizer":
          names = [self.optimizer(form[1], node)]
        lines.append(f"{', '.join(names)} = {text}")
        given |= set(names)
    indent = self.file.source.indent(node)
    self.file.replace(node, f"\n{indent}".join(lines) or "pass")

  def _bind(self, target: ast.expr, value: Value) -> None:
    if isinstance(target, (ast.Tuple, ast.List)):
      value = self.members_of(value, target)
    if isinstance(target, ast.Name):
      if any(t in self.created.get(self.scope, ()) for t in tokens(value)):
        value = self.came_back(self.scope, target.id, value)
      self.note_bound(target, value)
      self.rebind(target, value)
      self.scope.values[target.id] = value
      for token in tokens(value):
        token.names.append(target.id)
    elif isinstance(target, (ast.Tuple, ast.List)) and isinstance(value, Tup) and len(value.items) == len(target.elts):
      for element, item in zip(target.elts, value.items, strict=True):
        self._bind(element, item)
    elif isinstance(target, ast.Attribute) and self._self(target) is not None:
      self.keep(self._self(target), target, value)  # pyright: ignore
    elif isinstance(target, ast.Attribute) and self._same_call(target, value):
      return  # `model.apply = jax.jit(model.apply)`
    elif isinstance(target, ast.Subscript) and self.put_member(target, value):
      return
    elif special(value):
      raise self.left(target, f"part of a model kept in `{ast.unparse(target)}`", "keep it in a variable")
    else:
      self.bind_plain(target, value)

  def _same_call(self, target: ast.Attribute, value: Value) -> bool:
    """Whether a module's method is put in the place of the same method."""
    if not isinstance(value, Apply) or target.attr != value.method:
      return False
    module, _ = self.eval(target.value)
    return isinstance(module, Recipe) and module.token is value.token

  def _self(self, target: ast.Attribute) -> Self | None:
    """The object that an attribute is of, where its methods are being read."""
    value = self.scope.find(target.value.id) if isinstance(target.value, ast.Name) else None
    return value if isinstance(value, Self) and any(value.scope is s for s in self.scope.chain()) else None

  def _targets(self, target: ast.expr, value: Value, fresh: set[Any], seen: set[Any]) -> list[str]:
    """What stands left of the equals sign now."""
    if isinstance(target, (ast.Tuple, ast.List)) and isinstance(value, Tup):
      texts: list[str] = []
      for element, item in zip(target.elts, value.items, strict=True):
        inner = self._targets(element, item, fresh, seen)
        if isinstance(item, Tup) and len(inner) > 1:
          inner = [f"({', '.join(inner)})"]
        texts += inner
      return texts
    if not special(value):
      return [self.file.text(target)]
    texts = []
    for form in lower(value, fresh):
      if form == PLAINLY or form[0] == "tuple":
        texts.append(self.captured_target(target) if isinstance(value, Captured) else self.file.text(target))
      elif form not in seen:
        seen.add(form)
        texts.append(self.model(form[1], target) if form[0] == "model" else self.optimizer(form[1], target))
    return texts

  def _drop(self, node: ast.stmt) -> None:
    """Takes away a statement that says nothing any more."""
    if self.before:  # what stands before it takes its place
      lines, self.before = self.before, []
      indent = self.file.source.indent(node)
      self.file.replace(node, f"\n{indent}".join(lines))
    else:
      self.erase(node, self.file)

  def erase(self, statement: ast.stmt, file: Any) -> None:
    """Takes a statement away, with its line where it has one of its own."""
    source = file.source
    parent = source.parents.get(statement)
    siblings = next((b for f in ("body", "orelse", "finalbody") for b in [getattr(parent, f, None)]
                     if isinstance(b, list) and statement in b), [])  # fmt: skip
    gone = [s for s in siblings if s is not statement and source.span(s) in file.erased]
    if len(siblings) - len(gone) <= 1:
      file.replace(statement, "pass")
      return
    span = source.span(statement)
    start, end = source.offset(source.first_line(statement), 0), span[1]
    start = span[0] if source.first_line(statement) == statement.lineno else start
    first, last = source.offset(source.first_line(statement), 0), source.offset(statement.end_lineno or 0, 0)
    last += len(source.line(statement.end_lineno or 0).encode())
    alone = not source.data[first:start].strip() and not source.data[end:last].strip()
    if alone and self._begins(source.data[:first]) and not source.data[last : source.data.find(b"\n", last)].strip():
      last = source.data.find(b"\n", last) + 1 or last  # of two empty lines one
    file.erased.add(span)
    file.replace_span(statement, *((first, last) if alone else (start, end)), "" if alone else "pass")

  def _begins(self, before: bytes) -> bool:
    """Whether an empty line, or the head of a block, comes before."""
    line = before.rstrip(b" ").rpartition(b"\n")[0].rpartition(b"\n")[2] if before.endswith(b"\n") else b"?"
    return not line.strip() or line.rstrip().endswith(b":")

  def _write_before(self, node: ast.stmt, lines: list[str]) -> None:
    indent = self.file.source.indent(node)
    start, end = self.file.source.span(node)
    text = self.file.text(node)
    self.file.replace_span(node, start, end, f"\n{indent}".join([*lines, text]))

  # ---- expressions, returns

  def _expr(self, node: ast.Expr) -> None:
    value, form = self.eval(node.value)
    if special(value) and form is None and not isinstance(node.value, ast.Constant):
      if any(isinstance(v, Changed) for v in [value]):
        return
      self._drop(node)

  def _return(self, node: ast.Return) -> bool:
    value: Value = PLAIN
    form: Form = PLAINLY
    if node.value is not None:
      value, form = self.eval(node.value)
    self.scope.returned.append((node, value))
    if isinstance(value, Recipe) and not value.token.initialised:
      self.make_partial(value.token)
      return False
    if node.value is None or not special(value):
      return False
    texts = self._express(node.value, value, form, self.new_here(self.scope, value), set())
    if not texts and self._is_last(node):
      self._drop(node)
    else:
      self.file.replace(node, f"return {', '.join(texts)}".strip())
    return False

  def _is_last(self, node: ast.stmt) -> bool:
    body = getattr(self.scope.node, "body", None)
    return isinstance(body, list) and body[-1] is node

  def _express(
    self, node: ast.expr, value: Value, form: Form, fresh: set[Any], seen: set[Any], nested: bool = False
  ) -> list[str]:
    """What a returned expression gives, item by item; the models that the caller has are left out."""
    if isinstance(value, Record) or not special(value):
      return [self._element(node)]
    if isinstance(node, ast.Tuple) and isinstance(value, Tup):
      forms = form[1] if form is not None and form[0] == "elements" else None
      texts: list[str] = []
      for i, (element, item) in enumerate(zip(node.elts, value.items, strict=True)):
        inner_form = forms[i] if forms else None
        inner = self._express(element, item, inner_form, fresh, seen, True)
        if isinstance(item, Tup) and special(item) and len(inner) > 1:
          inner = [f"({', '.join(inner)})"]
        texts += inner
      return texts
    if form == EFFECT:
      self.put_before(node, self._element(node))
      form = None
    low = merged(lower(value, fresh))
    if isinstance(value, Tup):
      if low and any(f != PLAINLY and f[0] != "tuple" for f in low) and not isinstance(node, ast.Call):
        raise self.left(node, "a tuple with a model in it", "return the items one by one")
      return [self._element(node)] if low else []
    texts = []
    for one in low:
      if one in seen:
        continue
      seen.add(one)
      if form is not None and (form == one or form == ("tuple", low)):
        texts.append(f"*{self._element(node)}" if nested and form != one else self._element(node))
        if form != one:
          seen |= set(low)
          break
      elif one == PLAINLY:
        texts.append(self._element(node))
      else:
        texts.append(self.model(one[1], node) if one[0] == "model" else self.optimizer(one[1], node))
    return texts

  def _element(self, node: ast.expr) -> str:
    """The text of an expression, also where the tuple around it was written anew since."""
    return self.element_texts.get(node) or self.file.text(node)
