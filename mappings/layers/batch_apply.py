"""`flax.linen.BatchApply` to a template. It is no module: its layer's variables stay in place."""

from migrate.core.declare import LayerMapping, leaf, same

MAPPING = LayerMapping(
  linen="flax.linen.BatchApply",
  nnx="template:batch_apply.BatchApply",
  source="flax 0.12.8 linen/batch_apply.py",
  inputs="",
  output="*",
  args=same("f", "num_dims"),
  leaves=(leaf("{collection}/**", "f/**", "*"),),
  positional=("f", "num_dims"),
  children=(("f", "f"),),
  takes_rngs=False,
)
