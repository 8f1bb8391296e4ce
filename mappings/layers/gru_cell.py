"""`flax.linen.GRUCell` to a template: stock `flax.nnx.GRUCell` has no bias on the recurrent candidate gate (`hn`)."""

from migrate.core.declare import LayerMapping, Sample, floats, infer, leaf, rename, same

_ATTRIBUTES = {"r": "ir", "z": "iz", "n": "in_"}

MAPPING = LayerMapping(
  linen="flax.linen.GRUCell",
  nnx="template:gru.GRUCell",
  source="flax 0.12.8 linen/recurrent.py GRUCell, nnx/nn/recurrent.py GRUCell (dense_h has use_bias=False)",
  inputs="* in_features",
  output="*",
  input="inputs",
  args=(
    *infer("in_features"),
    *rename("features", "hidden_features"),
    *same("gate_fn", "activation_fn", "kernel_init", "recurrent_kernel_init", "bias_init", "dtype", "param_dtype"),
    *same("carry_init", because="Linen's default makes zeros, the template's None as well"),
  ),
  leaves=(
    *(leaf(f"params/i{g}/kernel", f"{_ATTRIBUTES[g]}/kernel", "in_features hidden_features") for g in "rzn"),
    *(leaf(f"params/i{g}/bias", f"{_ATTRIBUTES[g]}/bias", "hidden_features") for g in "rzn"),
    *(leaf(f"params/h{g}/kernel", f"h{g}/kernel", "hidden_features hidden_features") for g in "rzn"),
    leaf("params/hn/bias", "hn/bias", "hidden_features"),
  ),
  positional=("features", "gate_fn", "activation_fn", "kernel_init", "recurrent_kernel_init", "bias_init", "dtype",
              "param_dtype", "carry_init"),
  call_positional=("carry", "inputs"),
  method_code=(("initialize_carry", "{layer}.initialize_carry({input_shape}, nnx.Rngs({rng}))"),),
  carry="{zeros}",
  note="a trained model on stock nnx.GRUCell would be 13% off, without an error",
  example=lambda: (Sample({"features": 5}, (floats(3, 7),)),),
)  # fmt: skip
