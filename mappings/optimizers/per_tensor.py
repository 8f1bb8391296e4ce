"""States of updates that look at whole tensors: joining or splitting parameters changes them."""

from migrate.core.declare import OptimizerMapping

MAPPINGS = (
  OptimizerMapping(
    "optax.FactoredState",
    made_by=("scale_by_factored_rms", "adafactor"),
    like_params=("v_row", "v_col", "v"),
    scalars=("count",),
    per_tensor=True,
    by_axes=True,
    note="adafactor: row and column sums of the squares, over the two largest axes",
  ),
  OptimizerMapping(
    "optax.ScaleByNovogradState",
    made_by=("scale_by_novograd", "novograd"),
    like_params=("mu", "nu"),
    scalars=("count",),
    per_tensor=True,
    note="one second moment for each tensor",
  ),
  OptimizerMapping(
    "optax.ScaleBySM3State",
    made_by=("scale_by_sm3", "sm3"),
    like_params=("nu",),
    inner=("mu",),
    per_tensor=True,
    by_axes=True,
    note="one accumulator for each axis of each tensor, in a list",
  ),
  OptimizerMapping(
    "optax._src.transform.ScaleByDistanceOverGradientsState",
    made_by=("scale_by_distance_over_gradients",),
    like_params=("max_dist", "grad_sum_of_squares", "init_params"),
    per_tensor=True,
  ),
  OptimizerMapping(
    "optax.contrib.MuonState",
    made_by=("scale_by_muon", "muon"),
    like_params=("mu",),
    scalars=("count", "ns_coeffs"),
    per_tensor=True,
    by_axes=True,
    note="orthogonalises each matrix",
  ),
  OptimizerMapping(
    "optax.contrib.GaLoreState",
    made_by=("scale_by_galore", "galore"),
    like_params=("projector",),
    scalars=("count",),
    inner=("base_optimizer_state",),
    per_tensor=True,
    by_axes=True,
    note="projects each matrix on its singular vectors",
  ),
)
