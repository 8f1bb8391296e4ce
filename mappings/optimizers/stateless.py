"""What keeps no state, among it updates that look at whole tensors."""

from migrate.core.declare import OptimizerMapping

MAPPINGS = (
  OptimizerMapping("optax.EmptyState", note="takes no place in nnx.Optimizer"),
  OptimizerMapping(
    "optax.ScaleByTrustRatioState",
    made_by=("scale_by_trust_ratio", "lamb", "lars", "fromage"),
    per_tensor=True,
    note="lamb, lars, fromage: an alias of EmptyState",
  ),
  OptimizerMapping(
    "optax.AdaptiveGradClipState",
    made_by=("adaptive_grad_clip",),
    per_tensor=True,
    by_axes=True,
    note="an alias of EmptyState",
  ),
  OptimizerMapping("optax.clip_by_block_rms", made_by=("clip_by_block_rms",), per_tensor=True, note="EmptyState"),
  OptimizerMapping("optax.centralize", made_by=("centralize",), per_tensor=True, by_axes=True, note="EmptyState"),
  OptimizerMapping(
    "optax.scale_by_param_block_norm", made_by=("scale_by_param_block_norm",), per_tensor=True, note="EmptyState"
  ),
  OptimizerMapping(
    "optax.scale_by_param_block_rms", made_by=("scale_by_param_block_rms",), per_tensor=True, note="EmptyState"
  ),
)
