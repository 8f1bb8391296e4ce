"""Linen's 8-bit products to a template: NNX has none."""

from migrate.core.declare import LayerMapping, Sample, floats, leaf, same

_VARIABLES = tuple(f"{who}_{what}" for who in ("input", "kernel", "output_grad") for what in ("scale", "amax_history"))
_DIMENSIONS = (((1,), (0,)), ((), ()))


def _record(name: str, template: str, sample: Sample) -> LayerMapping:
  return LayerMapping(
    linen=f"flax.linen.{name}",
    nnx=f"template:fp8.{template}",
    source="flax 0.12.8 linen/fp8_ops.py",
    inputs="",
    output="*",
    args=same("amax_history_length", "e4m3_dtype", "e5m2_dtype"),
    leaves=tuple(leaf(f"_overwrite_with_gradient/{one}", one, "*") for one in _VARIABLES),
    positional=("amax_history_length", "e4m3_dtype", "e5m2_dtype"),
    call_positional=("eqn", "lhs", "rhs", "precision", "preferred_element_type") if name == "Fp8Einsum" else (),
    takes_rngs=False,
    note="its variables are OverwriteWithGradient: a training step differentiates for them and writes what it gets",
    example=lambda: (sample,),
  )


_DOT = Sample({"amax_history_length": 3}, (floats(5, 7), floats(7, 2), _DIMENSIONS))
_EINSUM = Sample({"amax_history_length": 3}, ("ab,bc->ac", floats(5, 7), floats(7, 2)))

MAPPINGS = (
  _record("Fp8DotGeneralOp", "Fp8DotGeneralOp", _DOT),
  _record("NANOOFp8DotGeneralOp", "NANOOFp8DotGeneralOp", _DOT),
  _record("Fp8DirectDotGeneralOp", "Fp8DirectDotGeneralOp", _DOT),
  _record("Fp8DotGeneral", "Fp8DirectDotGeneralOp", _DOT),
  _record("Fp8Einsum", "Fp8Einsum", _EINSUM),
)
