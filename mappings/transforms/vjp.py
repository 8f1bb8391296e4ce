"""`nn.vjp` to `nnx.vjp` of a function of the module."""

from migrate.core.declare import TransformMapping, convert, ignore, refuse, same

MAPPING = TransformMapping(
  linen="flax.linen.vjp",
  nnx="flax.nnx.vjp",
  because="in NNX the module is an argument like the others, and is differentiated unless argnums leaves it out",
  call="nnx.vjp({fn}, {mdl}, {primals})",
  args=(
    *convert("fn", "f", "{value}", because="the module is its first argument on both sides"),
    *convert("mdl", "*primals", "{value}", because="the module is the first of the primals"),
    *convert("primals", "*primals", "*{value}", because="after the module"),
    *same("has_aux"),
    *refuse("reduce_axes", because="JAX has deprecated it", allow=("()",)),
    *ignore("vjp_variables", because="the cotangent of the module has every Param"),
    *ignore("variables", "rngs", because="NNX lifts the whole module: its variables and random streams go along"),
    *refuse("multi_scope", because="pass the modules as primals", allow=("False",)),
  ),
  positional=("fn", "mdl", "primals", "has_aux", "reduce_axes", "vjp_variables", "variables", "rngs", "multi_scope"),
  source="flax 0.12.8 linen/transforms.py, nnx/transforms",
)
