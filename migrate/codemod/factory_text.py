"""The text of a function that makes layers and returns them."""

from __future__ import annotations

import ast
import re
import textwrap

from migrate.codemod.dead import drop_dead
from migrate.codemod.factories import Factory
from migrate.codemod.methods import add_parameters, method_header
from migrate.codemod.scope import Local
from migrate.codemod.setup_lists import fill_chains
from migrate.codemod.setups import setup_block
from migrate.codemod.source import Source
from migrate.codemod.unit import Unit


def read_factory(unit: Unit, factory: Factory) -> None:
  """Writes a factory's text, with sizes and `rngs` as arguments. Raises NotStatic where a layer can't be told its arguments."""
  node = factory.node
  names = [a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)]
  kept = ("env", "parameters", "_dims", "self_name", "in_setup", "source", "names", "field_names", "token_values",
          "readable", "imports", "templates", "in_factory", "event_filter", "bound_names", "conditions", "loops",
          "setup_loops")  # fmt: skip
  outer = {n: getattr(unit, n) for n in kept}
  unit.env = dict(unit.env) if factory.kind == "closure" else {}
  unit.parameters, unit._dims, unit.token_values, unit.event_filter = set(), {}, {}, []
  unit.loops, unit.conditions, unit.setup_loops = [], [], 0
  unit.in_setup, unit.in_factory = True, factory
  if factory.kind == "function":
    unit.field_names, unit.readable, unit.self_name = [], set(), ""
    if factory.source is not unit.source:
      unit.source, unit.names = factory.source, unit.names_of(factory.source)
      unit.imports, unit.templates = factory.imports, factory.templates
  elif factory.takes_self:
    unit.self_name = names.pop(0)
  for name in names:
    unit.env[name] = Local("static", None)
  before = len(unit.setup_sites)
  try:
    body = setup_block(unit, node.body)
    factory.sites = unit.setup_sites[before:]
    for site in factory.sites:
      unit.settle(site, None)
    body = "\n".join(fill_chains(unit, body.split("\n")))
    unit.in_setup = False
    header = method_header(unit, node, [])
    added = [s.name for s in factory.sizes] + ["rngs"]
    header = add_parameters(unit, node, header, added)
    needed = {n for n in added if n not in {s.name for s in factory.sizes if s.optional}}
    for name in needed:
      header = re.sub(rf"\b{name}=None", name, header)
    indent = factory.source.indent(node.body[0])
    if factory.source.shares_line(node.body[0]):  # `def make(n): return ...`
      indent += unit.step
      header, body = header.rstrip() + "\n", textwrap.indent(textwrap.dedent(body), indent)
    rows = "".join(f"{indent}{s.name} = iter({s.name})\n" for s in factory.sizes if s.several)
    body = _below_docstring(node, factory.source, body, rows)
    stored = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    factory.text = header + drop_dead(body, stored, node)  # what only told names of layers goes
  finally:
    del unit.setup_sites[before:]
    for name, value in outer.items():
      setattr(unit, name, value)


def _below_docstring(node: ast.FunctionDef, source: Source, body: str, rows: str) -> str:
  """The body with statements of our own in front, and a docstring before them."""
  if not rows or ast.get_docstring(node) is None:
    return rows + body
  said = source.code(node.body[0])
  before, found, after = body.partition(said)
  first, _, rest = after.partition("\n")
  return f"{before}{said}{first}\n{rows}{rest}" if found else rows + body
