"""A quick look at many cases: rewrites, derives and plans in this process, without the proof.

    python tests/corpus/sweep.py PACKAGE_OR_PART_OF_AN_ID...      (TB=1 for tracebacks)

It needs an environment with the cases' packages (`make corpus` makes one). A case takes 1 to 20 seconds instead of 10 to
60: the numbers are not compared, so what it calls OK is not yet proven. `run.py` proves.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
warnings.simplefilter("ignore")
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

import cases as corpus  # noqa: E402

from examples import as_example  # noqa: E402  # pyright: ignore[reportAttributeAccessIssue]

FEW = 3


def sweep(case, out: Path) -> tuple[list, int]:
  """(what went wrong, how many arguments were hoisted)."""
  from flax import nnx

  from migrate.codemod.files import rewrite_project
  from migrate.codemod.project import Project
  from migrate.core.registry import load_layers
  from migrate.trace.run import trace, trace_variants
  from migrate.workflows.mapping import make_plan
  from migrate.workflows.port import _draft
  from migrate.workflows.port_files import importing
  from migrate.workflows.state import linen_leaves, specs, variable_leaves

  example = as_example(case)
  include = tuple(corpus.PACKAGES[case.package].get("include", ()))
  facts = trace(example, name=case.id, include=include)
  project = Project([facts], load_layers(), trace_variants(example, name=case.id, include=include))
  rewritten = rewrite_project(project)
  out.mkdir(parents=True)
  draft = _draft(project, rewritten, [facts], "extract", out, lambda *_: None)
  findings = [*rewritten.findings, *(f for found in draft.failures.values() for f in found)]
  bad: list = [f for f in findings if f.severity == "error"]
  if case.id in draft.mappings:
    with importing(out) as load:
      build = getattr(load("ported"), "build_" + case.id)
      model = nnx.eval_shape(lambda: build(nnx.Rngs(params=0, dropout=1, default=2)))
    plan = make_plan(
      linen_leaves(facts.variables), specs(variable_leaves(model)), draft.mappings[case.id], strict=False
    )
    bad += [*plan.unmapped, *plan.unfilled, *plan.findings]
  return bad, sum(len(r.hoisted) for r in rewritten.results.values())


def main(wanted: list[str]) -> int:
  try:  # gin refuses bindings made inside functions otherwise
    import gin  # pyright: ignore[reportMissingImports]

    gin.enter_interactive_mode()
  except ImportError:
    pass
  kept = Path(os.environ.get("OUT") or tempfile.mkdtemp(prefix="sweep"))
  chosen = [c for c in corpus.CASES if not wanted or any(w in c.id or w == c.package for w in wanted)]
  good = 0
  for case in chosen:
    started, out = time.time(), kept / f"{case.id}_{os.getpid()}"
    try:
      bad, hoisted = sweep(case, out)
      good += not bad
      print(f"{'BAD' if bad else 'OK '} {case.id} {time.time() - started:.1f}s, {hoisted} hoisted  {out}", flush=True)
      for finding in bad[:FEW]:
        print("     ", str(finding)[:400].replace("\n", " | "))
    except Exception as error:
      last = [f for f in traceback.extract_tb(error.__traceback__) if "/migrate/" in f.filename][-2:]
      at = ", ".join(f"{Path(f.filename).name}:{f.lineno}" for f in last)
      print(f"ERR {case.id} {type(error).__name__} {str(error)[:300]!r} {at}", flush=True)
      if os.environ.get("TB"):
        traceback.print_exc()
  print(f"{good} of {len(chosen)}: files in {kept}")
  return good != len(chosen)


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
