"""Takes ported definitions out of their packages into a new one (`--layout extract`).

Each new file holds the ported definitions and what they need of their own file. Classes that were not ported keep
their identity: they are imported from the original, as is module-level state that somebody mutates.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Mapping, Set

from migrate.codemod.extract_imports import ImportRewriter, Line, import_text
from migrate.codemod.extract_units import Choice, Unit, choose, mutated_names, split_units, touching_names
from migrate.codemod.extract_where import DefinedIn, Where
from migrate.codemod.imports import Names, dotted_text, follow
from migrate.codemod.imports_edit import apply_edits, tidy_imports
from migrate.codemod.imports_uses import exported_names
from migrate.core.report import refuse


def extract(
  sources: Mapping[str, str],
  keep: Mapping[str, Set[str]],
  package_map: Mapping[str, str],
  is_package: Mapping[str, bool],
  defined_in: DefinedIn | None = None,
  is_module: Callable[[str], bool] | None = None,
) -> dict[str, str]:
  """Writes the new package.

  Args:
    sources: rewritten source of every module that has something to keep, by original full name; others may be there
      too and help to follow re-exports.
    keep: names of ported top-level definitions by original module.
    package_map: original top package (or single-file module) to new top package.
    is_package: for the known modules, whether each is a package (`__init__.py`).
    defined_in: the module and name that define what `module.name` re-exports, None where unknown. `sources` are
      asked first.
    is_module: whether a full name is a module, asked where no file tells.

  Returns:
    Source by path relative to the output folder, `__init__.py` files included.

  Raises:
    MigrateError: a name to keep is not in its file, or a package has no new name, or a result does not parse.
  """
  names = {m: Names(text, m, is_package.get(m, False)) for m, text in sources.items()}

  @functools.cache
  def where_defined(module: str, name: str) -> tuple[str, str] | None:
    full = follow(f"{module}.{name}", names)
    found, _, leaf = full.rpartition(".")
    if found in names and (leaf in names[found].defined or leaf in keep.get(found, ())):
      return found, leaf
    for star in names[module].stars if module in names else ():
      if star in names and star != module and (inner := where_defined(star, name)) is not None:
        return inner
    return defined_in(module, name) if defined_in is not None else None

  keep = _with_values(sources, keep, names, where_defined)
  where = Where(keep, package_map, {**dict.fromkeys(sources, False), **is_package}, where_defined, is_module)
  files: dict[str, str] = {}
  for module, kept in keep.items():
    if kept:
      files[where.path(module)] = _extract_file(module, sources, set(kept), where)
  for path in tuple(files):
    folders = path.split("/")[:-1]
    for depth in range(1, len(folders) + 1):
      init = "/".join((*folders[:depth], "__init__.py"))
      files.setdefault(init, f'"""{_old_name(folders[0], package_map)} in Flax NNX."""\n' if depth == 1 else "")
  return dict(sorted(files.items()))


def _with_values(
  sources: Mapping[str, str], keep: Mapping[str, Set[str]], names: Mapping[str, Names], where_defined: DefinedIn
) -> dict[str, set[str]]:
  """The names to keep, with values and functions made of ported definitions that another kept file imports: `Heads = nn.vmap(Head)`."""
  found = {module: set(kept) for module, kept in keep.items()}
  parsed = {m: split_units(t.encode(), ast.parse(t.encode())) for m, t in sources.items() if found.get(m)}
  values: dict[str, set[str]] = {}
  for module, units in parsed.items():
    made = [u for u in units if all(isinstance(n, ast.Assign | ast.AnnAssign | ast.FunctionDef) for n in u.nodes)]
    touching = touching_names(units, found[module])
    values[module] = {n for u in made for n in u.binds & touching}
  for module, units in parsed.items():
    needed = {n for u in choose(units, found[module], set()).units if not u.is_import for n in u.uses}
    for name in needed & set(names[module].imported):
      home = where_defined(module, name)
      if home is not None and home[0] != module and home[1] in values.get(home[0], ()):
        found[home[0]].add(home[1])
  return found


def _old_name(new: str, package_map: Mapping[str, str]) -> str:
  return next((old for old, name in package_map.items() if name == new), new)


def _extract_file(module: str, sources: Mapping[str, str], keep: set[str], where: Where) -> str:
  if module not in sources:
    raise refuse(module, "its source was not given", "the source of every module with ported definitions")
  data = sources[module].lstrip("\ufeff").encode()
  tree = ast.parse(data)
  units = split_units(data, tree)
  missing = keep - {n for u in units for n in u.binds}
  if missing:
    raise refuse(module, f"no top-level {', '.join(sorted(missing))}", "every ported definition at top level")
  _mark_ported(units, Names(sources[module], module, where.is_package.get(module, False)), where)
  choice = choose(units, keep, mutated_names(tree))
  rewriter = ImportRewriter(module, data, units, choice.units, where)
  text = _assemble(data, tree, units, choice, rewriter)
  if choice.original:
    rewriter.add.append(import_text([Line(module, n, n) for n in sorted(choice.original)]))
  text = tidy_imports(text, add=rewriter.add, remove_if_unused=set())
  try:
    ast.parse(text)
  except SyntaxError as error:
    raise refuse(f"{where.path(module)}:{error.lineno}", f"the extracted file does not parse: {error.msg}") from error
  return text


def _mark_ported(units: list[Unit], names: Names, where: Where) -> None:
  """Tells each unit whether it names a ported definition of another file."""
  known: dict[str, bool] = {}

  def is_ported(dotted: str) -> bool:
    if dotted not in known:
      root, dot, rest = dotted.partition(".")
      bases = [names.imported[root] + dot + rest] if root in names.imported else [f"{m}.{dotted}" for m in names.stars]
      parts = [b.split(".") for b in bases if root not in names.defined]
      known[dotted] = any(where.ported(".".join(p[:i]), p[i]) is not None for p in parts for i in range(1, len(p)))
    return known[dotted]

  for unit in units:
    if not unit.is_import:
      texts = {t for n in unit.nodes for t in map(dotted_text, ast.walk(n)) if t is not None and "." in t}
      unit.reaches_ported = any(map(is_ported, texts | unit.uses))


def _assemble(data: bytes, tree: ast.Module, units: list[Unit], choice: Choice, rewriter: ImportRewriter) -> str:
  """Joins what stays, in order, with its comments; a gap keeps the widest blank space that it had."""
  chosen = {id(u) for u in choice.units if not u.is_import} | rewriter.alive
  exports = [n for n in exported_names(tree.body) if n in {b for u in choice.units if not u.is_import for b in u.binds}]
  docstring = ast.get_docstring(tree, clean=False) is not None
  out: list[bytes] = []
  blank = 0
  for index, unit in enumerate(units):
    lead = data[unit.start : unit.code]
    body: bytes | None = None
    if id(unit) in chosen or unit.is_future or (index == 0 and docstring):
      body = apply_edits(data, rewriter.edits, unit.code, unit.end)
    elif "__all__" in unit.binds and exports:
      body = _export_list(exports)
      exports = []
    if body is None:
      if index == 0 and lead.strip():
        out.append(lead)
      blank = max(blank, _blank_lines(lead))
      continue
    out.append(b"\n" * max(0, blank - _blank_lines(lead)) if out else b"")
    out += [lead, body]
    blank = 0
  if units and id(units[-1]) in chosen:
    out.append(data[units[-1].end :])
  text = b"".join(out).decode().rstrip()
  return text.lstrip("\r\n") + "\n"


def _blank_lines(lead: bytes) -> int:
  count = 0
  for line in lead.splitlines():
    if line.strip():
      break
    count += 1
  return count


def _export_list(names: list[str]) -> bytes:
  line = f"__all__ = [{', '.join(map(_quoted, names))}]\n"
  if len(line) > 100:
    line = "__all__ = [\n" + "".join(f"    {_quoted(n)},\n" for n in names) + "]\n"
  return line.encode()


def _quoted(name: str) -> str:
  return f'"{name}"'
