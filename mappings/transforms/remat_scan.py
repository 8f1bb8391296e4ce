"""`nn.remat_scan`: NNX has none."""

from migrate.core.declare import TransformMapping, refuse

MAPPING = TransformMapping(
  linen="flax.linen.remat_scan",
  nnx="",
  because="write it as nnx.scan over nnx.remat, one level for each of lengths",
  prefix="Remat_scan",
  args=refuse(
    "target",
    "lengths",
    "policy",
    "variable_broadcast",
    "variable_carry",
    "variable_axes",
    "split_rngs",
    because="there is no counterpart",
  ),
  positional=("target", "lengths", "policy", "variable_broadcast", "variable_carry", "variable_axes", "split_rngs"),
  source="flax 0.12.8 linen/transforms.py, nnx/transforms",
)
