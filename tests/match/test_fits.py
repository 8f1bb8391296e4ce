"""Which operations lead from shape to shape."""

import numpy as np

from migrate.core.ops import Concatenate, Reshape, Stack, Transpose, Unstack, run_ops
from migrate.core.tree import Spec
from migrate.match.fits import Item, fits, joints, neighbours


def item(*shape, count=1, dtype="float32"):
  members = tuple(("a", str(i)) for i in range(count))
  return Item(("a",), "params", Spec(shape, dtype), members)


def ops(source, target):
  return [f.ops for f in fits(source, target)]


def test_plain():
  assert ops(item(3, 4), item(3, 4)) == [()]
  assert ops(item(3, 4), item(4, 3)) == [(Transpose((1, 0)),)]
  assert ops(item(3, 3), item(3, 3)) == [(), (Transpose((1, 0)),)]
  assert ops(item(6, 2, 3), item(6, 6)) == [(Reshape((6, 6), (6, 2, 3)),)]
  assert ops(item(3, 4), item(2, 6)) == []
  assert ops(item(3, 4), item(3, 4, dtype="int32")) == []


def test_series():
  assert ops(item(4, count=3), item(3, 4)) == [(Stack(axis=0),)]
  assert ops(item(4, count=3), item(4, 3)) == [(Stack(axis=1),)]
  assert ops(item(3, 4), item(4, count=3)) == [(Unstack(axis=0),)]
  assert [f.sure for f in fits(item(3, count=3), item(3, 3))] == [False, False]


def test_neighbours():
  assert neighbours((6, 2, 3), (6, 6))
  assert neighbours((1, 5), (5,))
  assert not neighbours((2, 3, 6), (6, 2, 3))


def test_joints_say_each_arrangement_once():
  found = joints([Spec((6, 2, 3), "float32")] * 3, Spec((6, 18), "float32"))
  arrays = [np.random.default_rng(i).normal(size=(6, 2, 3)) for i in range(3)]
  made = [run_ops(j.ops, arrays)[0] for j in found]
  assert len({m.tobytes() for m in made}) == len(made) > 1
  assert all(m.shape == (6, 18) for m in made)
  assert np.array_equal(made[0], np.concatenate([a.reshape(6, 6) for a in arrays], -1))
  by_head = np.stack(arrays, 2).reshape(6, 18)
  assert any(np.array_equal(m, by_head) for m in made)


def test_parts_of_different_sizes():
  found = joints([Spec((6, 4), "float32"), Spec((6, 2), "float32")], Spec((6, 6), "float32"))
  assert [j.ops for j in found] == [(Concatenate((4, 2), -1),)]
