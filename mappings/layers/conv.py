"""`flax.linen.Conv` to `flax.nnx.Conv`: the input channels must be told."""

from migrate.core.declare import LayerMapping, Sample, convert, floats, infer, leaf, refuse, rename, same, unused

MAPPING = LayerMapping(
  linen="flax.linen.Conv",
  nnx="flax.nnx.Conv",
  source="flax 0.12.8 linen/linear.py Conv, nnx/nn/linear.py Conv",
  inputs="* in_features",
  output="* out_features",
  args=(
    *infer("in_features"),
    *rename("features", "out_features"),
    *same("kernel_size", "strides", "padding", "input_dilation", "kernel_dilation", "feature_group_count", "use_bias",
          "mask", "dtype", "param_dtype", "precision", "kernel_init", "bias_init"),
    *convert("promote_dtype", "promote_dtype", "template:injected.promote_dtype({value})",
             because="Linen calls it with the arrays, NNX with a tuple of them"),
    *convert("conv_general_dilated", "conv_general_dilated", "template:injected.conv_general_dilated({value})",
             because="nnx.Conv passes out_sharding= as well"),
    *refuse("conv_general_dilated_cls", because="nnx.Conv takes a function, not a class", allow=("None",)),
    *unused("preferred_element_type"),
  ),
  leaves=(
    leaf("params/kernel", "kernel", "*kernel_size in_features/feature_group_count out_features"),
    leaf("params/bias", "bias", "out_features", optional=True),
  ),
  positional=("features", "kernel_size", "strides", "padding", "input_dilation", "kernel_dilation",
              "feature_group_count", "use_bias", "mask", "dtype", "param_dtype", "precision", "kernel_init",
              "bias_init", "promote_dtype", "conv_general_dilated", "conv_general_dilated_cls"),
  note="a mask array becomes part of nnx.state, as a plain array",
  example=lambda: (
    Sample({"features": 5, "kernel_size": (3, 2)}, (floats(2, 7, 5, 3),)),
    Sample({"features": 6, "kernel_size": (3,), "strides": 2, "feature_group_count": 3, "padding": "VALID",
            "use_bias": False}, (floats(2, 11, 9),), name="groups, strides"),
    Sample({"features": 5, "kernel_size": (3,), "padding": "CIRCULAR", "kernel_dilation": 2}, (floats(2, 11, 3),),
           name="circular"),
    Sample({"features": 5, "kernel_size": (3,), "padding": "CAUSAL"}, (floats(11, 3),), name="causal, no batch"),
    Sample({"features": 5, "kernel_size": (3, 3)}, (floats(2, 2, 5, 7, 3),), name="two batch axes"),
  ),
)  # fmt: skip
