"""`nn.custom_vjp` to `nnx.custom_vjp`."""

from migrate.core.declare import TransformMapping, convert, ignore, same

MAPPING = TransformMapping(
  linen="flax.linen.custom_vjp",
  nnx="flax.nnx.custom_vjp",
  because="NNX takes forward and backward by defvjp, and the backward pass returns a State for the module",
  call="nnx.custom_vjp({fn})",
  args=(
    *convert("fn", "fun", "{value}", because="the module is its first argument on both sides"),
    *ignore("forward_fn", "backward_fn", because="given to defvjp afterwards"),
    *ignore("grad_vars", because="the backward pass says it by the State that it returns"),
    *same("nondiff_argnums"),
  ),
  positional=("fn", "forward_fn", "backward_fn", "grad_vars", "nondiff_argnums"),
  source="flax 0.12.8 linen/transforms.py, nnx/transforms",
)
