"""The model classes of a codemod: ported in place, and described for the training code around them."""

from __future__ import annotations

import ast
import dataclasses
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from flax import linen as nn

from migrate.codemod.project import Project
from migrate.codemod.results import ClassResult
from migrate.codemod.scan import module_name
from migrate.codemod.training.model_class import ModelClass
from migrate.core.declare import ModelMapping
from migrate.core.report import Finding
from migrate.trace.facts import Facts
from migrate.workflows.mapping import load_mapping
from migrate.workflows.port import port
from migrate.workflows.port_report import PortReport


@dataclasses.dataclass
class PortedModels:
  """What came of the examples.

  Attributes:
    report: of the port, with its proof.
    classes: full name -> rewritten class.
    texts: path -> new text.
    new: path -> text of files that are added.
    findings: what the user must know.
  """

  report: PortReport
  classes: dict[str, ModelClass]
  texts: dict[str, str]
  new: dict[str, str]
  findings: list[Finding]


def port_models(examples: Sequence[str | Callable[..., Any]], texts: Mapping[str, str], **options: Any) -> PortedModels:
  """Ports the examples into a folder of its own, and takes what belongs in the files of a codemod.

  Args:
    examples: as for `migrate.port`.
    texts: path -> text of the files that may change.
    **options: of `migrate.port`.
  """
  with tempfile.TemporaryDirectory(prefix="linen2nnx-") as folder:
    report = port(examples, Path(folder) / "out", layout="overlay", **options)
    mappings = _mappings(Path(folder) / "out", report)
  project, rewriting = report.project, report.rewriting
  made = PortedModels(report, {}, {}, {}, [*report.findings])
  made.findings += [f for e in report.examples for f in e.findings]
  if project is None or rewriting is None:
    return made
  given = {Path(p).resolve(): p for p in texts}
  outside: set[str] = set()
  roots: list[Path] = []
  for path, module in project.modules.items():
    if module not in rewriting.sources:
      continue
    name = "/".join(module.split(".")) + ("/__init__.py" if path.endswith("__init__.py") else ".py")
    mine = given.get(Path(path).resolve())
    if mine is None:
      outside.add(module)
      made.findings.append(Finding(path, "has classes of the model, and is not among the files to rewrite",
                                   "every file of the model", "give its path too", "error", "L2N111"))  # fmt: skip
      continue
    made.texts[mine] = report.written[name]
    roots.append(Path(path).resolve().parents[len(Path(name).parts) - 1])
  if roots and not outside:
    ours = {n: t for n, t in report.written.items() if n.partition("/")[0].endswith("_layers")}
    made.new = {str(_shortest(roots) / n): t for n, t in ours.items()}
  for result in rewriting.results.values():
    if "." not in result.info.name and result.info.module not in outside:
      found = describe(result, rewriting.results, project, mappings)
      made.classes[found.full] = found
      made.classes[f"{module_name(Path(result.info.file))}.{result.info.name}"] = found
  return made


def _shortest(roots: Sequence[Path]) -> Path:
  return min(roots, key=lambda p: len(p.parts))


def _mappings(folder: Path, report: PortReport) -> dict[str, ModelMapping]:
  """The mapping of each example that has one."""
  names = [f.name for f in report.project.examples] if report.project is not None else []
  files = {n: folder / f"mapping_{n}.json" for n in names}
  files = {n: f if f.is_file() else folder / "mapping.json" for n, f in files.items()}
  found = {n: load_mapping(f) for n, f in files.items() if f.is_file()}
  return {n: m for n, m in found.items() if m.name in ("", n)}


def _paths(
  facts: Facts, mapping: ModelMapping | None
) -> tuple[tuple[tuple[str, ...], tuple[str | int, ...]], ...] | None:
  """Where each parameter of an example is in Linen and in NNX; None where its last name may be another one."""
  modules = mapping.metadata.get("modules") if mapping is not None else None
  if mapping is None or not modules or any(r.ops or r.kind in ("copy", "tie") for r in mapping.rules):
    return None
  if any(r.source and r.target and r.source[0][-1] != r.target[0][-1] for r in mapping.rules):
    return None
  found = []
  for keys, _ in jax.tree_util.tree_flatten_with_path(facts.variables.get("params", {}))[0]:
    path = tuple(str(k.key) for k in keys if hasattr(k, "key"))
    module = next((path[:n] for n in range(len(path) - 1, -1, -1) if "/".join(path[:n]) in modules), None)
    if module is None:
      return None
    other = modules["/".join(module)]
    new = tuple(int(p) if p.isdecimal() else p for p in other.split("/") if p)
    found.append((path, (*new, *path[len(module) :])))
  return tuple(found)


