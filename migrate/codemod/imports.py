"""What a name in a file refers to, through any spelling of an import; matched by meaning, never by spelling."""

from __future__ import annotations

import ast
import copy
import functools
import importlib
from collections.abc import Callable, Iterable, Mapping

from migrate.codemod.imports_edit import tidy_imports

__all__ = ["Names", "absolute_module", "follow", "tidy_imports"]

_LINEN = "flax.linen"


def absolute_module(module_name: str, is_package: bool, level: int, target: str | None) -> str | None:
  """The full name of the module in `from <level dots><target> import ...`.

  Args:
    module_name: full name of the file that has the import.
    is_package: whether that file is a package's `__init__.py`.
    level: how many leading dots.
    target: the text after the dots, None for none.

  Returns:
    The full name, or None where the dots lead above the top package.
  """
  if not level:
    return target
  parts = module_name.split(".")
  up = level - 1 if is_package else level
  if up >= len(parts):
    return None
  base = ".".join(parts[: len(parts) - up])
  return f"{base}.{target}" if target else base


class Names:
  """The module-level names of one file and what they refer to.

  Attributes:
    module_name: full dotted name of the file.
    stars: modules of `from m import *`, full names, in order.
    defined: names that the file itself defines (classes, functions, assigned values).
    imported: names bound by an import, to the full name of what they refer to.
    problems: relative imports that lead above the top package, as text.
    shadowed: names that were an import until the file defined them, to what they were: `class State(State)`.
  """

  def __init__(
    self,
    source_text: str,
    module_name: str,
    is_package: bool = False,
    star_names: Callable[[str], Iterable[str] | None] | None = None,
    tree: ast.Module | None = None,
  ):
    """Reads the file. Raises SyntaxError where it does not parse.

    Args:
      source_text: the file.
      module_name: its full dotted name.
      is_package: whether it is an `__init__.py`.
      star_names: gives the public names of a module for `from m import *`, None where unknown.
      tree: of the file, where it was parsed already.
    """
    self.module_name = module_name
    self.is_package = is_package
    self.stars: list[str] = []
    self.defined: set[str] = set()
    self.imported: dict[str, str] = {}
    self.problems: list[str] = []
    self.shadowed: dict[str, str] = {}
    self._aliases: dict[str, str] = {}
    self._star_names = star_names
    self._block((tree or ast.parse(source_text.lstrip("\ufeff"))).body)

  def resolve(self, dotted: str) -> str | None:
    """The full name that an expression such as `nn.Dense` refers to, None for a builtin or unknown name."""
    return self._resolve(dotted, frozenset())

  def with_imports(self, found: Mapping[str, str]) -> Names:
    """The same names, with those that a function imports for itself."""
    other = copy.copy(self)
    other.imported = {**self.imported, **found}
    other.defined = self.defined - set(found)
    other._aliases = {n: a for n, a in self._aliases.items() if n not in found}
    return other

  def is_linen(self, full: str | None) -> bool:
    """Whether the full name is `flax.linen` or lies in it."""
    return full is not None and (full == _LINEN or full.startswith(_LINEN + "."))

  def _resolve(self, dotted: str, seen: frozenset[str]) -> str | None:
    root, dot, rest = dotted.partition(".")
    if root in seen:
      return f"{self.module_name}.{dotted}"
    if root in self._aliases:
      base = self._resolve(self._aliases[root], seen | {root})
      if base is None:
        base = f"{self.module_name}.{root}"
    elif root in self.imported:
      base = self.imported[root]
    elif root in self.defined:
      base = f"{self.module_name}.{root}"
    else:
      base = self._from_star(root)
    if base is None:
      return None
    return canonical(base + dot + rest)

  def _from_star(self, name: str) -> str | None:
    if self._star_names is None:
      return None
    for module in reversed(self.stars):
      if name in (self._star_names(module) or ()):
        return f"{module}.{name}"
    return None

  def _block(self, body: Iterable[ast.stmt]) -> None:
    for node in body:
      self._statement(node)

  def _statement(self, node: ast.stmt) -> None:
    if isinstance(node, ast.Import):
      for alias in node.names:
        root = alias.name.partition(".")[0]
        self._bind_import(alias.asname or root, alias.name if alias.asname else root)
    elif isinstance(node, ast.ImportFrom):
      self._import_from(node)
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
      self._bind(node.name)
    elif isinstance(node, ast.Assign):
      for target in node.targets:
        self._assign(target, node.value)
    elif isinstance(node, (ast.AnnAssign, ast.AugAssign)):
      self._assign(node.target, node.value if isinstance(node, ast.AnnAssign) else None)
    elif isinstance(node, (ast.If, ast.For, ast.AsyncFor, ast.While)):
      # the first branch is the one that usually holds: let it win
      if isinstance(node, (ast.For, ast.AsyncFor)):
        self._assign(node.target, None)
      self._block(node.orelse)
      self._block(node.body)
    elif isinstance(node, (ast.Try, ast.TryStar)):
      for handler in node.handlers:
        self._block(handler.body)
      self._block(node.body)
      self._block(node.orelse)
      self._block(node.finalbody)
    elif isinstance(node, (ast.With, ast.AsyncWith)):
      for item in node.items:
        if item.optional_vars is not None:
          self._assign(item.optional_vars, None)
      self._block(node.body)

  def _import_from(self, node: ast.ImportFrom) -> None:
    module = absolute_module(self.module_name, self.is_package, node.level, node.module)
    if module is None:
      target = "." * node.level + (node.module or "")
      self.problems.append(f"line {node.lineno}: from {target} leads above {self.module_name.partition('.')[0]}")
      return
    for alias in node.names:
      if alias.name == "*":
        self.stars.append(module)
      else:
        self._bind_import(alias.asname or alias.name, f"{module}.{alias.name}")

  def _assign(self, target: ast.expr, value: ast.expr | None) -> None:
    if isinstance(target, (ast.Tuple, ast.List)):
      values = value.elts if isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts) else None
      for i, inner in enumerate(target.elts):
        self._assign(inner, values[i] if values else None)
    elif isinstance(target, ast.Starred):
      self._assign(target.value, None)
    elif isinstance(target, ast.Name):
      text = dotted_text(value)
      self._bind(target.id)
      if text is not None and text.partition(".")[0] != target.id and text not in ("None", "True", "False"):
        self._aliases[target.id] = text

  def _bind_import(self, name: str, full: str) -> None:
    self.imported[name] = full
    self.defined.discard(name)
    self._aliases.pop(name, None)

  def _bind(self, name: str) -> None:
    self.defined.add(name)
    if name in self.imported:
      self.shadowed[name] = self.imported.pop(name)
    self._aliases.pop(name, None)


