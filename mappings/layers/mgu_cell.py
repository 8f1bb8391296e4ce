"""`flax.linen.MGUCell` to a template: NNX has no minimal gated unit."""

from migrate.core.declare import LayerMapping, Sample, floats, infer, leaf, rename, same

MAPPING = LayerMapping(
  linen="flax.linen.MGUCell",
  nnx="template:mgu.MGUCell",
  source="flax 0.12.8 linen/recurrent.py MGUCell",
  inputs="* in_features",
  output="*",
  input="inputs",
  args=(
    *infer("in_features"),
    *rename("features", "hidden_features"),
    *same("gate_fn", "activation_fn", "kernel_init", "recurrent_kernel_init", "forget_bias_init",
          "activation_bias_init", "dtype", "param_dtype", "reset_gate"),
    *same("carry_init", because="Linen's default makes zeros, the template's None as well"),
  ),
  leaves=(
    leaf("params/if/kernel", "if_/kernel", "in_features hidden_features"),
    leaf("params/if/bias", "if_/bias", "hidden_features"),
    leaf("params/in/kernel", "in_/kernel", "in_features hidden_features"),
    leaf("params/in/bias", "in_/bias", "hidden_features"),
    leaf("params/hf/kernel", "hf/kernel", "hidden_features hidden_features"),
    leaf("params/hn/kernel", "hn/kernel", "hidden_features hidden_features"),
    leaf("params/hn/bias", "hn/bias", "hidden_features", optional=True),
  ),
  positional=("features", "gate_fn", "activation_fn", "kernel_init", "recurrent_kernel_init", "forget_bias_init",
              "activation_bias_init", "dtype", "param_dtype", "carry_init", "reset_gate"),
  call_positional=("carry", "inputs"),
  method_code=(("initialize_carry", "{layer}.initialize_carry({input_shape}, nnx.Rngs({rng}))"),),
  carry="{zeros}",
  example=lambda: (
    Sample({"features": 5}, (floats(3, 7),)),
    Sample({"features": 5, "reset_gate": False}, (floats(3, 7),), name="no reset gate"),
  ),
)  # fmt: skip
