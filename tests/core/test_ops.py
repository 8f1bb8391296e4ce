"""Operations by example, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from migrate.core.ops import (
  Cast,
  Concatenate,
  OpError,
  Pad,
  Reshape,
  Split,
  Stack,
  Transpose,
  Unstack,
  bind_ops,
  numpy_dtype,
  op_from_json,
  op_to_json,
)
from migrate.core.report import MigrateError


def test_inverses_are_instances():
  assert Concatenate(4).inverse() == Split(4)
  assert Split((2, 3), axis=0).inverse() == Concatenate((2, 3), axis=0)
  assert Stack(3, axis=1).inverse() == Unstack(3, axis=1)
  assert Transpose((2, 0, 1)).inverse() == Transpose((1, 2, 0))
  assert Reshape((6,), (2, 3)).inverse() == Reshape((2, 3), (6,))


def test_joining_works_on_groups():
  a, b, c, d = (np.full((1, 2), i) for i in range(4))
  first, second = Concatenate(2, axis=0).apply([a, b, c, d])
  assert first[:, 0].tolist() == [0, 1]
  assert second[:, 0].tolist() == [2, 3]


def test_binding_tells_the_inverse_what_it_needs():
  ops, shapes, dtype = bind_ops([Concatenate(axis=0), Reshape((-1,)), Cast("bfloat16")], [(2, 3), (4, 3)], "float32")
  assert ops == (Concatenate((2, 4), axis=0), Reshape((18,), (6, 3)), Cast("bfloat16", "float32"))
  assert (shapes, dtype) == ([(18,)], "bfloat16")


@pytest.mark.parametrize("op", [Concatenate(), Reshape((-1,)), Cast("float32")])
def test_unbound_operation_has_no_inverse(op):
  with pytest.raises(OpError):
    op.inverse()


def test_values_that_change_are_not_layout():
  assert not Cast("float32").layout_only
  assert not Pad(((0, 1),)).layout_only
  assert Transpose().layout_only


@pytest.mark.parametrize(
  "make",
  [
    lambda: Concatenate(0),
    lambda: Split(()),
    lambda: Transpose((0, 2)),
    lambda: Reshape((-1, -1)),
    lambda: Reshape((-2,)),
    lambda: Pad(((1, -1),)),
    lambda: Stack(2, axis=1.5),  # type: ignore[arg-type]
  ],
)
def test_nonsense_is_refused_when_it_is_written(make):
  with pytest.raises(ValueError):
    make()


@pytest.mark.parametrize(
  "data",
  [
    None,
    {},
    {"op": "__import__"},
    {"op": "Transpose", "axes": "01"},
    {"op": "Split"},
    {"op": "Reshape", "target": [2], "extra": 1},
    {"op": "Stack", "parts": True},
    {"op": ["Stack"]},
  ],
)
def test_json_that_is_no_operation_is_named(data):
  with pytest.raises(MigrateError):
    op_from_json(data)


def test_json_leaves_out_defaults():
  assert op_to_json(Concatenate(4)) == {"op": "Concatenate", "parts": 4}
  assert op_to_json(Pad(((0, 1),))) == {"op": "Pad", "widths": [[0, 1]]}


def test_dtype_names():
  assert numpy_dtype("bfloat16").itemsize == 2
  with pytest.raises(MigrateError, match="not a dtype"):
    numpy_dtype("float33")
