"""Arrays in batches: all of them arrive, and what fails is an error of the system."""

from __future__ import annotations

import numpy as np
import pytest
import tensorstore as ts

from migrate.checkpoint.array_writer import ArrayWriter, chunks_of, not_written


@pytest.mark.parametrize("zarr3", [False, True])
def test_every_array_arrives(tmp_path, zarr3):
  writer = ArrayWriter(tmp_path / "x", zarr3)
  arrays = {f"a.{i}": np.full((3, 1 << 20), i, np.float32) for i in range(9)} | {"empty": np.zeros((0, 2), np.int8)}
  for name, array in arrays.items():
    writer.add(name, array)
  writer.close()
  for name, array in arrays.items():
    spec = {"driver": "zarr3" if zarr3 else "zarr", "kvstore": {**writer.base, "path": f"{name}/"}}
    assert np.array_equal(ts.open(spec, open=True).result().read().result(), array)


def test_what_was_gathered_is_in_the_store_only_when_it_is_closed(tmp_path):
  writer = ArrayWriter(tmp_path / "x")
  writer.add("a", np.ones(3))
  assert not (tmp_path / "x" / "manifest.ocdbt").exists()
  writer.close()
  assert (tmp_path / "x" / "manifest.ocdbt").exists()


def test_place_that_cannot_be_written_is_an_error_of_the_system(tmp_path):
  (tmp_path / "x").write_text("a file")
  writer = ArrayWriter(tmp_path / "x")

  def write():
    for i in range(20):
      writer.add(str(i), np.ones(1 << 20))
    writer.close()

  with pytest.raises(OSError):
    write()


@pytest.mark.parametrize(
  ("shape", "wanted"),
  [
    ((), []),
    ((0, 3), [1, 3]),
    ((1000, 1000), [1000, 1000]),
    ((16, 2048, 1024), [2, 2048, 1024]),
    ((17, 2048, 1024), [2, 2048, 1024]),
    ((3, 1 << 12, 1 << 12), [1, 1 << 10, 1 << 12]),
    ((1, 1 << 30), [1, 1 << 22]),
  ],
)
def test_large_arrays_are_cut_along_their_first_axes(shape, wanted):
  assert chunks_of(shape, 4) == wanted


def test_large_array_is_read_back(tmp_path):
  array = np.arange(21 << 20, dtype=np.int32).reshape(3, 7, 1 << 20)
  writer = ArrayWriter(tmp_path / "x")
  writer.add("a", array)
  writer.close()
  spec = {"driver": "zarr", "kvstore": {**writer.base, "path": "a/"}}
  assert np.array_equal(ts.open(spec, open=True).result().read().result(), array)


def test_full_disk_is_told_from_other_errors():
  assert not_written(ValueError("RESOURCE_EXHAUSTED: No space left on device")).errno == 28
  assert not_written(ValueError("NOT_FOUND: gone")).errno == 5
