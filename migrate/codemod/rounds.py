"""Loops whose number of rounds only a call knows, nested comprehensions that make layers, sizes of alternatives."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Sized
from typing import TYPE_CHECKING, Any, TypeGuard

from migrate.codemod.compound import Loop
from migrate.codemod.scope import Block, Local, Stmt
from migrate.codemod.shared_steps import shared_step
from migrate.codemod.site import InstanceKey, Site, SizeArg
from migrate.codemod.sizes import Dims
from migrate.codemod.sizes_pool import closed, wrap
from migrate.codemod.source import names_in

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_BRANCHES = (ast.IfExp, ast.BoolOp, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Rounds:
  """Handling of both, mixed into `Unit`."""

  def makes_here(self: Unit, node: ast.AST | list[ast.stmt]) -> bool:
    """Whether constructor calls inside make layers."""
    roots = node if isinstance(node, list) else [node]
    return any(isinstance(n, ast.Call) and self.creates(n) for root in roots for n in ast.walk(root))

  def comprehension(self: Unit, node: Comprehension) -> str | None:
    """`[nn.Dense(n)(x) for n in self.sizes]`: a loop of `__init__` makes the layers, the text runs over them too.

    None where it makes no layers.
    """
    if node in self.comprehension_texts:
      return self.comprehension_texts[node]
    if self.in_setup or not self.makes_here(node):
      return None
    texts: dict[ast.AST, str] = {}
    headers: list[list[str | None]] = []
    saved, outer = dict(self.env), self.block
    for generator in node.generators:
      texts[generator.iter] = self.text(generator.iter)
      static = self.try_static(generator.iter)
      self.enter_loop(node, generator.target, static is not None)
      texts |= {test: self.text(test) for test in generator.ifs}
      tests = [self.try_static(test) for test in generator.ifs]
      target = self.source.code(generator.target)
      headers.append([f"for {target} in {static}:" if static else None, *(f"if {t}:" if t else None for t in tests)])
    loop = self.new_loop(node, None, all(all(h) for h in headers))
    if not self.loops and len(headers) == 1 and not any(isinstance(n, _BRANCHES) for n in _inside(node)):
      loop.zipped = []
    else:
      loop.conditional = 1
    self.block = []
    self.loops.append(loop)
    texts |= {part: self.text(part) for part in _parts(node)}
    self.loops.pop()
    inner: list[Stmt | Block] = self.block
    self.block, self.env = outer, saved
    for header in [] if loop.dynamic else [h for lines in reversed(headers) for h in reversed(lines)]:
      inner = [Block([(lambda text=str(header): text, inner)], loop=str(header).startswith("for"))]
    if loop.dynamic:
      inner = [Block([(lambda: self.rounds(loop), inner)], loop=True)]
    place = self.loops[0].before if self.loops else self.block
    place += loop.before
    self.block += inner
    if loop.zipped:
      self._zip(node, texts, loop.zipped)
    found = self.compose(node, lambda child: texts[child] if child in texts else self.source.code(child))
    self.comprehension_texts[node] = found
    return found

  def _zip(self: Unit, node: Comprehension, texts: dict[ast.AST, str], layers: list[tuple[str, str]]) -> None:
    """`for n in self.sizes` becomes `for n, dense in zip(self.sizes, self.dense)`, or `for dense in self.dense`."""
    generator = node.generators[0]
    used = {n for part in [*_parts(node), *generator.ifs] for n in names_in(texts[part])}
    bound = {n.id for n in ast.walk(generator.target) if isinstance(n, ast.Name)}
    names = [name for name, _ in layers]
    lists = [f"self.{attr}" for _, attr in layers]
    if bound & used or generator.ifs:
      target = self.source.code(generator.target)
      names.insert(
        0, f"({target})" if isinstance(generator.target, ast.Tuple) and not target.startswith("(") else target
      )
      lists.insert(0, texts[generator.iter])
    texts[generator.target] = ", ".join(names)
    texts[generator.iter] = f"zip({', '.join(lists)})" if len(lists) > 1 else lists[0]

  def in_rounds(self: Unit, node: ast.FunctionDef | ast.Lambda, write: Callable[[], str]) -> str:
    """The text of a function that others call: where they call it several times, each call takes the next layers.

    Args:
      node: the function, of a method that is split.
      write: gives its text.
    """
    around = [x for x in self.loops if not self.iterator or x.node is not None or x.index is not None]
    shared = self.function_depth and not self.iterator  # the text of a method that keeps its layers in attributes
    if shared_step(self, node) is not None:
      return write()  # its steps share the layers
    if around or shared or self.in_setup or not self._runs_again(node) or self._once_given(node):
      return write()
    loop = Loop(None, conditional=1, dynamic=True, node=node)
    outer, self.block = self.block, []
    self.loops.append(loop)
    text = write()
    self.loops.pop()
    loop.made = [site for place, site in self.sites.items() if place in set(ast.walk(node))]
    inner, self.block = self.block, outer
    self.block += loop.before
    self.block.append(Block([(lambda: self.rounds(loop), inner)], loop=True))
    return text

  def _runs_again(self: Unit, node: ast.AST) -> bool:
    """Whether a function makes layers and ran more than once in a run of its method."""
    for call in (n for n in ast.walk(node) if isinstance(n, ast.Call) and self.creates(n)):
      runs = Counter(id(self._run_of(a)) for a, _, _ in self.made_at(call))
      if runs and max(runs.values()) > 1:
        return True
    return False

  def _once_given(self: Unit, node: ast.FunctionDef | ast.Lambda) -> bool:
    """Whether a function that another one returns ran once each time it was returned: the call of the other one counts."""
    given = self.escaping.get(self.event_filter[-1]) if self.event_filter else None
    if given is None or not isinstance(node, ast.FunctionDef):
      return False
    outer, inner = given.removesuffix(".<locals>."), f"{given}{node.name}"
    returned, runs = [
      Counter(id(a.parent) for a in self.project.activations.get((self.source.path, n), [])) for n in (outer, inner)
    ]
    return all(returned[method] == count for method, count in runs.items())

  def given_function(self: Unit, node: ast.FunctionDef) -> str:
    """A function that the one around it returns: `__init__` makes its layers under the same conditions."""
    if node.decorator_list or not self.makes_layers(node, self.source) or self.source.shares_line(node.body[0]):
      return self.plain_function(node)
    start, stop = (self.source.offset(line, 0) for line in (node.lineno, self.source.lead(node.body[0])))
    return self.source.between(start, stop) + self.body(node.body)

  def either(self: Unit, node: ast.IfExp, dims: Dims) -> Dims:
    """Where the flow tells nothing of an axis, what both alternatives say of it; where they differ, the choice itself."""
    first, second = self.dims(node.body), self.dims(node.orelse)
    if first is None or second is None or not len(first) == len(second) == len(dims):
      return dims
    test = self.try_static(node.test)
    found: Dims = []
    for d, p, q in zip(dims, first, second, strict=True):
      common = [c for c in p if c in q]
      differ = test is not None and p and q and not common and (set(d) & {*p, *q} or not d)
      found.append([f"{p[0]} if {test} else {q[0]}", *d] if differ else d or common)
    return found

  def new_loop(self: Unit, node: ast.AST, index: str | None, static: bool) -> Loop:
    """The loop of `__init__` for one of the method. Refuses one of unknown length inside another."""
    if not static and self.loops:
      raise self.refusal(node, "a loop inside another makes layers, and only a call knows its number of rounds",
                         "a loop over fields or constants", "loop over a field")  # fmt: skip
    return Loop(index, dynamic=not static, node=node)

  def enter_loop(
    self: Unit, node: ast.AST, target: ast.AST | None, static: bool, known: set[str] | None = None
  ) -> None:
    """Notes what the names of a loop's target hold.

    Args:
      node: the loop.
      target: what it names in each round.
      static: whether `__init__` has the same loop.
      known: the names that it has there, where those are not all.
    """
    looped = static
    for name in {n.id for n in ast.walk(target) if isinstance(n, ast.Name)} if target is not None else ():
      self.rebinding(name)
      static = looped and (known is None or name in known)
      loads = [n for n in ast.walk(node) if isinstance(n, ast.Name) and n.id == name and self.array_events(n)]
      if loads:
        rank = min(len(e.value.shape) for e in self.array_events(loads[0]) or [])
        self.env[name] = Local("array", None, [[] for _ in range(rank - 1)] + [[name] if static else []])
        if static:
          self.bound_names = self.bound_names | {name}  # in `__init__` it is the size
      else:
        self.env[name] = Local("static" if static else "dynamic", None)

  def known_rounds(self: Unit, node: ast.For) -> tuple[str, set[str]] | None:
    """The header of a loop over arrays beside what `__init__` knows, without the arrays, and the names that it keeps.

    `for i, (x, size) in enumerate(zip(xs, self.sizes))` is `for i, size in enumerate(self.sizes)`: its rounds are as many.
    """
    target, items, count = node.target, node.iter, ""
    if _calls(items, "enumerate") and len(items.args) == 1 and isinstance(target, ast.Tuple) and len(target.elts) == 2:
      if not isinstance(target.elts[0], ast.Name):
        return None
      count, target, items = target.elts[0].id, target.elts[1], items.args[0]
    if not _calls(items, "zip") or not isinstance(target, ast.Tuple) or len(items.args) != len(target.elts):
      return None
    known = [(t, text) for t, i in zip(target.elts, items.args, strict=True) if (text := self.static_sizes(i))]
    if not known or not self._as_long(items):
      return None
    targets, over = [self.source.code(t) for t, _ in known], [text for _, text in known]
    name, text = (targets[0], over[0]) if len(known) == 1 else (", ".join(targets), f"zip({', '.join(over)})")
    names = {n.id for t, _ in known for n in ast.walk(t) if isinstance(n, ast.Name)}
    if not count:
      return f"for {name} in {text}:", names
    name = f"({name})" if len(known) > 1 else name
    return f"for {count}, {name} in enumerate({text}):", names | {count}

  def _as_long(self: Unit, items: ast.Call) -> bool:
    """Whether everything that a `zip` runs over was as long as the rest, every time."""
    seen = [[_length(e.value) for e in self.events(a)] for a in items.args]
    return bool(seen[0]) and all(s == seen[0] and None not in s for s in seen)

  def after_rounds(self: Unit, node: ast.For | ast.While, text: str, name: str, start: str) -> list[str]:
    """What a size is after a loop: of its last round, or `start + n * more` where each of n rounds adds something.

    Args:
      node: the loop.
      text: the size after a round.
      name: the size before it.
      start: the size before the loop.
    """
    last = self.of_last_round(node, text)
    more = _added_to(name, text)
    if last or not more or not closed(start) or not start or not isinstance(node, ast.For):
      return last
    counted = (
      isinstance(node.iter, ast.Call) and self.source.code(node.iter.func) == "range" and len(node.iter.args) == 1
    )
    count = self.try_static(node.iter.args[0]) if counted else None  # pyright: ignore
    if count is None or not closed(count) or not closed(more):
      return []
    return [f"{start} + {wrap(count)} * {wrap(more)}"]

  def of_last_round(self: Unit, node: ast.For | ast.While, text: str) -> list[str]:
    """What an expression over the target of a loop is after it: `size` of `for size in self.sizes` is `self.sizes[-1]`."""
    if not isinstance(node, ast.For):
      return []
    for name, items in _items(node.target, node.iter):
      source = self.try_static(items)
      if source is not None and re.fullmatch(r"self(\.\w+)+", source):
        text = re.sub(rf"\b{name}\b", f"{source}[-1]", text)
    return [text] if closed(text) else []

  def rounds(self: Unit, loop: Loop) -> str:
    """The header of a loop of `__init__` that the trace alone tells the number of rounds."""
    if loop.item is not None:
      return f"for {loop.item[0]} in {loop.item[1]}:"
    return f"for _ in range({self._count(loop)}):"

  def _count(self: Unit, loop: Loop) -> str:
    """The constructor argument for the number of rounds of a loop."""
    assert loop.node is not None
    inside = set(ast.walk(loop.node))
    site = loop.made[0] if loop.made else next(s for n, s in self.sites.items() if n in inside)
    counts = self._layers_in_a_run(site)
    if loop.made:  # no run of the function makes none
      counts = dict.fromkeys(self.instances, 0) | counts
    name, i = f"num_{site.attr}", 1
    while name in self.hoists and self.hoists[name].values != counts:
      i += 1
      name = f"num_{site.attr}_{i}"
    self.hoists.setdefault(name, SizeArg(name, None, 0, "", dict(counts)))
    return name

  def _layers_in_a_run(self: Unit, site: Site) -> dict[InstanceKey, int]:
    """How many layers a site makes in one run of the method, by instance."""
    first: dict[InstanceKey, int] = {}
    counts: dict[InstanceKey, int] = {}
    for activation, _, _ in site.made:
      owner = self.owner_key(activation)
      run = self._run_of(activation).number
      if first.setdefault(owner, run) == run:
        counts[owner] = counts.get(owner, 0) + 1
    return counts


def _calls(node: ast.expr, name: str) -> TypeGuard[ast.Call]:
  return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def _length(value: Any) -> int | None:
  shape = getattr(value, "shape", None)
  return (shape[0] if shape else None) if shape is not None else len(value) if isinstance(value, Sized) else None


def _items(target: ast.expr, items: ast.expr) -> list[tuple[str, ast.expr]]:
  """(name, what it runs over) for the names of a loop's target."""
  if isinstance(target, ast.Name):
    return [(target.id, items)]
  if not isinstance(target, ast.Tuple) or not isinstance(items, ast.Call) or not isinstance(items.func, ast.Name):
    return []
  if items.func.id == "enumerate" and len(items.args) == 1 and len(target.elts) == 2:
    return _items(target.elts[1], items.args[0])
  if items.func.id == "zip" and len(items.args) == len(target.elts):
    return [pair for t, i in zip(target.elts, items.args, strict=True) for pair in _items(t, i)]
  return []


def _parts(node: Comprehension) -> list[ast.expr]:
  return [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]


def _inside(node: Comprehension) -> list[ast.AST]:
  return [n for part in _parts(node) for n in ast.walk(part)]


def _added_to(name: str, text: str) -> str:
  """What a sum adds to a name; empty where the text is no such sum."""
  terms: list[ast.expr] = [ast.parse(text, mode="eval").body]
  while isinstance(terms[0], ast.BinOp) and isinstance(terms[0].op, ast.Add):
    terms[:1] = [terms[0].left, terms[0].right]
  rest = [ast.unparse(t) for t in terms if not (isinstance(t, ast.Name) and t.id == name)]
  return " + ".join(rest) if len(rest) == len(terms) - 1 else ""
