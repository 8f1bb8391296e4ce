"""Names of axes go where the axes go."""

import pytest

from migrate.core.axis_names import names_after
from migrate.core.ops import Cast, Concatenate, ExpandDims, Pad, Reshape, Split, Squeeze, Stack, Transpose, Unstack

A, B = ("in", "out"), ("in", "wide")


@pytest.mark.parametrize(
  ("ops", "names", "after"),
  [
    ([Transpose()], [A], [("out", "in")]),
    ([Stack(), Transpose((1, 2, 0))], [A, A], [("in", "out", None)]),
    ([Stack(2, -1)], [A, A], [("in", "out", None)]),
    ([Unstack(2, 0)], [A], [("out",), ("out",)]),
    ([Split(2)], [A], [A, A]),
    ([Concatenate()], [A, A], [A]),
    ([Concatenate()], [A, B], [None]),
    ([ExpandDims(1), Squeeze(1)], [A], [A]),
    ([ExpandDims(-1)], [A], [("in", "out", None)]),
    ([Cast("bfloat16"), Pad(((0, 1), (0, 0)))], [A], [A]),
    ([Reshape((8,))], [A], [None]),
    ([Transpose()], [None], [None]),
    ([], [A], [A]),
  ],
)
def test_names_move_with_axes(ops, names, after):
  assert names_after(ops, names, [(2, 4)] * len(names)) == after
