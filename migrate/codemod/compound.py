"""Conditions and loops of a method that is split."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
import dataclasses
import re
import textwrap
from typing import TYPE_CHECKING, Any

from migrate.codemod.conditions import Conditions
from migrate.codemod.given_values import bind_given, constant_truth, index_of
from migrate.codemod.loop_exits import next_sizes
from migrate.codemod.names import spoken
from migrate.codemod.one_a_round import counting
from migrate.codemod.scope import Block, Local, Stmt, last_axes, measured
from migrate.codemod.settled import negated, settled_branch
from migrate.codemod.sizes_pool import closed
from migrate.codemod.static import NotStatic, alone, enclosed
from migrate.codemod.untaken import last_axes_of, resized, seen_only

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

_ANYWHERE = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.FunctionDef, ast.Lambda)


@dataclasses.dataclass
class Loop:
  """A loop being split.

  Attributes:
    index: the name that counts its rounds from 0.
    before: statements of `__init__` that come before it.
    iterators: lists of layers that the method runs through.
    conditional: how many conditions are open in it.
    dynamic: whether only a call knows the number of rounds.
    node: the statement or comprehension.
    item: of such a loop, the name of a size and the argument with the sizes of all rounds.
    zipped: of a comprehension, the name of each layer and its list.
    made: of a function that others call, its layers.
    left: whether `__init__` leaves it, or a round of it, as the method does.
    carried: arrays with a size that a round leaves to the next: name, axis, the size's name, the axes before.
  """

  index: str | None
  before: list[Stmt | Block] = dataclasses.field(default_factory=list)
  iterators: list[str] = dataclasses.field(default_factory=list)
  conditional: int = 0
  dynamic: bool = False
  node: ast.AST | None = None
  item: tuple[str, str] | None = None
  zipped: list[tuple[str, str]] | None = None
  made: list[Any] = dataclasses.field(default_factory=list)
  left: bool = False
  carried: list[tuple[str, int, str, Any]] = dataclasses.field(default_factory=list)


class Compound(Conditions):
  """Handling of compound statements, mixed into `Unit`."""

  def _header(self: Unit, node: ast.stmt, body: list[ast.stmt]) -> str:
    """From the statement's own indentation to the end of the header's last line."""
    start = self.source.offset(node.lineno, 0)
    inline = self.source.shares_line(body[0])
    stop = self.source.span(body[0])[0] if inline else self.source.offset(self.source.lead(body[0]), 0)
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

  def _suite(self: Unit, header: str, body: list[ast.stmt]) -> str:
    inline = self.source.shares_line(body[0])
    text = self._branch(body, inline)
    return joined(header, text if text.strip() else "pass\n" if inline else f"{self.source.indent(body[0])}pass\n")

  def _plain_compound(self: Unit, node: ast.stmt) -> str:
    text = self.compose(node, self.text)
    return self.own_lines(node, text)

  def _if(self: Unit, node: ast.If, chained: bool = False) -> str | None:
    static = self.test_of(node.test)
    decided = constant_truth(static) if self.function_depth else None
    if static is not None and decided is None and self.function_depth:
      bind_given(self, node)
    start = self.source.offset(node.lineno, 0)
    inline = self.source.shares_line(node.body[0])
    stop = self.source.span(node.body[0])[0] if inline else self.source.offset(self.source.lead(node.body[0]), 0)
    a, b = self.source.span(node.test)
    test = self.text(node.test)
    if enclosed(test) and "\n" not in test and not enclosed(self.source.code(node.test)):
      test = test[1:-1]
    head = self.source.between(start, a) + test + self.source.between(b, stop)
    outer, entry = self.block, {n: dataclasses.replace(v) for n, v in self.env.items()}
    entry_dims, depth, known = dict(self._dims), len(self.outer_blocks), last_axes_of(self.env)
    self.outer_blocks += [] if self.loops else [outer]
    self.block = taken = list[Stmt | Block]()
    self.conditions.append(static is not None)
    self.open_conditions |= {node} if static is None else set()
    conditional = [x for x in self.loops if static is not None or x.dynamic]  # else every round makes its layer
    for loop in conditional:
      loop.conditional += 1
    self.guards.append(static or "True")
    body = self._branch(node.body, inline)
    after_body = self.env
    self.env, self._dims = entry, entry_dims
    self.block = other = list[Stmt | Block]()
    tail: str | None = ""
    self.guards[-1] = negated(static) if static is not None else "True"
    if node.orelse:
      tail = self._else(node)
    self.guards.pop()
    after_else = self.env
    for loop in conditional:
      loop.conditional -= 1
    self.conditions.pop()
    self.block = outer
    del self.outer_blocks[depth:]
    truths = {bool(e.value) for e in self.events(node.test) if not hasattr(e.value, "shape")}
    if truths == {True}:  # the other way was never taken: nothing is known of it, where it does something
      kept = measured(after_else) if static is not None and not node.orelse else frozenset[str]()
      other_sizes = resized(self, known, after_body, after_else, node.orelse) if static is not None else {}
      after_else = {**after_else, **{n: v for n, v in seen_only(after_body, after_else).items() if n not in kept}}
      after_else |= {n: v for n, v in other_sizes.items() if n not in kept}
    elif truths == {False}:
      other_sizes = resized(self, known, after_else, after_body, node.body) if static is not None else {}
      after_body = {**after_body, **seen_only(after_else, after_body), **other_sizes}
    self.env = self._merge(after_body, after_else, taken, other, static is not None)
    if decided is not None:
      self.env = after_body if decided else after_else
      self.block += taken if decided else other
    elif static is not None:
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
    settled = settled_branch(self, node, test, body, tail or "") if not inline else None
    return joined(head, body) + (tail or "") if settled is None else settled or None

  def _branch(self: Unit, statements: list[ast.stmt], inline: bool) -> str:
    text = self.body(statements)
    if not inline:
      return text
    if len(text.strip().split("\n")) == 1:
      return text.lstrip()
    return "\n" + textwrap.indent(text, self.step)  # only one fits behind the colon

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
    return joined(gap, body) if body.strip() else None

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

  def _merge(
    self: Unit, a: dict[str, Local], b: dict[str, Local], left: list, right: list, static: bool
  ) -> dict[str, Local]:
    merged: dict[str, Local] = {}
    for name in {**a, **b}:
      x, y = a.get(name), b.get(name)
      if x is None or y is None:
        merged[name] = x or y  # type: ignore[assignment]
      elif (
        x.kind == "array"
        and y.kind == "array"
        and x.dims is not None
        and y.dims is not None
        and len(x.dims) == len(y.dims)
      ):
        dims = []
        for axis, (p, q) in enumerate(zip(x.dims, y.dims, strict=True)):
          common = [c for c in p if c in q]
          if not common and p and q and static:
            fresh = self.size_name(name, axis, len(x.dims))
            for branch, size in ((left, p[0]), (right, q[0])):
              if size != fresh:
                branch.append(Stmt(lambda f=fresh, e=size: f"{f} = {alone(e, '')}", frozenset({fresh})))
            merged[fresh] = Local("static")
            common = [fresh]
          dims.append(common)
        merged[name] = dataclasses.replace(x, dims=dims)
      elif x.kind == y.kind and x.target == y.target:
        merged[name] = y if x.node is not None and y.node is not None and not self.events(x.node) else x
      elif x.kind == "array" or y.kind == "array":
        merged[name] = Local("array", None, None)
      elif {x.kind, y.kind} == {"static"}:
        merged[name] = x
      elif static and {x.kind, y.kind} == {"static", "arrays"}:  # the list that one branch appends to
        merged[name] = x if x.kind == "arrays" else y
      else:
        merged[name] = x if x.kind == y.kind else Local("dynamic")
    return merged

  def _loop(self: Unit, node: ast.For | ast.While) -> str | None:
    if isinstance(node, ast.While):
      static = self.try_static(node.test)
      header: Any = (lambda: f"while {static}:") if static is not None else None
    else:
      self.list_in_header(node.iter)
      static = self.static_sizes(node.iter) or (self.static_handed(node.iter) if self.makes_here(node.body) else None)
      target_text = self.source.code(node.target)
      header = (lambda: f"for {target_text} in {static}:") if static is not None else None
    here: set[str] | None = None
    if header is None and isinstance(node, ast.For) and (part := self.known_rounds(node)) is not None:
      header, here = (lambda: part[0]), part[1]
    if header is None and not self.makes_here(node.body):
      return self._dynamic_loop(node)
    loop = self.new_loop(node, spoken(self, node, index_of(self, node)), header is not None)
    header = header or (lambda: self.rounds(loop))
    target = node.target if isinstance(node, ast.For) else None
    bind_given(self, node)
    self.name_joined(node)
    for name in sorted({n.id for n in ast.walk(target) if isinstance(n, ast.Name)} if target else ()):
      self.rebinding(name)  # `self.ch * scale` of a loop before is another size than that of this loop's rounds
    entry = {n: dataclasses.replace(v) for n, v in self.env.items()}
    carried = self._carried(node, target, entry, not loop.dynamic, here)
    self.env = entry
    starts = {fresh: (self.env[local].dims[axis] or [""])[0] for local, axis, fresh in carried.values()}  # type: ignore
    for local, axis, fresh in carried.values():
      known = self.env[local].dims[axis]  # type: ignore[index]
      if not known:
        start = self.loop_start(node, local)
        assert start is not None
        self.block.append(Stmt(lambda f=fresh, e=start: f"{f} = {e()}", frozenset({fresh})))
      elif known[0] != fresh:
        self.block.append(Stmt(lambda f=fresh, e=known[0]: f"{f} = {e}", frozenset({fresh})))
      self.env[local] = dataclasses.replace(
        self.env[local], dims=[[fresh] if i == axis else d for i, d in enumerate(self.env[local].dims or [])]
      )
      self.env[fresh] = Local("static")
    before = {local: self.env[local].dims for local, _, _ in carried.values()}
    loop.carried = [(*found, before[found[0]]) for found in carried.values()]
    self.enter_loop(node, target, not loop.dynamic, here)
    outer, self.block = self.block, []
    text_header = self._header(node, node.body)
    self.loops.append(loop)
    body = self._branch(node.body, self.source.shares_line(node.body[0]))
    if loop.index is not None and f"[{loop.index}]" in body:
      text_header = re.sub(r"(?<=for )(\(?)_\b", rf"\g<1>{loop.index}", text_header, count=1)
    for local, axis, fresh, new in next_sizes(self, loop):
      self.block.append(Stmt(lambda f=fresh, e=new: f"{f} = {alone(e, '')}", frozenset({fresh})))
      dims = last_axes(self.env[local].dims or [], before[local])
      last = [c for c in dims[axis] if closed(c)] or self.after_rounds(node, new, fresh, starts[fresh])
      last = [] if loop.left else last  # no one knows which round was the last to change it
      self.env[local].dims = [[fresh, *last] if i == axis else d for i, d in enumerate(dims)]
    self.loops.pop()
    inner, self.block = self.block, outer
    (self.loops[0].before if self.loops else self.block).extend(loop.before)
    self.block.append(Block([(counting(header, loop.index, inner), inner)], loop=True))
    prefix = ""
    if self.loops:
      self.loops[0].iterators += loop.iterators
    else:
      indent = self.source.indent(node)
      prefix = "".join(f"{indent}{_iterator(a)} = iter(self.{a})\n" for a in dict.fromkeys(loop.iterators))
    return prefix + joined(text_header, body) if body.strip() else None

  def _carried(
    self: Unit,
    node: ast.For | ast.While,
    target: ast.AST | None,
    entry: dict[str, Local],
    static: bool,
    known: set[str] | None,
  ) -> dict[str, tuple[str, int, str]]:
    """Sizes that change from one round to the next: a trial run of the body tells."""
    state = self.snapshot()
    self.env = {n: dataclasses.replace(v) for n, v in entry.items()}
    self.block = []
    self.enter_loop(node, target, static, known)
    self.loops.append(Loop(index_of(self, node), dynamic=not static, node=node))
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
      if local.dims is None or now is None or now.dims is None:
        continue
      for axis, (was, new) in enumerate(zip(local.dims, last_axes(now.dims, local.dims), strict=True)):
        if was and not new:
          local.dims = [[] if i == axis else d for i, d in enumerate(local.dims)]
        elif (
          (new[0] != was[0]) if was else new and axis == len(now.dims) - 1 and self.loop_start(node, name) is not None
        ):
          changed[f"{name}{axis}"] = (name, axis, self.size_name(name, axis, len(local.dims)))
    return changed

  def _dynamic_loop(self: Unit, node: ast.For | ast.While) -> str:
    header = self._header(node, node.body)
    if isinstance(node, ast.For):
      self.bind(node.target, node.target)
    text = self._suite(header, node.body)
    for name in changed_in(node) & set(self.env):
      self.rebinding(name)
      self.env[name] = Local("dynamic", None)  # as long as the rounds that only a call knows make it
    return text

  def reference(self: Unit, attr: str) -> str:
    """What the method writes for an attribute made here: in a loop, an element of a list."""
    if self.iterator:
      return f"next({self.handed_layers})"
    if not self.loops:
      return f"{self.self_name or 'self'}.{attr}"
    loop = self.loops[0]
    if self.names_in_comprehension is not None:
      return self.layer_of_round(attr)
    if isinstance(loop.node, _ANYWHERE):
      return self._reference_anywhere(loop, attr)
    if self.counted(loop):
      if not loop.dynamic:
        self.counted_lists.add(attr)
      return f"self.{attr}[{loop.index}]"
    loop.iterators.append(attr)
    return f"next({_iterator(attr)})"

  def counted(self: Unit, loop: Loop) -> bool:
    """Whether every round makes one layer, and a name counts the rounds."""
    if len(self.loops) > 1 or loop.index is None or loop.conditional or not isinstance(loop.node, ast.For):
      return False
    inside = [n for s in loop.node.body for n in ast.walk(s)]
    return not any(isinstance(n, ast.Name) and n.id == loop.index and isinstance(n.ctx, ast.Store) for n in inside)

  def _reference_anywhere(self: Unit, loop: Loop, attr: str) -> str:
    if loop.zipped is None:
      self.method_iterators.add(attr)
      return f"next({iterator_of(self, attr)})"
    name = f"{attr}_layer" if attr in self.env or attr in self.parameters else attr
    loop.zipped.append((name, attr))
    return name


def joined(header: str, suite: str) -> str:
  """A header and what stands behind its colon or below it."""
  return header.rstrip(" ") + suite if suite.startswith("\n") else header + suite


def changed_in(node: ast.AST) -> set[str]:
  """Names of lists and dicts that statements add to."""
  found = set()
  for inner in ast.walk(node):
    if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute) and isinstance(inner.func.value, ast.Name):
      if inner.func.attr in ("append", "extend", "insert", "add", "update", "setdefault"):
        found.add(inner.func.value.id)
  return found


def iterator_of(unit: Unit, attr: str) -> str:
  """The local of a method that runs through a list of layers: named like the list where nothing else is."""
  return f"{attr}_iter" if attr in unit.local_names else attr


def _iterator(attr: str) -> str:
  return f"{attr}_iter"
