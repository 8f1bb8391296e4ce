"""`migrate.port`: the main job, from an example of a Linen model to a proven NNX model."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
import shutil
import sys
import tempfile
import time
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from flax import nnx

import migrate
from migrate.codemod.build import DRAWS, Builder
from migrate.codemod.extract import extract
from migrate.codemod.files import Rewriting, rewrite_project
from migrate.codemod.ledger import compress, derive
from migrate.codemod.project import Project
from migrate.codemod.remains import without_linen
from migrate.codemod.templates import FOLDER, template_sources
from migrate.core.declare import ModelMapping
from migrate.core.registry import load_layers
from migrate.core.report import Finding, MigrateError, refuse
from migrate.core.verdict import ExampleReport, failed
from migrate.example import Call, Example, ExampleSpec
from migrate.trace.facts import Facts
from migrate.trace.run import trace as run_trace
from migrate.trace.run import trace_variants
from migrate.verify.linen_draws import linen_draws
from migrate.workflows.constants import with_constants
from migrate.workflows.live import abstract
from migrate.workflows.port_files import importing, prelude, write_files
from migrate.workflows.port_report import PortReport
from migrate.workflows.raised import what_to_do

Layout = Literal["extract", "overlay"]
Progress = Callable[..., None]


@dataclasses.dataclass
class Draft:
  """What was made of the examples before anything is proven."""

  files: dict[str, str] = dataclasses.field(default_factory=dict)
  arrays: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
  mappings: dict[str, ModelMapping] = dataclasses.field(default_factory=dict)
  failures: dict[str, tuple[Finding, ...]] = dataclasses.field(default_factory=dict)


@with_constants
def port(
  examples: Sequence[str | Callable[[], Example]] | str | Callable[[], Example],
  out: str | Path,
  *,
  include: Sequence[str] = (),
  layout: Layout = "extract",
  apply: bool = False,
  checkpoint: str | Path | None = None,
  checkpoint_out: str | Path | None = None,
  overwrite: bool = False,
  exact: bool = False,
  keep_rng: bool = False,
  allow_optimizer_change: bool = False,
  rng: str | None = None,
  seed: int = 0,
  progress: Progress | None = None,
) -> PortReport:
  """Rewrites the Linen classes that the examples reach, derives the mapping, converts and proves.

  Args:
    examples: `package.module:function`, `path/file.py:function`, or functions at the top level of a file.
    out: folder to make: the ported code, `ported.py`, `mapping.json`, `report.json`.
    include: packages to rewrite; by default the top-level package of each example's module class and, with
      `extract`, those of the other classes of modules that it reaches.
    layout: `extract` writes a new package `<package>_nnx`, `overlay` the changed files under their own names.
    apply: with `overlay`, replace the original files once everything is proven.
    checkpoint: Orbax checkpoint of the Linen training state.
    checkpoint_out: where the NNX checkpoint goes.
    overwrite: replace `out` and `checkpoint_out` where they exist.
    exact: write what is bitwise equal even where stock NNX is within noise.
    keep_rng: the ported models draw Linen's own random numbers: after `set_rngs(model, dropout=key)`, dropout masks are
      those of `apply(..., rngs={"dropout": key})`.
    allow_optimizer_change: as for `migrate.convert`, and so are `rng` and `seed`.
    progress: called with a text at every stage.

  Returns:
    PortReport: `.ok` where everything agreed and nothing was left.

  Raises:
    MigrateError: for bad examples, a folder that exists; nothing is then written. Where a checkpoint does not fit,
      the report says so, and only the checkpoint is not written.
  """
  say = progress or (lambda *_: None)
  target = Path(out)
  if target.exists() and not overwrite:
    raise refuse(str(target), "exists", "a folder to make", "choose another --out, or give --overwrite")
  if (checkpoint is None) != (checkpoint_out is None):
    raise refuse("port", "checkpoint and checkpoint_out go together", "both or neither", "give the other one too")
  specs = [_spec(e) for e in ([examples] if isinstance(examples, str) or callable(examples) else examples)]
  started = time.monotonic()
  built = [(spec, spec.build()) for spec in specs]
  foreign = layout == "extract"  # nobody asked to change the files of other distributions
  facts, others = [], []
  for spec, example in built:
    say(f"trace {spec.name}")
    facts.append(run_trace(example, name=spec.name, include=include, foreign=foreign))
    others += trace_variants(example, name=spec.name, include=include, foreign=foreign)
  say("rewrite")
  project = Project(facts, load_layers(), others)
  rewriting = rewrite_project(project, exact)
  staging = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=_existing_parent(target)))
  try:
    draft = _draft(project, rewriting, facts, layout, staging, say, keep_rng)
    reports = _prove(specs, facts, draft, staging, layout, say)
    report = PortReport.make(rewriting, project, draft.files, reports, time.monotonic() - started)
    if checkpoint is not None and checkpoint_out is not None:
      say("convert checkpoint")
      options = {"overwrite": overwrite, "allow_optimizer_change": allow_optimizer_change, "rng": rng, "seed": seed}
      _convert(checkpoint, checkpoint_out, draft, staging, report, **options)
    (staging / "report.json").write_text(json.dumps(report.to_json(), indent=2) + "\n", encoding="utf-8")
    _publish_page(staging, report)
    if target.exists():
      shutil.rmtree(target)
    staging.rename(target)
  finally:
    shutil.rmtree(staging, ignore_errors=True)
  if apply and layout == "overlay":
    if not report.ok:
      report.findings.append(
        Finding(str(target), "not applied: not everything is proven", "a proven port", "read the findings above")
      )
    else:
      say("apply")
      _apply(project, rewriting)
  return report


def _spec(example: str | Callable[[], Example]) -> ExampleSpec:
  if isinstance(example, str):
    return ExampleSpec.parse(example)
  file = inspect.getsourcefile(example)
  if file is None or "<locals>" in example.__qualname__:
    raise refuse(
      getattr(example, "__qualname__", str(example)),
      "not a function at the top level of a file",
      "an example",
      "define it at the top level of a file",
    )
  return ExampleSpec.parse(f"{file}:{example.__qualname__}")


def _existing_parent(path: Path) -> Path:
  parent = path.absolute().parent
  parent.mkdir(parents=True, exist_ok=True)
  return parent


def _draft(
  project: Project,
  rewriting: Rewriting,
  facts: Sequence[Facts],
  layout: Layout,
  staging: Path,
  say: Progress,
  keep_rng: bool = False,
) -> Draft:
  draft = Draft()
  if not rewriting.sources:
    return draft
  tops = {m.partition(".")[0] for m in rewriting.sources}
  new = {top: f"{top}_nnx" for top in tops}
  root = project.info(type(facts[0].example.module))
  first = project.modules[root.file] if root is not None else sorted(rewriting.sources)[0]
  top = first.partition(".")[0]
  twin = staging / "twin" if layout == "overlay" else staging
  twin.mkdir(exist_ok=True)
  folder = f"{new[top]}.{FOLDER}" if "." in first else f"{new[top]}_layers"
  files, arrays, used, failures = _extracted(project, rewriting, new, folder, keep_rng)
  draft.failures.update(failures)
  draws: dict[str, Any] = {fact.name: {} for fact in facts}
  write_files(twin, files | ({DRAWS: json.dumps(draws)} if keep_rng else {}), arrays)
  for fact in facts:
    if fact.name in draft.failures:
      continue
    say(f"derive mapping of {fact.name}")
    try:
      draft.mappings[fact.name], found = _mapping(project, rewriting, fact, twin, used, keep_rng)
      draws[fact.name] = found
    except MigrateError as error:
      draft.failures[fact.name] = error.findings
  if layout == "overlay":
    shutil.rmtree(twin)
    files, arrays = _overlaid(project, rewriting, f"{top}_layers", keep_rng)
    write_files(staging, files, arrays)
  if keep_rng:
    write_files(staging, {DRAWS: json.dumps(draws, indent=1) + "\n"}, {})
  draft.files, draft.arrays = files, arrays
  _save_mappings(draft, staging)
  return draft


def _extracted(
  project: Project, rewriting: Rewriting, new: dict[str, str], folder: str, keep_rng: bool
) -> tuple[dict[str, str], dict[str, np.ndarray], set[str], dict[str, tuple[Finding, ...]]]:
  def new_module(module: str) -> str:
    top, dot, rest = module.partition(".")
    return f"{new.get(top, top)}{dot}{rest}"

  is_package = {project.modules[p]: p.endswith("__init__.py") for p in project.sources}
  home = functools.partial(_defined_in, project)
  files = extract(rewriting.sources, rewriting.keep, new, is_package, home, _is_module)
  builder = Builder(project, rewriting, new_module, folder, keep_rng)
  text, arrays = builder.write()
  used = rewriting.templates | builder.used
  module = lambda p: p.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
  files = {p: without_linen(_placed(t, folder), p, module(p)) for p, t in files.items()}
  files["ported.py"] = text
  files |= _layer_files(used, rewriting, folder)
  return files, arrays, used, builder.failures


def _overlaid(
  project: Project, rewriting: Rewriting, folder: str, keep_rng: bool
) -> tuple[dict[str, str], dict[str, np.ndarray]]:
  files: dict[str, str] = {}
  paths: dict[str, str] = {}
  for path, module in project.modules.items():
    if module in rewriting.sources:
      parts = module.split(".")
      name = "/".join([*parts, "__init__.py"]) if path.endswith("__init__.py") else "/".join(parts) + ".py"
      files[name] = without_linen(_placed(rewriting.sources[module], folder), path, module)
      paths[module] = name
  builder = Builder(project, rewriting, lambda m: m, folder, keep_rng)
  text, arrays = builder.write()
  files |= _layer_files(rewriting.templates | builder.used, rewriting, folder)
  files["ported.py"] = prelude(text, paths)
  return files, arrays


def _placed(text: str, folder: str) -> str:
  return text.replace("from __templates__.", f"from {folder}.").replace(
    "from __variables__ ", f"from {folder}.variables "
  )


def _layer_files(used: set[str], rewriting: Rewriting, folder: str) -> dict[str, str]:
  base = folder.replace(".", "/")
  files = {f"{base}/{name}.py": text for name, text in template_sources(used).items()}
  if rewriting.collections:
    text = '"""Variable types for collections that NNX has no type for."""\n\nfrom flax import nnx\n'
    for collection, name in sorted(rewriting.collections.items()):
      text += f'\n\nclass {name}(nnx.Variable):\n  """Linen\'s collection `{collection}`."""\n'
    files[f"{base}/variables.py"] = text
  if files:
    files[f"{base}/__init__.py"] = '"""Layers as Linen computes them, where NNX has none or another."""\n'
  return files


