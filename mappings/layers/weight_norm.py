"""`flax.linen.WeightNorm` to a template: stock does not train its scales and overwrites the layer's weights."""

from migrate.core.declare import LayerMapping, Leaf, same

MAPPING = LayerMapping(
  linen="flax.linen.WeightNorm",
  nnx="template:weight_norm.WeightNorm",
  source="flax 0.12.8 linen/normalization.py WeightNorm, nnx/nn/normalization.py WeightNorm",
  inputs="",
  output="*",
  args=(
    *same("layer_instance", "epsilon", "dtype", "param_dtype", "use_scale", "scale_init", "feature_axes"),
    *same("variable_filter", because="the template's default holds the same: kernels"),
  ),
  # Linen's key is one segment, which begins with the wrapped layer's own name.
  leaves=(Leaf((("params", "layer_instance/{path}/scale"),), (("scales", "{path}"),), "*", optional=True),),
  positional=("layer_instance", "epsilon", "dtype", "param_dtype", "use_scale", "scale_init", "feature_axes",
              "variable_filter"),
  children=(("layer_instance", "layer_instance"),),
  note="stock nnx.WeightNorm is 2% off after one step of SGD and 6% after three; a filter is held against "
  "NNX's attribute names, without the layer's own; with a dtype Linen makes the wrapped parameters in it",
)  # fmt: skip
