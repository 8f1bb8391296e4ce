"""`flax.linen.Einsum` to `flax.nnx.Einsum`: the bias, on by default in Linen, needs a shape in NNX."""

from collections.abc import Mapping
from typing import Any

from migrate.core.declare import Infer, LayerMapping, Sample, convert, floats, ignore, infer, leaf, rename, same, unused


def _bias_shape(fields: Mapping[str, Any], call: Mapping[str, Any]) -> dict[str, Any]:
  """The kernel's axes that survive, in the order of the output (linen/linear.py Einsum._get_bias_shape)."""
  equation = (fields["einsum_str"] or call["einsum_str"]).replace(" ", "")
  given: dict[str, Any] = {"einsum_str": equation}
  if not fields["use_bias"]:
    return given
  operands, result = equation.split("->")
  kernel = operands.split(",")[1]
  shape = tuple(fields["shape"])
  before, _, after = kernel.partition("...")
  size = dict(zip(before, shape, strict=False)) | dict(zip(after[::-1], shape[::-1], strict=False))
  hidden = list(shape[len(before) : len(shape) - len(after)]) if "..." in kernel else []
  bias: list[int] = []
  for part in result.replace("...", "."):
    bias.extend(hidden if part == "." else [size[part]] if part in size else [])
  return given | {"bias_shape": tuple(bias)}


MAPPING = LayerMapping(
  linen="flax.linen.Einsum",
  nnx="flax.nnx.Einsum",
  source="flax 0.12.8 linen/linear.py Einsum, nnx/nn/linear.py Einsum",
  inputs="*",
  output="*",
  args=(
    *infer("bias_shape"),
    *rename("shape", "kernel_shape"),
    *same("einsum_str", because="NNX wants it in the constructor; inferred where Linen passes it to the call"),
    *ignore("use_bias", because="bias_shape, inferred from the equation, says whether there is a bias"),
    *same("dtype", "param_dtype", "precision", "kernel_init", "bias_init", "preferred_element_type"),
    *convert("promote_dtype", "promote_dtype", "template:injected.promote_dtype({value})",
             because="Linen calls it with the arrays, NNX with a tuple of them"),
    *unused("einsum_op"),
  ),
  leaves=(
    leaf("params/kernel", "kernel", "*kernel_shape"),
    leaf("params/bias", "bias", "*bias_shape", optional=True),
  ),
  positional=("shape", "einsum_str", "use_bias", "dtype", "param_dtype", "precision", "kernel_init", "bias_init",
              "promote_dtype", "preferred_element_type"),
  infer=Infer(_bias_shape, because="the bias has the kernel's surviving axes in the order of the output"),
  call_positional=("inputs", "einsum_str"),
  example=lambda: (
    Sample({"shape": (7, 5), "einsum_str": "abc,cd->abd"}, (floats(3, 2, 7),)),
    Sample({"shape": (7, 5, 2), "einsum_str": "abc,ced->abde"}, (floats(3, 2, 7),), name="bias in output order"),
    Sample({"shape": (7, 5), "einsum_str": "...c,cd->...d", "use_bias": False}, (floats(3, 2, 7),), name="no bias"),
    Sample({"shape": (7, 5), "einsum_str": "...c,cd->...d"}, (floats(3, 2, 7),), name="ellipsis"),
  ),
)  # fmt: skip
