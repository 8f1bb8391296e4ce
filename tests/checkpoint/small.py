"""Leaves that the tests of the formats share."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from migrate.core.report import MigrateError

LEAVES: dict[tuple[str | int, ...], Any] = {
  ("params", "Dense_0", "kernel"): np.arange(6, dtype=np.float32).reshape(2, 3),
  ("params", "Dense_0", "half"): np.array([1.5, np.nan], ml_dtypes.bfloat16),
  ("params", "Dense_0/kernel/scale"): np.ones((3,), np.float16),
  ("params", "é 😀"): np.array([True, False]),
  ("params", "empty"): np.zeros((0, 3), np.float32),
  ("opt_state", 1, "count"): np.array(7, np.int32),
  ("step",): np.array(7, np.int64),
}


def check(stored, wanted=None) -> None:
  """Every leaf is there with its shape, dtype and bits, known before it is read."""
  wanted = LEAVES if wanted is None else wanted
  assert {tuple(map(str, p)) for p in stored.leaves} == {tuple(map(str, p)) for p in wanted}
  by_key = {tuple(map(str, p)): v for p, v in wanted.items()}
  for path, leaf in stored.leaves.items():
    want = by_key[tuple(map(str, path))]
    assert (leaf.shape, leaf.dtype, leaf.nbytes) == (want.shape, want.dtype, want.nbytes)
    found = np.asarray(leaf.read())
    assert (found.shape, found.dtype, found.tobytes()) == (want.shape, want.dtype, want.tobytes())


def mangled(data: bytes, rng: np.random.Generator) -> bytes:
  """The bytes with one kind of damage."""
  kind = rng.integers(5)
  if kind == 0:
    return data[: rng.integers(len(data))]
  out = bytearray(data)
  for _ in range(int(rng.integers(1, 4))):
    at = int(rng.integers(len(out)))
    if kind == 1:
      out[at] ^= 1 << int(rng.integers(8))
    elif kind == 2:
      out[at] = int(rng.integers(256))
    elif kind == 3:
      del out[at : at + int(rng.integers(1, 9))]
      if not out:
        break
    else:
      out[at:at] = rng.bytes(int(rng.integers(1, 9)))
  return bytes(out)


def one_screen(error: MigrateError) -> None:
  """A message for a user: findings, on one screen."""
  assert error.findings
  assert str(error).count("\n") < 24


def check_written(place, write, read) -> None:
  """What a format of one file writes is read back, paths and bits."""
  write(place, {**LEAVES, ("opt_state", 0): None})
  stored = read(place)
  check(stored)
  assert set(stored.leaves) == set(LEAVES)
  assert stored.empty == (("opt_state", 0),)


def check_lazy(place, write, read) -> None:
  """A format of one file reads an array when it is asked for it."""
  write(place, LEAVES)
  stored = read(place)
  place.write_bytes(b"")
  with pytest.raises((MigrateError, ValueError)):
    stored.leaves[("params", "Dense_0", "kernel")].read()


def check_damaged(place, write, read, rng: np.random.Generator) -> None:
  """A damaged file of one of these formats is an error for people, or read."""
  write(place, LEAVES)
  place.write_bytes(mangled(place.read_bytes(), rng))
  try:
    for leaf in read(place).leaves.values():
      leaf.read()
  except MigrateError as error:
    one_screen(error)
