"""Makes the ported models with the sizes of their examples."""

from flax import nnx
from sequence_model_nnx import GRUDecoder
from sequence_model_nnx import SequenceClassifier


def build_example0(rngs: nnx.Rngs) -> nnx.Module:
  """Makes the SequenceClassifier of the example `example0`, with its sizes."""
  return SequenceClassifier(last_in_features=20, vocab_size=19, rngs=rngs)


def build_example1(rngs: nnx.Rngs) -> nnx.Module:
  """Makes the GRUDecoder of the example `example1`, with its sizes."""
  return GRUDecoder(in_features=5, features=7, rngs=rngs)
