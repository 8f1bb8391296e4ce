"""What one file has to do with Flax, found without importing anything of it."""

from __future__ import annotations

import ast
import dataclasses
import io
import re
import tokenize
from collections.abc import Sequence
from pathlib import Path

from migrate.codemod.imports import Names
from migrate.codemod.notebooks import Notebook
from migrate.codemod.snippets import Page

SKIP = re.compile(r"#\s*linen2nnx:\s*skip\b")
TRAINING = re.compile(rb"train_state|\.apply_gradients\(|\.init\(|\.apply\(")


@dataclasses.dataclass(frozen=True)
class Scan:
  """What a file is about.

  Attributes:
    path: the file.
    module: its full dotted name.
    text: what is in it; None where it has nothing to do with Flax. Of a notebook, its code cells.
    error: why it can't be read, or an empty text.
    line: where that is.
    bases: class at the top -> full names of its bases.
    lines: class at the top -> its line.
    inner: modules of Flax inside functions and classes -> their lines.
    skipped: lines with a comment that says to skip; 0 among them for the whole file.
    trains: line of the first thing that looks like training code, 0 for none.
    raw: the notebook itself.
  """

  path: str
  module: str
  text: str | None = None
  error: str = ""
  line: int = 0
  bases: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
  lines: dict[str, int] = dataclasses.field(default_factory=dict)
  inner: dict[str, int] = dataclasses.field(default_factory=dict)
  skipped: frozenset[int] = frozenset()
  trains: int = 0
  raw: str = ""


def module_name(path: Path) -> str:
  """The dotted name of a file, from the folder above its outermost package."""
  path = path.resolve()
  parts = [] if path.name == "__init__.py" else [path.stem]
  folder = path.parent
  while (folder / "__init__.py").is_file() and folder.parent != folder:
    parts.insert(0, folder.name)
    folder = folder.parent
  return ".".join(parts) or path.parent.name


def scan(path: str) -> Scan:
  """Reads a file; it is parsed only where it speaks of Flax."""
  file = Path(path)
  module = module_name(file)
  try:
    data = file.read_bytes()
  except OSError as error:
    return Scan(path, module, error=error.strerror or str(error))
  if b"flax" not in data and not (path.endswith(".md") and TRAINING.search(data)):
    return Scan(path, module)
  if path.endswith(".md"):
    try:
      raw = data.decode("utf-8")
    except UnicodeDecodeError as error:
      return Scan(path, module, error=f"can't be read: {error}")
    return dataclasses.replace(scan_text(path, module, Page(raw).text.encode()), raw=raw)
  if path.endswith(".ipynb"):
    try:
      raw = data.decode("utf-8")
      return dataclasses.replace(scan_text(path, module, Notebook(raw).text.encode()), raw=raw)
    except (ValueError, RecursionError) as error:
      return Scan(path, module, error=f"is no notebook: {error}")
  return scan_text(path, module, data)


def scan_text(path: str, module: str, data: bytes) -> Scan:
  """What is in a file that speaks of Flax."""
  try:
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    if encoding.lower() not in ("utf-8", "utf-8-sig"):
      return Scan(path, module, error=f"is written in {encoding}")
    text = data.decode("utf-8")
    tree = ast.parse(text.removeprefix("\ufeff"))
    names = Names(text, module, path.endswith("__init__.py"), tree=tree)
  except SyntaxError as error:
    return Scan(path, module, error=f"does not parse: {error.msg}", line=error.lineno or 0)
  except (UnicodeDecodeError, ValueError, RecursionError) as error:
    return Scan(path, module, error=f"can't be read: {error}")
  bases: dict[str, tuple[str, ...]] = {}
  lines: dict[str, int] = {}
  for node in tree.body:
    if isinstance(node, ast.ClassDef):
      found = [names.resolve(ast.unparse(b)) for b in node.bases if isinstance(b, (ast.Name, ast.Attribute))]
      bases[node.name] = tuple(f for f in found if f)
      lines[node.name] = node.lineno
  inner: dict[str, int] = {}
  for node in ast.walk(tree):
    if isinstance(node, ast.ClassDef) and node not in tree.body:
      if any(names.resolve(ast.unparse(b)) == "flax.linen.Module" for b in node.bases):
        inner[node.name] = node.lineno
  match = TRAINING.search(data)
  trains = data.count(b"\n", 0, match.start()) + 1 if match else 0
  return Scan(path, module, text, "", 0, bases, lines, inner, skipped_lines(text, tree), trains)


def importing(scans: Sequence[Scan], about: Sequence[Scan]) -> list[Scan]:
  """Files that do not speak of Flax and import those that do, or one another: the program's own beginnings."""
  found: list[Scan] = []
  waiting = {
    s.path: Path(s.path).read_bytes() for s in scans if s.text is None and not s.error and s.path.endswith(".py")
  }
  names = {s.module.rpartition(".")[2] for s in about}
  while names:
    words = "|".join(sorted(map(re.escape, names))).encode()
    pattern = re.compile(rb"^[ \t]*(?:import|from)[ \t][^\n]*\b(?:%s)\b" % words, re.MULTILINE)
    new = [scan_text(p, module_name(Path(p)), data) for p, data in waiting.items() if pattern.search(data)]
    found += [s for s in new if s.text is not None]
    waiting = {p: d for p, d in waiting.items() if p not in {s.path for s in new}}
    names = {s.module.rpartition(".")[2] for s in new}
  return found


def skipped_lines(text: str, tree: ast.Module) -> frozenset[int]:
  """Lines that carry `# linen2nnx: skip`; 0 where such a comment stands above everything in the file."""
  if "linen2nnx" not in text:
    return frozenset()
  found = {i for i, line in enumerate(text.splitlines(), 1) if SKIP.search(line)}
  first = min((n.lineno for n in tree.body), default=1)
  if tree.body and isinstance(tree.body[0], ast.Expr) and isinstance(tree.body[0].value, ast.Constant):
    first = min((n.lineno for n in tree.body[1:]), default=first)
  lines = text.splitlines()
  if any(line < first and lines[line - 1].lstrip().startswith("#") for line in found):
    found.add(0)
  return frozenset(found)


def linen_classes(scans: list[Scan]) -> dict[str, Scan]:
  """Full names of the classes that are Linen modules, through bases in any of the files."""
  known = {f"{s.module}.{name}": (s, bases) for s in scans for name, bases in s.bases.items()}
  found: dict[str, Scan] = {}

  def is_linen(full: str, seen: frozenset[str]) -> bool:
    if full == "flax.linen.Module" or (full.startswith("flax.linen.") and full.count(".") == 2):
      return True
    if full in seen or full not in known:
      return False
    return any(is_linen(b, seen | {full}) for b in known[full][1])

  for full, (where, _) in known.items():
    if is_linen(full, frozenset()):
      found[full] = where
  return found
