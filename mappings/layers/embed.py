"""`flax.linen.Embed` to `flax.nnx.Embed`: nothing is renamed."""

from migrate.core.declare import LayerMapping, Sample, convert, ints, leaf, same

MAPPING = LayerMapping(
  linen="flax.linen.Embed",
  nnx="flax.nnx.Embed",
  source="flax 0.12.8 linen/linear.py Embed, nnx/nn/linear.py Embed",
  inputs="",
  output="* features",
  args=(
    *same("num_embeddings", "features", "dtype", "param_dtype", "embedding_init"),
    *convert("promote_dtype", "promote_dtype", "template:injected.promote_dtype({value})",
             because="Linen calls it with the arrays, NNX with a tuple of them"),
  ),
  leaves=(leaf("params/embedding", "embedding", "num_embeddings features"),),
  positional=("num_embeddings", "features", "dtype", "param_dtype", "embedding_init", "promote_dtype"),
  methods=("attend",),
  example=lambda: (
    Sample({"num_embeddings": 11, "features": 5}, (ints(3, 7, high=11),)),
    Sample({"num_embeddings": 1, "features": 5}, (ints(3, 7, high=1),), name="one embedding"),
    Sample({"num_embeddings": 7, "features": 5}, (ints(3, 7, high=13),), name="ids out of range"),
  ),
)  # fmt: skip
