"""`flax.linen.PReLU` to `flax.nnx.PReLU`: the order of positional arguments changes, and NNX wants no rngs."""

from migrate.core.declare import LayerMapping, Sample, floats, leaf, same, unused

MAPPING = LayerMapping(
  linen="flax.linen.PReLU",
  nnx="flax.nnx.PReLU",
  source="flax 0.12.8 linen/activation.py, nnx/nn/activations.py",
  inputs="",
  output="*",
  args=(*same("negative_slope_init", "param_dtype"), *unused("dtype", "promote_dtype")),
  leaves=(leaf("params/negative_slope", "negative_slope", ""),),
  positional=("param_dtype", "negative_slope_init"),
  takes_rngs=False,
  example=lambda: (
    Sample({}, (floats(3, 7),)),
    Sample({"negative_slope_init": 0.2}, (floats(7),), name="another slope"),
  ),
)
