"""Functions that make models and that nothing calls: they take the sizes and `rngs` that their models take now.

A library offers `def resnet34(num_classes)` to others. No example and no program of the library comes there, so what the
sizes are is for its callers to say, as it is for those of the class itself.
"""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from migrate.codemod.imports_edit import Edit, apply_edits, tidy_imports
from migrate.codemod.remarks import comments_in, layout_call
from migrate.codemod.source import dotted
from migrate.codemod.training.model_class import ModelClass
from migrate.codemod.training.program import File, Program
from migrate.core.report import Finding

_APPLIES = {"init", "apply", "init_with_output", "tabulate", "lazy_init", "bind"}
_EXAMPLES = {"migrate.Example", "migrate.example.Example"}
_WIDTH = 100


@dataclasses.dataclass(frozen=True)
class Bare:
  """A construction of a ported class that was written for Linen's."""

  node: ast.Call
  cls: ModelClass

  @property
  def lacks(self) -> list[str]:
    """Sizes that it does not give, in order."""
    given = {k.arg for k in self.node.keywords}
    return [p for p in self.cls.parameters if p in self.cls.sizes and p in self.cls.required and p not in given]


def with_sizes(
  files: Sequence[tuple[str, str, str]],
  classes: Mapping[str, ModelClass],
  before: Mapping[str, str] | None = None,
  known: Iterable[Finding] = (),
  skipped: Mapping[str, frozenset[int]] | None = None,
) -> tuple[dict[str, str], list[Finding]]:
  """Hands sizes and `rngs` through functions that nothing calls, and tells of every other construction without them.

  Args:
    files: (path, module, text) of every file, rewritten so far.
    classes: full name -> ported class.
    before: path -> the file as it was.
    known: findings so far; definitions that they speak of are not told of again.
    skipped: module -> lines that are left on request.

  Returns:
    module -> new text, where it differs; and the findings.
  """
  program = Program([f for one in files if (f := _parsed(*one)) is not None])
  said = _spoken_of(before or {}, known)
  called = _called(program)
  texts: dict[str, str] = {}
  findings: list[Finding] = []
  for file in program.files.values():
    found = _constructions(program, file, classes)
    if not found:
      continue
    lines = (skipped or {}).get(file.module, frozenset())
    edits: list[Edit] = []
    for owner in dict.fromkeys(file.owner(b.node) for b in found):
      mine = [b for b in found if file.owner(b.node) is owner]
      whole = owner if isinstance(owner, (ast.FunctionDef, ast.ClassDef)) else file.source.tree
      if 0 in lines or getattr(owner, "lineno", -1) in lines or _is_example(program, file, whole):
        continue
      if isinstance(owner, ast.FunctionDef) and owner.name not in called and _hands_on(file, owner, mine):
        edits += _edits(file, owner, mine)
        what = ", ".join([*_sizes(mine), "rngs"])
        made = ", ".join(dict.fromkeys(ast.unparse(b.node.func) for b in mine))
        findings.append(Finding(f"{file.path}:{owner.lineno}", f"{owner.name} takes {what} now, as {made} does",
                                "", "", "note", "L2N116"))  # fmt: skip
        continue
      if (file.path, getattr(owner, "name", "")) not in said:
        findings += [_left(file, b) for b in mine]
    if edits:
      text = apply_edits(file.source.data, edits).decode()
      texts[file.module] = tidy_imports(text, add=["from flax import nnx"], remove_if_unused=set())
  return texts, findings


def _parsed(path: str, module: str, text: str) -> File | None:
  try:
    return File(path, module, text)
  except (SyntaxError, ValueError, RecursionError):
    return None


def _spoken_of(before: Mapping[str, str], known: Iterable[Finding]) -> set[tuple[str, str]]:
  """(path, name at the top of the file) of every definition that a finding about training code is in."""
  found: set[tuple[str, str]] = set()
  trees = {}
  for finding in known:
    path, _, line = finding.where.rpartition(":")
    if not finding.rule.startswith("L2N4") or finding.severity == "note" or not line.isdecimal() or path not in before:
      continue
    if path not in trees:
      trees[path] = ast.parse(before[path].removeprefix("\ufeff")).body
    inside = [n for n in trees[path] if n.lineno <= int(line) <= (n.end_lineno or 0)]
    found.add((path, getattr(inside[0], "name", "") if inside else ""))
  return found


