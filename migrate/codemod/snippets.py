"""Code in documentation: fences of Markdown pages and doctests, as Python that can be rewritten, and back.

Everything outside the code stays byte for byte; so do outputs of doctests, and code that does not parse.
"""

from __future__ import annotations

import ast
import dataclasses
import re
import textwrap
from collections.abc import Iterator

from migrate.codemod.notebooks import CELL, MARK

FENCE = re.compile(
  r"^(?P<indent>[ \t]*)(?P<mark>`{3,}|~{3,})[ \t]*\{?\.?(?:python3?|py|pycon)\b[^\n]*\n(?P<code>.*?)^(?P=indent)(?P=mark)[ \t]*$",
  re.MULTILINE | re.DOTALL,
)
_EXAMPLE = re.compile(r"^([ \t]*)>>>(?: |$)", re.MULTILINE)


class Page:
  """A Markdown page.

  Attributes:
    text: the code of its fences, on the lines that it has in the page.
  """

  def __init__(self, raw: str):
    self.raw = raw
    self.fences = list(FENCE.finditer(raw))
    self.codes = [plain(textwrap.dedent(m["code"])) for m in self.fences]
    self.text = ""
    for i, (match, code) in enumerate(zip(self.fences, self.codes, strict=True)):
      above = raw.count("\n", 0, match.start()) - self.text.count("\n")
      self.text += "\n" * above + f"#~linen2nnx cell {i}~\n{code}"
    self.text += "\n" if self.text else ""

  def put(self, text: str) -> str:
    """The page with other code; a fence whose code did not change stays byte for byte."""
    parts = CELL.split(text)
    found = {int(parts[i]): parts[i + 1] for i in range(1, len(parts), 2)}
    if found and parts[0].strip():  # what was written above the first fence belongs to it
      found[min(found)] = f"{parts[0].strip()}\n{found[min(found)]}"
    raw = self.raw
    for i, match in reversed(list(enumerate(self.fences))):
      new = found.get(i, "").rstrip("\n")
      if new != self.codes[i].rstrip("\n"):
        shown = examples(new) if _EXAMPLE.search(match["code"]) else unmarked(new)
        shown = textwrap.indent(f"{shown.strip(chr(10))}\n", match["indent"])
        raw = raw[: match.start("code")] + shown + raw[match.end("code") :]
    return raw


@dataclasses.dataclass(frozen=True)
class Doctest:
  """The examples of one docstring.

  Attributes:
    line: where they begin.
    block: their lines, as they are.
    text: the same as Python, on the same lines, below imports of what the module has.
  """

  line: int
  block: str
  text: str

  def put(self, text: str, module: str) -> str:
    """The block with other code. `module` is the new text around it, whose imports examples see."""
    above, _, below = text.partition("#~linen2nnx cell 0~\n")
    indent = _EXAMPLE.match(self.block)
    margin = indent[1] if indent else ""
    had, has = _imports(self.text.partition("#~linen2nnx cell 0~\n")[0]), _imports(module)
    added = [line for line in _imports(above) if line not in had and line not in has]
    return textwrap.indent(examples("".join(f"{a}\n" for a in added) + below), margin) + "\n"


def doctests(text: str, module: str) -> Iterator[Doctest]:
  """The doctests of a file's docstrings; `module` is its dotted name."""
  tree = ast.parse(text)
  lines = text.splitlines(keepends=True)
  names = [n.name for n in tree.body if isinstance(n, (ast.ClassDef, ast.FunctionDef))]
  head = [ast.unparse(n) for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom)) and n.lineno > 0]
  head = [h for h in head if not h.startswith("from __future__") and "*" not in h]
  head += [f"from {module} import {', '.join(names)}"] if names else []
  for node in ast.walk(tree):
    if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) or not node.body:
      continue
    first = node.body[0]
    if not (isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)):  # fmt: skip
      continue
    inside = range(first.lineno - 1, first.end_lineno or first.lineno)
    shown = [i for i in inside if re.match(r"[ \t]*(>>>|\.\.\.)( |$)", lines[i])]
    if not shown or shown[0] < 2:
      continue
    block = "".join(lines[shown[0] : shown[-1] + 1])
    above = "; ".join(head) + "\n" + "\n" * (shown[0] - 2)
    yield Doctest(shown[0] + 1, block, f"{above}#~linen2nnx cell 0~\n{plain(textwrap.dedent(block))}")


def plain(code: str) -> str:
  """Code as Python: prompts taken away, everything that is no code, or does not parse, as comments."""
  if _EXAMPLE.search(code):
    lines, inside = [], False
    for line in code.splitlines():
      prompt = re.match(r">>>(?: |$)" if not inside else r"(?:>>>|\.\.\.)(?: |$)", line)
      inside = prompt is not None
      lines.append(line[prompt.end() :] if prompt else f"{MARK}{line}")
    found = "".join(f"{line}\n" for line in lines)
  else:
    found = code
  try:
    ast.parse(found)
  except (SyntaxError, ValueError, RecursionError):
    return "".join(f"{MARK}!{line}" for line in code.splitlines(keepends=True))
  return found


def unmarked(text: str) -> str:
  """Undoes the comments of `plain`."""
  return re.sub(f"^{re.escape(MARK)}!?", "", text, flags=re.MULTILINE)


def examples(text: str) -> str:
  """Python with prompts before it, and the outputs as they were."""
  if text.startswith(f"{MARK}!"):
    return unmarked(text)
  tree = ast.parse(text)
  starts = {min([n.lineno, *(d.lineno for d in getattr(n, "decorator_list", []))]) for n in tree.body}
  inner = {i for n in tree.body for i in range(n.lineno, (n.end_lineno or n.lineno) + 1)}
  lines = []
  for i, line in enumerate(text.rstrip("\n").split("\n"), 1):
    if line.startswith(MARK):
      lines.append(unmarked(line))
    elif i in starts or (line.strip() and i not in inner):
      lines.append(f">>> {line}")
    else:
      lines.append(f"... {line}".rstrip())
  return "\n".join(lines)


def _imports(text: str) -> list[str]:
  return [ast.unparse(n) for n in ast.parse(text).body if isinstance(n, (ast.Import, ast.ImportFrom))]
