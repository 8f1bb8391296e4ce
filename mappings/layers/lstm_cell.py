"""`flax.linen.LSTMCell` to `flax.nnx.LSTMCell`: `if` is a Python keyword, so that gate is called `if_`."""

from migrate.core.declare import LayerMapping, Sample, floats, infer, leaf, rename, same, unused

_ZEROS = "Linen's default makes zeros, NNX's None as well"
_SPREAD = "NNX's default is orthogonal too, computed in float32 and cast to param_dtype"
_ATTRIBUTES = {"i": "ii", "f": "if_", "g": "ig", "o": "io"}

MAPPING = LayerMapping(
  linen="flax.linen.LSTMCell",
  nnx="flax.nnx.LSTMCell",
  source="flax 0.12.8 linen/recurrent.py LSTMCell, nnx/nn/recurrent.py LSTMCell",
  inputs="* in_features",
  output="*",
  input="inputs",
  args=(
    *infer("in_features"),
    *rename("features", "hidden_features"),
    *same("gate_fn", "activation_fn", "kernel_init", "bias_init", "dtype", "param_dtype"),
    *same("recurrent_kernel_init", because=_SPREAD),
    *same("carry_init", because=_ZEROS),
    *unused("promote_dtype", "keep_rngs"),
  ),
  leaves=(
    *(leaf(f"params/i{g}/kernel", f"{_ATTRIBUTES[g]}/kernel", "in_features hidden_features") for g in "ifgo"),
    *(leaf(f"params/h{g}/kernel", f"h{g}/kernel", "hidden_features hidden_features") for g in "ifgo"),
    *(leaf(f"params/h{g}/bias", f"h{g}/bias", "hidden_features") for g in "ifgo"),
  ),
  positional=("features", "gate_fn", "activation_fn", "kernel_init", "recurrent_kernel_init", "bias_init", "dtype",
              "param_dtype", "carry_init"),
  call_positional=("carry", "inputs"),
  method_code=(("initialize_carry", "{layer}.initialize_carry({input_shape}, nnx.Rngs({rng}))"),),
  carry="({zeros}, {zeros})",
  example=lambda: (Sample({"features": 5}, (floats(3, 7),)),),
)  # fmt: skip
