"""Two Linen models of a published library, as examples: `examples/demo/models.py:resnet` and `:transformer`.

Nothing in them was written for this demo but the sizes. Each shows two calls: as it is evaluated, and as it
is trained (batch statistics change; dropout draws).
"""

import task
from transformers import BertConfig, ResNetConfig
from transformers.models.bert.modeling_flax_bert import FlaxBertForSequenceClassificationModule
from transformers.models.resnet.modeling_flax_resnet import FlaxResNetForImageClassificationModule

import migrate


def resnet() -> migrate.Example:
  """A residual network with BatchNorm, for images of 32 x 32."""
  config = ResNetConfig(
    embedding_size=16,
    hidden_sizes=[16, 32, 64],
    depths=[2, 2, 2],
    layer_type="basic",
    num_labels=task.CLASSES,
    downsample_in_first_stage=False,
  )
  args = task.inputs("resnet", step=0)
  train = migrate.Call(args, {"deterministic": False}, mutable=["batch_stats"])
  return migrate.Example(FlaxResNetForImageClassificationModule(config), args, calls=(train,))


def transformer() -> migrate.Example:
  """A transformer encoder with dropout, for sequences of 32 tokens."""
  config = BertConfig(
    vocab_size=task.TOKENS,
    hidden_size=96,
    num_hidden_layers=3,
    num_attention_heads=6,
    intermediate_size=192,
    max_position_embeddings=64,
    num_labels=task.CLASSES,
  )
  args = task.inputs("transformer", step=0)
  train = migrate.Call(args, {"deterministic": False}, rngs=("dropout",))
  return migrate.Example(FlaxBertForSequenceClassificationModule(config), args, calls=(train,))
