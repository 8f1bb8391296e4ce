"""`nn.remat` to `nnx.remat` of the call: of a class it would wrap the constructor and save nothing."""

from migrate.core.declare import TransformMapping, ignore, refuse, same

MAPPING = TransformMapping(
  linen="flax.linen.remat",
  nnx="flax.nnx.remat",
  because="nnx.remat of a class wraps its constructor and saves no memory, without an error: lift the call",
  prefix="Checkpoint",
  call="nnx.remat({body})({layer}, {args})",
  args=(
    *ignore("target", because="the class is made in the constructor, its call is what is lifted"),
    *ignore("variables", "rngs", because="NNX lifts the whole module: its variables and random streams go along"),
    *refuse("concrete", because="JAX has removed it", allow=("False",)),
    *same("prevent_cse", "static_argnums", "policy"),
    *ignore("methods", because="our class lifts each of them"),
  ),
  positional=("target", "variables", "rngs", "concrete", "prevent_cse", "static_argnums", "policy", "methods"),
  source="flax 0.12.8 linen/transforms.py, nnx/transforms",
)
