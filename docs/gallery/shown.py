"""Shows linen2nnx the models of the gallery."""

import cache
import flags
import jax
import parameters
import partials
import recurrent
import scanned
import sequential
import shared
import sizes
import training

import migrate


def floats(*shape: int) -> jax.ShapeDtypeStruct:
  """An array of numbers."""
  return jax.ShapeDtypeStruct(shape, "float32")


def ids(*shape: int) -> jax.ShapeDtypeStruct:
  """An array of small integers."""
  return jax.ShapeDtypeStruct(shape, "int32")


def show_sizes() -> migrate.Example:
  """Sizes by data flow."""
  return migrate.Example(sizes.Autoencoder(), (floats(2, 13), ids(2)))


def show_flags() -> migrate.Example:
  """BatchNorm and Dropout."""
  calls = (migrate.Call((floats(2, 8, 8, 3), True), rngs=("dropout",), mutable=["batch_stats"]),)
  return migrate.Example(flags.Classifier(), (floats(2, 8, 8, 3), False), calls=calls)


def show_shared() -> migrate.Example:
  """Shared layers."""
  return migrate.Example(shared.Siamese(), (ids(2, 7), ids(2, 5)))


def show_scanned() -> migrate.Example:
  """A scan over layers."""
  calls = (migrate.Call((floats(2, 5), True), rngs=("dropout",)),)
  return migrate.Example(scanned.Stack(), (floats(2, 5), False), calls=calls)


def show_cache() -> migrate.Example:
  """A cache."""
  return migrate.Example(cache.MovingSum(), (floats(2, 3),), mutable=["cache"])


def show_sequential() -> migrate.Example:
  """`nn.Sequential`."""
  return migrate.Example(sequential.Tower(), (floats(2, 9),))


def show_partials() -> migrate.Example:
  """Layers as fields."""
  calls = (migrate.Call((floats(2, 8, 8, 3), True), mutable=["batch_stats"]),)
  return migrate.Example(partials.ResNet(), (floats(2, 8, 8, 3), False), calls=calls)


def show_recurrent() -> migrate.Example:
  """Recurrent layers."""
  return migrate.Example(recurrent.Tagger(), (ids(2, 6), ids(2)))


def show_parameters() -> migrate.Example:
  """Parameters with shapes from inputs."""
  return migrate.Example(parameters.Pair(), (floats(2, 4), floats(2, 3)))


def show_training() -> migrate.Example:
  """A training step."""
  calls = (migrate.Call((floats(4, 8), True), mutable=["batch_stats"]),)
  return migrate.Example(training.Net(), (floats(4, 8), False), calls=calls)
