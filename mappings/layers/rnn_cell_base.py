"""`flax.linen.RNNCellBase` to `flax.nnx.RNNCellBase`, the base class of user cells."""

from migrate.core.declare import LayerMapping

MAPPING = LayerMapping(
  linen="flax.linen.RNNCellBase",
  nnx="flax.nnx.RNNCellBase",
  source="flax 0.12.8 linen/recurrent.py RNNCellBase, nnx/nn/recurrent.py RNNCellBase",
  inputs="",
  output="*",
  args=(),
  leaves=(),
  method_code=(("initialize_carry", "{layer}.initialize_carry({input_shape}, nnx.Rngs({rng}))"),),
  takes_rngs=False,
  note="a subclass defines initialize_carry(input_shape, rngs) where Linen has initialize_carry(rng, input_shape)",
)
