"""Recurrent layers.

`nn.RNN` and `nn.Bidirectional` have NNX counterparts; cells are told both sizes.
"""

from flax import nnx

from recurrent_layers.lstm import OptimizedLSTMCell


class Tagger(nnx.Module):
  def __init__(self, vocabulary: int = 29, hidden: int = 7, tags: int = 5, *, rngs: nnx.Rngs):
    self.vocabulary = vocabulary
    self.hidden = hidden
    self.tags = tags
    self.embed = nnx.Embed(self.vocabulary, self.hidden, rngs=rngs)
    self.forward = nnx.RNN(
        OptimizedLSTMCell(
            in_features=self.hidden,
            hidden_features=self.hidden,
            rngs=rngs,
        ),
    )
    self.backward = nnx.RNN(
        OptimizedLSTMCell(
            in_features=self.hidden,
            hidden_features=self.hidden,
            rngs=rngs,
        ),
    )
    self.bidirectional = nnx.Bidirectional(self.forward, self.backward)
    self.dense = nnx.Linear(2 * self.hidden, self.tags, rngs=rngs)

  def __call__(self, ids, lengths):
    x = self.embed(ids)
    x = self.bidirectional(x, seq_lengths=lengths)
    return self.dense(x)
