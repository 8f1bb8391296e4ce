"""Comprehensions that make layers and call them: `[nn.Dense(n)(x) for n in sizes]`.

`__init__` gets a loop that makes the layers; the comprehension goes through them beside what it went through before.
"""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
import dataclasses
from typing import TYPE_CHECKING

from migrate.codemod.compound import Loop
from migrate.codemod.scope import Block
from migrate.codemod.source import dotted, names_in

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit

Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


class Comprehensions:
  """Handling of such comprehensions, mixed into `Unit`."""

  def layers_in_comprehension(self: Unit, node: Comprehension) -> str | None:
    """The comprehension without constructions, or None where it makes no layers or `__init__` can't repeat it."""
    if node in self.comprehension_texts:
      return self.comprehension_texts[node]  # arguments are looked at before they are written
    values = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
    if self.in_setup or not any(self._makes(n) for v in values for n in ast.walk(v)):
      return None
    if len(node.generators) != 1 or node.generators[0].is_async:
      return None
    if any(isinstance(n, Comprehension) and self.makes_here(n) for v in values for n in ast.walk(v)):
      return None
    generator = node.generators[0]
    iterable = self.static_sizes(generator.iter)
    if iterable is None:
      return None
    state = self.snapshot()
    targets = {n.id for n in ast.walk(generator.target) if isinstance(n, ast.Name)}
    before = {n: self.env.get(n) for n in targets}
    self.enter_loop(node, generator.target, True)
    tests = [self.try_static(t) for t in generator.ifs]
    if any(t is None for t in tests):
      self.restore(state)
      return None
    outer, self.block = self.block, []
    loop = Loop(None)
    self.loops.append(loop)
    taken, self.names_in_comprehension = self.names_in_comprehension, [] if len(self.loops) == 1 else None
    texts = [self.text(v) for v in values]
    taken, self.names_in_comprehension = self.names_in_comprehension, taken
    self.loops.pop()
    inner, self.block = self.block, outer
    target = self.source.code(generator.target)
    header = f"for {target} in {iterable}:"
    body: list = inner
    if tests:
      body = [Block([(lambda: f"if {' and '.join(str(t) for t in tests)}:", inner)])]
    place = self.loops[0].before if self.loops else self.block
    place += loop.before
    self.block.append(Block([(lambda: header, body)], loop=True))
    for name, local in before.items():
      if local is None:
        self.env.pop(name, None)
      else:
        self.env[name] = dataclasses.replace(local)
    if self.loops:
      self.loops[0].iterators += loop.iterators
    self.comprehension_texts[node] = self._rewritten(node, values, texts, taken or [])
    return self.comprehension_texts[node]

  def _makes(self: Unit, node: ast.AST) -> bool:
    """Whether a node makes a layer, by itself or by a function of the method that does."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
      helper = self.helpers.get(node.func.id)
      if helper is not None and helper.kind == "closure" and not helper.busy:
        return True
    return self.creates(node)

  def list_in_header(self: Unit, node: ast.expr) -> None:
    """`for i, layer in enumerate([nn.Dense(n) for n in sizes])`: the list becomes an attribute, as one with a name does."""
    function = dotted(node.func) if isinstance(node, ast.Call) else None
    parts = node.args if isinstance(node, ast.Call) and function in ("enumerate", "zip", "reversed") else [node]
    for part in parts:
      if not isinstance(part, ast.ListComp) or len(part.generators) != 1 or part.generators[0].ifs or self.loops:
        continue
      if isinstance(part.elt, ast.Call) and self.creates(part.elt):
        if self.try_static(part.generators[0].iter) is not None:
          name = self.suggest(part.elt)
          before = self.env.get(name)
          self.list_of_layers(name, part)
          self.layer_lists[part] = str(self.env[name].target)
          self.env.pop(name)
          if before is not None:
            self.env[name] = before

  def _rewritten(
    self: Unit, node: Comprehension, values: list[ast.expr], texts: list[str], layers: list[tuple[str, str]]
  ) -> str:
    generator = node.generators[0]
    spelled = {self.source.span(v)[0]: (self.source.span(v)[1], t) for v, t in zip(values, texts, strict=True)}
    iterable, target = self.text(generator.iter), self.source.code(generator.target)
    if layers:
      names = [n for n, _ in layers]
      lists = [f"self.{a}" for _, a in layers]
      targets = {n.id for n in ast.walk(generator.target) if isinstance(n, ast.Name)}
      if generator.ifs or targets & set().union(*map(names_in, texts)):
        plain = isinstance(generator.target, ast.Name)
        names.append(target if plain or target.startswith("(") else f"({target})")
        lists.append(iterable)
      if generator.ifs:
        # a layer was made only where the test holds: the two do not run side by side
        chosen = f"{target} for {target} in {iterable} if {' and '.join(self.text(t) for t in generator.ifs)}"
        lists[-1] = (
          f"[{chosen}]"
          if isinstance(generator.target, ast.Name)
          else f"[({target}) for {chosen.partition(' for ')[2]}]"
        )
      target = ", ".join(names)
      iterable = lists[0] if len(lists) == 1 else f"zip({', '.join(lists)})"
    start, end = self.source.span(node)
    out, at = "", start
    for a in sorted(spelled):
      b, text = spelled[a]
      out += self.source.between(at, a) + text
      at = b
    a, b = self.source.span(generator.target)
    out += self.source.between(at, a) + target
    at, b = b, self.source.span(generator.iter)[0]
    out += self.source.between(at, b) + iterable
    at = self.source.span(generator.iter)[1]
    if generator.ifs and layers:
      at = self.source.span(generator.ifs[-1])[1]
    for test in generator.ifs if not layers else []:
      a, b = self.source.span(test)
      out += self.source.between(at, a) + self.text(test)
      at = b
    return out + self.source.between(at, end)

  def layer_of_round(self: Unit, attr: str) -> str:
    """A local of the comprehension for the layer of this round."""
    assert self.names_in_comprehension is not None
    name = attr
    while name in self.env or name in self.parameters or any(name == n for n, _ in self.names_in_comprehension):
      name += "_"
    self.names_in_comprehension.append((name, attr))
    return name
