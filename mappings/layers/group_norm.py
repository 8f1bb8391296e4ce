"""`flax.linen.GroupNorm` to `flax.nnx.GroupNorm`: the feature size must be told."""

from collections.abc import Mapping
from typing import Any

from migrate.core.declare import Exact, LayerMapping, Sample, Variant, floats, ignore, infer, leaf, same, unused

_EXACT = Exact(
  (("promote_dtype", "template:precision.keep_dtypes"),),
  because="stock casts input and parameters to dtype first, Linen only the result: 0.3 to 0.7% of max apart",
)

_SAME = (
  "num_groups", "group_size", "epsilon", "dtype", "param_dtype", "use_bias", "use_scale", "bias_init", "scale_init",
  "reduction_axes", "axis_name", "axis_index_groups", "use_fast_variance",
)  # fmt: skip
_POSITIONAL = (
  "num_groups", "group_size", "epsilon", "dtype", "param_dtype", "use_bias", "use_scale", "bias_init", "scale_init",
  "reduction_axes", "axis_name", "axis_index_groups", "use_fast_variance", "force_float32_reductions",
)  # fmt: skip
_SOURCE = "flax 0.12.8 linen/normalization.py GroupNorm, nnx/nn/normalization.py GroupNorm"


def _stock_cannot(fields: Mapping[str, Any]) -> bool:
  return not fields["force_float32_reductions"] or fields["reduction_axes"] is not None


def _samples(*more: Sample) -> tuple[Sample, ...]:
  return (
    Sample({"num_groups": 2}, (floats(3, 5, 6),)),
    Sample({"num_groups": None, "group_size": 5, "use_bias": False}, (floats(3, 2, 10),), name="group size"),
    *more,
  )


_TEMPLATE = LayerMapping(
  linen="flax.linen.GroupNorm",
  nnx="template:norm.GroupNorm",
  source=_SOURCE,
  inputs="* num_features",
  output="* num_features",
  args=(*infer("num_features"), *same(*_SAME, "force_float32_reductions")),
  leaves=(
    leaf("params/scale", "scale", "num_features", optional=True),
    leaf("params/bias", "bias", "num_features", optional=True),
  ),
  positional=_POSITIONAL,
  example=lambda: (
    Sample({"num_groups": 3, "reduction_axes": (-2, -1)}, (floats(2, 5, 7, 6),), name="reduction axes"),
    Sample({"num_groups": 3, "force_float32_reductions": False}, (floats(3, 5, 6),), name="low precision reductions"),
  ),
)

MAPPING = LayerMapping(
  linen="flax.linen.GroupNorm",
  nnx="flax.nnx.GroupNorm",
  source=_SOURCE,
  inputs="* num_features",
  output="* num_features",
  args=(
    *infer("num_features"),
    *same(*_SAME),
    *ignore("force_float32_reductions", because="nnx.GroupNorm always does; False takes the template"),
    *unused("promote_dtype", because="given for exactness"),
  ),
  leaves=(
    leaf("params/scale", "scale", "num_features", optional=True),
    leaf("params/bias", "bias", "num_features", optional=True),
  ),
  positional=_POSITIONAL,
  exact=_EXACT,
  variants=(
    Variant(
      _stock_cannot,
      _TEMPLATE,
      because="nnx.GroupNorm with reduction_axes is silently wrong (57% of max); it always reduces in float32",
    ),
  ),
  example=_samples,
)
