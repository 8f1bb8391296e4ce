"""`nn.cond` to `nnx.cond`: the module is an operand."""

from migrate.core.declare import TransformMapping, convert, ignore, same

MAPPING = TransformMapping(
  linen="flax.linen.cond",
  nnx="flax.nnx.cond",
  because="the module is an ordinary operand; jax.lax.cond cannot see what a module that it closes over updates",
  call="nnx.cond({pred}, {true_fun}, {false_fun}, {mdl}, {operands})",
  args=(
    *same("pred", "true_fun", "false_fun"),
    *convert("mdl", "*operands", "{value}", because="the module is the first operand"),
    *convert("operands", "*operands", "*{value}", because="after the module"),
    *ignore("variables", "rngs", because="NNX lifts the whole module: its variables and random streams go along"),
  ),
  positional=("pred", "true_fun", "false_fun", "mdl", "operands", "variables", "rngs"),
  source="flax 0.12.8 linen/transforms.py, nnx/transforms",
)
