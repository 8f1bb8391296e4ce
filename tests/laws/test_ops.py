"""Laws of every operation: its shape tells the truth, its inverse undoes it to the bit, JSON carries it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.core.ops import (
  OPS,
  Cast,
  Concatenate,
  Crop,
  ExpandDims,
  Op,
  OpError,
  Pad,
  Reshape,
  Split,
  Squeeze,
  Stack,
  Transpose,
  Unstack,
  bind_ops,
  invert_ops,
  op_from_json,
  op_to_json,
  run_ops,
)

sizes = st.integers(1, 4)
shapes = st.lists(sizes, min_size=1, max_size=3).map(tuple)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Op, list[tuple[int, ...]]]:
  """An operation and shapes that it takes."""
  kind = draw(st.sampled_from(sorted(OPS)))
  shape = draw(shapes)
  axis = draw(st.integers(-len(shape), len(shape) - 1))
  count, groups = draw(st.integers(1, 4)), draw(st.integers(1, 2))
  if kind == "Concatenate":
    parts = draw(st.lists(sizes, min_size=1, max_size=4))
    at = axis % len(shape)
    ragged = [(*shape[:at], n, *shape[at + 1 :]) for n in parts]
    choice = draw(st.integers(0, 2))
    if choice == 0:
      return Concatenate(tuple(parts), axis), ragged * groups
    return Concatenate(count if choice == 1 else None, axis), [shape] * count * (groups if choice == 1 else 1)
  if kind == "Split":
    at = axis % len(shape)
    parts = tuple(draw(st.lists(sizes, min_size=1, max_size=4)))
    if draw(st.booleans()):
      return Split(parts, axis), [(*shape[:at], sum(parts), *shape[at + 1 :])] * groups
    return Split(count, axis), [(*shape[:at], count * shape[at], *shape[at + 1 :])] * groups
  if kind == "Stack":
    parts = draw(st.sampled_from([None, count]))
    return Stack(parts, draw(st.integers(-len(shape) - 1, len(shape)))), [shape] * count * (groups if parts else 1)
  if kind == "Unstack":
    return Unstack(draw(st.sampled_from([None, shape[axis]])), axis), [shape] * groups
  if kind == "Transpose":
    return Transpose(draw(st.sampled_from([(), tuple(draw(st.permutations(range(len(shape)))))]))), [shape] * groups
  if kind == "Reshape":
    flat = int(np.prod(shape))
    return Reshape(draw(st.sampled_from([(-1,), (flat,), (1, flat), shape[::-1], (-1, *shape[1:])]))), [shape] * groups
  if kind == "ExpandDims":
    return ExpandDims(draw(st.integers(-len(shape) - 1, len(shape)))), [shape] * groups
  if kind == "Squeeze":
    at = axis % len(shape)
    return Squeeze(axis), [(*shape[:at], 1, *shape[at + 1 :])] * groups
  if kind == "Cast":
    return Cast("float64"), [shape] * groups
  widths = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in shape)
  if kind == "Pad":
    return Pad(widths, draw(st.sampled_from([0.0, 1.5]))), [shape] * groups
  assert kind == "Crop", f"the law tests have no case for {kind}: add one"
  return Crop(widths), [tuple(n + b + a for n, (b, a) in zip(shape, widths, strict=True))] * groups


def arrays(shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
  """Numbers that are all different, a NaN among them."""
  out, start = [], 0.0
  for shape in shapes:
    size = int(np.prod(shape))
    out.append(np.arange(start, start + size, dtype=np.float32).reshape(shape))
    start += size
  out[0].reshape(-1)[0] = np.nan
  return out


def same(left: list[np.ndarray], right: list[np.ndarray]) -> None:
  assert [a.shape for a in left] == [a.shape for a in right]
  assert [a.dtype for a in left] == [a.dtype for a in right]
  assert [a.tobytes() for a in left] == [a.tobytes() for a in right]


@given(cases())
def test_shape_is_that_of_the_result(case):
  op, shapes = case
  assert [a.shape for a in op.apply(arrays(shapes))] == op.shape(shapes)


@given(cases())
def test_bound_operation_does_the_same(case):
  op, shapes = case
  (bound,), result, dtype = bind_ops([op], shapes, "float32")
  found = bound.apply(arrays(shapes))
  same(found, op.apply(arrays(shapes)))
  assert [a.shape for a in found] == result
  assert {a.dtype.name for a in found} == {dtype}


@given(cases())
def test_inverse_undoes_it_to_the_bit(case):
  op, shapes = case
  bound, _, _ = bind_ops([op], shapes, "float32")
  if isinstance(op, Crop):
    padded = run_ops(invert_ops([op]), op.apply(arrays(shapes)))
    same(op.apply(padded), op.apply(arrays(shapes)))
    return
  same(run_ops(invert_ops(bound), run_ops(bound, arrays(shapes))), arrays(shapes))


@given(cases())
def test_inverse_of_the_inverse_is_itself(case):
  op, shapes = case
  bound, _, _ = bind_ops([op], shapes, "float32")
  again = invert_ops(invert_ops(bound))
  same(run_ops(again, arrays(shapes)), run_ops(bound, arrays(shapes)))


@given(cases())
def test_json_carries_it(case):
  op, shapes = case
  for one in (op, *bind_ops([op], shapes, "float32")[0]):
    assert op_from_json(json.loads(json.dumps(op_to_json(one)))) == one


@given(cases(), st.lists(shapes, min_size=0, max_size=3))
def test_shapes_that_do_not_fit_are_an_op_error(case, shapes):
  op, _ = case
  try:
    found = op.shape(shapes)
  except OpError:
    return
  assert [a.shape for a in op.apply([np.zeros(s, np.float32) for s in shapes])] == found


@given(cases())
def test_jax_arrays_work_without_this_package_importing_jax(case):
  jnp = pytest.importorskip("jax.numpy")
  op, shapes = case
  if isinstance(op, Cast):
    op = Cast("bfloat16")
  found = op.apply([jnp.asarray(a) for a in arrays(shapes)])
  same([np.asarray(a) for a in found], [np.asarray(a) for a in op.apply(arrays(shapes))])
