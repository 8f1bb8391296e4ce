"""`nn.jvp` to `nnx.jvp` of a function of the module."""

from migrate.core.declare import TransformMapping, convert, ignore

MAPPING = TransformMapping(
  linen="flax.linen.jvp",
  nnx="flax.nnx.jvp",
  because="in NNX the module is an argument like the others, and is differentiated unless argnums leaves it out",
  call="nnx.jvp({fn}, ({mdl}, {primals}), ({variable_tangents}, {tangents}))",
  args=(
    *convert("fn", "f", "{value}", because="the module is its first argument on both sides"),
    *convert("mdl", "primals", "{value}", because="the module is the first of the primals"),
    *convert("primals", "primals", "{value}", because="after the module"),
    *convert("tangents", "tangents", "{value}", because="after the module's own"),
    *convert("variable_tangents", "tangents", "{value}", because="the tangent of the module, as a State"),
    *ignore("variables", "rngs", because="NNX lifts the whole module: its variables and random streams go along"),
  ),
  positional=("fn", "mdl", "primals", "tangents", "variable_tangents", "variables", "rngs"),
  source="flax 0.12.8 linen/transforms.py, nnx/transforms",
)
