"""What stock NNX norms need to compute in Linen's precision."""


def keep_dtypes(arrays, dtype=None):
  """As `promote_dtype=` of a norm: Linen computes in the input's own precision and casts only the result to `dtype`."""
  return arrays
