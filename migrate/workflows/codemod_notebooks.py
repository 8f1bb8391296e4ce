"""Examples in notebooks: their definitions become a module for a while, which can be imported and rewritten."""

from __future__ import annotations

import ast
import contextlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from migrate.codemod.imports_edit import tidy_imports, used_names
from migrate.codemod.notebooks import definitions, restored
from migrate.codemod.scan import Scan
from migrate.core.report import refuse

Example = str | Callable[..., Any]


class Modules:
  """Notebooks that are modules for now.

  Attributes:
    texts: file of the module -> its text.
  """

  def __init__(self, folder: Path):
    self.folder = folder
    self.texts: dict[str, str] = {}
    self._notebooks: dict[str, Scan] = {}

  def add(self, one: Scan) -> str:
    """Makes a module of a notebook; returns its file."""
    file = str(self.folder / f"{Path(one.path).stem}.py")
    self.texts[file] = definitions(one.text or "")
    self._notebooks[file] = one
    Path(file).write_text(self.texts[file], encoding="utf-8")
    return file

  def bring_back(self, texts: dict[str, str], new: dict[str, str]) -> None:
    """Puts what was rewritten under the notebooks' names, and added files beside them."""
    for file, one in self._notebooks.items():
      if file in texts:
        texts[one.path] = _with_imports(one.text or "", restored(texts.pop(file)))
      for path in [p for p in new if Path(p).is_relative_to(self.folder)]:
        new[str(Path(one.path).parent / Path(path).relative_to(self.folder))] = new.pop(path)


@contextlib.contextmanager
def notebooks_as_modules(examples: Sequence[Example], about: Iterable[Scan]) -> Iterator[tuple[list[Example], Modules]]:
  """Gives the examples with modules in the place of notebooks. Raises MigrateError for a notebook that was not given."""
  with tempfile.TemporaryDirectory(prefix="linen2nnx-") as folder:
    modules = Modules(Path(folder).resolve())
    known = {Path(s.path).resolve(): s for s in about if s.raw}
    made: dict[Path, str] = {}
    shown: list[Example] = []
    for example in examples:
      location, _, function = example.rpartition(":") if isinstance(example, str) else ("", "", "")
      if location.endswith((".ipynb", ".md")):
        path = Path(location).resolve()
        if path not in known:
          raise refuse(str(example), "a notebook that is not among the files", "one of the paths", "give its path too")
        made[path] = made.get(path) or modules.add(known[path])
        shown.append(f"{made[path]}:{function}")
      else:
        shown.append(example)
    yield shown, modules


def _with_imports(before: str, after: str) -> str:
  """Imports that only what did not run needs were dropped as unused: they come back."""
  tree = ast.parse(after)
  bound = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
  bound |= {a.asname or a.name.partition(".")[0] for n in ast.walk(tree) if isinstance(n, (ast.Import, ast.ImportFrom)) for a in n.names}  # fmt: skip
  bound |= {n.name for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
  lacking = used_names(tree, after) - bound
  lost = []
  for node in ast.parse(before).body:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
      for alias in node.names:
        if (alias.asname or alias.name.partition(".")[0]) in lacking:
          one = (
            ast.Import([alias]) if isinstance(node, ast.Import) else ast.ImportFrom(node.module, [alias], node.level)
          )
          lost.append(ast.unparse(one))
  return tidy_imports(after, add=lost, remove_if_unused=set()) if lost else after
