"""Module classes that objects are given: `Trainer(model_class=ResNet)`, directly or through functions that hand them on."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterable, Iterator, Mapping

from migrate.codemod.source import defaults_of
from migrate.codemod.training.model_class import ModelClass
from migrate.codemod.training.program import File, Program

_DEPTH = 5  # functions around a construction that hand a class on


def class_arguments(program: Program, classes: Mapping[str, ModelClass]) -> dict[ast.ClassDef, dict[str, ModelClass]]:
  """Arguments of `__init__` that are module classes wherever the program makes the object.

  Returns:
    class -> argument -> the module class; of several that are made and called alike, what they have in common.
  """
  found: dict[ast.ClassDef, dict[str, ModelClass]] = {}
  for file in program.files.values():
    for node in file.classes.values():
      init = next((m for m in node.body if isinstance(m, ast.FunctionDef) and m.name == "__init__"), None)
      if init is None or f"{file.module}.{node.name}" in classes:
        continue
      for argument in _called(node, init):
        given = _given(program, f"{file.module}.{node.name}", init, argument, True)
        known = [classes.get(g) for g in sorted(given)]
        common = _common([c for c in known if c is not None]) if known and None not in known else None
        if common is not None:
          found.setdefault(node, {})[argument] = common
  return found


def _called(node: ast.ClassDef, init: ast.FunctionDef) -> Iterator[str]:
  """Arguments that are called, or kept under an attribute that is."""
  calls = {ast.unparse(c.func) for c in ast.walk(node) if isinstance(c, ast.Call)}
  names = {a.arg for a in (*init.args.posonlyargs, *init.args.args, *init.args.kwonlyargs)}
  kept = {s.value.id: ast.unparse(s.targets[0]) for s in ast.walk(init) if isinstance(s, ast.Assign) and isinstance(s.value, ast.Name)}  # fmt: skip
  for name in sorted(names):
    if name in calls or kept.get(name) in calls:
      yield name


def _given(program: Program, full: str, node: ast.FunctionDef, argument: str, method: bool, depth: int = 0) -> set[str]:
  """Full names of what calls give to an argument; an empty name for what can't be told. No call gives nothing."""
  names = [a.arg for a in (*node.args.posonlyargs, *node.args.args)][method:]
  default = defaults_of(node.args).get(argument)
  found: set[str] = set()
  for file, call, around in _calls(program, full):
    if depth > _DEPTH:
      return {""}
    value = next((k.value for k in call.keywords if k.arg == argument), None)
    starred = next((i for i, a in enumerate(call.args) if isinstance(a, ast.Starred)), None)
    index = names.index(argument) if argument in names else None
    if value is None and index is not None and index < len(call.args) and (starred is None or index < starred):
      value = call.args[index]
    if value is None and (starred is not None or any(k.arg is None for k in call.keywords)):
      found |= _handed_on(program, file, call, around, argument, depth)
      continue
    value = value if value is not None else default
    if value is None:
      return {""}
    own = around is not None and isinstance(value, ast.Name) and value.id in _arguments(around)
    if own and around is not None and around in file.functions.values():
      found |= _given(program, f"{file.module}.{around.name}", around, ast.unparse(value), False, depth + 1)
    else:
      found.add("" if own else program.full(file.scope, value) or "")
  return found


def _handed_on(
  program: Program, file: File, call: ast.Call, around: ast.FunctionDef | None, argument: str, depth: int
) -> set[str]:
  """What `f(*args, **kwargs)` gives to an argument, where the function around it has nothing else in them."""
  if around is None or around not in file.functions.values() or around.args.kwarg is None:
    return {""}
  spread = [k.value for k in call.keywords if k.arg is None]
  if len(spread) != 1 or ast.unparse(spread[0]) != around.args.kwarg.arg or argument in _arguments(around):
    return {""}
  stored = [n for n in ast.walk(around) if isinstance(n, (ast.Name, ast.Subscript)) and not isinstance(n.ctx, ast.Load)]
  if any(ast.unparse(n).startswith(around.args.kwarg.arg) for n in stored):
    return {""}
  found: set[str] = set()
  for other, outer, _ in _calls(program, f"{file.module}.{around.name}"):
    value = next((k.value for k in outer.keywords if k.arg == argument), None)
    found.add((program.full(other.scope, value) or "") if value is not None else "")
  return found


def _calls(program: Program, full: str) -> Iterator[tuple[File, ast.Call, ast.FunctionDef | None]]:
  """Calls of something by its full name, with the function of the file around them."""
  for file in program.files.values():
    for call in (n for n in ast.walk(file.source.tree) if isinstance(n, ast.Call)):
      if program.full(file.scope, call.func) == full:
        owner = file.owner(call)
        yield file, call, owner if isinstance(owner, ast.FunctionDef) else None


def _arguments(node: ast.FunctionDef) -> set[str]:
  return {a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)}


def _common(found: Iterable[ModelClass]) -> ModelClass | None:
  """What several classes have in common, where all are made and called alike."""
  every = list(found)
  first = every[0]
  if len(every) == 1:
    return first
  for other in every[1:]:
    same = all(getattr(other, n) == getattr(first, n) for n in ("call", "collections", "flags", "stacked"))
    if not same or {n: s[:2] for n, s in other.sizes.items()} != {n: s[:2] for n, s in first.sizes.items()}:
      return None
  everywhere = set.intersection(*(set(c.parameters) for c in every))
  return dataclasses.replace(
    first,
    full=" or ".join(c.full for c in every),
    parameters=tuple(p for p in first.parameters if p in everywhere),
    keyword_only=frozenset(everywhere),  # by position they may differ
    required=frozenset.intersection(*(c.required for c in every)),
    sizes={n: (*s[:2], tuple(v for c in every for v in c.sizes[n][2])) for n, s in first.sizes.items()},
    paths=None,
    pure=all(c.pure for c in every),
  )
