"""Proof: the Linen model and its NNX port are both run and compared.

`verify` does it in this process. `verify_ported` gives each model a process of its own, because an overlay shadows the
original modules, because libraries change JAX when they are imported, and because a crash must become a verdict.
Where the outputs differ, the models are run once more, module by module, to name the modules that are wrong.
"""

from __future__ import annotations

import dataclasses
import functools
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from migrate.core.declare import ModelMapping
from migrate.core.report import MigrateError, refuse
from migrate.core.verdict import ExampleReport, Report, failed, worst
from migrate.example import Example, ExampleSpec
from migrate.workflows.sides import run_both, unexpected

Layout = Literal["extract", "overlay"]


def verify(
  example: Example | Callable[[], Example] | str,
  build: Callable[..., Any],
  mapping: ModelMapping | str | Path,
  *,
  name: str = "",
  optimizer: Any = None,
  steps: int = 2,
) -> Report:
  """Runs a Linen model and an NNX model in this process and compares them.

  Args:
    example: a `migrate.Example`, a function that returns one, or `package.module:function`.
    build: gives the NNX model from an `nnx.Rngs`.
    mapping: from Linen variables to NNX state, or the path of its JSON file.
    name: of the example in the report; its function's or module's by default.
    optimizer: an Optax transformation. If given, both are also trained: three Linen steps, migration with optimizer
      state, then `steps` steps in both.
    steps: see `optimizer`.

  Returns:
    A report of one example. Whatever goes wrong becomes the verdict `error` with a finding; nothing is raised.
  """
  from migrate.verify.compare import compare
  from migrate.verify.layerwise import record_modules
  from migrate.verify.linen_side import record_linen
  from migrate.verify.nnx_side import build_model, compare_filled, record_nnx
  from migrate.workflows.bridge import StateBridge

  started = time.monotonic()
  name = name or _name_of(example)
  try:
    value = _example_of(example)
    name = name or type(value.module).__name__
    made = _mapping_of(mapping)
    linen = record_linen(value, where=name)
    nnx = record_nnx(linen, build_model(build, linen.streams, name), StateBridge(made), where=name)
    report = compare(name, linen, nnx)
    call = _differing_call(report)
    if call is not None:
      calls = record_modules(value.module, linen.variables, linen.plans[call])
      model = build_model(build, linen.streams, name)
      diffs = compare_filled(linen, model, StateBridge(made), calls, call)
      report = _with_modules(report, [d.to_json() for d in diffs])
    if optimizer is not None:
      model = build_model(build, linen.streams, name)
      report = _with_training(report, value.module, linen, model, StateBridge(made), optimizer, steps)
    report = dataclasses.replace(report, seconds=time.monotonic() - started)
  except MigrateError as error:
    report = failed(name, *error.findings, seconds=time.monotonic() - started)
  except Exception as error:
    report = failed(name, unexpected(name, error), seconds=time.monotonic() - started)
  return Report((report,))


def _differing_call(report: ExampleReport) -> int | None:
  """The number of the first call whose output or state differs."""
  diffs = (*report.forward.different, *(d for c in report.collections.values() for d in c.different))
  return min((int(d.name.split("/")[0].removeprefix("call")) for d in diffs), default=None)


def _with_modules(report: ExampleReport, diffs: list[dict[str, Any]]) -> ExampleReport:
  """The report with the module by module comparison; the modules that are wrong come first among the findings."""
  from migrate.verify.layerwise import findings_of

  named = findings_of(report.name, diffs)
  return dataclasses.replace(report, modules=tuple(diffs), findings=(*named, *report.findings))


def _with_training(
  report: ExampleReport, module: Any, linen: Any, model: Any, bridge: Any, optimizer: Any, steps: int
) -> ExampleReport:
  from migrate.verify.training import compare_training, training_call

  plan = linen.plans[training_call(linen.plans)]
  training = compare_training(module, linen.variables, plan, model, bridge, optimizer, steps=steps)
  return dataclasses.replace(
    report, training=training.to_json(), verdict=worst((report.verdict, training.verdict)),
    findings=(*report.findings, *training.findings(report.name)),
  )  # fmt: skip


def _name_of(example: Any) -> str:
  if isinstance(example, str):
    return example.rpartition(":")[2]
  return getattr(example, "__name__", "")


def _example_of(example: Any) -> Example:
  if isinstance(example, str):
    return ExampleSpec.parse(example).build()
  value = example() if not isinstance(example, Example) and callable(example) else example
  if not isinstance(value, Example):
    raise refuse("example", f"it is a {type(value).__name__}", "a migrate.Example or a function that returns one")
  return value


def _mapping_of(mapping: Any) -> Any:
  if isinstance(mapping, (str, Path)):
    from migrate.workflows.mapping import load_mapping

    return load_mapping(mapping)
  return mapping


def verify_ported(
  spec_text: str,
  ported_dir: Path | str,
  build_name: str,
  mapping_path: Path | str,
  *,
  layout: Layout = "extract",
  timeout_s: float = 600.0,
  name: str = "",
) -> ExampleReport:
  """Proves one ported example, each model in a process of its own.

  Args:
    spec_text: the example, `package.module:function` or `path/file.py:function`.
    ported_dir: the folder that `linen2nnx port` wrote, with `ported.py`.
    build_name: the function of `ported.py` that makes the model.
    mapping_path: `mapping.json`.
    layout: `overlay` where the ported files shadow the original modules.
    timeout_s: after which both processes are ended, and the verdict is `error`.
    name: of the example in the report, its function's by default.

  Returns:
    The report; a crash, a timeout or any other failure is the verdict `error`.
  """
  started = time.monotonic()
  name = name or spec_text.rpartition(":")[2]
  folder = Path(tempfile.mkdtemp(prefix="linen2nnx-proof-"))
  try:
    places = (Path(ported_dir), build_name, Path(mapping_path), layout, folder)
    run = functools.partial(run_both, spec_text, *places, timeout_s=timeout_s, name=name)
    findings = run()
    if findings:
      return failed(name, *findings, seconds=time.monotonic() - started)
    from migrate.verify import store
    from migrate.verify.compare import compare
    from migrate.verify.records import load_linen, load_nnx

    report = compare(name, load_linen(folder, arguments=False), load_nnx(folder))
    call = _differing_call(report)
    if call is not None:
      findings = run(modules=call)
      if findings:
        note = dataclasses.replace(findings[0], severity="note", where=f"{name}, module by module")
        report = dataclasses.replace(report, findings=(*report.findings, note))
      else:
        report = _with_modules(report, store.load_json(folder / "diffs.json"))
    return dataclasses.replace(report, seconds=time.monotonic() - started)
  except MigrateError as error:
    return failed(name, *error.findings, seconds=time.monotonic() - started)
  finally:
    shutil.rmtree(folder, ignore_errors=True)
