"""`flax.linen.ConvLocal` to a template: NNX has no convolution with a kernel for each place."""

from collections.abc import Mapping
from typing import Any

from migrate.core.declare import Infer, LayerMapping, Sample, convert, floats, infer, leaf, refuse, same


def _input_shape(fields: Mapping[str, Any], call: Mapping[str, Any]) -> dict[str, Any]:
  size: Any = fields["kernel_size"]
  return {"input_shape": tuple(call["inputs"][-(len(size) if isinstance(size, (tuple, list)) else 1) - 1 :])}


MAPPING = LayerMapping(
  linen="flax.linen.ConvLocal",
  nnx="template:conv_local.ConvLocal",
  source="flax 0.12.8 linen/linear.py _Conv with shared_weights=False",
  inputs="*",
  output="* features",
  args=(
    *infer("input_shape"),
    *same("features", "kernel_size", "strides", "padding", "input_dilation", "kernel_dilation", "use_bias", "mask",
          "dtype", "param_dtype", "precision", "kernel_init", "bias_init"),
    *convert("promote_dtype", "promote_dtype", "template:injected.promote_dtype({value})",
             because="the template follows NNX, which calls it with a tuple"),
    *refuse("feature_group_count", because="Linen raises on anything but 1", allow=("1",)),
    *refuse("conv_general_dilated", "conv_general_dilated_cls",
            because="Linen uses it for the output's shape alone, not for the result", allow=("None",)),
  ),
  leaves=(
    leaf("params/kernel", "kernel", "*places taps features"),
    leaf("params/bias", "bias", "*places features", optional=True),
  ),
  positional=("features", "kernel_size", "strides", "padding", "input_dilation", "kernel_dilation",
              "feature_group_count", "use_bias", "mask", "dtype", "param_dtype", "precision", "kernel_init",
              "bias_init", "promote_dtype", "conv_general_dilated", "conv_general_dilated_cls"),
  infer=Infer(_input_shape, because="there is a kernel for each place of the output, so the whole image's size counts"),
  example=lambda: (
    Sample({"features": 5, "kernel_size": (3, 2)}, (floats(2, 5, 7, 3),)),
    Sample({"features": 5, "kernel_size": (3,), "strides": 2, "padding": "CAUSAL", "use_bias": False},
           (floats(7, 3),), name="causal, no batch"),
    Sample({"features": 5, "kernel_size": (3,), "padding": "CIRCULAR"}, (floats(2, 2, 7, 3),), name="circular"),
  ),
)  # fmt: skip
