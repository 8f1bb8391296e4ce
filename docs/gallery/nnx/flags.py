"""BatchNorm and Dropout.

Whether to train stays an argument of the call. Statistics are part of the model, so nothing is handed around; dropout
draws from a stream that the model has.
"""

from flax import nnx


class ConvBlock(nnx.Module):
  def __init__(self, in_features: int, features: int, rate: float = 0.1, *, rngs: nnx.Rngs):
    self.features = features
    self.rate = rate
    self.conv = nnx.Conv(in_features, self.features, (3, 3), use_bias=False, rngs=rngs)
    self.batch_norm = nnx.BatchNorm(self.features, momentum=0.9, rngs=rngs)
    self.dropout = nnx.Dropout(self.rate, rngs=rngs)

  def __call__(self, x, train: bool):
    x = self.conv(x)
    x = self.batch_norm(x, use_running_average=not train)  # statistics move in training
    x = nnx.relu(x)
    return self.dropout(x, deterministic=not train)


class Classifier(nnx.Module):
  def __init__(
      self,
      in_features: int,
      widths: tuple[int, ...] = (7, 11),
      classes: int = 5,
      *,
      rngs: nnx.Rngs,
  ):
    self.widths = widths
    self.classes = classes
    x_features = in_features
    self.conv_block = nnx.List([])
    for width in self.widths:
      self.conv_block.append(ConvBlock(x_features, width, rngs=rngs))
      x_features = width
    self.dense = nnx.Linear(x_features, self.classes, rngs=rngs)

  def __call__(self, x, train: bool):
    for conv_block in self.conv_block:
      x = conv_block(x, train)
      x = nnx.avg_pool(x, (2, 2), strides=(2, 2))
    return self.dense(x.mean(axis=(1, 2)))
