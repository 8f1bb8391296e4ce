"""States that wrap others: masks, labels, schedules, conditions, accumulation."""

from migrate.core.declare import OptimizerMapping

MAPPINGS = (
  OptimizerMapping("optax.MaskedState", inner=("inner_state",)),
  OptimizerMapping("optax.MaskedNode", note="a place without an array"),
  OptimizerMapping("optax.PartitionState", inner=("inner_states",), note="multi_transform and partition"),
  OptimizerMapping("optax.InjectHyperparamsState", scalars=("count",), inner=("hyperparams", "inner_state")),
  OptimizerMapping(
    "optax.InjectStatefulHyperparamsState",
    scalars=("count",),
    inner=("hyperparams", "hyperparams_states", "inner_state"),
  ),
  OptimizerMapping(
    "optax.MultiStepsState",
    like_params=("acc_grads",),
    scalars=("mini_step", "gradient_step"),
    inner=("inner_opt_state", "skip_state"),
  ),
  OptimizerMapping(
    "optax.ApplyIfFiniteState", scalars=("notfinite_count", "last_finite", "total_notfinite"), inner=("inner_state",)
  ),
  OptimizerMapping("optax.ConditionallyMaskState", scalars=("step",), inner=("inner_state",)),
  OptimizerMapping("optax.ConditionallyTransformState", scalars=("step",), inner=("inner_state",)),
  OptimizerMapping(
    "optax.LookaheadState",
    scalars=("steps_since_sync",),
    inner=("fast_state",),
    note="its parameters are optax.LookaheadParams, a pair of trees",
  ),
  OptimizerMapping("optax.LookaheadParams", like_params=("fast", "slow")),
  OptimizerMapping("optax.schedules._inject.WrappedScheduleState", scalars=("count",)),
  OptimizerMapping("optax.ScaleByScheduleState", scalars=("count",)),
  OptimizerMapping("optax.SnapshotState", inner=("measurement",)),
  OptimizerMapping("optax.MonitorState", inner=("measurements", "measure_states")),
  OptimizerMapping(
    "optax.AddNoiseState",
    made_by=("add_noise", "noisy_sgd"),
    scalars=("count", "rng_key"),
    by_order=True,
    note="draws noise in the order of the parameters",
  ),
  OptimizerMapping(
    "optax.flatten",
    made_by=("flatten",),
    by_order=True,
    per_tensor=True,
    note="one vector of all parameters in their order",
  ),
)
