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
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from migrate.codemod.files import Rewriting, rewrite_project
from migrate.codemod.project import Project
from migrate.core.declare import ModelMapping
from migrate.core.mutable import set_flags
from migrate.core.registry import load_layers
from migrate.core.report import Finding, MigrateError
from migrate.core.tree import flatten
from migrate.example import Call, Example
from migrate.trace.facts import Facts
from migrate.trace.run import trace as run_trace
from migrate.workflows import port as workflow
from migrate.workflows.port_files import importing
from migrate.workflows.port_report import imports_linen
from migrate.workflows.state import to_linen, to_nnx

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


def compare(ported: Ported, fact: Facts, tolerance: float = 1e-5) -> None:
  """Runs both models on random variables and inputs; asserts that outputs and variables afterwards agree."""
  assert ported.out is not None
  example, mapping = fact.example, ported.draft.mappings[fact.name]
  variables = randomized(fact.variables)
  with importing(ported.out) as load:
    build = getattr(load("ported"), f"build_{fact.name}")
    model = to_nnx(variables, materialized(build), mapping)
    graphdef, state = nnx.split(model)
    for i, call in enumerate(example.all_calls):
      ours, theirs, before, after = run_both(example.module, variables, graphdef, state, mapping, call)
      agree(f"call {i}", ours, theirs, tolerance)
      agree(f"variables after call {i}", before, after, tolerance)


def run_both(
  module: Any, variables: Any, graphdef: Any, state: Any, mapping: Any, call: Call
) -> tuple[Any, Any, Any, Any]:
  """One call of both models, compiled together: (output, output, changed variables, the same from NNX)."""
  leaves, tree = jax.tree.flatten((tuple(call.args), dict(call.kwargs)))
  arrays = {i: array(f"argument {i}", v) for i, v in enumerate(leaves) if hasattr(v, "shape")}
  rngs = {n: jax.random.key(i) for i, n in enumerate(call.rngs)}

  def run(variables: Any, state: Any, arrays: Any) -> Any:
    args, kwargs = jax.tree.unflatten(tree, [arrays.get(i, v) for i, v in enumerate(leaves)])
    mutable = False if call.mutable is None else call.mutable
    method = {"method": call.method} if call.method else {}
    ours = module.apply(variables, *args, **kwargs, rngs=rngs, mutable=mutable, **method)
    changed: Any = {}
    if mutable is not False:
      ours, changed = ours
    live = nnx.merge(graphdef, state)
    set_flags(live, mapping.metadata.get("mutable", {}), mutable)
    theirs = getattr(live, call.method)(*args, **kwargs) if call.method else live(*args, **kwargs)
    kept = flatten(to_linen(live, mapping))
    changed = {p: v for p, v in flatten(changed).items() if p in flatten(variables)}
    return jax.tree.leaves(ours), jax.tree.leaves(theirs), changed, {p: kept[p] for p in changed}

  with plain_draws():
    return jax.jit(run)(variables, state, arrays)


@contextlib.contextmanager
def plain_draws() -> Iterator[None]:
  """While active, random draws depend on the shape alone, so that both models draw the same."""

  def spread(shape: Any) -> Any:
    count = int(np.prod(shape))
    return jnp.asarray(np.modf(np.arange(1, count + 1) * 0.6180339887)[0].reshape(shape), jnp.float32)

  def bernoulli(key: Any, p: Any = 0.5, shape: Any = None, **_: Any) -> Any:
    del key
    return spread(jnp.shape(p) if shape is None else shape) < p

  def uniform(key: Any, shape: Any = (), dtype: Any = jnp.float32, *_: Any, **__: Any) -> Any:
    del key
    return spread(shape).astype(dtype)

  def normal(key: Any, shape: Any = (), dtype: Any = jnp.float32, *_: Any, **__: Any) -> Any:
    del key
    return (spread(shape) * 2 - 1).astype(dtype)

  with mock.patch.multiple(jax.random, bernoulli=bernoulli, uniform=uniform, normal=normal):
    yield


def agree(what: str, ours: Any, theirs: Any, tolerance: float) -> None:
  """Asserts that two flat trees of arrays agree."""
  if isinstance(ours, dict):
    assert ours.keys() == theirs.keys(), what
    pairs = [(f"{what}, {k}", ours[k], theirs[k]) for k in ours]
  else:
    assert len(ours) == len(theirs), what
    pairs = [(f"{what}, output {i}", a, b) for i, (a, b) in enumerate(zip(ours, theirs, strict=True))]
  for name, a, b in pairs:
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape, name
    assert a.dtype == b.dtype, name
    assert np.isfinite(a.astype(np.float64)).all(), name
    scale = max(float(np.abs(a.astype(np.float64)).max(initial=0.0)), 1e-3)
    np.testing.assert_allclose(b.astype(np.float64), a.astype(np.float64), rtol=0, atol=tolerance * scale, err_msg=name)


def array(name: str, spec: Any) -> Any:
  """A random array for an abstract one, the same for the same name; variances are positive, integers zero or one."""
  if isinstance(spec, jax.Array | np.ndarray):
    return jnp.asarray(spec)
  random = np.random.default_rng(sum(map(ord, name)) + 7 * len(spec.shape))
  if jax.dtypes.issubdtype(spec.dtype, jax.dtypes.prng_key):
    return jax.random.key(0)
  if jnp.issubdtype(spec.dtype, jnp.inexact):
    values = random.normal(size=spec.shape) * 0.4
    if name.rpartition("/")[2] in ("var", "scale"):
      values = 0.5 + np.abs(values)
    return jnp.asarray(values, spec.dtype)
  high = 3 if name.startswith("argument") else 1
  return jnp.asarray(random.integers(0, high, spec.shape), spec.dtype)


def randomized(variables: Any) -> Any:
  """Abstract variables filled with random values, none at its initial one."""
  paths, tree = jax.tree_util.tree_flatten_with_path(variables)
  return jax.tree.unflatten(tree, [array("/".join(str(getattr(k, "key", k)) for k in p), v) for p, v in paths])


def materialized(build: Any) -> Any:
  """A model without running its initializers where its arrays are all Variables; zeros stand for them."""
  model = nnx.eval_shape(lambda: build(nnx.Rngs(0)))
  graphdef, state = nnx.split(model)
  leaves = jax.tree.leaves(state, is_leaf=lambda v: isinstance(v, nnx.Variable))
  if not all(isinstance(v, nnx.Variable) for v in leaves):
    return build(nnx.Rngs(0))

  def fill(leaf: Any) -> Any:
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
      return jax.random.key(0) if not leaf.shape else jax.random.split(jax.random.key(0), leaf.shape)
    return jnp.zeros(leaf.shape, leaf.dtype)

  return nnx.merge(graphdef, jax.tree.map(fill, state))
