"""Operations on stored chunks: what they promise is what NumPy computes, and what they cannot do they refuse."""

from __future__ import annotations

import dataclasses

import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from migrate.checkpoint.by_reference import link_tree
from migrate.checkpoint.orbax import open_tree
from migrate.checkpoint.references import NotStoredSoError, reference
from migrate.checkpoint.streaming import stream_tree
from migrate.core.ops import (
  Cast,
  Concatenate,
  ExpandDims,
  Pad,
  Reshape,
  Split,
  Squeeze,
  Stack,
  Transpose,
  Unstack,
  run_ops,
)

pytestmark = pytest.mark.filterwarnings("ignore")

PARTS = 4
ARRAYS = {
  **{f"whole_{i}": np.arange(12.0, dtype=np.float32).reshape(3, 4) + 100 * i for i in range(PARTS)},
  **{f"half_{i}": np.arange(24, dtype=np.int16).reshape(6, 4) + 100 * i for i in range(PARTS)},
  **{f"zero_{i}": np.full((2, 3), i, np.float32) for i in range(PARTS)},  # all zeros: no chunk may be stored
  **{f"odd_{i}": np.arange(7, dtype=np.int32) + i for i in range(PARTS)},
}
CHUNKS = {"half": 6 * 4 * 2 // 3, "odd": 4 * 4}  # bytes


@pytest.fixture(scope="module", params=[True, False], ids=["ocdbt", "files"])
def stored(request, tmp_path_factory):
  folder = tmp_path_factory.mktemp("saved") / "x"
  how = ocp.args.PyTreeSave(
    {n: jnp.asarray(v) for n, v in ARRAYS.items()},
    save_args={n: ocp.SaveArgs(chunk_byte_size=CHUNKS.get(n.split("_")[0])) for n in ARRAYS},
  )
  with ocp.Checkpointer(ocp.PyTreeCheckpointHandler(use_ocdbt=request.param)) as c:
    c.save(folder, args=how)
  return open_tree(folder)


def references(stored, kind):
  return [reference(f"{kind}_{i}", stored.leaves[(f"{kind}_{i}",)]) for i in range(PARTS)]


BY_CHUNKS = {
  "stack": ("whole", [Stack()]),
  "stack at the end": ("whole", [Stack(axis=-1)]),
  "stack of chunked": ("half", [Stack(axis=1)]),
  "concatenate": ("whole", [Concatenate(PARTS)]),
  "concatenate rows": ("whole", [Concatenate(2, 0)]),
  "gates of layers": ("whole", [Concatenate(2), Stack()]),
  "there and back": ("whole", [Concatenate(PARTS), Split(PARTS)]),
  "stack and unstack": ("whole", [Stack(axis=1), Unstack(axis=1)]),
  "cut at chunks": ("half", [Split(2, 0), Split(2)]),
  "axes of one": ("half", [ExpandDims(1), ExpandDims(-1), Squeeze(1)]),
  "reshape": ("whole", [Reshape((2, -1)), Stack()]),
  "reshape flat": ("whole", [Reshape((12,))]),
  "zeros": ("zero", [Stack(), ExpandDims(0)]),
  "stack of uneven": ("odd", [Stack()]),
}
READ = {
  "transpose": ("whole", [Transpose()]),
  "cast": ("whole", [Cast("float16")]),
  "pad": ("whole", [Pad(((1, 0), (0, 0)))]),
  "cut within a chunk": ("whole", [Split(2)]),
  "unstack a chunk": ("whole", [Unstack()]),
  "join chunks that are not full": ("odd", [Concatenate(PARTS)]),
  "reshape of several chunks": ("half", [Reshape((24,))]),
}


@pytest.mark.parametrize("case", BY_CHUNKS)
def test_chunks_move_as_arrays_do(stored, tmp_path, case):
  kind, ops = BY_CHUNKS[case]
  assert stored.leaves[(f"{kind}_0",)].layout is not None
  want = run_ops(ops, [ARRAYS[f"{kind}_{i}"] for i in range(PARTS)])
  made = run_ops(ops, references(stored, kind))
  assert [m.shape for m in made] == [w.shape for w in want]
  leaves = {("new", str(i)): m for i, m in enumerate(made)}
  if (stored.place / "manifest.ocdbt").is_file():
    link_tree(stored, tmp_path / "linked", leaves.items())
    link_tree(stored, tmp_path / "copied", leaves.items(), copy=True)
  stream_tree(tmp_path / "streamed", leaves.items(), stored)
  for place in tmp_path.iterdir():
    again = open_tree(place)
    with ocp.StandardCheckpointer() as c:
      found = c.restore(place)["new"]
    for i, w in enumerate(want):
      assert np.array_equal(again.leaves[("new", str(i))].read(), w)
      assert found[str(i)].dtype == w.dtype
      assert np.array_equal(found[str(i)], w)


@pytest.mark.parametrize("case", READ)
def test_what_changes_chunks_is_refused(stored, case):
  kind, ops = READ[case]
  some = references(stored, kind)
  if kind == "odd":
    some = [dataclasses.replace(one, layout={**one.layout, "chunks": [4]}) for one in some]
  with pytest.raises(NotStoredSoError):
    run_ops(ops, some)


def test_arrays_stored_in_different_ways_are_not_joined(stored):
  one, other = references(stored, "whole")[0], references(stored, "zero")[0]
  for op in (Stack(), Concatenate(axis=0)):
    with pytest.raises(NotStoredSoError):
      op.apply([one, other])


def test_copied_files_outlive_and_do_not_share(stored, tmp_path):
  if not (stored.place / "manifest.ocdbt").is_file():
    pytest.skip("copying files is for OCDBT")
  leaves = {("new", n): one for kind in ("whole", "half") for n, one in enumerate(references(stored, kind))}
  link_tree(stored, tmp_path / "copied", leaves.items(), copy=True)
  assert {p.stat().st_nlink for p in (tmp_path / "copied").rglob("*") if p.is_file()} == {1}


def test_reference_is_no_array(stored):
  with pytest.raises(TypeError):
    np.asarray(references(stored, "whole")[0])
