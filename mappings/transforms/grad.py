"""`nn.grad` to `nnx.grad` of a function of the module."""

from migrate.core.declare import TransformMapping, convert, ignore, refuse, same

MAPPING = TransformMapping(
  linen="flax.linen.grad",
  nnx="flax.nnx.grad",
  because="in NNX the module is an argument like the others, and is differentiated unless argnums leaves it out",
  call="nnx.grad({fn}, argnums={argnums}, has_aux={has_aux})({mdl}, {primals})",
  args=(
    *convert("fn", "f", "{value}", because="the module is its first argument on both sides"),
    *ignore("mdl", because="is passed to the call"),
    *ignore("primals", because="are passed to the call; argnums counts them after the module"),
    *same("has_aux"),
    *refuse("reduce_axes", because="JAX has deprecated it", allow=("()",)),
    *ignore("variables", "rngs", because="NNX lifts the whole module: its variables and random streams go along"),
  ),
  positional=("fn", "mdl", "primals", "has_aux", "reduce_axes", "variables", "rngs"),
  source="flax 0.12.8 linen/transforms.py, nnx/transforms",
)
