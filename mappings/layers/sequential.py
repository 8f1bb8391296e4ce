"""`flax.linen.Sequential` to `flax.nnx.Sequential`: the list of layers becomes positional arguments."""

from migrate.core.declare import LayerMapping, convert, leaf

MAPPING = LayerMapping(
  linen="flax.linen.Sequential",
  nnx="flax.nnx.Sequential",
  source="flax 0.12.8 linen/combinators.py, nnx/helpers.py",
  inputs="",
  output="*",
  args=(*convert("layers", "*fns", "*{value}", because="a list as the only argument would be taken for a layer"),),
  leaves=(leaf("{collection}/layers_{i}/**", "layers/{i}/**", "*"),),
  positional=("layers",),
  children=(("layers", "layers"),),
  takes_rngs=False,
  note="layers made in a compact method keep their variables in the parent's scope, without a `layers_` level; "
  "an empty list raises in Linen and is the identity in NNX",
)
