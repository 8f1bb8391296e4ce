"""Makes the ported models with the sizes of their examples."""

from flax import nnx
from transformer import TransformerConfig
from transformer_nnx import LanguageModel


def build_example(rngs: nnx.Rngs) -> nnx.Module:
  """Makes the LanguageModel of the example `example`, with its sizes."""
  return LanguageModel(config=TransformerConfig(), rngs=rngs)
