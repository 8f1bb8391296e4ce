"""Lists of layers that `setup` makes, and the layers' sizes filled in."""

from __future__ import annotations

import ast
import re
from typing import Any

from flax import linen as nn

from migrate.codemod.choices import fill_choices
from migrate.codemod.item_names import name_items
from migrate.codemod.project import has_array, holds_modules
from migrate.codemod.remarks import layout_call
from migrate.codemod.site import Site
from migrate.codemod.unit import Unit

_SITE = re.compile(r"SITE__(\d+)__")
_TOKENS = re.compile(r"\bSIZE__\w+")


def fill_lists(unit: Unit, text: str) -> str:
  """Lists of layers: comprehensions, or loops where the layers' sizes differ."""

  def fill(match: re.Match[str]) -> str:
    site, target, iterable, element = unit.comprehensions[int(match.group(3))]
    made = [site, *(s for s in unit.setup_sites if s.around is site)]
    for inner in made:
      unit.settle(inner, None)
    target = name_items(unit, made, target, iterable)
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
    lines += [f"{indent}{step}{c.next_line}" for c in chains]
    return "\n".join(lines)

  return re.sub(r"([ \t]*)(\S[^\n]*= )COMP__(\d+)__", fill, text)


def fill_sites(unit: Unit, line: str) -> str:
  """A line with its placeholders replaced by constructor calls."""
  base = len(unit.source.indent(unit.info.node)) + 2 * len(unit.step)
  line = fill_choices(unit, line, _indent(line))
  while (match := _SITE.search(line)) is not None:
    rows = _rows(unit, line, 100 - base)
    if rows is not None:
      line = rows
      continue
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


def _rows(unit: Unit, line: str, width: int) -> str | None:
  """A call with several layers among its arguments, a line for each argument where one line is too short; None for others."""
  try:
    tree = ast.parse(line.strip()).body
  except SyntaxError:
    return None
  call = tree[0].value if len(tree) == 1 and isinstance(tree[0], ast.Assign) else None
  if not isinstance(call, ast.Call) or "\n" in line or "#" in line or len(_SITE.findall(line)) < 2:
    return None
  places = [a.id for a in call.args if isinstance(a, ast.Name) and _SITE.fullmatch(a.id)]
  if len(places) != len(_SITE.findall(line)) or call.keywords:
    return None
  made: dict[str, str] = {}
  for place in places:
    site = unit.setup_sites[int(_SITE.fullmatch(place)[1])]  # pyright: ignore
    site.attr = site.attr or _assigned_attr(line) or "layer"
    unit.settle(site, None)
    made[place] = unit.write_site(site, width)
  arguments = [made.get(a.id, "") if isinstance(a, ast.Name) and a.id in made else _segment(line, a) for a in call.args]
  indent = _indent(line)
  head = line.strip()[: call.func.end_col_offset]
  fits = len(_TOKENS.sub("in_features", f"{head}({', '.join(arguments)})")) <= width
  return indent + layout_call(head, arguments, indent, 10_000 if fits else 0, apart=not fits)


def _segment(line: str, node: ast.expr) -> str:
  return ast.get_source_segment(line.strip(), node) or ast.unparse(node)


def apart(unit: Unit, node: ast.stmt) -> list[tuple[ast.Attribute, ast.expr]]:
  """(attribute, value) of `self.layers, self.norms = layers, norms`, where one is a container of layers; else nothing.

  Each then has a statement of its own, as no value reads what another gives.
  """
  if not isinstance(node, ast.Assign) or len(node.targets) != 1 or not isinstance(node.value, ast.Tuple | ast.List):
    return []
  target, values = node.targets[0], node.value.elts
  targets = target.elts if isinstance(target, ast.Tuple | ast.List) else []
  attributes = [t for t in targets if isinstance(t, ast.Attribute) and ast.unparse(t.value) == unit.self_name]
  if not len(targets) == len(attributes) == len(values) or any(isinstance(v, ast.Starred) for v in values):
    return []
  events = [e.value for v in values for e in unit.events(v)]
  if not any(isinstance(e, list | tuple | dict) and holds_modules(e) for e in events):
    return []
  read = {n.attr for v in values for n in ast.walk(v) if isinstance(n, ast.Attribute)}
  return list(zip(attributes, values, strict=True)) if read.isdisjoint(t.attr for t in attributes) else []


