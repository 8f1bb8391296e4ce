"""States of `optax.contrib`."""

from migrate.core.declare import OptimizerMapping

MAPPINGS = (
  OptimizerMapping("optax.contrib.ScaleByAdemamixState", like_params=("m1", "m2", "nu"), scalars=("count", "count_m2")),
  OptimizerMapping("optax.contrib.ScaleBySimplifiedAdEMAMixState", like_params=("m", "n"), scalars=("t",)),
  OptimizerMapping(
    "optax.contrib.COCOBState",
    like_params=("init_particles", "cumulative_gradients", "scale", "subgradients", "reward"),
  ),
  OptimizerMapping(
    "optax.contrib.DAdaptAdamWState",
    like_params=("exp_avg", "exp_avg_sq", "grad_sum"),
    scalars=("estim_lr", "numerator_weighted", "count"),
  ),
  OptimizerMapping(
    "optax.contrib.ProdigyState",
    like_params=("exp_avg", "exp_avg_sq", "grad_sum", "params0"),
    scalars=("estim_lr", "numerator_weighted", "count"),
  ),
  OptimizerMapping(
    "optax.contrib.DoGState", like_params=("init_params",), scalars=("is_init_step", "max_dist", "sum_sq_norm_grads")
  ),
  OptimizerMapping(
    "optax.contrib.DoWGState", like_params=("init_params",), scalars=("weighted_sq_norm_grads", "estim_sq_dist")
  ),
  OptimizerMapping(
    "optax.contrib.DifferentiallyPrivateAggregateState",
    made_by=("differentially_private_aggregate", "dpsgd"),
    scalars=("rng_key",),
    by_order=True,
    note="draws noise in the order of the parameters",
  ),
  OptimizerMapping("optax.contrib.MadgradState", like_params=("grad_sum_sq", "s", "x0"), scalars=("count",)),
  OptimizerMapping(
    "optax.contrib.MechanicState",
    like_params=("x0",),
    scalars=("count", "r", "m", "v", "s"),
    inner=("base_optimizer_state",),
  ),
  OptimizerMapping("optax.contrib.MomoState", like_params=("exp_avg",), scalars=("barf", "gamma", "lb", "count")),
  OptimizerMapping(
    "optax.contrib.MomoAdamState", like_params=("exp_avg", "exp_avg_sq"), scalars=("barf", "gamma", "lb", "count")
  ),
  OptimizerMapping(
    "optax.contrib.ReduceLROnPlateauState",
    scalars=("scale", "best_value", "plateau_count", "cooldown_count", "count", "avg_value"),
  ),
  OptimizerMapping(
    "optax.contrib.SAMState", like_params=("cache",), scalars=("steps_since_sync",), inner=("opt_state", "adv_state")
  ),
  OptimizerMapping(
    "optax.contrib.ScheduleFreeState",
    like_params=("z",),
    scalars=("b1", "weight_sum", "step_count", "max_lr"),
    inner=("base_optimizer_state",),
  ),
  OptimizerMapping(
    "optax.contrib.SophiaState",
    made_by=("scale_by_sophia", "sophia"),
    like_params=("mu", "nu"),
    scalars=("count",),
    inner=("hessian_fn_state",),
    by_order=True,
    note="draws its probe in the order of the parameters",
  ),
  OptimizerMapping("optax.contrib.HutchinsonState", scalars=("key",)),
  OptimizerMapping("optax.contrib.SplitRealAndImaginaryState", inner=("inner_state",)),
)
