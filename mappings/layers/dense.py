"""`flax.linen.Dense` to `flax.nnx.Linear`: the input size must be told, everything else keeps its name."""

from migrate.core.declare import LayerMapping, Sample, convert, floats, infer, leaf, refuse, rename, same, unused

MAPPING = LayerMapping(
  linen="flax.linen.Dense",
  nnx="flax.nnx.Linear",
  source="flax 0.12.8 linen/linear.py Dense, nnx/nn/linear.py Linear",
  inputs="* in_features",
  output="* out_features",
  args=(
    *infer("in_features"),
    *rename("features", "out_features"),
    *same("use_bias", "dtype", "param_dtype", "precision", "kernel_init", "bias_init"),
    *convert("promote_dtype", "promote_dtype", "template:injected.promote_dtype({value})",
             because="Linen calls it with the arrays, NNX with a tuple of them"),
    *convert("dot_general", "dot_general", "template:injected.dot_general({value})",
             because="nnx.Linear passes out_sharding= as well"),
    *refuse("dot_general_cls", because="nnx.Linear takes a function, not a class to instantiate", allow=("None",)),
    *unused("preferred_element_type"),
  ),
  leaves=(
    leaf("params/kernel", "kernel", "in_features out_features"),
    leaf("params/bias", "bias", "out_features", optional=True),
  ),
  positional=("features", "use_bias", "dtype", "param_dtype", "precision", "kernel_init", "bias_init", "promote_dtype",
              "dot_general", "dot_general_cls"),
  example=lambda: (
    Sample({"features": 5}, (floats(3, 2, 7),)),
    Sample({"features": 5, "use_bias": False}, (floats(7),), name="no bias, no batch"),
  ),
)  # fmt: skip
