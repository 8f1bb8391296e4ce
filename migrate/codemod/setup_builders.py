"""Methods that only `setup` calls and that make layers or parameters there: `__init__` calls them, with sizes and `rngs`."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from migrate.codemod.inheritance import CONSTRUCTION
from migrate.codemod.methods import add_parameters, method_header
from migrate.codemod.scope import Local
from migrate.codemod.setup_lists import fill_chains, fill_lists
from migrate.codemod.source import key, names_in
from migrate.codemod.unit import Unit

_MARK = re.compile(r"(, )?\bBUILD__(\w+)__MORE\b")


@dataclasses.dataclass
class Builder:
  """A method that `setup` calls to make some of the layers.

  Attributes:
    node: its definition.
    body: its new statements.
    more: what its calls give it besides, in order.
  """

  node: ast.FunctionDef
  body: str
  more: list[str] = dataclasses.field(default_factory=list)


def builder_call(
  unit: Unit, node: ast.AST, block: Callable[[Unit, list[ast.stmt]], str], targets: Sequence[ast.expr] = ()
) -> str | None:
  """The new text of `self.build(...)` in `setup`, which notes the method in `unit.building`; None for any other expression.

  Args:
    unit: the class, while its `setup` is read.
    node: an expression of `setup`, or of such a method.
    block: gives statements of `setup` as `__init__` has them.
    targets: the attributes that get what the method returns.
  """
  definition = _builder(unit, node, bool(targets))
  if definition is None or not isinstance(node, ast.Call):
    return None
  arguments = [unit.static(a) for a in node.args]
  arguments += [f"{k.arg}={unit.static(k.value)}" for k in node.keywords]
  building = unit.building
  building.names.add(definition.name)
  saved = unit.env, unit.self_name, building.targets, building.outside
  building.targets, building.outside = list(targets), unit.build_locals(definition, node)
  parameters = {a.arg for a in ast.walk(definition.args) if isinstance(a, ast.arg)}
  unit.self_name = definition.args.args[0].arg
  unit.env = {n: Local("static", None) for n in parameters - {unit.self_name}}
  for inner in ast.walk(definition):
    if isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Store) and ast.unparse(inner.value) == "self":
      unit.used.add(inner.attr)
  unit.event_filter.append(key(node))  # each call makes a parameter of its own
  try:
    body = block(unit, definition.body)
    if body != building.builders.setdefault(definition.name, Builder(definition, body)).body:
      raise unit.refusal(node, f"{definition.name}, which makes other things here than in the call before",
                         "a method whose calls make the same", "make them in `setup`")  # fmt: skip
  finally:
    unit.event_filter.pop()
    unit.env, unit.self_name, building.targets, building.outside = saved
  return f"self.{definition.name}({', '.join([*arguments, f'BUILD__{definition.name}__MORE'])})"


def _builder(unit: Unit, node: ast.AST, gives: bool) -> ast.FunctionDef | None:
  """The method behind a call in `setup`, if it makes layers or parameters for attributes and is called nowhere else."""
  definition = unit.own_method(node) if not unit.setup_loops else None  # a size may go from round to round
  if definition is None or not isinstance(node, ast.Call) or definition.name in CONSTRUCTION:
    return None
  if definition.decorator_list or definition.args.vararg or definition.args.kwarg or not definition.args.args:
    return None
  if any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords):
    return None
  if definition.args.args[0].arg != "self" or unit.self_name != "self" or not _makes(unit, definition, gives):
    return None
  family = [i for c, i in unit.project.classes.items() if issubclass(c, unit.info.cls) or issubclass(unit.info.cls, c)]
  defined = sum(definition.name in i.methods for i in family)
  named = [n for i in family for n in ast.walk(i.node) if isinstance(n, ast.Attribute) and n.attr == definition.name]
  if defined != 1 or (len(named) > 1 and not gives):
    return None
  return definition if all(_at_construction(unit, n) for n in named) else None


def _at_construction(unit: Unit, node: ast.Attribute) -> bool:
  """Whether a method is named to be called by `setup`, or by another method that `setup` calls."""
  call = unit.source.parents.get(node)
  around = next((n for n in unit.source.enclosing(node) if isinstance(n, ast.FunctionDef)), None)
  inside = around is not None and around.name in (*CONSTRUCTION, *unit.building.names)
  return isinstance(call, ast.Call) and call.func is node and inside


def _makes(unit: Unit, definition: ast.FunctionDef, gives: bool) -> bool:
  """Whether a method gives attributes what it makes, or returns the parameter that it makes.

  One that returns layers to `setup` is a function that makes them: `Makers`.
  """
  services = ("self.param", "self.variable")
  made = [n for n in ast.walk(definition) if isinstance(n, ast.Call)]
  variables = [n for n in made if unit.source.code(n.func) in services]
  returned = [r.value for r in _own(definition.body) if isinstance(r, ast.Return) and r.value is not None]
  if any(r not in variables for r in returned) or gives != (len(returned) == 1):
    return False
  stored = any(isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store) for n in ast.walk(definition))
  stored = stored or any(isinstance(n.func, ast.Name) and n.func.id == "setattr" for n in made)
  return (stored and (bool(variables) or any(unit.creates(n) for n in made))) or bool(returned)


def _own(statements: Iterable[ast.AST]) -> Iterator[ast.AST]:
  """The nodes of statements without those of functions inside."""
  for node in statements:
    if not isinstance(node, ast.FunctionDef | ast.Lambda):
      yield node
      yield from _own(ast.iter_child_nodes(node))


def fill_builders(unit: Unit) -> None:
  """Fills the layers' sizes in, as in `setup` itself."""
  for builder in unit.building.builders.values():
    lines = fill_lists(unit, builder.body.rstrip("\n")).split("\n")
    builder.body = "\n".join(fill_chains(unit, lines)) + "\n"


