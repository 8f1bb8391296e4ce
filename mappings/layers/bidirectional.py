"""`flax.linen.Bidirectional` to `flax.nnx.Bidirectional`: two RNNs, one of them reversed."""

from migrate.core.declare import LayerMapping, leaf, same

MAPPING = LayerMapping(
  linen="flax.linen.Bidirectional",
  nnx="flax.nnx.Bidirectional",
  source="flax 0.12.8 linen/recurrent.py Bidirectional, nnx/nn/recurrent.py Bidirectional",
  inputs="",
  output="*",
  args=(*same("forward_rnn", "backward_rnn", "merge_fn", "time_major", "return_carry"),),
  leaves=(
    leaf("{collection}/forward_rnn/**", "forward_rnn/**", "*"),
    leaf("{collection}/backward_rnn/**", "backward_rnn/**", "*"),
  ),
  positional=("forward_rnn", "backward_rnn", "merge_fn", "time_major", "return_carry"),
  call_args=(("init_key", "rngs"),),
  call_code=(("init_key", "nnx.Rngs({value})"),),
  children=(("forward_rnn", "forward_rnn"), ("backward_rnn", "backward_rnn")),
  takes_rngs=False,
  note="cells made in a compact method keep their variables in the parent's scope",
)