def container(unit: Unit, text: str, sample: Any) -> str:
  """Layers of `setup` in a list or dict, as `nnx.List` or `nnx.Dict`, and so are the containers in it.

  A dict whose class may iterate over it keeps Linen's order: `nnx.Dict` sorts its keys when it is split and merged.
  """
  unit.need_import("from flax import nnx")
  parts = _items(sample)
  inner = next((p for p in parts if isinstance(p, list | tuple | dict)), None)
  written = _written_parts(unit, text, parts)
  if written is not None:
    text = written
  elif (rows := _unpacked(unit, text, parts)) is not None:
    text = rows
  elif inner is not None:
    text = _parts_of(unit, text, sample, "part")
  return _contained(unit, text, sample)


def _items(sample: Any) -> list[Any]:
  return list(sample.values()) if isinstance(sample, dict) else list(sample)


def _parts_of(unit: Unit, text: str, sample: Any, name: str) -> str:
  """A comprehension that has every container in another as NNX has it."""
  parts = _items(sample)
  inner = next(p for p in parts if isinstance(p, list | tuple | dict))
  deeper = any(isinstance(p, list | tuple | dict) and holds_modules(p) for p in _items(inner))
  each = _contained(
    unit, _parts_of(unit, name, inner, "item" if name == "part" else f"inner_{name}") if deeper else name, inner
  )
  kinds = {type(p) for p in parts if isinstance(p, list | tuple | dict)}
  if any(isinstance(p, nn.Module) for p in parts):  # layers stand beside lists of layers
    one = " | ".join(sorted(k.__name__ for k in kinds))
    each = f"{each} if isinstance({name}, {one}) else {name}"
  if isinstance(sample, dict):
    return f"{{key: {each} for key, {name} in {text}.items()}}"
  return f"[{each} for {name} in {text}]"


def _unpacked(unit: Unit, text: str, parts: list[Any]) -> str | None:
  """A list that gets tuples (`stages.append((blocks, merge))`) some of which items are lists of layers; None for any other."""
  method = unit.info.methods.get("setup")
  calls = [n for n in ast.walk(method) if isinstance(n, ast.Call)] if method is not None else []
  rows = [c.args[0] for c in calls if ast.unparse(c.func) == f"{text}.append" and len(c.args) == 1]
  named = [[e.id for e in r.elts if isinstance(e, ast.Name)] for r in rows if isinstance(r, ast.Tuple | ast.List)]
  if len(named) != len(rows) or len(rows) != 1 or len(set(named[0])) != len(rows[0].elts):  # pyright: ignore
    return None
  if not all(isinstance(p, list | tuple) and len(p) == len(named[0]) for p in parts):
    return None
  held = [next((v for v in column if v), column[0]) for column in zip(*parts, strict=True)]
  lists = [isinstance(v, list | tuple | dict) and holds_modules(v) for v in held]
  if not any(lists):
    return None
  items = [_contained(unit, n, v) if listed else n for n, v, listed in zip(named[0], held, lists, strict=True)]
  return f"[nnx.List([{', '.join(items)}]) for {', '.join(named[0])} in {text}]"


def _written_parts(unit: Unit, text: str, parts: list[Any]) -> str | None:
  """A list, dict or comprehension that is written out, with the lists and dicts in it as NNX has them; None for any other text."""
  try:
    tree = ast.parse(text.strip(), mode="eval").body
  except SyntaxError:
    return None
  items = tree.values if isinstance(tree, ast.Dict) else tree.elts if isinstance(tree, ast.List | ast.Tuple) else []
  if isinstance(tree, ast.DictComp | ast.ListComp) and len({type(p) for p in parts}) == 1:
    items, parts = [tree.value if isinstance(tree, ast.DictComp) else tree.elt], parts[:1]
  if not items or len(items) != len(parts) or (isinstance(tree, ast.Dict) and None in tree.keys):
    return None
  data, edits = text.strip().encode(), []
  starts = [0, *(m.end() for m in re.finditer(rb"\n", data))]
  for item, part in zip(items, parts, strict=True):
    if isinstance(part, list | tuple | dict) and (holds_modules(part) or has_array(part)):
      begin = starts[item.lineno - 1] + item.col_offset
      end = starts[(item.end_lineno or item.lineno) - 1] + (item.end_col_offset or 0)
      edits.append((begin, end, _contained(unit, data[begin:end].decode(), part)))
  for begin, end, new in reversed(edits):
    data = data[:begin] + new.encode() + data[end:]
  return data.decode()


