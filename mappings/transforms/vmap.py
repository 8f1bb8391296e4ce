"""`nn.vmap` to layers made by `nnx.vmap` and run by `nnx.vmap`."""

from migrate.core.declare import TransformMapping, convert, ignore, same

MAPPING = TransformMapping(
  linen="flax.linen.vmap",
  nnx="flax.nnx.vmap",
  because="Linen makes and runs the layers in one; NNX makes them stacked in the constructor",
  prefix="Vmap",
  axes="variable_axes",
  init="nnx.vmap({make}, in_axes=0, out_axes={axes})(rngs.split({axis_size}))",
  call="nnx.vmap({body}, in_axes=({axes}, *{in_axes}), out_axes={out_axes})({layer}, {args})",
  args=(
    *ignore("target", because="the class is made in the constructor, its call is the body"),
    *convert("variable_axes", "in_axes", "{value}", because="collections become Variable types in nnx.StateAxes"),
    *ignore("split_rngs", because="the constructor splits the streams, and each layer keeps its own"),
    *convert("in_axes", "in_axes", "{value}", because="comes after the module"),
    *same("out_axes", "axis_size", "axis_name", "spmd_axis_name"),
    *ignore("methods", because="our class lifts each of them"),
    *convert("metadata_params", "transform_metadata", "{value}", because="nn.PARTITION_NAME is nnx.PARTITION_NAME"),
  ),
  positional=("target", "variable_axes", "split_rngs", "in_axes", "out_axes", "axis_size", "axis_name",
              "spmd_axis_name", "metadata_params", "methods"),
  source="flax 0.12.8 linen/transforms.py, nnx/transforms",
)  # fmt: skip