def _left(file: File, bare: Bare) -> Finding:
  what = ", ".join([*bare.lacks, "rngs"])
  where = f"{file.path}:{bare.node.lineno}"
  return Finding(where, f"{ast.unparse(bare.node.func)} is made as Linen's was, without {what}", "a construction of the NNX class",
                 f"give it {what}", "eye", "L2N116")  # fmt: skip


def _constructions(program: Program, file: File, classes: Mapping[str, ModelClass]) -> list[Bare]:
  """Calls of ported classes that give neither `rngs` nor what may hold them."""
  found = []
  for node in ast.walk(file.source.tree):
    if not isinstance(node, ast.Call) or any(k.arg in (None, "rngs") for k in node.keywords):
      continue
    text = dotted(node.func)
    if text is None or _is_local(file, node, text.partition(".")[0]):
      continue
    cls = classes.get(program.full(file.scope, node.func) or "")
    if cls is not None and "rngs" in cls.required:
      found.append(Bare(node, cls))
  return found


def _is_local(file: File, node: ast.AST, name: str) -> bool:
  """Whether a name is a variable of a function around a node."""
  for around in file.source.enclosing(node):
    if isinstance(around, (ast.FunctionDef, ast.Lambda, ast.AsyncFunctionDef)) and name in _bound(around):
      return True
  return False


def _bound(node: ast.AST) -> set[str]:
  own = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
  return own | {a.arg for a in ast.walk(node) if isinstance(a, ast.arg)}


def _is_example(program: Program, file: File, node: ast.AST) -> bool:
  calls = [n for n in ast.walk(node) if isinstance(n, ast.Call)]
  return not isinstance(node, ast.Module) and any(program.full(file.scope, n.func) in _EXAMPLES for n in calls)


def _called(program: Program) -> set[str]:
  """Names that something calls or hands on; a table at the top of a file only keeps what it lists."""
  found: set[str] = set()
  for file in program.files.values():
    for node in ast.walk(file.source.tree):
      if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
        name = node.id if isinstance(node, ast.Name) else node.attr
        around = [node, *file.source.enclosing(node)]
        call = file.source.parents.get(node)
        used = isinstance(call, ast.Call) and call.func is node
        if used or any(isinstance(a, (ast.FunctionDef, ast.Lambda, ast.AsyncFunctionDef)) for a in around):
          found.add(name)
  return found


def _hands_on(file: File, owner: ast.FunctionDef, made: Sequence[Bare]) -> bool:
  """Whether a function makes models, returns them, and does nothing else with them."""
  arguments = owner.args
  taken = _bound(owner) | {n.id for n in ast.walk(owner) if isinstance(n, ast.Name)}
  if file.source.parents.get(owner) is not file.source.tree or arguments.vararg is not None or arguments.posonlyargs:
    return False
  if not taken.isdisjoint({*_sizes(made), "rngs"}) or "#" in file.source.between(*_head(file, owner)):
    return False
  for node in ast.walk(owner):
    if isinstance(node, (ast.Yield, ast.YieldFrom, ast.Await)) or (
      node is not owner and isinstance(node, ast.FunctionDef)
    ):
      return False
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _APPLIES:
      return False
    full = (
      file.names.resolve(dotted(node) or "") if isinstance(node, ast.Attribute) and node not in _hints(owner) else None
    )
    if full is not None and file.names.is_linen(full):
      return False
  for bare in made:
    if any(isinstance(a, ast.Starred) for a in bare.node.args):
      return False
    positional = len(bare.node.args)
    own = [p for p in bare.cls.parameters if p not in bare.cls.sizes]
    given = {*own[:positional], *(k.arg for k in bare.node.keywords)}
    if bare.cls.required - {"rngs"} - set(bare.cls.sizes) - given or positional > len(own):
      return False
    if not _returned(file, owner, bare.node) or comments_in(file.source, bare.node):
      return False
  return True


def _hints(owner: ast.FunctionDef) -> set[ast.AST]:
  """What stands in a function's annotations."""
  hints = [a.annotation for a in ast.walk(owner.args) if isinstance(a, ast.arg) and a.annotation is not None]
  return {n for h in [*hints, *([owner.returns] if owner.returns is not None else [])] for n in ast.walk(h)}


