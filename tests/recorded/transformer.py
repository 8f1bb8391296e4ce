"""A small language model, as one writes it in Linen."""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn


@dataclasses.dataclass(frozen=True)
class TransformerConfig:
  """What the model is made of."""

  vocab_size: int = 31
  emb_dim: int = 12
  num_heads: int = 3
  num_layers: int = 2
  mlp_dim: int = 20
  max_len: int = 16
  dropout_rate: float = 0.1


class MlpBlock(nn.Module):
  """Transformer MLP / feed-forward block."""

  config: TransformerConfig

  @nn.compact
  def __call__(self, inputs, deterministic: bool):
    """Applies the block."""
    cfg = self.config
    x = nn.Dense(cfg.mlp_dim, kernel_init=nn.initializers.xavier_uniform())(inputs)
    x = nn.gelu(x)
    x = nn.Dropout(rate=cfg.dropout_rate)(x, deterministic=deterministic)
    output = nn.Dense(inputs.shape[-1], kernel_init=nn.initializers.xavier_uniform())(x)
    return nn.Dropout(rate=cfg.dropout_rate)(output, deterministic=deterministic)


class Layer(nn.Module):
  """Attention and MLP, each before a normalisation."""

  config: TransformerConfig

  def setup(self):
    cfg = self.config
    self.norm_attention = nn.LayerNorm(epsilon=1e-5)
    # without biases, as in the paper
    self.attention = nn.MultiHeadDotProductAttention(
      num_heads=cfg.num_heads,
      dropout_rate=cfg.dropout_rate,
      use_bias=False,
    )
    self.norm_mlp = nn.LayerNorm(epsilon=1e-5)
    self.mlp = MlpBlock(cfg)

  def __call__(self, x, mask, deterministic: bool):
    y = self.norm_attention(x)
    x = x + self.attention(y, mask=mask, deterministic=deterministic)
    return x + self.mlp(self.norm_mlp(x), deterministic)


class LanguageModel(nn.Module):
  """Predicts the next token; the embedding is also the output layer."""

  config: TransformerConfig

  @nn.compact
  def __call__(self, tokens: jax.Array, train: bool = False) -> jax.Array:
    cfg = self.config
    embed = nn.Embed(cfg.vocab_size, cfg.emb_dim, embedding_init=nn.initializers.normal(stddev=1.0), name="embed")
    x = embed(tokens) * jnp.sqrt(cfg.emb_dim)
    positions = self.param("positions", nn.initializers.normal(stddev=0.02), (cfg.max_len, cfg.emb_dim))
    x = x + positions[: tokens.shape[1]]
    x = nn.Dropout(cfg.dropout_rate)(x, deterministic=not train)
    mask = nn.make_causal_mask(tokens)
    for i in range(cfg.num_layers):
      x = Layer(cfg, name=f"layer_{i}")(x, mask, not train)
    x = nn.LayerNorm(name="norm")(x)
    return embed.attend(x)  # tied
