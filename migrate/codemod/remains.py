"""What is left of `flax.linen` in a file without Linen modules: activations, initializers, annotations."""

from __future__ import annotations

import ast

from migrate.codemod.imports import Names, canonical
from migrate.codemod.imports_edit import Edit, apply_edits, tidy_imports, used_names
from migrate.codemod.names import nnx_name, spell
from migrate.codemod.source import Source, dotted

# they have a counterpart for modules, and another meaning for anything else
_OF_MODULES = {"flax.nnx.cond", "flax.nnx.switch"}


def without_linen(text: str, path: str, module: str) -> str:
  """The file with the counterpart of each name of `flax.linen`; as it was where one has none, or a Linen class is left.

  Args:
    text: the file, rewritten so far.
    path: its path.
    module: its full name.
  """
  if "linen" not in text:
    return text
  try:
    source = Source(path, text)
  except SyntaxError:
    return text
  names = Names(text, module, path.endswith("__init__.py"), tree=source.tree)
  found = _uses(source, names)
  if not found or any(new is None for _, new in found):
    return text
  edits, added = [], set()
  taken = used_names(source.tree, text)
  for node, new in found:
    written, statement = spell(str(new))
    name = written.partition(".")[0]
    if name in taken and names.resolve(name) not in (None, *_roots(statement)):
      return text  # the name means something else here
    edits.append(Edit(*source.span(node), written.encode()))
    added.add(statement)
  after = apply_edits(source.data, edits).decode()
  return tidy_imports(after, add=sorted(added), remove_if_unused=taken - used_names(ast.parse(after), after))


def _roots(statement: str) -> tuple[str, ...]:
  """What the name of an import stands for."""
  words = statement.split()
  return (f"{words[1]}.{words[3]}",) if words[0] == "from" else (words[1], words[1].partition(".")[0])


def _uses(source: Source, names: Names) -> list[tuple[ast.expr, str | None]]:
  """Expressions that are a name of `flax.linen`, with what each is called without it."""
  found: list[tuple[ast.expr, str | None]] = []
  inside: set[ast.AST] = set()
  for node in ast.walk(source.tree):
    if node in inside or not isinstance(node, (ast.Name, ast.Attribute)):
      continue
    text = dotted(node) or ""
    full = names.resolve(text) if text.partition(".")[0] in names.imported else None  # not what a variable holds
    if full is None or not names.is_linen(full):
      continue
    inside |= {n for n in ast.walk(node) if n is not node}
    new = nnx_name(canonical(full)) if full != "flax.linen" else None
    is_base = isinstance(source.parents.get(node), ast.ClassDef)
    found.append((node, None if is_base or new in _OF_MODULES else new))
  return found
