"""`nn.remat_scan` to a template: NNX has none."""

from migrate.core.declare import TransformMapping, ignore, refuse, same

MAPPING = TransformMapping(
  linen="flax.linen.remat_scan",
  nnx="template:remat_scan.remat_scan",
  because="of a class: ours, `nnx.scan` over `nnx.remat`, one level for each of lengths",
  prefix="Remat_scan",
  args=(
    *ignore("target", because="the class is made in the constructor, its call is what is lifted"),
    *same("lengths", "policy"),
    *refuse("variable_broadcast", "variable_carry", because="every step has variables of its own", allow=("False",)),
    *refuse("variable_axes", because="variables are stacked along the first axis", allow=("{True: 0}",)),
    *ignore("split_rngs", because="the constructor splits the streams, and each layer keeps its own"),
  ),
  positional=("target", "lengths", "policy", "variable_broadcast", "variable_carry", "variable_axes", "split_rngs"),
  source="flax 0.12.8 linen/transforms.py, nnx/transforms",
)
