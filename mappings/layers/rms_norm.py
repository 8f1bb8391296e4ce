"""`flax.linen.RMSNorm` to `flax.nnx.RMSNorm`: the feature size must be told."""

from collections.abc import Mapping
from typing import Any

from migrate.core.declare import Exact, Infer, LayerMapping, Sample, Variant, floats, ignore, infer, leaf, same, unused


def _features(fields: Mapping[str, Any], call: Mapping[str, Any]) -> dict[str, Any]:
  given: Any = fields["feature_axes"]
  shape: tuple[int, ...] = tuple(call["x"])
  axes = sorted(a % len(shape) for a in (given if isinstance(given, (tuple, list)) else (given,)))
  sizes = tuple(shape[a] for a in axes)
  return {"num_features": sizes if len(sizes) != 1 else sizes[0]}


_EXACT = Exact(
  (("promote_dtype", "template:precision.keep_dtypes"),),
  because="stock casts input and parameters to dtype first, Linen only the result: 0.3 to 0.7% of max apart",
)

_SAME = (
  "epsilon", "dtype", "param_dtype", "use_scale", "scale_init", "reduction_axes", "feature_axes", "axis_name",
  "axis_index_groups", "use_fast_variance",
)  # fmt: skip
_POSITIONAL = (
  "epsilon", "dtype", "param_dtype", "use_scale", "scale_init", "reduction_axes", "feature_axes", "axis_name",
  "axis_index_groups", "use_fast_variance", "force_float32_reductions",
)  # fmt: skip
_SOURCE = "flax 0.12.8 linen/normalization.py RMSNorm, nnx/nn/normalization.py RMSNorm"
_BECAUSE = "which axes carry features is a field"


def _stock_cannot(fields: Mapping[str, Any]) -> bool:
  axes = fields["feature_axes"]
  return not fields["force_float32_reductions"] or (isinstance(axes, (tuple, list)) and len(axes) > 1)


def _samples(*more: Sample) -> tuple[Sample, ...]:
  return (
    Sample({}, (floats(3, 2, 7),)),
    Sample({"use_scale": False, "epsilon": 1e-3}, (floats(3, 7),), name="no scale"),
    *more,
  )


_TEMPLATE = LayerMapping(
  linen="flax.linen.RMSNorm",
  nnx="template:norm.RMSNorm",
  source=_SOURCE,
  inputs="* num_features",
  output="* num_features",
  args=(
    *infer("num_features"),
    *same(*_SAME, "force_float32_reductions"),
    *unused("use_bias", "bias_init", because="this norm has no bias"),
  ),
  leaves=(leaf("params/scale", "scale", "*num_features", optional=True),),
  positional=_POSITIONAL,
  infer=Infer(_features, because=_BECAUSE),
  example=lambda: (
    Sample({"reduction_axes": (-2, -1), "feature_axes": (-2, -1)}, (floats(3, 5, 7),), name="two feature axes"),
    Sample({"force_float32_reductions": False}, (floats(3, 7),), name="low precision reductions"),
  ),
)

MAPPING = LayerMapping(
  linen="flax.linen.RMSNorm",
  nnx="flax.nnx.RMSNorm",
  source=_SOURCE,
  inputs="* num_features",
  output="* num_features",
  args=(
    *infer("num_features"),
    *same(*_SAME),
    *ignore("force_float32_reductions", because="nnx.RMSNorm always does; False takes the template"),
    *unused("promote_dtype", because="given for exactness"),
  ),
  leaves=(leaf("params/scale", "scale", "num_features", optional=True),),
  positional=_POSITIONAL,
  infer=Infer(_features, because=_BECAUSE),
  exact=_EXACT,
  variants=(
    Variant(
      _stock_cannot, _TEMPLATE, because="nnx.RMSNorm knows one feature axis, of one size, and always reduces in float32"
    ),
  ),
  example=_samples,
)
