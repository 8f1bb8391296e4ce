"""A decoder-only transformer: dropout, a scan over its layers, the embedding tied to the logits. In Linen."""

import dataclasses

import flax.linen as nn
import jax


@dataclasses.dataclass(frozen=True)
class ModelConfig:
  """Sizes of the model."""

  tokens: int
  length: int
  width: int = 32
  heads: int = 4
  hidden: int = 64
  layers: int = 3
  dropout: float = 0.1


class Mlp(nn.Module):
  """Two layers and dropout."""

  config: ModelConfig

  @nn.compact
  def __call__(self, x: jax.Array, deterministic: bool) -> jax.Array:
    x = nn.Dense(self.config.hidden)(x)
    x = nn.gelu(x)
    x = nn.Dropout(self.config.dropout)(x, deterministic=deterministic)
    return nn.Dense(self.config.width)(x)


class Block(nn.Module):
  """Attention and an MLP, each after a norm and around which its input goes.

  A scan carries `x` from layer to layer.
  """

  config: ModelConfig

  @nn.compact
  def __call__(self, x: jax.Array, mask: jax.Array, deterministic: bool):
    y = nn.LayerNorm(use_bias=False)(x)
    y = nn.MultiHeadDotProductAttention(self.config.heads, dropout_rate=self.config.dropout)(
      y, y, mask=mask, deterministic=deterministic
    )
    x = x + nn.Dropout(self.config.dropout)(y, deterministic=deterministic)
    y = Mlp(self.config)(nn.LayerNorm(use_bias=False)(x), deterministic)
    x = x + nn.Dropout(self.config.dropout)(y, deterministic=deterministic)
    return x, None


class LanguageModel(nn.Module):
  """Logits of the next token for every token."""

  config: ModelConfig

  @nn.compact
  def __call__(self, tokens: jax.Array, deterministic: bool = True) -> jax.Array:
    config = self.config
    embed = nn.Embed(config.tokens, config.width, embedding_init=nn.initializers.normal(0.02))
    positions = self.param("positions", nn.initializers.normal(0.02), (config.length, config.width))
    x = embed(tokens) + positions[: tokens.shape[-1]]
    x = nn.Dropout(config.dropout)(x, deterministic=deterministic)
    mask = nn.make_causal_mask(tokens)
    blocks = nn.scan(
      Block,
      variable_axes={"params": 0},
      split_rngs={"params": True, "dropout": True},
      in_axes=(nn.broadcast, nn.broadcast),
      length=config.layers,
    )
    x, _ = blocks(config, name="blocks")(x, mask, deterministic)
    x = nn.LayerNorm(use_bias=False, name="final_norm")(x)
    return embed.attend(x)  # the embedding is the last layer too