def dotted_text(node: ast.AST | None) -> str | None:
  """`a.b.c` for a chain of attributes on a name, else None."""
  parts: list[str] = []
  while isinstance(node, ast.Attribute):
    parts.append(node.attr)
    node = node.value
  if not isinstance(node, ast.Name):
    return None
  return ".".join((node.id, *reversed(parts)))


def follow(full: str, modules: Mapping[str, Names]) -> str:
  """Follows re-exports: `pkg.common.nn.Dense` becomes `flax.linen.Dense` where `pkg.common` imports `nn`.

  Args:
    full: a full dotted name, as `Names.resolve` gives it.
    modules: the known files by full name.

  Returns:
    The full name at which the chain ends, or that cannot be followed further.
  """
  seen: set[str] = set()
  while full not in seen:
    seen.add(full)
    module, rest = _split(full, modules)
    if module is None or not rest:
      return full
    further = modules[module].resolve(rest)
    if further is None:
      return full
    full = further
  return full


def _split(full: str, modules: Mapping[str, Names]) -> tuple[str | None, str]:
  parts = full.split(".")
  for end in range(len(parts), 0, -1):
    module = ".".join(parts[:end])
    if module in modules:
      return module, ".".join(parts[end:])
  return None, full


@functools.lru_cache(maxsize=4096)
def canonical(full: str) -> str:
  """`flax.linen.linear.Dense` becomes `flax.linen.Dense` where both are the same object; other names stay."""
  if not full.startswith(_LINEN + ".") or full.count(".") < 3:
    return full
  _, _, submodule, name, *rest = full.split(".")
  try:
    linen = importlib.import_module(_LINEN)
    inner = importlib.import_module(f"{_LINEN}.{submodule}")
  except ImportError:
    return full
  missing = object()
  if getattr(inner, name, missing) is getattr(linen, name, None):
    return ".".join((_LINEN, name, *rest))
  return full
