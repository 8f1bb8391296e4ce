"""A Linen source ported in process, and the port run beside it: what the tests of the codemod share."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import functools
import importlib
import io
import itertools
import signal
import subprocess
import sys
import textwrap
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from migrate.codemod.files import Rewriting, rewrite_project
from migrate.codemod.project import Project
from migrate.core.declare import ModelMapping
from migrate.core.registry import load_layers
from migrate.core.report import Finding, MigrateError
from migrate.example import Call, Example
from migrate.trace.facts import Facts
from migrate.trace.run import trace as run_trace
from migrate.workflows import port as workflow
from migrate.workflows.port_report import imports_linen
from tests.codemod.agreement import compare

RUFF = Path(sys.executable).with_name("ruff")
HEADER = '''"""A model."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn


'''
layers = functools.cache(load_layers)
_folders = itertools.count()


def x(*shape: int, dtype: Any = jnp.float32) -> jax.ShapeDtypeStruct:
  """An array argument of an example."""
  return jax.ShapeDtypeStruct(shape, dtype)


def ids(*shape: int) -> jax.ShapeDtypeStruct:
  """Indices, as an embedding takes them."""
  return x(*shape, dtype=jnp.int32)


def dedent(text: str) -> str:
  """A source as a test writes it, without the test's indentation."""
  return textwrap.dedent(text).strip("\n") + "\n"


@dataclasses.dataclass
class Ported:
  """A ported source.

  Attributes:
    folder: where the original files lie.
    module: the name of the module with the model's class.
    facts: one trace for each example.
    project: facts and sources.
    rewriting: what the codemod made of it.
    draft: the files of the new package and the mappings.
    out: where they were written.
  """

  folder: Path
  module: str
  facts: list[Facts]
  project: Project
  rewriting: Rewriting
  draft: Any = None
  out: Path | None = None

  @property
  def text(self) -> str:
    """The rewritten text of the file with the model."""
    return self.rewriting.sources[self.module]

  @property
  def findings(self) -> list[Finding]:
    """Every finding of the rewriting."""
    return self.rewriting.findings

  @property
  def mapping(self) -> ModelMapping:
    """The mapping of the first example."""
    return next(iter(self.draft.mappings.values()))

  @property
  def moves(self) -> dict[str, str]:
    """Linen path -> attribute path of every moved leaf of the first example."""
    rules = [r for r in self.mapping.rules if r.kind == "move"]
    return {"/".join(map(str, r.source[0])): "/".join(map(str, r.target[0])) for r in rules}

  def sizes(self, name: str) -> list[str]:
    """Constructor arguments that a class got for sizes."""
    return [s.name for r in self.rewriting.results.values() if r.info.name == name for s in r.sizes]

  @property
  def hoisted(self) -> list[str]:
    """Constructor arguments that nothing but the trace fills."""
    return [h for r in self.rewriting.results.values() for h in r.hoisted]


def write(folder: Path, source: str | Mapping[str, str]) -> Path:
  """Writes one source as `model.py` under the usual imports, or several files as they are; returns their folder."""
  home = folder / f"linen{next(_folders)}"
  files = {"model.py": HEADER + dedent(source)} if isinstance(source, str) else source
  for name, text in files.items():
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text if isinstance(source, str) else dedent(text), encoding="utf-8")
  return home


_loaded: dict[Path, dict[str, Any]] = {}


@contextlib.contextmanager
def importable(folder: Path) -> Iterator[None]:
  """While active, the folder is first on `sys.path`, and its modules are those of the last time."""
  names = {p.relative_to(folder).parts[0].removesuffix(".py") for p in folder.rglob("*.py")}

  def take() -> dict[str, Any]:
    return {n: sys.modules.pop(n) for n in list(sys.modules) if n.partition(".")[0] in names}

  others = take()
  sys.modules.update(_loaded.get(folder, {}))
  sys.path.insert(0, str(folder))
  written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
  importlib.invalidate_caches()
  try:
    yield
  finally:
    sys.dont_write_bytecode = written
    sys.path.remove(str(folder))
    _loaded[folder] = take()
    sys.modules.update(others)


def evaluate(example: str, module: str) -> Example:
  """`Model(3), x(2, 5), train=True` as an example: a module, arguments; or a whole `Example(...)`."""
  names = vars(importlib.import_module(module)) | {"Example": Example, "Call": Call, "x": x, "ids": ids, "jnp": jnp}
  if example.startswith("Example("):
    return eval(example, names)
  return eval(f"__make({example})", names | {"__make": lambda model, *args, **kwargs: Example(model, args, kwargs)})


def rewrite(
  folder: Path,
  source: str | Mapping[str, str],
  *examples: str,
  module: str = "model",
  include: Sequence[str] = (),
  exact: bool = False,
) -> Ported:
  """Writes, traces and rewrites; nothing is run.

  Args:
    folder: where to write.
    source: the text of one file, its imports left out, or file name -> text.
    examples: each a model and its call arguments, as `evaluate` takes them.
    module: which file has the names that the examples use.
    include: as for `port`.
    exact: as for `port`.
  """
  home = write(folder, source)
  with importable(home):
    return retrace(home, examples, module, include, exact)


def retrace(
  home: Path, examples: Sequence[str], module: str, include: Sequence[str] = (), exact: bool = False
) -> Ported:
  """Traces and rewrites files that are there; call it inside `importable`."""
  built = [evaluate(e, module) for e in examples]
  packages = tuple(include)
  names = ["example"] if len(built) == 1 else [f"example{i}" for i in range(len(built))]
  facts = [run_trace(e, name=n, include=packages) for n, e in zip(names, built, strict=True)]
  project = Project(facts, layers())
  return Ported(home, type(built[0].module).__module__, facts, project, rewrite_project(project, exact))


def draft(ported: Ported) -> Ported:
  """Writes the new package and derives the mappings; raises MigrateError where that fails."""
  ported.out = ported.folder / "out"
  ported.out.mkdir(exist_ok=True)
  say = lambda *_: None
  with no_longer_than(30):
    ported.draft = workflow._draft(ported.project, ported.rewriting, ported.facts, "extract", ported.out, say)
  for findings in ported.draft.failures.values():
    raise MigrateError(*findings)
  return ported


@contextlib.contextmanager
def no_longer_than(seconds: int) -> Iterator[None]:
  """Raises TimeoutError where generated code does not come to an end."""

  def stop(*_: Any) -> None:
    raise TimeoutError(f"the ported code ran for {seconds} seconds")

  before = signal.signal(signal.SIGALRM, stop)
  signal.alarm(seconds)
  try:
    yield
  finally:
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def port_and_check(
  folder: Path,
  source: str | Mapping[str, str],
  *examples: str,
  held_out: Sequence[str] = (),
  module: str = "model",
  include: Sequence[str] = (),
  exact: bool = False,
  tolerance: float = 1e-5,
  clean: bool = True,
) -> Ported:
  """Ports, checks the text, runs both models with the same random variables and compares.

  Args:
    folder: where to write.
    source: as for `rewrite`.
    examples: as for `rewrite`.
    held_out: further examples of the same classes at sizes that the codemod did not see.
    module: as for `rewrite`.
    include: as for `rewrite`.
    exact: as for `rewrite`.
    tolerance: largest difference, relative to the largest value.
    clean: whether findings of severity `error` or `eye` are a failure.
  """
  ported = rewrite(folder, source, *examples, module=module, include=include, exact=exact)
  if clean:
    assert [str(f) for f in ported.findings if f.severity != "note"] == []
  assert ported.rewriting.left == []
  with importable(ported.folder):
    draft(ported)
    check_files(ported)
    for fact in ported.facts:
      compare(ported, fact, tolerance)
    for text in held_out:
      other = retrace(ported.folder, [text], module, include, exact)
      other.rewriting = dataclasses.replace(
        other.rewriting,
        sources=ported.rewriting.sources,
        templates=ported.rewriting.templates,
        keep=ported.rewriting.keep,
      )
      draft(other)
      compare(other, other.facts[0], tolerance)
  return ported


def check_files(ported: Ported) -> None:
  """What holds for every ported file: it parses, is free of Linen and of this tool, lints, and lost no comment."""
  assert ported.out is not None
  for name, text in ported.draft.files.items():
    tree = ast.parse(text, name)
    assert not imports_linen(text), name
    imported = [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    imported += [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
    assert not [i for i in imported if i.partition(".")[0] in ("migrate", "mappings")], name
    assert "SITE__" not in text, text
    assert "SIZE__" not in text, text
    assert "COMP__" not in text, text
  command = [str(RUFF), "check", "--isolated", "--quiet", "--select", "F", str(ported.out)]
  linted = subprocess.run(command, capture_output=True, text=True, check=False)
  assert linted.returncode == 0, linted.stdout + ported.text
  for info in ported.project.classes.values():
    lost = remarks(info.source.code(info.node)) - remarks(ported.rewriting.sources[info.module])
    assert lost == set(), ported.text


def remarks(text: str) -> set[str]:
  """Every comment and docstring of a source."""
  text = textwrap.dedent(text)
  tokens = tokenize.generate_tokens(io.StringIO(text).readline)
  found = {t.string for t in tokens if t.type == tokenize.COMMENT}
  for node in ast.walk(ast.parse(text)):
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
      found.add(ast.get_docstring(node) or "")
  return found
