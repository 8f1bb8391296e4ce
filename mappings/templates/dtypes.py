"""`flax.linen.dtypes.promote_dtype` by its own arguments."""

from typing import Any

from flax.nnx.nn import dtypes


def promote_dtype(*args: Any, dtype: Any = None, inexact: bool = True) -> Any:
  """Casts the arrays to `dtype`, or to the one that holds all of them; None stays None."""
  return list(dtypes.promote_dtype(args, dtype=dtype, inexact=inexact))
