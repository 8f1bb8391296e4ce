"""`nn.add_metadata_axis`: NNX has none."""

from migrate.core.declare import TransformMapping, refuse

MAPPING = TransformMapping(
  linen="flax.linen.add_metadata_axis",
  nnx="",
  because="partitioning names are given to the Variables when they are made",
  args=refuse("target", "variable_axes", "metadata_params", because="there is no counterpart"),
  positional=("target", "variable_axes", "metadata_params"),
  source="flax 0.12.8 linen/transforms.py, nnx/transforms",
)