def builder_text(unit: Unit) -> str:
  """The statements of all, for the sizes that they name."""
  return "\n".join(b.body for b in unit.building.builders.values())


def write_builders(unit: Unit, sizes: Iterable[str], rename: dict[str, str]) -> dict[str, str]:
  """The methods, each with arguments for what it reads of `__init__`'s.

  Args:
    unit: the class.
    sizes: names of sizes among `__init__`'s arguments.
    rename: placeholders of sizes -> these names.
  """
  known = [*dict.fromkeys(sizes), "rngs"]
  placeholders = {old: new for old, new in rename.items() if new in known}
  changed = True
  while changed:
    changed = False
    for builder in unit.building.builders.values():
      own = {a.arg for a in ast.walk(builder.node.args) if isinstance(a, ast.arg)}
      read = {placeholders.get(n, n) for n in names_in(f"if True:\n{builder.body}")} - own
      read |= {n for m in _MARK.finditer(builder.body) for n in unit.building.builders[m.group(2)].more}
      more = [n for n in known if n in read]
      changed, builder.more = changed or more != builder.more, more
  return {name: fill_calls(unit, _definition(unit, b)) for name, b in unit.building.builders.items()}


def _definition(unit: Unit, builder: Builder) -> str:
  unit.env, unit.self_name = {}, "self"
  unit.parameters = {a.arg for a in ast.walk(builder.node.args) if isinstance(a, ast.arg)} - {"self"}
  header = method_header(unit, builder.node, [])
  if builder.more:
    header = add_parameters(unit, builder.node, header, builder.more)
    for name in builder.more:
      header = re.sub(rf"\b{name}=None", name, header)
  return header + builder.body


def fill_calls(unit: Unit, text: str) -> str:
  """A text with the calls of these methods completed."""

  def more(match: re.Match[str]) -> str:
    builder = unit.building.builders[match.group(2)]
    return (match.group(1) or "") * bool(builder.more) + ", ".join(f"{n}={n}" for n in builder.more)

  return _MARK.sub(more, text)
