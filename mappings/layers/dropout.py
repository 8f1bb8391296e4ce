"""`flax.linen.Dropout` to `flax.nnx.Dropout`: at the call, `deterministic` and the key go by keyword."""

from migrate.core.declare import LayerMapping, Sample, floats, key, same

MAPPING = LayerMapping(
  linen="flax.linen.Dropout",
  nnx="flax.nnx.Dropout",
  source="flax 0.12.8 linen/stochastic.py, nnx/nn/stochastic.py",
  inputs="",
  output="*",
  args=(
    *same("rate", "broadcast_dims", "rng_collection"),
    *same(
      "deterministic", because="Linen's None means that the call says it, and a call's value overrules NNX's False"
    ),
  ),
  leaves=(),
  positional=("rate", "broadcast_dims", "deterministic", "rng_collection"),
  call_fields=("deterministic",),
  call_args=(("rng", "rngs"),),
  call_positional=("inputs", "deterministic", "rng"),
  call_keywords=("deterministic", "rng"),
  rngs=("dropout",),
  note="keeps a fork of the stream `rng_collection`; a raw key passed at the call gives Linen's own mask",
  example=lambda: (
    Sample({"rate": 0.3}, (floats(5, 7),), {"deterministic": True}, name="deterministic"),
    Sample({"rate": 0.3, "deterministic": False}, (floats(5, 7),), {"rng": key()}, name="random"),
    Sample(
      {"rate": 0.3, "broadcast_dims": (0,)}, (floats(5, 7),), {"rng": key(), "deterministic": False}, name="shared"
    ),
    Sample({"rate": 1.0, "deterministic": False}, (floats(5, 7),), name="drop all"),
  ),
)
