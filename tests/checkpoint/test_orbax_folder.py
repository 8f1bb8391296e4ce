"""Which folder holds the tree."""

from __future__ import annotations

import numpy as np
import orbax.checkpoint as ocp
import pytest

from migrate.checkpoint.orbax import open_tree
from migrate.checkpoint.orbax_folder import find_folder, find_parts
from migrate.core.report import MigrateError

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
  folder = tmp_path_factory.mktemp("orbax")
  for step in (9, 10):
    with ocp.CheckpointManager(folder / "items") as manager:
      one = ocp.args.StandardSave({"x": np.full(2, step)})
      manager.save(step, args=ocp.args.Composite(a=one, b=one))
  return folder


def test_items_must_be_named_where_there_are_several(saved):
  with pytest.raises(MigrateError, match="items a, b"):
    open_tree(saved / "items" / "9")
  assert open_tree(saved / "items", "b").place.name == "b"


def test_what_is_no_checkpoint(tmp_path):
  with pytest.raises(MigrateError, match="no such folder"):
    find_folder(tmp_path / "none")
  with pytest.raises(MigrateError, match="no _METADATA"):
    find_folder(tmp_path)


def test_parts_are_those_of_a_training_state(saved, tmp_path):
  assert find_parts(saved / "items") == []
  for name in ("params", "opt_state", "other"):
    (tmp_path / "7" / name).mkdir(parents=True)
    (tmp_path / "7" / name / "_METADATA").write_text("{}")
  assert [p.name for p in find_parts(tmp_path)] == ["opt_state", "other", "params"]
  (tmp_path / "7" / "other").rename(tmp_path / "7" / "state")
  assert find_parts(tmp_path) == []
  assert find_folder(tmp_path) == (tmp_path / "7" / "state", 7)
