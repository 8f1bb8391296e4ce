"""`nn.fold_rngs`: NNX has none."""

from migrate.core.declare import TransformMapping, refuse

MAPPING = TransformMapping(
  linen="flax.linen.fold_rngs",
  nnx="",
  because="streams count their draws by themselves",
  args=refuse("target", "variables", "rngs", because="there is no counterpart"),
  positional=("target", "variables", "rngs"),
  source="flax 0.12.8 linen/transforms.py, nnx/transforms",
)
