"""`flax.linen.ConvTranspose` to `flax.nnx.ConvTranspose`: the input channels must be told."""

from migrate.core.declare import LayerMapping, Sample, Variant, convert, floats, infer, leaf, rename, same

_FORWARD = (
  Sample({"features": 5, "kernel_size": (3, 2), "strides": (2, 2)}, (floats(2, 5, 7, 3),)),
  Sample(
    {"features": 5, "kernel_size": (3,), "strides": (2,), "padding": "CIRCULAR"}, (floats(2, 5, 3),), name="circular"
  ),
)
_TRANSPOSED = (
  Sample({"features": 5, "kernel_size": (3,), "transpose_kernel": True}, (floats(2, 5, 3),), name="transposed"),
)


def _record(axes: str, samples: tuple[Sample, ...], variants: tuple[Variant, ...] = ()) -> LayerMapping:
  return LayerMapping(
    linen="flax.linen.ConvTranspose",
    nnx="flax.nnx.ConvTranspose",
    source="flax 0.12.8 linen/linear.py ConvTranspose, nnx/nn/linear.py ConvTranspose",
    inputs="* in_features",
    output="* out_features",
    args=(
      *infer("in_features"),
      *rename("features", "out_features"),
      *same("kernel_size", "strides", "padding", "kernel_dilation", "use_bias", "mask", "dtype", "param_dtype",
            "precision", "kernel_init", "bias_init", "transpose_kernel", "preferred_element_type"),
      *convert("promote_dtype", "promote_dtype", "template:injected.promote_dtype({value})",
               because="Linen calls it with the arrays, NNX with a tuple of them"),
    ),
    leaves=(
      leaf("params/kernel", "kernel", axes),
      leaf("params/bias", "bias", "out_features", optional=True),
    ),
    positional=("features", "kernel_size", "strides", "padding", "kernel_dilation", "use_bias", "mask", "dtype",
                "param_dtype", "precision", "kernel_init", "bias_init", "transpose_kernel", "promote_dtype",
                "preferred_element_type"),
    variants=variants,
    note="a mask array becomes part of nnx.state, as a plain array",
    example=lambda: samples,
  )  # fmt: skip


MAPPING = _record(
  "*kernel_size in_features out_features",
  _FORWARD,
  (
    Variant(
      lambda fields: bool(fields["transpose_kernel"]),
      _record("*kernel_size out_features in_features", _TRANSPOSED),
      because="transpose_kernel=True stores the kernel with its last two axes exchanged",
    ),
  ),
)
