"""Lists of layers, or of rows of layers, that a compact method makes in a comprehension."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from migrate.codemod.compound import Loop
from migrate.codemod.scope import Block, Local, Stmt

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


def layers_in_row(element: ast.expr) -> list[ast.expr]:
  """The items of `(nn.Dense(8), nn.LayerNorm())`, an element of a list that is made in a comprehension; else itself."""
  return element.elts if isinstance(element, ast.Tuple | ast.List) and element.elts else [element]


class LayerLists:
  """Handling of such lists, mixed into `Unit` as a part of `Assignments`."""

  def list_of_layers(self: Unit, name: str, value: ast.ListComp) -> None:
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
    row = layers_in_row(value.elt)
    made = [e for e in row if isinstance(e, ast.Call)]
    hints = [name] if row[0] is value.elt else self._names_in_loops(name, value, len(row)) or [*map(self.suggest, made)]
    sites = [self.make(e, hint) for e, hint in zip(made, hints, strict=True)]
    self.loops.pop()
    inner_block, self.block = self.block, outer
    self.env = saved
    for site in sites:
      site.listed = True
      chain = f"{site.attr}_features"

      def first(site: Any = site, chain: str = chain) -> str:
        return f"{chain} = {site.chain.first}" if site.chain else f"{chain} = 0"

      def step(site: Any = site, chain: str = chain) -> str:
        return f"{chain} = {site.chain.step}" if site.chain else f"{chain} = 0"

      self.block.append(Stmt(first, frozenset({chain})))
      inner_block.append(Stmt(step, frozenset({chain})))
    self.block += loop.before
    self.block.append(Block([(lambda: f"for {target} in {static}:", inner_block)], loop=True))
    lists = [f"self.{site.attr}" for site in sites]
    whole = lists[0] if value.elt is row[0] else f"zip({', '.join(lists)})"
    if value.elt is not row[0] and None in self._loops_over(name, value):
      whole = f"list({whole})"
    self.env[name] = Local("modules", value, target=whole)
    for site in sites:
      site.reference = f"self.{site.attr}"

  def _loops_over(self: Unit, name: str, value: ast.AST) -> list[ast.AST | None]:
    """For every use of a local the loop that goes over it; None for another use."""
    method = next((n for n in self.source.enclosing(value) if isinstance(n, ast.FunctionDef)), value)
    reads = [n for n in ast.walk(method) if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load)]
    around = [(n, self.source.parents.get(n)) for n in reads]
    return [p if isinstance(p, ast.For | ast.comprehension) and p.iter is n else None for n, p in around]

  def _names_in_loops(self: Unit, name: str, value: ast.AST, count: int) -> list[str]:
    """What the only loop over rows calls their items; empty where there are several, or none that says it."""
    loops = self._loops_over(name, value)
    target = getattr(loops[0], "target", None) if len(loops) == 1 else None
    names = [n.id for n in target.elts if isinstance(n, ast.Name)] if isinstance(target, ast.Tuple) else []
    return names if len(names) == count == len(set(names)) and "_" not in names else []
