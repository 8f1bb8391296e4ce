"""Statements of a method that is split: what `__init__` gets of each, and what stays."""

from __future__ import annotations

import ast
import dataclasses
from typing import TYPE_CHECKING, Any

from flax import linen as nn

from migrate.codemod.project import has_array
from migrate.codemod.scope import Block, Local, Stmt
from migrate.codemod.sites import SizeArg
from migrate.codemod.sizes import TOKEN, closed
from migrate.codemod.source import names_in
from migrate.codemod.static import NotStatic

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


@dataclasses.dataclass
class Loop:
  """A loop being split."""

  index: str | None
  before: list[Stmt | Block] = dataclasses.field(default_factory=list)
  iterators: list[str] = dataclasses.field(default_factory=list)
  conditional: int = 0


class Statements:
  """Statement handling, mixed into `Unit`."""

  def body(self: Unit, statements: list[ast.stmt]) -> str:
    """The statements as the method has them now; what `__init__` needs goes to `self.block`."""
    out: list[str] = []
    for i, statement in enumerate(statements):
      lead = "".join(self.source.lines[self.source.lead(statement) - 1 : self.source.first_line(statement) - 1])
      if i == 0:
        lead = lead.lstrip("\n") if not lead.strip() else lead
      self.pending_comments = self.source.comments_above(statement)
      text = self.statement(statement)
      if text is None:
        continue
      taken = self.pending_comments is None
      if taken and lead.strip() and text is not None and self.moved:
        lead = "\n" if lead.startswith("\n") else ""
      self.moved = False
      out.append(lead + text)
    return "".join(out)

  def take_comments(self: Unit) -> tuple[str, ...]:
    """Comments above the statement, if it moves to `__init__` altogether."""
    return ()

  def own_lines(self: Unit, statement: ast.stmt, text: str) -> str:
    """A simple statement with the indentation before it and what follows it on its last line."""
    end = self.source.offset(statement.end_lineno or 0, statement.end_col_offset or 0)
    line = self.source.line(statement.end_lineno or 0)
    stop = self.source.offset(statement.end_lineno or 0, 0) + len(line.encode())
    rest = self.source.between(end, stop)
    return self.source.indent(statement) + text + (rest if rest.endswith("\n") else rest + "\n")

  def around(self: Unit, statement: ast.stmt, value: ast.AST) -> tuple[str, str]:
    """The parentheses that stand around a statement's value."""
    start, end = self.source.span(value)
    stop = self.source.span(statement)[1]
    before = self.source.between(self.source.span(statement)[0], start)
    cut = len(before)
    while cut and before[cut - 1] in "( \n\t\\":
      cut -= 1
    opening = before[cut:]
    return (opening.lstrip(" ") if "(" in opening else "", self.source.between(end, stop))

  def statement(self: Unit, node: ast.stmt) -> str | None:
    """One statement for the method, or None where nothing of it is left."""
    if isinstance(node, ast.If):
      return self._if(node)
    if isinstance(node, ast.For | ast.While):
      return self._loop(node)
    if isinstance(node, ast.With):
      header = self._header(node, node.body)
      return header + self._suite(node.body)
    if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
      return self._nested(node)
    if isinstance(node, ast.Try):
      return self._plain_compound(node)
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
      return self._assign(node)
    if isinstance(node, ast.Return):
      text = "return"
      if node.value is not None:
        opening, closing = self.around(node, node.value)
        text = f"return {opening}{self.text(node.value)}{closing}"
      if node.value is not None:
        self.note_output(node.value)
      if self.conditions and all(self.conditions) and not self.loops and not self.function_depth:
        self.block.append(Stmt(lambda: "return", stop=True))
      return self.own_lines(node, text)
    if isinstance(node, ast.Expr):
      return self._expression(node)
    if isinstance(node, ast.Import | ast.ImportFrom):
      text = self.source.code(node)
      names = frozenset((a.asname or a.name).partition(".")[0] for a in node.names)
      self.block.append(Stmt(lambda: text, names))
      for name in names:
        self.env[name] = Local("static", None)
      return self.own_lines(node, text)
    if isinstance(node, ast.Assert | ast.Raise | ast.Delete):
      text = self.compose(node, self.text)
      static = None
      if isinstance(node, ast.Assert):
        static = None
      del static
      return self.own_lines(node, text)
    return self.own_lines(node, self.compose(node, self.text))

  def _expression(self: Unit, node: ast.Expr) -> str | None:
    value = node.value
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
      return self.own_lines(node, self.source.code(value))
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and isinstance(value.func.value, ast.Name):
      owner, local = value.func.value.id, self.env.get(value.func.value.id)
      if local is not None and value.func.attr in ("append", "extend", "insert", "update", "add") and local.kind in ("static", "arrays", "modules"):
        return self._grow(node, value, owner, local)
    if isinstance(value, ast.Call) and self.resolve(value.func) == "flax.linen.share_scope":
      return None  # where Linen keeps the variables is the mapping's business
    text = self.text(value)
    if self.creates(value):
      return None
    return self.own_lines(node, text)

  def _grow(self: Unit, node: ast.Expr, value: ast.Call, owner: str, local: Local) -> str | None:
    """`layers.append(...)`, `skips.append(x)`."""
    items = [self.events(a) for a in value.args]
    if items and all(e and all(isinstance(v.value, nn.Module) for v in e) for e in items) and value.func.attr == "append":  # type: ignore[attr-defined]
      argument = value.args[0]
      inner = self.static(argument)
      attr = local.target or f"self.{self.attribute(owner)}"
      if local.kind != "modules":
        self.env[owner] = Local("modules", local.node, target=attr)
        place = self.loops[0].before if self.loops else self.block
        place.append(Stmt(lambda: f"{attr} = nnx.List([])", keep=True))
        self.dead_lists.add(owner)
      self.block.append(Stmt(lambda: f"{attr}.append({inner})", keep=True))
      return None
    text = self.text(value)
    if any(e and any(has_array(v.value) for v in e) for e in items):
      dims = self.dims(value.args[0])
      last = self.pick(dims[-1]) if dims else None
      if last is not None:
        self.block.append(Stmt(lambda: f"{owner}.append({last})", frozenset(), mutates=owner))
        local.dims = None
      self.env[owner] = Local("arrays", local.node)
      return self.own_lines(node, text)
    static = self.try_static(value)
    if static is not None:
      self.block.append(Stmt(lambda: static, frozenset(), mutates=owner))
    else:
      self.env[owner] = Local("dynamic")
    return self.own_lines(node, text)

  # ---- assignments

  def _assign(self: Unit, node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> str | None:
    if isinstance(node, ast.AugAssign):
      return self._augmented(node)
    if node.value is None:
      return self.own_lines(node, self.source.code(node))
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    target = targets[0]
    variable = self._variable_store(node, target)
    if variable is not None:
      return variable
    if len(targets) == 1 and isinstance(target, ast.Name):
      kept = self._assign_name(node, target, node.value)
      if kept is not None:
        return kept or None
    text = self.text(node.value)
    self.bind(target, node.value)
    for other in targets[1:]:
      self.bind(other, node.value)
    start, _ = self.source.span(node)
    at = self.source.span(node.value)[0]
    head = self.source.between(start, at)
    if isinstance(node, ast.AnnAssign) or any(not isinstance(t, ast.Name | ast.Tuple) for t in targets):
      head = self._heads(node, start, at)
    return self.own_lines(node, head + text + self.around(node, node.value)[1])

  def _heads(self: Unit, node: ast.AST, start: int, stop: int) -> str:
    text, at = "", start
    targets = node.targets if isinstance(node, ast.Assign) else [node.target, node.annotation]  # type: ignore[attr-defined]
    for target in targets:
      a, b = self.source.span(target)
      text += self.source.between(at, a) + (self.text(target) if not isinstance(target, ast.Name) else target.id)
      at = b
    return text + self.source.between(at, stop)

  def _variable_store(self: Unit, node: ast.stmt, target: ast.AST) -> str | None:
    if isinstance(target, ast.Attribute) and target.attr == "value" and self.is_variable_expression(target.value):
      value = node.value  # type: ignore[attr-defined]
      return self.own_lines(node, f"{self.text(target.value)}.set_value({self.text(value)})")
    return None

  def is_variable_expression(self: Unit, node: ast.AST) -> bool:
    """Whether an expression gives a Linen Variable."""
    return self._is_variable(node)

  def _assign_name(self: Unit, node: ast.stmt, target: ast.Name, value: ast.expr) -> str | None:
    """Assignments that `__init__` takes over. An empty text: nothing stays; None: not of this kind."""
    name = target.id
    events = self.events(value)
    if self.creates(value):
      assert isinstance(value, ast.Call)
      site = self.make(value, self.suggest(value) if any(k.arg == "name" for k in value.keywords) else name)
      if self.assigned[name] == 1 and not site.looped and name not in self.parameters:
        self.env[name] = Local("site", value, target=site)
        return ""
      local = Local("site", value, target=site)
      text = self.own_lines(node, f"{name} = {site.reference}")
      site.reference = name if site.looped or self.assigned[name] > 1 else site.reference
      self.env[name] = local
      return text
    if isinstance(value, ast.ListComp) and len(value.generators) == 1 and not value.generators[0].ifs and self.creates(value.elt):
      if not self.loops and self.try_static(value.generators[0].iter) is not None:
        self._list_of_layers(name, value)
        return ""
    if events and all(_all_modules(e.value) for e in events) and not isinstance(value, ast.Name | ast.Attribute | ast.Subscript):
      static = self.try_static(value)
      if static is not None and not self.loops:
        attr = self.attribute(name)
        self.readable.add(attr)
        text = self.module_container(static, value)
        self.block.append(Stmt(lambda: f"self.{attr} = {text}", keep=True))
        self.env[name] = Local("modules", value, target=f"self.{attr}")
        return ""
    if isinstance(value, ast.Call) and self.source.code(value.func) in (f"{self.self_name}.variable",):
      text = self.text(value)
      self.env[name] = Local("variable", value)
      return self.own_lines(node, f"{name} = {text}")
    arrays = events and any(has_array(e.value) for e in events)
    opening, closing = self.around(node, value)
    if not arrays:
      static = self.try_static(value)
      self.rebinding(name)
      if static is not None:
        text = f"{opening}{self.text(value)}{closing}"
        static = f"{opening}{static}{closing}"
        residue = self.residue_of(value)
        self.block.append(Stmt(lambda: f"{name} = {static}", frozenset({name})))
        self.env[name] = Local("static", value, residue=residue)
        return self.own_lines(node, f"{self._target_text(node)} = {text}")
    elif events and all(hasattr(e.value, "shape") for e in events):
      static = self.try_static(value)
      text = f"{opening}{self.text(value)}{closing}"
      dims = self.dims(value)
      self.rebinding(name)
      dims = self._dims.get(value, dims)
      self.env[name] = Local("array", value, dims)
      self.static_arrays.discard(name)
      if static is not None:
        static = f"{opening}{static}{closing}"
        self.block.append(Stmt(lambda: f"{name} = {static}", frozenset({name})))
        self.static_arrays.add(name)
      return self.own_lines(node, f"{self._target_text(node)} = {text}")
    return None

  def _list_of_layers(self: Unit, name: str, value: ast.ListComp) -> None:
    """`layers = [nn.Dense(f) for f in self.features]`: a loop of `__init__` that appends."""
    generator = value.generators[0]
    static, target = self.static(generator.iter), self.source.code(generator.target)
    outer, saved = self.block, dict(self.env)
    self.block = []
    for inner in ast.walk(generator.target):
      if isinstance(inner, ast.Name):
        self.env[inner.id] = Local("static", None)
    loop = Loop(None)
    self.loops.append(loop)
    assert isinstance(value.elt, ast.Call)
    site = self.make(value.elt, name)
    site.listed = True
    self.loops.pop()
    inner_block, self.block = self.block, outer
    self.env = saved
    chain = f"{site.attr}_features"
    self.block.append(Stmt(lambda: f"{chain} = {site.chain.first}" if site.chain else f"{chain} = 0", frozenset({chain})))
    inner_block.append(Stmt(lambda: f"{chain} = {site.chain.step}" if site.chain else f"{chain} = 0", frozenset({chain})))
    self.block += loop.before
    self.block.append(Block([(lambda: f"for {target} in {static}:", inner_block)], loop=True))
    self.env[name] = Local("modules", value, target=f"self.{site.attr}")
    site.reference = f"self.{site.attr}"

  def _target_text(self: Unit, node: ast.stmt) -> str:
    if isinstance(node, ast.AnnAssign):
      return f"{self.source.code(node.target)}: {self.source.code(node.annotation)}"
    return " = ".join(self.source.code(t) for t in node.targets)  # type: ignore[attr-defined]

  def rebinding(self: Unit, name: str) -> None:
    """Sizes that mention a name lose it when the name gets another value; what depends on it alone is saved first."""
    for other, local in self.env.items():
      if local.dims is None:
        continue
      fresh = []
      for axis, candidates in enumerate(local.dims):
        keep = [c for c in candidates if name not in names_in(c)]
        if candidates and not keep and other != name:
          saved = self.size_name(other, axis, len(local.dims))
          old = candidates[0]
          self.block.append(Stmt(lambda saved=saved, old=old: f"{saved} = {old}", frozenset({saved})))
          self.env_later[saved] = Local("static", None)
          keep = [saved]
        fresh.append(keep)
      local.dims = fresh
    self.env.update(self.env_later)
    self.env_later.clear()
    self._dims = {n: d for n, d in self._dims.items() if not any(name in names_in(c) for axis in d for c in axis)}

  def _augmented(self: Unit, node: ast.AugAssign) -> str | None:
    text = self.text(node.value)
    target = node.target
    if isinstance(target, ast.Attribute) and target.attr == "value" and self._is_variable(target.value):
      base = self.text(target.value)
      return self.own_lines(node, f"{base}[...] {_operator(node)}= {text}")
    if isinstance(target, ast.Name):
      name = target.id
      local = self.env.get(name)
      if local is not None and local.kind == "static":
        static = self.try_static(node.value)
        if static is not None:
          self.rebinding(name)
          self.block.append(Stmt(lambda: f"{name} {_operator(node)}= {static}", frozenset(), mutates=name))
        else:
          self.env[name] = Local("dynamic")
      elif local is not None and local.kind == "array":
        static = self.try_static(node.value) if name in self.static_arrays else None
        if static is not None:
          self.block.append(Stmt(lambda: f"{name} {_operator(node)}= {static}", frozenset(), mutates=name))
        else:
          self.static_arrays.discard(name)
        other = self.dims(node.value)
        if other is not None and local.dims is not None and len(other) > len(local.dims):
          local.dims = other
    start, _ = self.source.span(node)
    closing = self.around(node, node.value)[1]
    return self.own_lines(node, self.source.between(start, self.source.span(node.value)[0]) + text + closing)

  def bind(self: Unit, target: ast.AST, value: ast.AST) -> None:
    """Notes what names hold after an assignment that stays in the method."""
    if isinstance(target, ast.Name):
      dims = self.dims(value) if self.array_events(value) else None
      self.rebinding(target.id)
      self.static_arrays.discard(target.id)
      events = self.array_events(value)
      if dims is not None:
        self._dims.setdefault(value, dims)
      if events:
        self.env[target.id] = Local("array", value, self.dims(value))
      elif isinstance(value, ast.Call) and value in self.variable_nodes:
        self.env[target.id] = Local("variable", value)
      else:
        self.env[target.id] = Local("dynamic", value)
      return
    if isinstance(target, ast.Starred):
      self.bind(target.value, target.value)
      return
    if isinstance(target, ast.Tuple | ast.List):
      self._unpack(target, value)

  def _unpack(self: Unit, target: ast.Tuple | ast.List, value: ast.AST) -> None:
    names = [e.id if isinstance(e, ast.Name) else None for e in target.elts]
    for name in names:
      if name is not None:
        self.rebinding(name)
        self.static_arrays.discard(name)
    if isinstance(value, ast.Attribute) and value.attr == "shape":
      dims = self.dims(value.value)
      if dims is not None:
        star = next((i for i, e in enumerate(target.elts) if isinstance(e, ast.Starred)), None)
        for i, name in enumerate(names):
          if star is not None and i == star:
            inner = target.elts[i].value  # type: ignore[attr-defined]
            if isinstance(inner, ast.Name):
              self.env[inner.id] = Local("dynamic")
            continue
          axis = i if star is None or i < star else len(dims) - (len(names) - i)
          if name is not None and 0 <= axis < len(dims):
            self.env[name] = Local("size", value, target=list(dims[axis]))
        return
    if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts):
      for element, part in zip(target.elts, value.elts, strict=True):
        if isinstance(element, ast.Name):
          static = self.try_static(part)
          if static is not None and not self.array_events(part):
            self.block.append(Stmt(lambda e=element.id, s=static: f"{e} = {s}", frozenset({element.id})))
            self.env[element.id] = Local("static", part)
          else:
            self.bind(element, part)
      return
    static = self.try_static(value)
    values = self.events(value)
    if static is not None and values and not any(has_array(e.value) for e in values) and all(names):
      text = self.source.code(target)
      self.block.append(Stmt(lambda: f"{text} = {static}", frozenset(n for n in names if n)))
      for name in names:
        self.env[str(name)] = Local("static", None)
      return
    if static is not None and values and all(names):
      text = self.source.code(target)
      self.block.append(Stmt(lambda: f"{text} = {static}", frozenset(n for n in names if n)))
      self.static_arrays.update(str(n) for n in names)
    for i, name in enumerate(names):
      if name is None:
        continue
      shapes = [e.value[i] for e in values if isinstance(e.value, tuple | list) and len(e.value) == len(names)]
      if values and len(shapes) == len(values) and all(hasattr(s, "shape") for s in shapes):
        self.env[name] = Local("array", None, self.element_dims(value, i, values))
      else:
        self.env[name] = Local("dynamic")

  # ---- compound statements

  def _header(self: Unit, node: ast.stmt, body: list[ast.stmt]) -> str:
    """From the statement's own indentation to the end of the header's last line."""
    start = self.source.offset(node.lineno, 0)
    stop = self.source.offset(self.source.lead(body[0]), 0)
    if body[0].lineno == node.lineno:
      stop = self.source.span(body[0])[0]
    text, at = "", start
    inner: list[ast.AST] = []
    if isinstance(node, ast.If | ast.While):
      inner = [node.test]
    elif isinstance(node, ast.For):
      inner = [node.iter]
    elif isinstance(node, ast.With):
      inner = [i.context_expr for i in node.items]
    for child in inner:
      a, b = self.source.span(child)
      text += self.source.between(at, a) + self.text(child)
      at = b
    return text + self.source.between(at, stop)

  def _suite(self: Unit, body: list[ast.stmt]) -> str:
    text = self.body(body)
    if text.strip():
      return text
    return f"{self.source.indent(body[0])}pass\n"

  def _plain_compound(self: Unit, node: ast.stmt) -> str:
    text = self.compose(node, self.text)
    return self.own_lines(node, text)

  def _if(self: Unit, node: ast.If, chained: bool = False) -> str | None:
    static = self.static_test(node.test)
    start = self.source.offset(node.lineno, 0)
    stop = self.source.offset(self.source.lead(node.body[0]), 0)
    inline = node.body[0].lineno == (node.test.end_lineno or node.lineno)
    if inline:
      stop = self.source.span(node.body[0])[0]
    a, b = self.source.span(node.test)
    head = self.source.between(start, a) + self.text(node.test) + self.source.between(b, stop)
    outer, entry = self.block, dict(self.env)
    entry_dims = dict(self._dims)
    taken: list[Stmt | Block] = []
    self.block = taken
    self.conditions.append(static is not None)
    self._conditional(1)
    body = self._branch(node.body, inline)
    after_body = self.env
    self.env, self._dims = {n: dataclasses.replace(v) for n, v in entry.items()}, entry_dims
    other: list[Stmt | Block] = []
    self.block = other
    tail: str | None = ""
    if node.orelse:
      tail = self._else(node)
    after_else = self.env
    self._conditional(-1)
    self.conditions.pop()
    self.block = outer
    self.env = self._merge(after_body, after_else, taken, other, static is not None)
    if static is not None:
      parts: list[Any] = [(lambda: f"if {static}:", taken)]
      if other:
        parts.append((lambda: "else:", other))
      self.block.append(Block(parts))
    else:
      self.block += taken + other
    if not body.strip() and not (tail or "").strip():
      return None
    if not body.strip():
      if not node.orelse or not (tail or "").strip():
        return None
      body = f"{self.source.indent(node.body[0])}pass\n" if not inline else "pass\n"
    return head + body + (tail or "")

  def _branch(self: Unit, statements: list[ast.stmt], inline: bool) -> str:
    text = self.body(statements)
    if inline:
      return text.lstrip() if text.strip() else "pass\n"
    return text

  def _else(self: Unit, node: ast.If) -> str | None:
    first = node.orelse[0]
    previous_end = self.source.offset((node.body[-1].end_lineno or 0) + 1, 0)
    if len(node.orelse) == 1 and isinstance(first, ast.If) and self._is_elif(node, first):
      gap = self.source.between(previous_end, self.source.offset(first.lineno, 0))
      inner = self._if(first, chained=True)
      return gap + inner if inner is not None else None
    stop = self.source.offset(self.source.lead(first), 0)
    inline = first.lineno == self._else_line(node)
    if inline:
      stop = self.source.span(first)[0]
    gap = self.source.between(previous_end, stop)
    body = self._branch(node.orelse, inline)
    return gap + body if body.strip() else None

  def _is_elif(self: Unit, node: ast.If, first: ast.If) -> bool:
    return self.source.between(*self.source.span(first)).startswith("elif")

  def _else_line(self: Unit, node: ast.If) -> int:
    for number in range((node.body[-1].end_lineno or 0) + 1, node.orelse[0].lineno + 1):
      if self.source.line(number).strip().startswith("else"):
        return number
    return 0

  def _conditional(self: Unit, step: int) -> None:
    for loop in self.loops:
      loop.conditional += step

  def _merge(self: Unit, a: dict[str, Local], b: dict[str, Local], left: list, right: list, static: bool) -> dict[str, Local]:
    merged: dict[str, Local] = {}
    for name in {**a, **b}:
      x, y = a.get(name), b.get(name)
      if x is None or y is None:
        merged[name] = x or y  # type: ignore[assignment]
      elif x.kind == "array" and y.kind == "array" and x.dims is not None and y.dims is not None and len(x.dims) == len(y.dims):
        dims = []
        for axis, (p, q) in enumerate(zip(x.dims, y.dims, strict=True)):
          common = [c for c in p if c in q]
          if not common and p and q and static:
            fresh = self.size_name(name, axis, len(x.dims))
            left.append(Stmt(lambda f=fresh, e=p[0]: f"{f} = {e}", frozenset({fresh})))
            right.append(Stmt(lambda f=fresh, e=q[0]: f"{f} = {e}", frozenset({fresh})))
            merged[fresh] = Local("static")
            common = [fresh]
          dims.append(common)
        merged[name] = dataclasses.replace(x, dims=dims)
      elif x.kind == y.kind and x.target == y.target:
        merged[name] = x
      elif x.kind == "array" or y.kind == "array":
        merged[name] = Local("array", None, None)
      elif {x.kind, y.kind} == {"static"}:
        merged[name] = x
      else:
        merged[name] = x if x.kind == y.kind else Local("dynamic")
    return merged

  def static_test(self: Unit, test: ast.AST) -> str | None:
    """The condition for `__init__`, or None where only a call knows it."""
    shapes = self.shape_comparison(test)
    if shapes is not None:
      return shapes
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
      # what holds whenever the whole holds: layers made for nothing do no harm, missing ones do
      known = [t for t in map(self.static_test, test.values) if t is not None]
      return " and ".join(t if _plain(t) else f"({t})" for t in known) or None
    try:
      text = self.static(test)
    except NotStatic:
      return self._hoisted_test(test)
    return text if text != "True" else None

  def _hoisted_test(self: Unit, test: ast.AST) -> str | None:
    """A condition on shapes or values of arrays, which was the same in every call of an instance: an argument tells it."""
    events = self.events(test)
    names = {n.id for n in ast.walk(test) if isinstance(n, ast.Name)}
    flags = [n for n in names & self.parameters if self.env.get(n) is None or self.env[n].kind != "array"]
    if flags or not events or not all(isinstance(e.value, bool) for e in events) or self.loops:
      return None
    by_owner: dict[Any, set[bool]] = {}
    for event in events:
      by_owner.setdefault(self.owner_key(event.activation), set()).add(event.value)
    if any(len(v) > 1 for v in by_owner.values()):
      return None
    parent = self.source.parents.get(test)
    made = [n for n in ast.walk(parent) if isinstance(n, ast.Call) and self.creates(n)] if parent is not None else []
    if not made:
      return None
    name, i = f"has_{self.suggest(made[0])}", 1
    while name in self.hoists:
      i += 1
      name = f"has_{self.suggest(made[0])}_{i}"
    self.hoists[name] = SizeArg(name, None, 0, "", {k: next(iter(v)) for k, v in by_owner.items()})
    return name

  def _loop(self: Unit, node: ast.For | ast.While) -> str | None:
    if isinstance(node, ast.While):
      static = self.try_static(node.test)
      header: Any = (lambda: f"while {static}:") if static is not None else None
    else:
      static = self.try_static(node.iter)
      header = (lambda: f"for {self.source.code(node.target)} in {static}:") if static is not None else None
    if header is None:
      return self._dynamic_loop(node)
    targets = {n.id for n in ast.walk(node.target) if isinstance(n, ast.Name)} if isinstance(node, ast.For) else set()
    entry = {n: dataclasses.replace(v) for n, v in self.env.items()}
    carried = self._carried(node, targets, entry)
    self.env = entry
    for name, (local, axis, fresh) in carried.items():
      del name
      first = self.env[local].dims[axis][0]  # type: ignore[index]
      if first != fresh:
        self.block.append(Stmt(lambda f=fresh, e=first: f"{f} = {e}", frozenset({fresh})))
      self.env[local] = dataclasses.replace(self.env[local], dims=[[fresh] if i == axis else d for i, d in enumerate(self.env[local].dims or [])])
      self.env[fresh] = Local("static")
    self._enter_loop(node, targets)
    outer = self.block
    self.block = []
    text_header = self._header(node, node.body)
    loop = Loop(self._index(node))
    self.loops.append(loop)
    body = self.body(node.body)
    for local, axis, fresh in carried.values():
      now = self.env.get(local)
      if now is not None and now.dims and axis < len(now.dims) and fresh not in now.dims[axis][:1]:
        new = next((c for c in now.dims[axis] if c != fresh), None)
        if new is not None:
          self.block.append(Stmt(lambda f=fresh, e=new: f"{f} = {e}", frozenset({fresh})))
          now.dims = [[fresh] if i == axis else d for i, d in enumerate(now.dims)]
    self.loops.pop()
    inner, self.block = self.block, outer
    place = self.loops[0].before if self.loops else self.block
    place += loop.before
    self.block.append(Block([(header, inner)], loop=True))
    prefix = ""
    if self.loops:
      self.loops[0].iterators += loop.iterators
    else:
      indent = self.source.indent(node)
      prefix = "".join(f"{indent}{_iterator(a)} = iter(self.{a})\n" for a in dict.fromkeys(loop.iterators))
    if not body.strip():
      return None
    return prefix + text_header + body

  def _enter_loop(self: Unit, node: ast.For | ast.While, targets: set[str]) -> None:
    for name in targets:
      self.rebinding(name)
      loads = [n for n in ast.walk(node) if isinstance(n, ast.Name) and n.id == name and self.array_events(n)]
      if loads:
        rank = min(len(e.value.shape) for e in self.array_events(loads[0]) or [])
        self.env[name] = Local("array", None, [[] for _ in range(rank - 1)] + [[name]])
      else:
        self.env[name] = Local("static", None)

  def _carried(self: Unit, node: ast.For | ast.While, targets: set[str], entry: dict[str, Local]) -> dict[str, tuple[str, int, str]]:
    """Sizes that change from one round to the next: a trial run of the body tells."""
    state = self.snapshot()
    self.env = {n: dataclasses.replace(v) for n, v in entry.items()}
    self.block = []
    self._enter_loop(node, targets)
    self.loops.append(Loop(self._index(node)))
    try:
      self.body(node.body)
      after = self.env
    except NotStatic:
      after = {}
    finally:
      self.loops.pop()
    self.restore(state)
    changed: dict[str, tuple[str, int, str]] = {}
    for name, local in entry.items():
      now = after.get(name)
      if local.dims is None or now is None or now.dims is None or len(now.dims) != len(local.dims):
        continue
      for axis, (was, new) in enumerate(zip(local.dims, now.dims, strict=True)):
        if was and not new:
          local.dims = [[] if i == axis else d for i, d in enumerate(local.dims)]
        elif was and not (set(was) & set(new)):
          changed[f"{name}{axis}"] = (name, axis, self.size_name(name, axis, len(local.dims)))
    return changed

  def _dynamic_loop(self: Unit, node: ast.For | ast.While) -> str:
    header = self._header(node, node.body)
    if isinstance(node, ast.For):
      self.bind(node.target, node.target)
    return header + self._suite(node.body)

  def _index(self: Unit, node: ast.For | ast.While) -> str | None:
    """The name that counts the rounds from 0."""
    if self.loops or not isinstance(node, ast.For):
      return None
    call = node.iter
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
      if call.func.id == "range" and len(call.args) == 1 and isinstance(node.target, ast.Name):
        return node.target.id
      if call.func.id == "enumerate" and len(call.args) == 1 and isinstance(node.target, ast.Tuple) and isinstance(node.target.elts[0], ast.Name):
        return node.target.elts[0].id
    return None

  def reference(self: Unit, attr: str) -> str:
    """What the method writes for an attribute made here: in a loop, an element of a list."""
    if self.iterator:
      helper = next(h for h in self.helpers.values() if h.layers == self.iterator)
      return f"next({self.iterator})" if helper.kind == "closure" else "next(layers)"
    if not self.loops:
      return f"self.{attr}"
    loop = self.loops[0]
    if len(self.loops) == 1 and loop.index is not None and not loop.conditional and self.assigned[loop.index] <= 1:
      return f"self.{attr}[{loop.index}]"
    loop.iterators.append(attr)
    return f"next({_iterator(attr)})"


def _plain(text: str) -> bool:
  return " or " not in text and " if " not in text and "lambda" not in text


def _iterator(attr: str) -> str:
  return f"{attr}_iter"


def _operator(node: ast.AugAssign) -> str:
  return {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
          ast.MatMult: "@", ast.BitOr: "|", ast.BitAnd: "&"}.get(type(node.op), "+")  # fmt: skip


def _all_modules(value: Any) -> bool:
  if isinstance(value, nn.Module):
    return True
  if isinstance(value, list | tuple):
    return bool(value) and all(map(_all_modules, value))
  if isinstance(value, dict):
    return bool(value) and all(map(_all_modules, value.values()))
  return False


def uses_token(text: str) -> bool:
  """Whether a size of a call argument occurs in the text."""
  return bool(TOKEN.search(text)) and not closed(text)
