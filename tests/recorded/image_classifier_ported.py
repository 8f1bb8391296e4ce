"""Makes the ported models with the sizes of their examples."""

from flax import nnx
from image_classifier_nnx import ImageClassifier


def build_example(rngs: nnx.Rngs) -> nnx.Module:
  """Makes the ImageClassifier of the example `example`, with its sizes."""
  return ImageClassifier(in_features=3, stage_sizes=(1, 2), num_classes=5, rngs=rngs)
