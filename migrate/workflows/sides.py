"""The two processes of a proof: started, awaited, and what each of them does.

`python -m migrate.workflows.sides linen|nnx ...` is one of them. With `--modules CALL` they go through one call again,
module by module.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from migrate.core.report import Finding, MigrateError
from migrate.example import ExampleSpec

_CHEAP = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
_POLL = 0.02  # seconds between looks for a file of the other process


def run_both(
  spec: str, ported: Path, build: str, mapping: Path, layout: str, folder: Path, *, timeout_s: float, name: str,
  modules: int | None = None,
) -> tuple[Finding, ...]:  # fmt: skip
  """Starts both processes, waits, and returns what went wrong. The NNX one waits for the files of the Linen one."""
  common = ["--folder", str(folder), "--name", name, *(["--modules", str(modules)] if modules is not None else [])]
  commands = {
    "Linen": ["linen", spec, *common],
    "NNX": ["nnx", spec, str(ported.resolve()), build, str(mapping.resolve()), "--layout", layout, *common],
  }
  deadline = time.monotonic() + timeout_s
  processes: dict[str, subprocess.Popen[bytes]] = {}
  with contextlib.ExitStack() as stack:
    for side, arguments in commands.items():
      log = stack.enter_context(open(folder / f"{side}.log", "wb"))
      command = [sys.executable, "-m", "migrate.workflows.sides", *arguments]
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
  """CPU, compiled quickly, imports from where this process imports, sets in one order."""
  env = dict(os.environ)
  env["JAX_PLATFORMS"] = "cpu"
  if "xla_backend_optimization_level" not in env.get("XLA_FLAGS", ""):
    env["XLA_FLAGS"] = f"{env.get('XLA_FLAGS', '')} {_CHEAP}".strip()
  if env.get("PYTHONHASHSEED", "random") == "random":
    env["PYTHONHASHSEED"] = "0"  # objects whose arrays are in the order of a set: both sides must flatten them alike
  here = str(Path(__file__).resolve().parents[2])
  env["PYTHONPATH"] = os.pathsep.join(dict.fromkeys((*(p for p in sys.path if p), here)))
  return env


def main(argv: Sequence[str] | None = None) -> int:
  """One side of a proof: 0, or 3 with `failure.json` in the folder."""
  parser = argparse.ArgumentParser(prog="python -m migrate.workflows.sides")
  sides = parser.add_subparsers(dest="side", required=True)
  linen = sides.add_parser("linen")
  linen.add_argument("spec")
  nnx = sides.add_parser("nnx")
  for argument in ("spec", "ported", "build", "mapping"):
    nnx.add_argument(argument)
  nnx.add_argument("--layout", default="extract")
  for side in (linen, nnx):
    side.add_argument("--folder", type=Path, required=True)
    side.add_argument("--name", default="example")
    side.add_argument("--modules", type=int)
  options = parser.parse_args(argv)
  from migrate.verify.records import save_failure
  from migrate.workflows.constants import with_constants

  try:
    (with_constants(_linen_process) if options.side == "linen" else _nnx_process)(options)
  except MigrateError as error:
    save_failure(options.folder, error)
    return 3
  except Exception as error:
    if os.environ.get("LINEN2NNX_DEBUG"):
      raise
    save_failure(options.folder, MigrateError(unexpected(options.name, error)))
    return 3
  return 0


def unexpected(name: str, error: Exception) -> Finding:
  """A fault of the tool itself as a finding."""
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
  if options.modules is not None:
    _linen_modules(options, example)
    return
  settings = {"config": changed_config(before, jax_config()), "streams": streams_of(example), "paths": sys.path}
  store.save_json(options.folder / "settings.json", settings)
  save_linen(options.folder, record_linen(example, where=options.name))


def _nnx_process(options: argparse.Namespace) -> None:
  import flax.nnx  # noqa: F401  (slow to import: done while the Linen process does the same)

  from migrate.verify import imports, store
  from migrate.verify.nnx_side import build_model, record_nnx
  from migrate.verify.records import load_linen, save_nnx
  from migrate.workflows.bridge import StateBridge
  from migrate.workflows.constants import with_constants
  from migrate.workflows.mapping import load_mapping

  settings = store.load_json(_await(options.folder / "settings.json"))
  sys.path += [p for p in settings["paths"] if p not in sys.path]
  if options.layout == "extract":
    # what the example sets up (stand-ins for packages that are not installed, changed defaults) the ported code,
    # which imports from the same library, may need too; under an overlay the example itself can't be built
    with contextlib.suppress(Exception):
      ExampleSpec.parse(options.spec).build()
  imports.enter_ported(Path(options.ported), options.layout)
  build = imports.load_build(Path(options.ported), options.build)
  imports.apply_config(settings["config"])
  bridge = StateBridge(load_mapping(Path(options.mapping)))
  model = with_constants(build_model)(build, settings["streams"], options.name)
  if options.modules is not None:
    _nnx_modules(options, model, bridge)
    return
  _await(options.folder / "linen.json")
  linen = load_linen(options.folder, arguments=True)
  save_nnx(options.folder, with_constants(record_nnx)(linen, model, bridge, where=options.name))


def _linen_modules(options: argparse.Namespace, example: Any) -> None:
  from migrate.verify import store
  from migrate.verify.layerwise import record_modules, save_modules
  from migrate.verify.linen_side import plans_of

  variables = store.load_arrays(options.folder / "variables.npz")
  calls = record_modules(example.module, variables, plans_of(example)[options.modules])
  save_modules(options.folder / "modules.part", calls)
  os.replace(options.folder / "modules.part", options.folder / "modules.pickle")


def _nnx_modules(options: argparse.Namespace, model: Any, bridge: Any) -> None:
  from migrate.verify import store
  from migrate.verify.layerwise import load_modules
  from migrate.verify.nnx_side import compare_filled
  from migrate.verify.records import load_linen

  linen = load_linen(options.folder, arguments=True)
  calls = load_modules(_await(options.folder / "modules.pickle"))
  diffs = compare_filled(linen, model, bridge, calls, options.modules)
  store.save_json(options.folder / "diffs.json", [d.to_json() for d in diffs])


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
