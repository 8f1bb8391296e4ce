"""`flax.linen.OptimizedLSTMCell`: a template with one parameter a gate, and stock, which fuses them."""

from migrate.core.declare import LayerMapping, Sample, floats, infer, leaf, rename, same, unused
from migrate.core.ops import Concatenate

_SOURCE = "flax 0.12.8 linen/recurrent.py OptimizedLSTMCell, nnx/nn/recurrent.py OptimizedLSTMCell"
_POSITIONAL = ("features", "gate_fn", "activation_fn", "kernel_init", "recurrent_kernel_init", "bias_init", "dtype",
               "param_dtype", "carry_init")  # fmt: skip
_CARRY = (("initialize_carry", "{layer}.initialize_carry({input_shape}, nnx.Rngs({rng}))"),)
_SAME = ("gate_fn", "activation_fn", "kernel_init", "recurrent_kernel_init", "bias_init", "dtype", "param_dtype")
_ZEROS = "Linen's default makes zeros, NNX's None as well"


def _samples() -> tuple[Sample, ...]:
  return (Sample({"features": 5}, (floats(3, 7),)),)


_ATTRIBUTES = {"i": "ii", "f": "if_", "g": "ig", "o": "io"}

MAPPING = LayerMapping(
  linen="flax.linen.OptimizedLSTMCell",
  nnx="template:lstm.OptimizedLSTMCell",
  source=_SOURCE,
  inputs="* in_features",
  output="*",
  input="inputs",
  args=(
    *infer("in_features"),
    *rename("features", "hidden_features"),
    *same(*_SAME),
    *same("carry_init", because=_ZEROS),
  ),
  leaves=(
    *(
      leaf(f"params/i{g}/kernel", f"{'if_' if g == 'f' else 'i' + g}/kernel", "in_features hidden_features")
      for g in "ifgo"
    ),
    *(leaf(f"params/h{g}/kernel", f"h{g}/kernel", "hidden_features hidden_features") for g in "ifgo"),
    *(leaf(f"params/h{g}/bias", f"h{g}/bias", "hidden_features") for g in "ifgo"),
  ),
  positional=_POSITIONAL,
  call_positional=("carry", "inputs"),
  method_code=_CARRY,
  carry="({zeros}, {zeros})",
  note="stock nnx.OptimizedLSTMCell fuses the gates into one parameter: another initial distribution, and another "
  "arithmetic in optimizers that look at whole tensors (LAMB, LARS, adafactor, muon)",
  example=_samples,
)

_STOCK = LayerMapping(
  linen="flax.linen.OptimizedLSTMCell",
  nnx="flax.nnx.OptimizedLSTMCell",
  source=_SOURCE,
  inputs="* in_features",
  output="*",
  input="inputs",
  args=(
    *infer("in_features"),
    *rename("features", "hidden_features"),
    *same(*_SAME),
    *same("carry_init", because=_ZEROS),
    *unused("promote_dtype", "keep_rngs"),
  ),
  leaves=(
    leaf(
      tuple(f"params/i{g}/kernel" for g in "ifgo"), "dense_i/kernel", "in_features 4*hidden_features", Concatenate(4)
    ),
    leaf(
      tuple(f"params/h{g}/kernel" for g in "ifgo"),
      "dense_h/kernel",
      "hidden_features 4*hidden_features",
      Concatenate(4),
    ),
    leaf(tuple(f"params/h{g}/bias" for g in "ifgo"), "dense_h/bias", "4*hidden_features", Concatenate(4)),
  ),
  positional=_POSITIONAL,
  call_positional=("carry", "inputs"),
  method_code=_CARRY,
  carry="({zeros}, {zeros})",
  example=_samples,
)

ALTERNATIVES = (_STOCK,)
