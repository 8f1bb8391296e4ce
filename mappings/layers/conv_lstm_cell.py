"""`flax.linen.ConvLSTMCell` to a template: NNX has no convolutional LSTM."""

from migrate.core.declare import LayerMapping, Sample, floats, infer, leaf, same

MAPPING = LayerMapping(
  linen="flax.linen.ConvLSTMCell",
  nnx="template:conv_lstm.ConvLSTMCell",
  source="flax 0.12.8 linen/recurrent.py ConvLSTMCell",
  inputs="* in_features",
  output="*",
  input="inputs",
  args=(
    *infer("in_features"),
    *same("features", "kernel_size", "strides", "padding", "use_bias", "dtype", "param_dtype"),
    *same("carry_init", because="Linen's default makes zeros, the template's None as well"),
  ),
  leaves=(
    leaf("params/ih/kernel", "ih/kernel", "*kernel_size in_features 4*features"),
    leaf("params/ih/bias", "ih/bias", "4*features", optional=True),
    leaf("params/hh/kernel", "hh/kernel", "*kernel_size features 4*features"),
    leaf("params/hh/bias", "hh/bias", "4*features", optional=True),
  ),
  positional=("features", "kernel_size", "strides", "padding", "use_bias", "dtype", "param_dtype", "carry_init"),
  call_positional=("carry", "inputs"),
  method_code=(("initialize_carry", "{layer}.initialize_carry({input_shape}, nnx.Rngs({rng}))"),),
  carry="({zeros}, {zeros})",
  example=lambda: (
    Sample({"features": 2, "kernel_size": (3, 3)}, (floats(2, 5, 7, 3),)),
    Sample({"features": 2, "kernel_size": (3,), "use_bias": False}, (floats(2, 7, 3),), name="no bias"),
  ),
)
