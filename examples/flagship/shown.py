"""The models of the flagship programs, as `linen2nnx codemod --example` is shown them."""

import sys
from pathlib import Path

import jax

import migrate

HERE = Path(__file__).resolve().parent


def image_classifier() -> migrate.Example:
  """The residual network, as it is evaluated and as it is trained."""
  sys.path.insert(0, str(HERE / "image_classifier"))
  from models import ResNet

  images = jax.ShapeDtypeStruct((2, 16, 16, 3), "float32")
  training = migrate.Call((images,), {"train": True}, mutable=["batch_stats"])
  return migrate.Example(ResNet((1, 1), 8, 5), (images,), {"train": False}, calls=(training,))


def language_model() -> migrate.Example:
  """The transformer, as it is evaluated and as it is trained."""
  sys.path.insert(0, str(HERE / "language_model"))
  from models import LanguageModel, ModelConfig

  tokens = jax.ShapeDtypeStruct((2, 16), "int32")
  training = migrate.Call((tokens,), {"deterministic": False}, rngs=("dropout",))
  return migrate.Example(LanguageModel(ModelConfig(31, 16)), (tokens,), {"deterministic": True}, calls=(training,))
