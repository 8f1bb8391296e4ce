"""Lists of layers that `setup` makes, and the layers' sizes filled in."""

from __future__ import annotations

import ast
import re

from migrate.codemod.site import Site
from migrate.codemod.unit import Unit

_SITE = re.compile(r"SITE__(\d+)__")


def fill_lists(unit: Unit, text: str) -> str:
  """Lists of layers: comprehensions, or loops where the layers' sizes differ."""

  def fill(match: re.Match[str]) -> str:
    site, target, iterable, element = unit.comprehensions[int(match.group(3))]
    made = [site, *(s for s in unit.setup_sites if s.around is site)]
    for inner in made:
      unit.settle(inner, None)
    chains = [s.chain for s in made if s.chain is not None]
    varies = chains or any("[len(self." in t for s in made for t in s.texts.values())
    indent, step = match.group(1), unit.step
    if not varies:
      inner = indent + "    "
      return f"{indent}{match.group(2)}nnx.List([\n{inner}{element}\n{inner}for {target} in {iterable}\n{indent}])"
    lines = [f"{indent}self.{site.attr} = nnx.List([])"]
    lines += [f"{indent}{c.name} = {c.first}" for c in chains]
    lines.append(f"{indent}for {target} in {iterable}:")
    lines.append(f"{indent}{step}self.{site.attr}.append({element})")
    lines += [f"{indent}{step}{c.name} = {c.step}" for c in chains]
    return "\n".join(lines)

  return re.sub(r"([ \t]*)(\S[^\n]*= )COMP__(\d+)__", fill, text)


def fill_sites(unit: Unit, line: str) -> str:
  """A line with its placeholders replaced by constructor calls."""
  base = len(unit.source.indent(unit.info.node)) + 2 * len(unit.step)
  while (match := _SITE.search(line)) is not None:
    site = unit.setup_sites[int(match.group(1))]
    if not site.attr:
      site.attr = _assigned_attr(line) or "layer"
    unit.settle(site, None)
    begin = line.rfind("\n", 0, match.start()) + 1  # a layer inside another stands on a line of its own
    row = line[begin:].partition("\n")[0]
    rest = len(row) - (match.end() - match.start())
    made = unit.write_site(site, 100 - base - min(rest, 40), _indent(row))
    line = line[: match.start()] + made + line[match.end() :]
  return line


def _assigned_attr(line: str) -> str | None:
  match = re.match(r"\s*(?:self\.)?(\w+)(?:\.append\(|\s*(?::[^=]*)?=)", line)
  return match.group(1) if match else None


def fill_chains(unit: Unit, lines: list[str]) -> list[str]:
  """All lines filled; a size that goes from layer to layer in a loop is carried by a local."""
  out: list[str] = []
  carried: list[tuple[int, Site]] = []
  for line in lines:
    sites = [unit.setup_sites[int(m.group(1))] for m in _SITE.finditer(line)]
    at = len(out)
    out += fill_sites(unit, line).split("\n")
    in_lists = [c[0] for c in unit.comprehensions]
    carried += [(at, s) for s in sites if s.chain is not None and s not in in_lists and s.around is None]
  for at, site in reversed(carried):
    assert site.chain is not None
    first = next(i for i in range(at, -1, -1) if _depth(out[:i]) == 0)
    last = next((i for i in range(at, len(out)) if _depth(out[: i + 1]) == 0), len(out) - 1)
    indent = _indent(out[first])
    out.insert(last + 1, f"{indent}{site.chain.name} = {site.chain.step}")
    head = first
    for i in range(first - 1, -1, -1):
      if out[i].strip() and not out[i].lstrip().startswith("#") and len(_indent(out[i])) < len(indent):
        indent = _indent(out[i])
        head = i if out[i].lstrip().startswith(("for ", "while ")) else head
    out.insert(head, f"{_indent(out[head])}{site.chain.name} = {site.chain.first}")
  return out


def _indent(line: str) -> str:
  return line[: len(line) - len(line.lstrip())]


def _depth(lines: list[str]) -> int:
  """How many brackets are open after these lines."""
  text = re.sub(r"#[^\n]*|\"[^\"\n]*\"|'[^'\n]*'", "", "\n".join(lines))
  return sum((c in "([{") - (c in ")]}") for c in text)


def guard_setup(lines: list[str], optional: set[str], step: str) -> list[str]:
  """Layers of `setup` that some instances never call are made only where their size is given.

  Args:
    lines: the statements of `setup` as `__init__` has them.
    optional: sizes that not every instance has, and that the layers cannot do without.
    step: one step of indentation.
  """
  text = "\n".join(lines)
  try:
    tree = ast.parse(text)
  except SyntaxError:
    return lines
  found = list(lines)
  for node in reversed(tree.body):
    missing = sorted({n.id for n in ast.walk(node) if isinstance(n, ast.Name)} & optional)
    if not missing or not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Attribute):
      continue
    first, last = node.lineno - 1, node.end_lineno or node.lineno
    inside = [f"{step}{line}" if line.strip() else line for line in found[first:last]]
    found[first:last] = [f"if {missing[0]} is not None:", *inside]
  return found


def places_in(unit: Unit, value: ast.expr) -> list[int]:
  """For each variable in a tuple or list that is written out, where it stands there."""
  items = value.elts if isinstance(value, ast.Tuple | ast.List) else []
  services = (f"{unit.self_name}.param", f"{unit.self_name}.variable")
  return [
    i
    for i, item in enumerate(items)
    for n in ast.walk(item)
    if isinstance(n, ast.Call) and unit.source.code(n.func) in services
  ]
