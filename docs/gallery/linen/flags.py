"""BatchNorm and Dropout.

Whether to train stays an argument of the call. Statistics are part of the model, so nothing is handed around; dropout
draws from a stream that the model has.
"""

import flax.linen as nn


class ConvBlock(nn.Module):
  features: int
  rate: float = 0.1

  @nn.compact
  def __call__(self, x, train: bool):
    x = nn.Conv(self.features, (3, 3), use_bias=False)(x)
    x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)  # statistics move in training
    x = nn.relu(x)
    return nn.Dropout(self.rate, deterministic=not train)(x)


class Classifier(nn.Module):
  widths: tuple[int, ...] = (7, 11)
  classes: int = 5

  @nn.compact
  def __call__(self, x, train: bool):
    for width in self.widths:
      x = ConvBlock(width)(x, train)
      x = nn.avg_pool(x, (2, 2), strides=(2, 2))
    return nn.Dense(self.classes)(x.mean(axis=(1, 2)))
