"""`nn.while_loop` to `nnx.while_loop`: the module is part of the carry."""

from migrate.core.declare import TransformMapping, convert, ignore

MAPPING = TransformMapping(
  linen="flax.linen.while_loop",
  nnx="flax.nnx.while_loop",
  because="the module is part of the carried value",
  call="nnx.while_loop({cond_fn}, {body_fn}, ({mdl}, {init}))",
  args=(
    *convert("cond_fn", "cond_fun", "{value}", because="takes one value, (module, carry)"),
    *convert("body_fn", "body_fun", "{value}", because="takes and returns one value, (module, carry)"),
    *convert("mdl", "init_val", "({value},", because="(module, carry)"),
    *convert("init", "init_val", "{value})", because="(module, carry)"),
    *ignore("carry_variables", "broadcast_variables", because="every variable of the module is carried"),
    *ignore("split_rngs", because="streams count on in the carry"),
  ),
  positional=("cond_fn", "body_fn", "mdl", "init", "carry_variables", "broadcast_variables", "split_rngs"),
  source="flax 0.12.8 linen/transforms.py, nnx/transforms",
)
