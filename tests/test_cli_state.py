"""`convert` and `plan` on small checkpoints that are written here."""

import json

import numpy as np
import orbax.checkpoint as ocp
import pytest

from migrate import cli

MAPPING = """
from migrate.core.declare import ModelMapping, move
MAPPING = ModelMapping(rules=(move("params/Dense_0/**", "head/**"),))
"""
MODEL = """
import jax.numpy as jnp
from flax import nnx

class Model(nnx.Module):
  def __init__(self, rngs):
    self.head = nnx.Linear(3, 5, rngs=rngs)

def wide(rngs):
  model = Model(rngs)
  model.head = nnx.Linear(3, 7, rngs=rngs)
  return model

def masked(rngs):
  model = Model(rngs)
  model.mask = jnp.tril(jnp.ones((2, 2)))
  model.more = nnx.Linear(2, 1, rngs=rngs)
  return model

def fails():
  raise ValueError("no such size")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
  """A checkpoint of a Dense layer, a mapping that renames it, and NNX models to check against."""
  kernel, bias = np.arange(15, dtype="float32").reshape(3, 5), np.ones(5, "float32")
  with ocp.StandardCheckpointer() as checkpointer:
    checkpointer.save(tmp_path / "linen", {"params": {"Dense_0": {"kernel": kernel, "bias": bias}}})
  (tmp_path / "my_mapping.py").write_text(MAPPING)
  (tmp_path / "my_model.py").write_text(MODEL)
  monkeypatch.chdir(tmp_path)
  return tmp_path


def text(shown):
  """Without the borders of tables and panels."""
  return " ".join(shown.replace("│", " ").split())


def test_plan_shows_every_leaf_and_writes_nothing(folder, capsys):
  assert cli.main(["plan", "linen", "--mapping", "my_mapping.py", "--model", "my_model.py:Model"]) == 0
  shown = text(capsys.readouterr().out)
  assert "params/Dense_0/kernel head/kernel float32[3, 5]" in shown
  assert "2 leaves" in shown
  assert "nothing written" in shown
  assert sorted(p.name for p in folder.iterdir() if p.name != "__pycache__") == [
    "linen",
    "my_mapping.py",
    "my_model.py",
  ]


def test_convert_writes_what_orbax_restores(folder, capsys):
  assert cli.main(["convert", "linen", "nnx", "--mapping", "my_mapping.py", "--json", "report.json"]) == 0
  with ocp.StandardCheckpointer() as checkpointer:
    restored = checkpointer.restore(folder / "nnx")
  assert list(restored) == ["model"]
  np.testing.assert_array_equal(restored["model"]["head"]["kernel"]["value"], np.arange(15).reshape(3, 5))
  report = json.loads((folder / "report.json").read_text())
  assert report["findings"] == []
  assert len(report["model"]["entries"]) == 2
  assert "2 leaves" in capsys.readouterr().out


def test_the_model_gives_what_linen_did_not_have(folder, capsys):
  (folder / "fresh.py").write_text(
    MAPPING.replace("ModelMapping, move", "ModelMapping, fresh, move").replace(
      '"head/**"),', '"head/**"), fresh("more/**", because="unused")'
    )
  )
  argv = ["convert", "linen", "nnx", "--mapping", "fresh.py", "--model", "my_model.py:masked"]
  assert cli.main(argv) == 0
  assert "mask: arrays that the model's constructor makes" in text(capsys.readouterr().out)
  with ocp.StandardCheckpointer() as checkpointer:
    restored = checkpointer.restore(folder / "nnx")["model"]
  np.testing.assert_array_equal(restored["mask"], np.tril(np.ones((2, 2))))
  assert restored["more"]["kernel"]["value"].shape == (2, 1)
  assert cli.main(["plan", "linen", *argv[3:]]) == 0
  assert cli.main(["convert", "nnx", "back", "--to", "linen"]) == 0
  assert cli.main(["convert", "nnx", "again", "--to", "linen", *argv[3:]]) == 0


def test_convert_and_back_in_another_format(folder):
  assert cli.main(["convert", "linen", "nnx", "--mapping", "my_mapping.py", "--quiet"]) == 0
  assert cli.main(["convert", "nnx", "again.npz", "--to", "linen", "--quiet"]) == 0
  assert cli.main(["inspect", "again.npz", "--json", "inspected.json", "--quiet"]) == 0
  leaves = json.loads((folder / "inspected.json").read_text())["leaves"]
  assert {"/".join(leaf["path"]): leaf["shape"] for leaf in leaves} == {
    "params/Dense_0/bias": [5],
    "params/Dense_0/kernel": [3, 5],
  }


def test_a_conversion_is_verified_again(folder, capsys):
  assert cli.main(["convert", "linen", "nnx", "--mapping", "my_mapping.py", "--quiet"]) == 0
  assert cli.main(["verify-checkpoint", "nnx"]) == 1
  shown = text(capsys.readouterr().out)
  assert "2 leaves not read in the conversion, so without a checksum: give --against SRC" in shown
  assert "not proven: 0 leaves" in shown
  assert cli.main(["verify-checkpoint", "nnx", "--against", "linen", "--json", "verified.json"]) == 0
  assert "proven: 2 leaves bitwise as in linen" in text(capsys.readouterr().out)
  assert json.loads((folder / "verified.json").read_text())["proven"] is True


@pytest.mark.parametrize("options", [["--copy", "--checksum"], ["--checksum"]])
def test_checksums_need_no_source(folder, capsys, options):
  assert cli.main(["convert", "linen", "nnx", "--mapping", "my_mapping.py", *options]) == 0
  shown = text(capsys.readouterr().out)
  assert ("every leaf was written" if "--copy" in options else "2 leaves share their data files") in shown
  assert cli.main(["verify-checkpoint", "nnx"]) == 0
  assert "2 leaves bitwise as in manifest" in text(capsys.readouterr().out)


def test_another_source_is_told(folder, capsys):
  with ocp.StandardCheckpointer() as checkpointer:
    other = {"kernel": np.zeros((3, 5), "float32"), "bias": np.ones(5, "float32")}
    checkpointer.save(folder / "other", {"params": {"Dense_0": other}})
  assert cli.main(["convert", "linen", "nnx", "--mapping", "my_mapping.py", "--quiet"]) == 0
  assert cli.main(["verify-checkpoint", "nnx", "--against", "other"]) == 1
  shown = capsys.readouterr()
  assert "params/Dense_0/kernel" in shown.err
  assert "not proven: 1 leaf bitwise" in shown.out


def test_verify_checkpoint_of_what_was_not_converted(folder, capsys):
  assert cli.main(["verify-checkpoint", "linen"]) == 1
  assert "no manifest" in text(capsys.readouterr().err)


def test_without_mapping_and_model_that_is_said(folder, capsys):
  assert cli.main(["plan", "linen"]) == 0
  assert "nothing was checked" in text(capsys.readouterr().out)


def test_only_some_leaves(folder, capsys):
  assert cli.main(["plan", "linen", "--mapping", "my_mapping.py", "--only", "params/Dense_0/bias"]) == 0
  assert "1 leaf, " in text(capsys.readouterr().out)


def test_inspect_shows_the_tree(folder, capsys):
  assert cli.main(["inspect", "linen"]) == 0
  shown = text(capsys.readouterr().out)
  assert "kernel float32[3, 5]" in shown
  assert "total: 2 leaves" in shown


def test_inspect_of_no_checkpoint(folder, capsys):
  assert cli.main(["inspect", "my_mapping.py"]) == 1
  assert "of no known format" in text(capsys.readouterr().err)


def test_a_shape_that_disagrees_is_refused(folder, capsys):
  argv = ["convert", "linen", "nnx", "--mapping", "my_mapping.py", "--model", "my_model.py:wide"]
  assert cli.main(argv) == 1
  assert "head/kernel" in capsys.readouterr().err
  assert not (folder / "nnx").exists()


def test_a_factory_that_fails_is_named(folder, capsys):
  assert cli.main(["plan", "linen", "--model", "my_model.py:fails"]) == 1
  assert "ValueError: no such size" in text(capsys.readouterr().err)


@pytest.mark.parametrize(
  ("argv", "said"),
  [
    (["convert", "missing", "nnx"], "no missing"),
    (["verify-checkpoint", "missing"], "no missing"),
    (["verify-checkpoint", "linen", "--against", "missing"], "no missing"),
    (["convert", "linen", "linen"], "exists"),
    (["plan", "linen", "--model", "nocolon"], "not a factory"),
  ],
)
def test_wrong_commands_exit_2(folder, capsys, argv, said):
  assert cli.main(argv) == 2
  assert said in text(capsys.readouterr().err)


def test_updates_that_would_change_are_refused_unless_allowed(folder, capsys):
  (folder / "fused.py").write_text(
    "import optax\nfrom migrate.core.declare import ModelMapping, move\nfrom migrate.core.ops import Concatenate\n"
    'MAPPING = ModelMapping((move(["params/a", "params/b"], "ab", Concatenate()),))\n'
    "def lamb():\n  return optax.lamb(0.1)\n"
    "def adam():\n  return optax.adam(0.1)\n"
  )
  moment = {"a": np.ones((3, 2), np.float32), "b": np.ones((3, 4), np.float32)}
  state = {"params": moment, "opt_state": [{"count": np.int32(3), "mu": moment, "nu": moment}], "step": 3}
  with ocp.StandardCheckpointer() as checkpointer:
    checkpointer.save(folder / "fused", state)
  argv = ["plan", "fused", "--mapping", "fused.py"]
  assert cli.main(argv) == 0
  assert "give --optimizer to have it checked" in text(capsys.readouterr().out)
  assert cli.main([*argv, "--optimizer", "fused.py:adam"]) == 0
  assert "checked" not in capsys.readouterr().out
  assert cli.main([*argv, "--optimizer", "fused.py:lamb"]) == 1
  assert "accept other updates with --allow-optimizer-change" in text(capsys.readouterr().err)
  assert cli.main([*argv, "--optimizer", "fused.py:lamb", "--allow-optimizer-change"]) == 0
  assert "allowed: params/a + params/b: scale_by_trust_ratio looks at whole tensors" in text(capsys.readouterr().out)
  assert cli.main([*argv, "--optimizer", "fused.py:MAPPING"]) == 1
  assert "no function MAPPING" in text(capsys.readouterr().err)


def test_what_is_no_model_is_refused(folder, capsys):
  (folder / "fresh.py").write_text("def model():\n  return {'a': 1}\n")
  assert cli.main(["plan", "linen", "--mapping", "my_mapping.py", "--model", "fresh.py:model"]) == 1
  assert "made dict" in text(capsys.readouterr().err)


def test_an_item_of_what_has_none_is_refused(folder, capsys):
  assert cli.main(["convert", "linen", "nnx", "--mapping", "my_mapping.py", "--item", "x"]) == 1
  assert "has no item x" in text(capsys.readouterr().err)
  assert not (folder / "nnx").exists()


def test_a_misfit_is_told_once_not_of_its_moments_too(folder, capsys):
  params = {"Dense_0": {"kernel": np.ones((3, 5), "float32"), "bias": np.ones(5, "float32")}}
  with ocp.StandardCheckpointer() as checkpointer:
    checkpointer.save(folder / "state", {"params": params, "opt_state": [{"mu": params}], "step": 3})
  assert cli.main(["plan", "state", "--mapping", "my_mapping.py", "--model", "my_model.py:wide"]) == 1
  shown = text(capsys.readouterr().err)
  assert "wanted: float32[3, 7]" in shown
  assert "optimizer state" not in shown


def test_the_way_back_looks_at_the_models_sizes(folder, capsys):
  assert cli.main(["convert", "linen", "nnx", "--mapping", "my_mapping.py"]) == 0
  model = ["--mapping", "my_mapping.py", "--model", "my_model.py:wide"]
  assert cli.main(["convert", "nnx", "back", "--to", "linen", *model]) == 1
  assert "float32[3, 7], as in the model" in text(capsys.readouterr().err)
  assert not (folder / "back").exists()
