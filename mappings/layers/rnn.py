"""`flax.linen.RNN` to `flax.nnx.RNN`: scans a cell; Variable types stand for what Linen says about collections."""

from migrate.core.declare import LayerMapping, leaf, refuse, same, unused

MAPPING = LayerMapping(
  linen="flax.linen.RNN",
  nnx="flax.nnx.RNN",
  source="flax 0.12.8 linen/recurrent.py RNN, nnx/nn/recurrent.py RNN",
  inputs="",
  output="*",
  args=(
    *same("cell", "time_major", "return_carry", "reverse", "keep_order", "unroll"),
    *refuse("variable_axes", because="nnx.RNN takes state_axes over Variable types", allow=("{}", "FrozenDict()")),
    *refuse("variable_broadcast", because="nnx.RNN takes state_axes over Variable types",
            allow=("'params'", '"params"')),
    *refuse("variable_carry", because="nnx.RNN takes state_axes over Variable types", allow=("False",)),
    *refuse("split_rngs", because="nnx.RNN takes broadcast_rngs",
            allow=("{'params': False}", '{"params": False}', "FrozenDict({'params': False})")),
    *unused("state_axes", "broadcast_rngs"),
  ),
  leaves=(leaf("{collection}/cell/**", "cell/**", "*"),),
  positional=("cell", "time_major", "return_carry", "reverse", "keep_order", "unroll", "variable_axes",
              "variable_broadcast", "variable_carry", "split_rngs"),
  call_args=(("init_key", "rngs"),),
  call_code=(("init_key", "nnx.Rngs({value})"),),
  children=(("cell", "cell"),),
  takes_rngs=False,
  note="a cell made in a compact method keeps its variables in the parent's scope, without a `cell` level; "
  "nnx.RNN holds a random stream for the initial carry",
)  # fmt: skip
