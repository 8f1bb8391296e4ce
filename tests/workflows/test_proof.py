"""`migrate.verify` in process, `verify_ported` in two processes: a verdict always, an exception never."""

import json

import pytest

import migrate
from migrate.core.declare import ModelMapping, move
from migrate.workflows.mapping import save_mapping
from migrate.workflows.proof import verify_ported
from tests.verify import pairs

PORTED = """
from tests.verify.pairs import NormsNnx

def build_norms_example(rngs):
  return NormsNnx(rngs=rngs)

def build_wrong(rngs):
  return NormsNnx(fault="epsilon", rngs=rngs)

def build_raises(rngs):
  raise ValueError("no such size")

def build_dies(rngs):
  import os
  os._exit(9)

def build_hangs(rngs):
  import time
  time.sleep(60)
"""

EXAMPLE = """
import jax
jax.config.update("jax_default_matmul_precision", "highest")
from tests.verify.pairs import norms_example

def raises():
  raise RuntimeError("no data here")
"""


@pytest.fixture(scope="module")
def ported(tmp_path_factory):
  folder = tmp_path_factory.mktemp("ported")
  (folder / "ported.py").write_text(PORTED)
  (folder / "example.py").write_text(EXAMPLE)
  save_mapping(pairs.NORMS, folder / "mapping.json")
  return folder


def prove(folder, build, function="norms_example", **options):
  spec = f"{folder / 'example.py'}:{function}"
  return verify_ported(spec, folder, build, folder / "mapping.json", timeout_s=options.pop("timeout_s", 120), **options)


def test_verify_takes_a_function_and_a_mapping():
  report = migrate.verify(pairs.norms_example, lambda rngs: pairs.NormsNnx(rngs=rngs), pairs.NORMS)
  assert report.verdict == "identical"
  assert report.examples[0].name == "norms_example"
  json.dumps(report.to_json(), allow_nan=False)


def test_rule_whose_target_is_missing_names_the_leaf():
  report = migrate.verify(pairs.norms_example, lambda rngs: pairs.NormsNnx(fault="no bias", rngs=rngs), pairs.NORMS)
  assert report.verdict == "different"
  assert report.examples[0].unmapped == ("params/left/bias",)


def test_wrong_shape_is_an_error_that_names_both_paths():
  wrong = ModelMapping((move("params/dense/kernel", "dense/bias"), move("params/dense/bias", "dense/kernel")))
  report = migrate.verify(pairs.two_inputs_example, lambda rngs: pairs.TwoInputsNnx(rngs=rngs), wrong)
  assert report.verdict == "error"
  assert any("dense/bias" in str(f) for f in report.findings)


def test_example_that_is_none_is_an_error():
  report = migrate.verify(lambda: None, lambda rngs: None, pairs.NORMS)  # type: ignore[arg-type]
  assert report.verdict == "error"


def test_two_processes_agree(ported):
  report = prove(ported, "build_norms_example")
  assert report.verdict == "identical", report.findings
  assert report.calls == 2
  assert report.gradients.compared == 20


def test_wrong_epsilon_is_found_across_processes(ported):
  report = prove(ported, "build_wrong")
  assert report.verdict == "different"
  assert "call0/out" in {d.name for d in report.forward.different}


@pytest.mark.parametrize(
  ("build", "words"),
  [("build_raises", "no such size"), ("build_dies", "code 9"), ("build_absent", "build_absent")],
)
def test_failing_build_is_an_error_of_one_screen(ported, build, words):
  report = prove(ported, build)
  assert report.verdict == "error"
  assert words in str(report.findings[0])
  assert "Traceback" not in str(report.findings[0])


def test_failing_example_is_an_error(ported):
  report = prove(ported, "build_norms_example", "raises")
  assert report.verdict == "error"
  assert "no data here" in str(report.findings[0])


def test_time_limit_ends_both_processes(ported):
  report = prove(ported, "build_hangs", timeout_s=12)
  assert report.verdict == "error"
  assert "12 s" in report.findings[0].found
  assert report.seconds < 20


def test_ported_code_has_what_the_example_sets_up(ported):
  (ported / "example_of_stub.py").write_text(
    "import sys, types\nfrom tests.verify.pairs import norms_example\n\n"
    "def stubbed():\n  sys.modules['l2n_not_installed'] = types.ModuleType('l2n_not_installed')\n"
    "  return norms_example()\n"
  )
  folder = ported / "stub"
  folder.mkdir()
  (folder / "ported.py").write_text(f"import l2n_not_installed\n{PORTED}")
  spec = f"{ported / 'example_of_stub.py'}:stubbed"
  report = verify_ported(spec, folder, "build_norms_example", ported / "mapping.json", timeout_s=120)
  assert report.verdict == "identical", report.findings


LINEN_NET = """
import dataclasses
from flax import linen as nn

@dataclasses.dataclass(frozen=True)
class Config:
  factor: float = 2.0

class Net(nn.Module):
  @nn.compact
  def __call__(self, x, config):
    return nn.Dense(4)(x) * config.factor
"""

NNX_NET = """
import dataclasses
from flax import nnx

@dataclasses.dataclass(frozen=True)
class Config:
  factor: float = 2.0

class Net(nnx.Module):
  def __init__(self, *, rngs):
    self.dense = nnx.Linear(3, 4, rngs=rngs)

  def __call__(self, x, config):
    return self.dense(x) * config.factor
"""


def test_overlay_shadows_the_original_modules(tmp_path):
  package, over = tmp_path / "l2n_owner", tmp_path / "over"
  for folder in (package, over / "l2n_owner"):
    folder.mkdir(parents=True)
  (package / "__init__.py").write_text("from l2n_owner.net import Net\n")
  (package / "net.py").write_text(LINEN_NET)
  (over / "l2n_owner" / "net.py").write_text(NNX_NET)
  (over / "ported.py").write_text("from l2n_owner import Net\n\ndef build_small(rngs):\n  return Net(rngs=rngs)\n")
  (tmp_path / "small.py").write_text(
    "import numpy as np, migrate\nfrom l2n_owner.net import Config, Net\n\n"
    "def small():\n  return migrate.Example(Net(), (np.ones((2, 3), 'float32') / 3, Config(3.0)))\n"
  )
  mapping = ModelMapping(tuple(move(f"params/Dense_0/{p}", f"dense/{p}") for p in ("kernel", "bias")))
  save_mapping(mapping, over / "mapping.json")
  spec = f"{tmp_path / 'small.py'}:small"
  report = verify_ported(spec, over, "build_small", over / "mapping.json", layout="overlay", timeout_s=120)
  assert report.verdict == "identical", report.findings
