"""`nn.scan` to a stack made by `nnx.vmap` and run by `nnx.scan`."""

from migrate.core.declare import TransformMapping, convert, ignore, refuse, same

MAPPING = TransformMapping(
  linen="flax.linen.scan",
  nnx="flax.nnx.scan",
  because="Linen makes and runs the layers in one; NNX makes them stacked in the constructor and scans over the stack",
  prefix="Scan",
  axes="variable_axes",
  init="nnx.vmap({make}, in_axes=0, out_axes={axes})(rngs.split({length}))",
  call="nnx.scan({body}, in_axes=({axes}, nnx.Carry, *{in_axes}), out_axes=(nnx.Carry, {out_axes}))({layer}, {args})",
  args=(
    *ignore("target", because="the class is made in the constructor, its call is the body"),
    *convert("variable_axes", "in_axes", "{value}", because="collections become Variable types in nnx.StateAxes"),
    *convert("variable_broadcast", "in_axes", "{value}", because="None in nnx.StateAxes"),
    *convert("variable_carry", "in_axes", "{value}", because="nnx.Carry in nnx.StateAxes"),
    *ignore("split_rngs", because="the constructor splits the streams, and each layer keeps its own"),
    *convert("in_axes", "in_axes", "{value}", because="comes after the module and the carry"),
    *convert("out_axes", "out_axes", "{value}", because="comes after the carry"),
    *same("length", "reverse", "unroll", "_split_transpose"),
    *refuse("data_transform", because="NNX has no hook on the scanned data", allow=("None",)),
    *convert("metadata_params", "transform_metadata", "{value}", because="nn.PARTITION_NAME is nnx.PARTITION_NAME"),
    *refuse("methods", because="NNX lifts functions, so each method is lifted where it is called", allow=("None",)),
    *ignore("check_constancy_invariants", because="NNX traces the body once"),
  ),
  positional=("target", "variable_axes", "variable_broadcast", "variable_carry", "split_rngs", "in_axes", "out_axes",
              "length", "reverse", "unroll", "data_transform", "metadata_params", "methods", "_split_transpose",
              "check_constancy_invariants"),
  source="flax 0.12.8 linen/transforms.py, nnx/transforms",
)  # fmt: skip
