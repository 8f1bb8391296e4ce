"""Recurrent layers.

`nn.RNN` and `nn.Bidirectional` have NNX counterparts; cells are told both sizes.
"""

import flax.linen as nn


class Tagger(nn.Module):
  vocabulary: int = 29
  hidden: int = 7
  tags: int = 5

  @nn.compact
  def __call__(self, ids, lengths):
    x = nn.Embed(self.vocabulary, self.hidden)(ids)
    forward = nn.RNN(nn.OptimizedLSTMCell(self.hidden))
    backward = nn.RNN(nn.OptimizedLSTMCell(self.hidden))
    x = nn.Bidirectional(forward, backward)(x, seq_lengths=lengths)
    return nn.Dense(self.tags)(x)
