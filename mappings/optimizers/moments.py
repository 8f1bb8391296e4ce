"""States that keep moments of the gradients, one tree like the parameters each."""

from migrate.core.declare import OptimizerMapping

MAPPINGS = (
  OptimizerMapping("optax.ScaleByAdamState", like_params=("mu", "nu"), scalars=("count",)),
  OptimizerMapping("optax.ScaleByAmsgradState", like_params=("mu", "nu", "nu_max"), scalars=("count",)),
  OptimizerMapping("optax.ScaleByBeliefState", like_params=("mu", "nu"), scalars=("count",)),
  OptimizerMapping("optax.ScaleByAdanState", like_params=("m", "v", "n", "g"), scalars=("t",)),
  OptimizerMapping("optax.ScaleByLionState", like_params=("mu",), scalars=("count",)),
  OptimizerMapping("optax.ScaleByAdaDeltaState", like_params=("e_g", "e_x")),
  OptimizerMapping("optax.ScaleByRmsState", like_params=("nu",)),
  OptimizerMapping("optax._src.transform.ScaleByRmsWithCountState", like_params=("nu",), scalars=("count",)),
  OptimizerMapping("optax.ScaleByRStdDevState", like_params=("mu", "nu")),
  OptimizerMapping("optax.ScaleByRssState", like_params=("sum_of_squares",)),
  OptimizerMapping("optax.ScaleByRpropState", like_params=("step_sizes", "prev_updates")),
  OptimizerMapping(
    "optax._src.transform.ScaleByOptimisticGradientState",
    like_params=("previous_gradient",),
    scalars=("is_initial_step",),
  ),
  OptimizerMapping("optax.TraceState", like_params=("trace",)),
  OptimizerMapping(
    "optax.EmaState", like_params=("ema",), scalars=("count",), note="measure_with_ema keeps one number there"
  ),
  OptimizerMapping("optax.ApplyEvery", like_params=("grad_acc",), scalars=("count",)),
  OptimizerMapping("optax.ZeroNansState", like_params=("found_nan",)),
)