def _returned(file: File, owner: ast.FunctionDef, node: ast.Call) -> bool:
  """Whether a value goes to `return`, through a variable or not, and nowhere else."""
  at: ast.AST = node
  while isinstance(up := file.source.parents[at], (ast.IfExp, ast.Tuple, ast.List, ast.Dict)):
    at = up
  if isinstance(up, ast.Return):
    return True
  if not (
    isinstance(up, ast.Assign) and up.value is node and len(up.targets) == 1 and isinstance(up.targets[0], ast.Name)
  ):
    return False
  name = up.targets[0].id
  uses = [n for n in ast.walk(owner) if isinstance(n, ast.Name) and n.id == name and isinstance(n.ctx, ast.Load)]
  return bool(uses) and all(_in_return(file, n) for n in uses)


def _in_return(file: File, node: ast.AST) -> bool:
  while isinstance(up := file.source.parents[node], (ast.IfExp, ast.Tuple, ast.List, ast.Dict)):
    node = up
  return isinstance(up, ast.Return)


def _sizes(made: Iterable[Bare]) -> list[str]:
  return list(dict.fromkeys(n for b in made for n in b.lacks))


def _edits(file: File, owner: ast.FunctionDef, made: Sequence[Bare]) -> Iterator[Edit]:
  """The signature and the constructions, with what is new."""
  yield _signature(file, owner, _sizes(made))
  for bare in made:
    node, source = bare.node, file.source
    first = all(p in bare.cls.sizes for p in bare.cls.parameters[: len(bare.lacks)])
    own = [p for p in bare.cls.parameters if p not in bare.cls.sizes]
    rows = [source.code(a) if first else f"{own[i]}={source.code(a)}" for i, a in enumerate(node.args)]
    rows += [source.code(k) for k in node.keywords]
    sizes = bare.lacks if first else [f"{n}={n}" for n in bare.lacks]
    rows = [*sizes, *rows] if first else [*rows, *sizes]
    statement = next(n for n in source.enclosing(node) if isinstance(n, ast.stmt))
    indent = source.indent(statement)
    apart = node.end_lineno != node.lineno
    text = layout_call(source.code(node.func), [*rows, "rngs=rngs"], indent, _WIDTH - node.col_offset, apart=apart)
    yield Edit(*source.span(node), text.encode())


def _signature(file: File, owner: ast.FunctionDef, sizes: Sequence[str]) -> Edit:
  source, arguments = file.source, owner.args
  typed = (
    any(a.annotation is not None for a in ast.walk(arguments) if isinstance(a, ast.arg)) or owner.returns is not None
  )
  start, stop = _head(file, owner)
  rows = [f"{n}: int" if typed else n for n in sizes]
  plain = arguments.args
  lead = [None] * (len(plain) - len(arguments.defaults))
  rows += [_row(file, a, d) for a, d in zip(plain, [*lead, *arguments.defaults], strict=True)]
  rows += ["*", *(_row(file, a, d) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True))]
  rows.append("rngs: nnx.Rngs" if typed else "rngs")
  rows += [f"**{source.code(arguments.kwarg)}"] if arguments.kwarg is not None else []
  apart = "\n" in source.between(start, stop)
  text = layout_call("", rows, source.indent(owner), _WIDTH - (start - source.span(owner)[0]), apart=apart)
  return Edit(start, stop, text.encode())


def _head(file: File, owner: ast.FunctionDef) -> tuple[int, int]:
  """The span of a function's arguments, with the parentheses."""
  source = file.source
  begins = re.match(r"def\s+\w+\s*", source.code(owner))
  assert begins is not None
  start = source.span(owner)[0] + len(begins.group().encode())
  depth, stop = 0, start
  for i, byte in enumerate(source.data[start:]):
    depth += {40: 1, 91: 1, 123: 1, 41: -1, 93: -1, 125: -1}.get(byte, 0)
    if not depth:
      stop = start + i + 1
      break
  return start, stop


def _row(file: File, argument: ast.arg, default: ast.expr | None) -> str:
  text = file.source.code(argument)
  if default is None:
    return text
  return (
    f"{text} = {file.source.code(default)}"
    if argument.annotation is not None
    else f"{text}={file.source.code(default)}"
  )
