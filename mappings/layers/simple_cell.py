"""`flax.linen.SimpleCell` to `flax.nnx.SimpleCell`: NNX computes in float32 unless it is told the dtype."""

from migrate.core.declare import LayerMapping, Sample, convert, floats, infer, leaf, rename, same, unused

MAPPING = LayerMapping(
  linen="flax.linen.SimpleCell",
  nnx="flax.nnx.SimpleCell",
  source="flax 0.12.8 linen/recurrent.py SimpleCell, nnx/nn/recurrent.py SimpleCell",
  inputs="* in_features",
  output="*",
  input="inputs",
  args=(
    *infer("in_features"),
    *rename("features", "hidden_features"),
    *same("activation_fn", "kernel_init", "recurrent_kernel_init", "bias_init", "param_dtype", "residual"),
    *convert("dtype", "dtype", "{value}", absent="None",
             because="Linen's None follows the input, NNX's default is float32"),
    *same("carry_init", because="Linen's default makes zeros, NNX's None as well"),
    *unused("promote_dtype", "keep_rngs"),
  ),
  leaves=(
    leaf("params/i/kernel", "dense_i/kernel", "in_features hidden_features"),
    leaf("params/i/bias", "dense_i/bias", "hidden_features"),
    leaf("params/h/kernel", "dense_h/kernel", "hidden_features hidden_features"),
  ),
  positional=("features", "activation_fn", "kernel_init", "recurrent_kernel_init", "bias_init", "dtype", "param_dtype",
              "carry_init", "residual"),
  call_positional=("carry", "inputs"),
  method_code=(("initialize_carry", "{layer}.initialize_carry({input_shape}, nnx.Rngs({rng}))"),),
  carry="{zeros}",
  example=lambda: (
    Sample({"features": 5}, (floats(3, 7),)),
    Sample({"features": 5, "residual": True}, (floats(3, 7),), name="residual"),
  ),
)  # fmt: skip
