"""Starting mapping files: they load, and hold for what they were made from."""

import numpy as np
import pytest
from flax import nnx

import migrate
from migrate.core.report import MigrateError
from migrate.workflows.mapping import load_mapping
from migrate.workflows.mapping_new import SHOWN, module_patterns, new_mapping

LEAVES = {f"params/layer_{i:02}/Dense_{j}/kernel": (4, 4) for i in range(12) for j in range(2)}
LEAVES |= {"params/pos": (3,), "params/head/kernel": (4, 2), "batch_stats/norm/mean": (4,)}


@pytest.fixture
def checkpoint(tmp_path):
  np.savez(tmp_path / "ckpt.npz", **{k: np.zeros(s, "float32") for k, s in LEAVES.items()})
  return tmp_path / "ckpt.npz"


class Model(nnx.Module):
  def __init__(self, rngs):
    self.norm = nnx.BatchNorm(4, use_scale=False, use_bias=False, rngs=rngs)
    self.layers = nnx.List([nnx.Linear(4, 4, rngs=rngs) for _ in range(3)])
    self.pos = nnx.Param(np.zeros(3, "float32"))


def test_of_nothing_it_shows_how(tmp_path):
  new_mapping(tmp_path / "empty_start.py")
  text = (tmp_path / "empty_start.py").read_text()
  assert SHOWN.splitlines()[2] in text
  assert load_mapping(tmp_path / "empty_start.py").rules == ()
  # the lines that it shows are good rules
  (tmp_path / "shown_rules.py").write_text(text.replace("    #   ", "    "))
  assert len(load_mapping(tmp_path / "shown_rules.py").rules) == len(SHOWN.splitlines()) - 2


def test_of_a_checkpoint(checkpoint, tmp_path):
  made = new_mapping(tmp_path / "of_checkpoint.py", checkpoint, name="mine")
  assert load_mapping(tmp_path / "of_checkpoint.py").rules == made.rules
  assert made.name == "mine"
  assert ["/".join(map(str, r.source[0])) for r in made.rules] == [
    "batch_stats/norm/**",
    "params/head/**",
    "params/layer_{i:02}/Dense_{j}/**",
    "params/pos",
  ]
  plan = migrate.plan_checkpoint(checkpoint, made).model
  assert all(e.targets[0].path == e.sources[0].path[1:] for e in plan.entries)
  assert len(plan.entries) == len(LEAVES)


def test_of_a_model(tmp_path):
  made = new_mapping(tmp_path / "of_model.json", model=Model)
  assert load_mapping(tmp_path / "of_model.json").rules == made.rules
  assert {"/".join(map(str, r.target[0])) for r in made.rules} == {"layers/{i}/**", "norm/**", "pos"}
  assert {str(r.source[0][0]) for r in made.rules} == {"params", "batch_stats"}


def test_of_both_it_is_what_suggest_finds(tmp_path):
  leaves = {"params/a/kernel": np.zeros((4, 3), "float32"), "params/a/bias": np.zeros(3, "float32")}
  np.savez(tmp_path / "c.npz", **leaves)
  build = lambda rngs: nnx.Sequential(nnx.Linear(4, 3, rngs=rngs))
  made = new_mapping(tmp_path / "of_both.py", tmp_path / "c.npz", build, name="both")
  assert [tuple(map(str, r.target[0])) for r in made.rules] == [("layers", "0", "**")]
  assert load_mapping(tmp_path / "of_both.py").name == "both"


def test_names_that_would_break_the_file(tmp_path):
  odd = tmp_path / 'a"""b.npz'
  np.savez(odd, **{"params/x{y}/k": np.zeros(2), 'params/q"uote\\/k': np.zeros(2)})
  made = new_mapping(tmp_path / "odd_names.py", odd)
  assert load_mapping(tmp_path / "odd_names.py").rules == made.rules


def test_another_suffix_is_refused(tmp_path):
  with pytest.raises(MigrateError, match="name it mapping"):
    new_mapping(tmp_path / "mapping.txt")


def test_patterns_of_single_numbers_stay_names():
  assert module_patterns([("params", "Dense_0", "kernel")]) == [("params", "Dense_0", "**")]
