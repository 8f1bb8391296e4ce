"""`nn.named_call`: NNX has none."""

from migrate.core.declare import TransformMapping, refuse

MAPPING = TransformMapping(
  linen="flax.linen.named_call",
  nnx="",
  because="modules are named by their attributes; jax.named_scope names the operations",
  args=refuse("class_fn", "force", because="there is no counterpart"),
  positional=("class_fn", "force"),
  source="flax 0.12.8 linen/transforms.py, nnx/transforms",
)
