"""Windows: a part of what operations make is that part, and is made of no more than it needs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.core.op import OpError
from migrate.core.ops import Concatenate, Reshape, Split, Squeeze, Stack, Transpose, run_ops
from migrate.core.windows import Window
from tests.laws.test_ops import cases


def window(array, asked=None):
  def fetch(ranges):
    assert all(0 <= start < stop <= n for (start, stop), n in zip(ranges, array.shape, strict=True))
    part = array[tuple(slice(*r) for r in ranges)]
    if asked is not None:
      asked.append(part.size)
    return part

  return Window(array.shape, array.dtype, fetch)


def numbered(shapes):
  rng = np.random.default_rng(0)
  return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


@given(cases(), st.data())
def test_law_a_part_of_the_result_is_that_part(case, data):
  op, shapes = case
  ops, at = [op], op.shape(shapes)
  for more in data.draw(
    st.lists(st.sampled_from([Transpose(), Reshape((-1,)), Reshape((1, -1, 1)), Stack()]), max_size=3)
  ):
    try:
      at = more.shape(at)
    except OpError:
      continue
    ops.append(more)
  arrays, asked = numbered(shapes), []
  wanted = run_ops(ops, arrays)
  made = run_ops(ops, [window(a, asked) for a in arrays])
  for one, array in zip(made, wanted, strict=True):
    assert (one.shape, one.dtype) == (array.shape, array.dtype)
    ranges = [sorted(data.draw(st.tuples(st.integers(0, n), st.integers(0, n)))) for n in array.shape]
    index = tuple(slice(*r) for r in ranges)
    asked.clear()
    np.testing.assert_array_equal(one.read(index), array[index])
    if not any(isinstance(o, Reshape) for o in ops):
      assert sum(asked) <= math.prod(stop - start for start, stop in ranges)
    np.testing.assert_array_equal(np.asarray(one), array)


@pytest.mark.parametrize(
  ("ops", "shapes", "index", "reads"),
  [
    ([Stack(axis=0)], [(6, 4)] * 4, (slice(1, 3),), 48),
    ([Stack(axis=1)], [(6, 4)] * 4, (slice(0, 3),), 48),
    ([Concatenate(axis=1), Transpose()], [(6, 4)] * 4, (slice(2, 6), slice(1, 2)), 4),
    # heads apart, and together again: whole heads are traced back to their columns
    ([Reshape((6, 4, 8))], [(6, 32)], (slice(None), slice(1, 2)), 48),
    ([Reshape((6, 32))], [(6, 4, 8)], (slice(None), slice(8, 24)), 96),
    ([Reshape((6, 32))], [(6, 4, 8)], (slice(None), slice(10, 12)), 12),
    # a column of many rows: the rows are read
    ([Reshape((6, 4, 8))], [(6, 32)], (slice(0, 2), slice(0, 4), slice(0, 1)), 2 * 25),
    ([Reshape((192,))], [(6, 32)], (slice(32, 64),), 32),
    ([Split(2, axis=0), Squeeze(0)], [(2, 5)], (slice(0, 2),), 2),
  ],
)
def test_no_more_is_read_than_the_part_needs(ops, shapes, index, reads):
  arrays, asked = numbered(shapes), []
  found = run_ops(ops, [window(a, asked) for a in arrays])[0].read(index)
  np.testing.assert_array_equal(found, run_ops(ops, arrays)[0][index])
  assert sum(asked) == reads


def test_empty_arrays_are_not_read():
  one = run_ops([Reshape((0, 2)), Transpose()], [window(np.zeros((4, 0), np.float32))])[0]
  assert one.read().shape == (2, 0)
  assert one.read((slice(0, 0),)).shape == (0, 0)