def _object(module: str, name: str) -> Any:
  """What `module.name` is; `module` may be an alias that is itself an attribute (`library.api.nn`)."""
  parts = [*module.split("."), name]
  cut = next((i for i in range(len(parts) - 1, 0, -1) if ".".join(parts[:i]) in sys.modules), 0)
  found: Any = sys.modules.get(".".join(parts[:cut]))
  for part in parts[cut:]:
    found = getattr(found, part, None)
  return found


def _defined_in(project: Project, module: str, name: str) -> tuple[str, str] | None:
  found = _object(module, name)
  info = project.info(found) if isinstance(found, type) else None
  if info is not None:  # a package may say of its classes that they are defined where it hands them on
    return info.module, info.name
  home = getattr(found, "__module__", None)
  qualname = getattr(found, "__qualname__", None)
  return (home, qualname) if isinstance(home, str) and isinstance(qualname, str) and "." not in qualname else None


def _is_module(full: str) -> bool:
  module, _, name = full.rpartition(".")
  found = _object(module, name) if module else sys.modules.get(name)
  return isinstance(found, types.ModuleType)


def _mapping(
  project: Project, rewriting: Rewriting, fact: Facts, folder: Path, templates: set[str], keep_rng: bool
) -> tuple[ModelMapping, Any]:
  """The mapping, and where asked what Linen folds into its random keys."""
  example = fact.example
  method = example.init_method or example.method
  init = Call(
    example.args if example.init_args is None else example.init_args,
    example.kwargs if example.init_kwargs is None else example.init_kwargs,
    method=method,
  )
  runs = [(0, init), *((i + 1, c) for i, c in enumerate(example.all_calls))]
  streams = dict.fromkeys((*example.init_rngs, *(r for c in example.all_calls for r in c.rngs), "params", "dropout"))
  with importing(folder) as load:
    try:
      build = getattr(load("ported"), f"build_{fact.name}")
      model = abstract(lambda: build(nnx.Rngs(**{n: i for i, n in enumerate(streams)})))
      mapping = derive(project, fact, rewriting.results, model, runs, templates)
      draws = linen_draws(example, model, mapping.metadata["rng_paths"], where=fact.name) if keep_rng else {}
    except MigrateError:
      raise
    except Exception as error:
      import os
      import traceback

      if os.environ.get("LINEN2NNX_DEBUG"):
        traceback.print_exc()
      frame = traceback.extract_tb(error.__traceback__)
      mine = [f for f in frame if str(folder) in f.filename]
      where = f"{Path(mine[-1].filename).relative_to(folder)}:{mine[-1].lineno}" if mine else fact.name
      text = " ".join(str(error).split())[:300]
      found = f"the ported model raised {type(error).__name__}: {text}"
      raise MigrateError(Finding(where, found, "a model that runs", what_to_do(error), "error", "L2N302")) from error
  return mapping, draws


