"""`nn.map_variables` to a template: NNX has none."""

from migrate.core.declare import TransformMapping, ignore, refuse, same

MAPPING = TransformMapping(
  linen="flax.linen.map_variables",
  nnx="template:map_variables.map_variables",
  because="of a class: ours, whose call computes with what the function makes of the parameters",
  prefix="Map_variables",
  args=(
    *ignore("target", because="the class is made in the constructor, its call is what is lifted"),
    *same("mapped_collections", "trans_in_fn", "init"),
    *refuse("trans_out_fn", "mutable", because="NNX holds the variables themselves, not their view", allow=("False",)),
    *ignore("rngs", "variables", because="NNX lifts the whole module: its variables and random streams go along"),
    *refuse("methods", because="`__call__` alone sees the view", allow=("None",)),
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
  source="flax 0.12.8 linen/transforms.py, core/lift.py",
)
