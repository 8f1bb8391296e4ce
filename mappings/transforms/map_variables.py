"""`nn.map_variables`: NNX has none."""

from migrate.core.declare import TransformMapping, refuse

MAPPING = TransformMapping(
  linen="flax.linen.map_variables",
  nnx="",
  because="transform the parameters in the call, where they are used; Linen stores them in the form of trans_out_fn",
  prefix="Map_variables",
  args=refuse(
    "target",
    "mapped_collections",
    "trans_in_fn",
    "trans_out_fn",
    "init",
    "mutable",
    "rngs",
    "variables",
    "methods",
    because="there is no counterpart",
  ),
  positional=(
    "target",
    "mapped_collections",
    "trans_in_fn",
    "trans_out_fn",
    "init",
    "mutable",
    "rngs",
    "variables",
    "methods",
  ),
  source="flax 0.12.8 linen/transforms.py, nnx/transforms",
)
