"""`flax.linen.dot_product_attention` by its own arguments."""

from typing import Any

from mappings.templates.attention import dot_product_attention as _dot_product_attention


def dot_product_attention(
  query: Any, key: Any, value: Any, *args: Any, force_fp32_for_softmax: bool = False, **kwargs: Any
) -> Any:
  """Attention over `[..., length, heads, depth]` in Linen's order of operations."""
  return _dot_product_attention(query, key, value, *args, float32_softmax=force_fp32_for_softmax, **kwargs)
