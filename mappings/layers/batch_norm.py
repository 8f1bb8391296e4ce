"""`flax.linen.BatchNorm` to `flax.nnx.BatchNorm`. Statistics move from `batch_stats` onto the module."""

from collections.abc import Mapping
from typing import Any

from migrate.core.declare import (
  Exact,
  Infer,
  LayerMapping,
  Sample,
  Variant,
  bools,
  floats,
  ignore,
  infer,
  leaf,
  same,
  unused,
)


def _features(fields: Mapping[str, Any], call: Mapping[str, Any]) -> dict[str, Any]:
  given: Any = fields["axis"]
  shape: tuple[int, ...] = tuple(call["x"])
  axes = sorted(a % len(shape) for a in (given if isinstance(given, (tuple, list)) else (given,)))
  sizes = tuple(shape[a] for a in axes)
  return {"num_features": sizes if len(sizes) != 1 else sizes[0]}


_EXACT = Exact(
  (("promote_dtype", "template:precision.keep_dtypes"),),
  because="stock casts input and parameters to dtype first, Linen only the result: 0.3 to 0.7% of max apart",
)

_SAME = (
  "axis", "momentum", "epsilon", "dtype", "param_dtype", "use_bias", "use_scale", "bias_init", "scale_init",
  "axis_name", "axis_index_groups", "use_fast_variance",
)  # fmt: skip
_POSITIONAL = (
  "use_running_average", "axis", "momentum", "epsilon", "dtype", "param_dtype", "use_bias", "use_scale", "bias_init",
  "scale_init", "axis_name", "axis_index_groups", "use_fast_variance", "force_float32_reductions",
)  # fmt: skip
_SOURCE = "flax 0.12.8 linen/normalization.py BatchNorm, nnx/nn/normalization.py BatchNorm"
_NONE = "Linen's None means that the call says it, and a call's value overrules NNX's False"
_BECAUSE = "which axes carry features is a field"


def _stock_cannot(fields: Mapping[str, Any]) -> bool:
  axes = fields["axis"]
  return not fields["force_float32_reductions"] or (isinstance(axes, (tuple, list)) and len(axes) > 1)


def _samples(*more: Sample) -> tuple[Sample, ...]:
  return (
    Sample({}, (floats(5, 2, 7),), {"use_running_average": False}, name="train"),
    Sample({"use_running_average": True}, (floats(5, 2, 7),), name="eval"),
    Sample({"use_running_average": False, "axis": 1, "momentum": 0.9}, (floats(5, 7, 3),), name="channels first"),
    Sample({"use_running_average": False, "use_bias": False}, (floats(5, 7),), {"mask": bools(5, 1)}, name="mask"),
    *more,
  )


_TEMPLATE = LayerMapping(
  linen="flax.linen.BatchNorm",
  nnx="template:norm.BatchNorm",
  source=_SOURCE,
  inputs="* num_features",
  output="* num_features",
  args=(*infer("num_features"), *same(*_SAME, "force_float32_reductions"), *same("use_running_average", because=_NONE)),
  leaves=(
    leaf("params/scale", "scale", "*num_features", optional=True),
    leaf("params/bias", "bias", "*num_features", optional=True),
    leaf("batch_stats/mean", "mean", "*num_features"),
    leaf("batch_stats/var", "var", "*num_features"),
  ),
  positional=_POSITIONAL,
  infer=Infer(_features, because=_BECAUSE),
  call_fields=("use_running_average",),
  call_positional=("x", "use_running_average"),
  example=lambda: (
    Sample({"use_running_average": False, "axis": (1, -1)}, (floats(5, 2, 3, 7),), name="two feature axes"),
    Sample({"use_running_average": True, "axis": (1, -1)}, (floats(5, 2, 3, 7),), name="two feature axes, eval"),
    Sample(
      {"use_running_average": False, "force_float32_reductions": False},
      (floats(5, 7),),
      name="low precision reductions",
    ),
  ),
)

MAPPING = LayerMapping(
  linen="flax.linen.BatchNorm",
  nnx="flax.nnx.BatchNorm",
  source=_SOURCE,
  inputs="* num_features",
  output="* num_features",
  args=(
    *infer("num_features"),
    *same(*_SAME),
    *same("use_running_average", because=_NONE),
    *ignore("force_float32_reductions", because="nnx.BatchNorm always does; False takes the template"),
    *unused("promote_dtype", because="given for exactness"),
  ),
  leaves=(
    leaf("params/scale", "scale", "num_features", optional=True),
    leaf("params/bias", "bias", "num_features", optional=True),
    leaf("batch_stats/mean", "mean", "num_features"),
    leaf("batch_stats/var", "var", "num_features"),
  ),
  positional=_POSITIONAL,
  infer=Infer(_features, because=_BECAUSE),
  exact=_EXACT,
  call_fields=("use_running_average",),
  call_positional=("x", "use_running_average"),
  variants=(
    Variant(
      _stock_cannot,
      _TEMPLATE,
      because="nnx.BatchNorm knows one feature axis, of one size, and always reduces in float32",
    ),
  ),
  example=_samples,
)
