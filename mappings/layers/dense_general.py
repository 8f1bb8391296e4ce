"""`flax.linen.DenseGeneral` to `flax.nnx.LinearGeneral`: contracted and batch sizes must be told, one for each axis."""

from collections.abc import Mapping
from typing import Any

from migrate.core.declare import Infer, LayerMapping, Sample, convert, floats, ignore, infer, leaf, rename, same, unused


def _tuple(axes: Any) -> tuple[int, ...]:
  return tuple(axes) if isinstance(axes, (tuple, list)) else (axes,)


def _sizes(fields: Mapping[str, Any], call: Mapping[str, Any]) -> dict[str, Any]:
  shape = call["inputs"]
  axes = sorted(a % len(shape) for a in _tuple(fields["axis"]))  # the kernel has them in this order, on both sides
  sizes = tuple(shape[a] for a in axes)
  batch = {a: shape[a] for a in sorted(_tuple(fields["batch_dims"]))}
  given: dict[str, Any] = {"in_features": sizes if isinstance(fields["axis"], (tuple, list)) else sizes[0]}
  return given | ({"batch_axis": batch} if batch else {})


MAPPING = LayerMapping(
  linen="flax.linen.DenseGeneral",
  nnx="flax.nnx.LinearGeneral",
  source="flax 0.12.8 linen/linear.py DenseGeneral, nnx/nn/linear.py LinearGeneral",
  inputs="* in_features",
  output="* out_features",
  args=(
    *infer("in_features", "batch_axis"),
    *rename("features", "out_features"),
    *same("axis", "use_bias", "dtype", "param_dtype", "kernel_init", "bias_init", "precision"),
    *ignore("batch_dims", because="batch_axis={axis: size} is inferred from it and the input"),
    *convert("promote_dtype", "promote_dtype", "template:injected.promote_dtype({value})",
             because="Linen calls it with the arrays, NNX with a tuple of them"),
    *convert("dot_general", "dot_general", "template:injected.dot_general({value})",
             because="nnx.LinearGeneral passes out_sharding= as well"),
    *convert("dot_general_cls", "dot_general_cls", "template:injected.dot_general_class({value})",
             because="nnx.LinearGeneral passes out_sharding= as well; a class that owns variables has no NNX form"),
    *unused("preferred_element_type"),
  ),
  leaves=(
    leaf("params/kernel", "kernel", "*batch_axis *in_features *out_features"),
    leaf("params/bias", "bias", "*batch_axis *out_features", optional=True),
  ),
  positional=("features", "axis", "batch_dims", "use_bias", "dtype", "param_dtype", "kernel_init", "bias_init",
              "precision", "promote_dtype", "dot_general", "dot_general_cls"),
  infer=Infer(_sizes, because="`axis` and `batch_dims` say which sizes of the input are meant"),
  example=lambda: (
    Sample({"features": 5}, (floats(3, 2, 7),)),
    Sample({"features": (5, 2), "axis": (-2, -1)}, (floats(3, 11, 7),), name="two axes"),
    Sample({"features": (5,), "axis": (1,), "batch_dims": (0,)}, (floats(3, 11, 7),), name="batch"),
    Sample({"features": 5, "axis": (-1, -2), "use_bias": False}, (floats(3, 11, 7),), name="swapped axes"),
  ),
)  # fmt: skip
