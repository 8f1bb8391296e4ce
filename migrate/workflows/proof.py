"""Proof: the Linen model and its NNX port are both run and compared.

`verify` does it in this process. `verify_ported` gives each model a process of its own, because an overlay shadows the
original modules, because libraries change JAX when they are imported, and because a crash must become a verdict.
The two processes are this module: `python -m migrate.workflows.proof linen|nnx ...`.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from migrate.core.declare import ModelMapping, Rule
from migrate.core.report import Finding, MigrateError, refuse
from migrate.core.verdict import ExampleReport, Report, failed
from migrate.example import Example, ExampleSpec

Layout = Literal["extract", "overlay"]

_CHEAP = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
_SHOWN = 8  # findings of a plan that are passed on
_POLL = 0.02  # seconds between looks for a file of the other process


class StateBridge:
  """State translation as the verifier needs it: one plan, made from the Linen variables, read in both directions.

  What the mapping does not place is left out on either side and named in the report, so that a mapping with a hole
  still tells how far the rest agrees.
  """

  def __init__(self, mapping: ModelMapping):
    self.mapping = mapping
    self.rng_paths: Mapping[str, str] = dict(mapping.metadata.get("rng_paths", {}))
    self._plan: Any = None

  def plan(self, variables: Mapping[str, Any], model: Any) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    """See `migrate.verify.nnx_side.Bridge`."""
    from migrate.core.paths import show
    from migrate.workflows.mapping import make_plan
    from migrate.workflows.state import linen_leaves, specs, variable_leaves

    leaves, targets = linen_leaves(variables), specs(variable_leaves(model))
    loose = make_plan(leaves, targets, self.mapping, strict=False)
    holes = (
      *(Rule("drop", (_literal(p),), (), (), "unmapped") for p in loose.unmapped),
      *(Rule("fresh", (), (_literal(p),), (), "unfilled") for p in loose.unfilled),
    )
    gone = {_literal(p) for p in (*loose.unmapped, *loose.unfilled)}
    kept = (r for r in self.mapping.rules if not gone.intersection((*r.source, *r.target)))
    self.mapping = dataclasses.replace(self.mapping, rules=(*kept, *holes))
    try:
      self._plan = make_plan(leaves, targets, self.mapping)
    except MigrateError as error:
      raise MigrateError(*(loose.findings[:_SHOWN] or error.findings)) from error
    carried = sum(len(entry.sources) for entry in self._plan.entries if entry.fate not in ("drop", "fresh"))
    return carried, tuple(show(p) for p in loose.unmapped), tuple(show(p) for p in loose.unfilled)

  def fill(self, variables: Mapping[str, Any], model: Any) -> Any:
    """See `migrate.verify.nnx_side.Bridge`."""
    from migrate.workflows.state import to_nnx

    return to_nnx(variables, model, self.mapping)

  def back(self, model: Any) -> Mapping[str, Any]:
    """See `migrate.verify.nnx_side.Bridge`."""
    from migrate.core.translate import translate
    from migrate.core.tree import nest
    from migrate.workflows.state import variable_leaves

    values = {path: v.get_value() for path, v in variable_leaves(model).items()}
    return nest(dict(translate(self._plan.inverse(), values)))


def _literal(path: Sequence[str | int]) -> tuple[str | int, ...]:
  """A path as a pattern that matches just itself."""
  return tuple(p.replace("{", "{{").replace("}", "}}") if isinstance(p, str) else p for p in path)


def verify(
  example: Example | Callable[[], Example] | str,
  build: Callable[..., Any],
  mapping: ModelMapping | str | Path,
  *,
  name: str = "",
) -> Report:
  """Runs a Linen model and an NNX model in this process and compares them.

  Args:
    example: a `migrate.Example`, a function that returns one, or `package.module:function`.
    build: gives the NNX model from an `nnx.Rngs`.
    mapping: from Linen variables to NNX state, or the path of its JSON file.
    name: of the example in the report; its function's or module's by default.

  Returns:
    A report of one example. Whatever goes wrong becomes the verdict `error` with a finding; nothing is raised.
  """
  from migrate.verify.compare import compare
  from migrate.verify.linen_side import record_linen
  from migrate.verify.nnx_side import build_model, record_nnx

  started = time.monotonic()
  name = name or _name_of(example)
  try:
    value = _example_of(example)
    name = name or type(value.module).__name__
    bridge = StateBridge(_mapping_of(mapping))
    linen = record_linen(value, where=name)
    nnx = record_nnx(linen, build_model(build, linen.streams, name), bridge, where=name)
    report = compare(name, linen, nnx, time.monotonic() - started)
  except MigrateError as error:
    report = failed(name, *error.findings, seconds=time.monotonic() - started)
  except Exception as error:
    report = failed(name, _unexpected(name, error), seconds=time.monotonic() - started)
  return Report((report,))


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
    findings = _run_both(spec_text, Path(ported_dir), build_name, Path(mapping_path), layout, folder, timeout_s, name)
    if findings:
      return failed(name, *findings, seconds=time.monotonic() - started)
    from migrate.verify.compare import compare
    from migrate.verify.records import load_linen, load_nnx

    return compare(name, load_linen(folder, arguments=False), load_nnx(folder), time.monotonic() - started)
  except MigrateError as error:
    return failed(name, *error.findings, seconds=time.monotonic() - started)
  finally:
    shutil.rmtree(folder, ignore_errors=True)


def _run_both(
  spec: str, ported: Path, build: str, mapping: Path, layout: str, folder: Path, timeout_s: float, name: str
) -> tuple[Finding, ...]:
  """Starts both processes, waits, and returns what went wrong. The NNX one waits for the files of the Linen one."""
  common = ["--folder", str(folder), "--name", name]
  commands = {
    "Linen": ["linen", spec, *common],
    "NNX": ["nnx", str(ported.resolve()), build, str(mapping.resolve()), "--layout", layout, *common],
  }
  deadline = time.monotonic() + timeout_s
  processes: dict[str, subprocess.Popen[bytes]] = {}
  with contextlib.ExitStack() as stack:
    for side, arguments in commands.items():
      log = stack.enter_context(open(folder / f"{side}.log", "wb"))
      command = [sys.executable, "-m", "migrate.workflows.proof", *arguments]
      processes[side] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=_environment())
    try:
      return _wait(processes, folder, deadline, timeout_s, name)
    finally:
      for process in processes.values():
        if process.poll() is None:
          process.kill()
          process.wait()


def _wait(
  processes: Mapping[str, subprocess.Popen[bytes]], folder: Path, deadline: float, timeout_s: float, name: str
) -> tuple[Finding, ...]:
  from migrate.verify.records import load_failure

  while True:
    codes = {side: process.poll() for side, process in processes.items()}
    for side, code in codes.items():
      if code:
        return load_failure(folder) or (_crashed(side, code, folder, name),)
    if all(code == 0 for code in codes.values()):
      return ()
    if time.monotonic() > deadline:
      late = " and ".join(side for side, code in codes.items() if code is None)
      return (
        Finding(name, f"the {late} side did not finish within {timeout_s:g} s", "a run within the time limit",
                "use a smaller configuration in the example, or a longer time limit"),
      )  # fmt: skip
    time.sleep(_POLL)


def _crashed(side: str, code: int, folder: Path, name: str) -> Finding:
  """A process that ended without leaving a finding: its last lines are all there is."""
  text = (folder / f"{side}.log").read_text(errors="replace").strip().splitlines()
  how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
  tail = " | ".join(line.strip() for line in text[-3:])[:600]
  return Finding(
    name, f"the {side} process {how}{': ' + tail if tail else ''}", "a run that ends by itself",
    "signal 9 usually means too little memory: use a smaller configuration in the example",
  )  # fmt: skip


def _environment() -> dict[str, str]:
  """CPU, compiled quickly, imports from where this process imports."""
  env = dict(os.environ)
  env["JAX_PLATFORMS"] = "cpu"
  if "xla_backend_optimization_level" not in env.get("XLA_FLAGS", ""):
    env["XLA_FLAGS"] = f"{env.get('XLA_FLAGS', '')} {_CHEAP}".strip()
  here = str(Path(__file__).resolve().parents[2])
  env["PYTHONPATH"] = os.pathsep.join(dict.fromkeys((*(p for p in sys.path if p), here)))
  return env


def main(argv: Sequence[str] | None = None) -> int:
  """One side of `verify_ported`: 0, or 3 with `failure.json` in the folder."""
  parser = argparse.ArgumentParser(prog="python -m migrate.workflows.proof")
  sides = parser.add_subparsers(dest="side", required=True)
  linen = sides.add_parser("linen")
  linen.add_argument("spec")
  nnx = sides.add_parser("nnx")
  for argument in ("ported", "build", "mapping"):
    nnx.add_argument(argument)
  nnx.add_argument("--layout", default="extract")
  for side in (linen, nnx):
    side.add_argument("--folder", type=Path, required=True)
    side.add_argument("--name", default="example")
  options = parser.parse_args(argv)
  from migrate.verify.records import save_failure

  try:
    (_linen_process if options.side == "linen" else _nnx_process)(options)
  except MigrateError as error:
    save_failure(options.folder, error)
    return 3
  except Exception as error:
    if os.environ.get("LINEN2NNX_DEBUG"):
      raise
    save_failure(options.folder, MigrateError(_unexpected(options.name, error)))
    return 3
  return 0


def _unexpected(name: str, error: Exception) -> Finding:
  from migrate.verify.imports import last_frame

  text = f"{type(error).__name__}: {str(error).strip()[:600]}"
  do = f"{last_frame(error)}; report it as a fault of linen2nnx"
  return Finding(name, f"verifying raised {text}", "a verdict", do)


def _linen_process(options: argparse.Namespace) -> None:
  from migrate.verify import store
  from migrate.verify.imports import changed_config, jax_config
  from migrate.verify.linen_side import record_linen, streams_of
  from migrate.verify.records import save_linen

  before = jax_config()
  example = ExampleSpec.parse(options.spec).build()
  settings = {"config": changed_config(before, jax_config()), "streams": streams_of(example), "paths": sys.path}
  store.save_json(options.folder / "settings.json", settings)
  save_linen(options.folder, record_linen(example, where=options.name))


def _nnx_process(options: argparse.Namespace) -> None:
  import flax.nnx  # noqa: F401  (slow to import: done while the Linen process does the same)

  from migrate.verify import imports, store
  from migrate.verify.nnx_side import build_model, record_nnx
  from migrate.verify.records import load_linen, save_nnx
  from migrate.workflows.mapping import load_mapping

  settings = store.load_json(_await(options.folder / "settings.json"))
  sys.path += [p for p in settings["paths"] if p not in sys.path]
  imports.enter_ported(Path(options.ported), options.layout)
  build = imports.load_build(Path(options.ported), options.build)
  imports.apply_config(settings["config"])
  bridge = StateBridge(load_mapping(Path(options.mapping)))
  model = build_model(build, settings["streams"], options.name)
  _await(options.folder / "linen.json")
  linen = load_linen(options.folder, arguments=True)
  save_nnx(options.folder, record_nnx(linen, model, bridge, where=options.name))


def _await(path: Path) -> Path:
  """Waits for a file of the other process; the parent ends us where it never comes."""
  parent = os.getppid()
  while not path.exists():
    if os.getppid() != parent:
      raise SystemExit(1)
    time.sleep(_POLL)
  return path


if __name__ == "__main__":
  sys.exit(main())
