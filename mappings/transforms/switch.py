"""`nn.switch` to `nnx.switch`: the module is an operand."""

from migrate.core.declare import TransformMapping, convert, ignore, same

MAPPING = TransformMapping(
  linen="flax.linen.switch",
  nnx="flax.nnx.switch",
  because="the module is an ordinary operand; jax.lax.switch cannot see what a module that it closes over updates",
  call="nnx.switch({index}, {branches}, {mdl}, {operands})",
  args=(
    *same("index", "branches"),
    *convert("mdl", "*operands", "{value}", because="the module is the first operand"),
    *convert("operands", "*operands", "*{value}", because="after the module"),
    *ignore("variables", "rngs", because="NNX lifts the whole module: its variables and random streams go along"),
  ),
  positional=("index", "branches", "mdl", "operands", "variables", "rngs"),
  source="flax 0.12.8 linen/transforms.py, nnx/transforms",
)