def describe(
  result: ClassResult,
  results: Mapping[type, ClassResult],
  project: Project,
  mappings: Mapping[str, ModelMapping] | None = None,
) -> ModelClass:
  """What training code must know of a rewritten class."""
  own = [results[c] for c in result.info.cls.__mro__ if c in results]
  init = next((m for r in own for m in [_method(r.text, "__init__")] if m is not None), None)
  arguments = init.args if init is not None else ast.parse("def f(self): pass").body[0].args  # pyright: ignore
  positional = [a.arg for a in (*arguments.posonlyargs, *arguments.args)][1:]
  keyword_only = [a.arg for a in arguments.kwonlyargs]
  optional = set(positional[len(positional) - len(arguments.defaults) :]) if arguments.defaults else set()
  optional |= {a.arg for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is not None}
  sizes: dict[str, tuple[str | None, int, tuple[Any, ...]]] = {}
  examples = {id(f) for f in project.examples}
  for size in (s for r in own for s in r.sizes):
    given = {key: v for key, v in size.values.items() if key[0] in examples} or size.values  # not at other sizes
    roots = tuple(v for (_, path), v in given.items() if not path)
    if size.name in {*positional, *keyword_only} and size.name not in sizes:
      sizes[size.name] = (size.parameter, size.axis, roots or tuple(given.values()))
  call = next((r.info.methods["__call__"] for r in own if "__call__" in r.info.methods), None)
  collections: set[str] | None = None
  paths: dict[Any, None] = {}
  modules: list[dict[str, str]] = []
  for fact in project.examples:
    if type(fact.example.module) is result.info.cls:
      mapping = (mappings or {}).get(fact.name)
      paths[_paths(fact, mapping)] = None
      modules.append((mapping.metadata.get("modules") if mapping is not None else None) or {})
      collections = (collections or set()) | set(fact.variables)
  return ModelClass(
    f"{result.info.module}.{result.info.name}",
    (*positional, *keyword_only),
    frozenset(keyword_only),
    frozenset({*positional, *keyword_only} - optional),
    sizes,
    tuple(a.arg for a in (*call.args.posonlyargs, *call.args.args)[1:]) if call is not None else (),
    frozenset(collections) if collections is not None else None,
    any({"scan", "vmap"} & r.templates for r in results.values()),
    _flags(result, results, project),
    collections == {"params"} and not _draws(result, project),
    None if None in paths or not paths else tuple(p for some in paths for p in some),
    _sown(result, results, project),
    {k: v for m in modules for k, v in m.items() if all(o.get(k, v) == v for o in modules)} or None,
  )


def _sown(result: ClassResult, results: Mapping[type, ClassResult], project: Project) -> frozenset[str]:
  """Collections that the model's modules may sow into, by their methods and the functions of their files."""
  modules = [c.module for f in project.examples if type(f.example.module) is result.info.cls for c in f.calls]
  infos = {c: results[c].info for m in modules for c in type(m).__mro__ if c in results}
  trees: list[ast.AST] = [i.node for i in infos.values()]
  files = {i.source.path: i.source.tree for i in infos.values()}
  trees += [n for tree in files.values() for n in tree.body if isinstance(n, ast.FunctionDef)]
  found = set()
  for call in (n for tree in trees for n in ast.walk(tree) if isinstance(n, ast.Call)):
    if isinstance(call.func, ast.Attribute) and call.func.attr == "sow":
      named = [*call.args[:1], *(k.value for k in call.keywords if k.arg == "col")][:1]
      found |= {n.value if isinstance(n, ast.Constant) else "*" for n in named}
    if any(
      k.arg == "sow_weights" and not (isinstance(k.value, ast.Constant) and not k.value.value) for k in call.keywords
    ):
      found.add("intermediates")
  return frozenset(map(str, found))


def _draws(result: ClassResult, project: Project) -> bool:
  """Whether the model may hold more than parameters: RNG streams, arrays in its fields or made in `setup`."""
  modules = [c.module for f in project.examples if type(f.example.module) is result.info.cls for c in f.calls]
  if any(hasattr(m, "dropout_rate") or hasattr(m, "rng_collection") or isinstance(m, (nn.RNNCellBase, nn.Dropout)) for m in modules):  # fmt: skip
    return True
  values = [v for m in modules for n, v in vars(m).items() if n not in ("parent", "scope", "_state")]
  if any(hasattr(leaf, "dtype") for v in values for leaf in jax.tree.leaves(v)):
    return True
  asks = ("make_rng", "Dropout", "RNN", "Cell", "def setup")
  return any(a in Path(p).read_text() for p in project.modules for a in asks)


def _flags(
  result: ClassResult, results: Mapping[type, ClassResult], project: Project
) -> dict[str, tuple[str, bool]] | None:
  """Attributes that tell the model's modules whether a collection may change; None where others would change too."""
  modules = [c.module for f in project.examples if type(f.example.module) is result.info.cls for c in f.calls]
  asking = [r for m in modules for c in type(m).__mro__ if (r := results.get(c)) is not None]
  flags = {f.attr: (f.collection, f.mutable) for r in asking for f in r.flags}
  own = [m.__dict__.get(n) for m in modules for n in ("use_running_average", "deterministic")]
  return None if "use_running_average" in flags and any(isinstance(v, bool) for v in own) else flags


def _method(text: str, name: str) -> ast.FunctionDef | None:
  for node in ast.walk(ast.parse(text.strip())):
    if isinstance(node, ast.ClassDef):
      return next((s for s in node.body if isinstance(s, ast.FunctionDef) and s.name == name), None)
  return None