def _contained(unit: Unit, text: str, sample: Any) -> str:
  if not isinstance(sample, dict):
    return f"nnx.List({text})"
  keys = list(sample)
  unsorted = all(isinstance(k, str) for k in keys) and keys != sorted(keys) and _iterates(unit.info.node)
  return f"{unit.template('template:ordered_layers.OrderedLayers') if unsorted else 'nnx.Dict'}({text})"


def _iterates(node: ast.AST) -> bool:
  """Whether a class may go through a dict of its own."""
  for inner in ast.walk(node):
    if isinstance(inner, ast.Attribute) and inner.attr in ("items", "values", "keys"):
      return True
    if isinstance(inner, ast.For | ast.comprehension) and isinstance(inner.iter, ast.Attribute):
      return True
  return False


def _assigned_attr(line: str) -> str | None:
  match = re.match(r"\s*(?:self\.)?(\w+)(?:\.append\(|\s*(?::[^=]*)?=)", line)
  return match.group(1) if match else None


def fill_chains(unit: Unit, lines: list[str]) -> list[str]:
  """All lines filled; a size that goes from layer to layer in a loop is carried by a local."""
  out: list[str] = []
  carried: list[tuple[int, Site]] = []
  written: list[str] = []
  for line in lines:
    sites = [unit.setup_sites[int(m.group(1))] for m in _SITE.finditer(line)]
    at = len(out)
    out += fill_sites(unit, line).split("\n")
    rows = [c for s in unit.setup_sites if (c := s.chain) is not None and c.row not in ("", *written)]
    for chain in [c for c in rows if any(f"next({c.row}_iter)" in row for row in out[at:])]:
      first = next(i for i in range(at, -1, -1) if _depth(out[:i]) == 0)
      made = (f"{chain.row} = {chain.first}", f"{chain.row}_iter = iter({chain.row})")
      out[first:first] = [_indent(out[first]) + m for m in made]
      written.append(chain.row)
    sites = [s for s in sites if s.chain is None or not s.chain.row]
    in_lists = [c[0] for c in unit.comprehensions]
    carried += [(at, s) for s in sites if s.chain is not None and s not in in_lists and s.around is None]
  for at, site in reversed(carried):
    assert site.chain is not None
    first = next(i for i in range(at, -1, -1) if _depth(out[:i]) == 0)
    last = next((i for i in range(at, len(out)) if _depth(out[: i + 1]) == 0), len(out) - 1)
    indent = _indent(out[first])
    test, step = _alternative(unit, site), site.chain.next_line
    out[last + 1 : last + 1] = [f"{indent}if {test}:", f"{indent}{unit.step}{step}"] if test else [f"{indent}{step}"]
    head = first
    for i in range(first - 1, -1, -1):
      if out[i].strip() and not out[i].lstrip().startswith("#") and len(_indent(out[i])) < len(indent):
        indent = _indent(out[i])
        head = i if out[i].lstrip().startswith(("for ", "while ")) else head
    out.insert(head, f"{_indent(out[head])}{site.chain.name} = {site.chain.first}")
  return out


def _alternative(unit: Unit, site: Site) -> str:
  """The condition under which a round makes the layer (`nn.Dense(w) if i < last else None`); empty where every round does."""
  choice = unit.source.parents.get(site.node)
  if not isinstance(choice, ast.IfExp) or choice.body is not site.node:
    return ""
  nothing = isinstance(choice.orelse, ast.Constant) and choice.orelse.value is None
  return unit.source.code(choice.test) if nothing else ""


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
