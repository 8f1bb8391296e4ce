"""States of quasi-Newton steps and line searches."""

from migrate.core.declare import OptimizerMapping

MAPPINGS = (
  OptimizerMapping(
    "optax.ScaleByLBFGSState",
    like_params=("params", "updates", "diff_params_memory", "diff_updates_memory"),
    scalars=("count", "weights_memory"),
    note="memories have a leading axis: they can be renamed, not joined",
  ),
  OptimizerMapping(
    "optax.ScaleByZoomLinesearchState", like_params=("grad",), scalars=("learning_rate", "value"), inner=("info",)
  ),
  OptimizerMapping("optax.ZoomLinesearchInfo", scalars=("num_linesearch_steps", "decrease_error", "curvature_error")),
  OptimizerMapping(
    "optax.ScaleByBacktrackingLinesearchState",
    like_params=("grad",),
    scalars=("learning_rate", "value"),
    inner=("info",),
  ),
  OptimizerMapping(
    "optax._src.linesearch.BacktrackingLinesearchInfo", scalars=("num_linesearch_steps", "decrease_error")
  ),
)
