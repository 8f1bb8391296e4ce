"""`flax.linen.SpectralNorm` to a template: stock overwrites the layer's weights."""

from migrate.core.declare import LayerMapping, Leaf, refuse, same

MAPPING = LayerMapping(
  linen="flax.linen.SpectralNorm",
  nnx="template:spectral_norm.SpectralNorm",
  source="flax 0.12.8 linen/normalization.py SpectralNorm, nnx/nn/normalization.py SpectralNorm",
  inputs="",
  output="*",
  args=(
    *same("layer_instance", "n_steps", "epsilon", "dtype", "param_dtype", "error_on_non_matrix"),
    *refuse("collection_name", because="the vectors are nnx.BatchStat", allow=("'batch_stats'", '"batch_stats"')),
  ),
  # Linen's key is one segment, which begins with the wrapped layer's own name.
  leaves=(
    Leaf((("batch_stats", "layer_instance/{path}/u"),), (("u", "{path}"),), "1 *", optional=True),
    Leaf((("batch_stats", "layer_instance/{path}/sigma"),), (("sigma", "{path}"),), "", optional=True),
  ),
  positional=("layer_instance", "n_steps", "epsilon", "dtype", "param_dtype", "error_on_non_matrix", "collection_name"),
  children=(("layer_instance", "layer_instance"),),
  note="with a dtype Linen makes the wrapped parameters in it, so give the layer that param_dtype; "
  "stock nnx.SpectralNorm divides the weights in place at every call",
)