def _save_mappings(draft: Draft, staging: Path) -> None:
  from migrate.workflows.mapping import save_mapping

  for i, (name, mapping) in enumerate(draft.mappings.items()):
    if i == 0:
      save_mapping(compress(mapping), staging / "mapping.json")
    if len(draft.mappings) > 1:
      save_mapping(compress(mapping), staging / f"mapping_{name}.json")


def _prove(
  specs: Sequence[ExampleSpec], facts: Sequence[Facts], draft: Draft, staging: Path, layout: Layout, say: Progress
) -> list[ExampleReport]:
  from migrate.workflows.proof import verify_ported
  from migrate.workflows.tracing import nothing_ported

  reports = []
  for spec, fact in zip(specs, facts, strict=True):
    if fact.name not in draft.mappings:
      found = draft.failures.get(fact.name) or (nothing_ported(spec, fact),)
      reports.append(failed(fact.name, *found))
      continue
    say(f"verify {fact.name}")
    file = f"mapping_{fact.name}.json" if len(draft.mappings) > 1 else "mapping.json"
    reports.append(
      verify_ported(spec.text, staging, f"build_{fact.name}", staging / file, layout=layout, name=fact.name)
    )
  return reports


def _convert(src: Any, dst: Any, draft: Draft, staging: Path, report: PortReport, **options: Any) -> None:
  """Converts with the first mapping that fits; where none does, the report says why and nothing is written."""
  from migrate.workflows.convert import convert_checkpoint

  errors: list[MigrateError] = []
  for name, mapping in draft.mappings.items():
    with importing(staging, hide=report.rewriting.sources if report.rewriting else ()) as load:
      build = getattr(load("ported"), f"build_{name}")

      def model(build: Callable[..., nnx.Module] = build) -> nnx.Module:
        return build(nnx.Rngs(0, params=0, dropout=1))

      try:
        done = convert_checkpoint(src, dst, compress(mapping), build=model, **options)
      except MigrateError as error:
        errors.append(error)
        continue
    report.checkpoint = done.to_json()
    return
  none = Finding(str(src), "not converted: no example was ported", "a ported example", "read the other findings")
  report.findings += errors[0].findings if errors else (none,)


def _publish_page(staging: Path, report: PortReport) -> None:
  try:
    from migrate.verify.html import render
  except ImportError:
    return
  (staging / "report.html").write_text(render(report.to_json()), encoding="utf-8")


def _apply(project: Project, rewriting: Rewriting) -> None:
  for path, module in project.modules.items():
    if module in rewriting.sources:
      temporary = Path(path).with_suffix(".py.linen2nnx")
      temporary.write_text(rewriting.sources[module], encoding="utf-8")
      temporary.replace(path)


__all__ = ["PortReport", "migrate", "port"]
