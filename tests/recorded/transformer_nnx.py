"""A small language model, as one writes it in Linen."""

import jax
import jax.numpy as jnp
from flax import nnx
from transformer import TransformerConfig


class MlpBlock(nnx.Module):
  """Transformer MLP / feed-forward block."""

  def __init__(self, in_features: int, config: TransformerConfig, *, rngs: nnx.Rngs):
    self.config = config
    cfg = self.config
    self.dense = nnx.Linear(
        self.config.emb_dim,
        cfg.mlp_dim,
        kernel_init=nnx.initializers.xavier_uniform(),
        rngs=rngs,
    )
    self.dropout = nnx.Dropout(rate=cfg.dropout_rate, rngs=rngs)
    self.dense_1 = nnx.Linear(
        cfg.mlp_dim,
        in_features,
        kernel_init=nnx.initializers.xavier_uniform(),
        rngs=rngs,
    )
    self.dropout_1 = nnx.Dropout(rate=cfg.dropout_rate, rngs=rngs)

  def __call__(self, inputs, deterministic: bool):
    """Applies the block."""
    x = self.dense(inputs)
    x = nnx.gelu(x)
    x = self.dropout(x, deterministic=deterministic)
    output = self.dense_1(x)
    return self.dropout_1(output, deterministic=deterministic)


class Layer(nnx.Module):
  """Attention and MLP, each before a normalisation."""

  def __init__(self, config: TransformerConfig, *, rngs: nnx.Rngs):
    self.config = config
    cfg = self.config
    self.norm_attention = nnx.LayerNorm(self.config.emb_dim, epsilon=1e-5, rngs=rngs)
    # without biases, as in the paper
    self.attention = nnx.MultiHeadAttention(
        in_features=self.config.emb_dim,
        num_heads=cfg.num_heads,
        dropout_rate=cfg.dropout_rate,
        use_bias=False,
        decode=False,
        rngs=rngs,
    )
    self.norm_mlp = nnx.LayerNorm(self.config.emb_dim, epsilon=1e-5, rngs=rngs)
    self.mlp = MlpBlock(self.config.emb_dim, cfg, rngs=rngs)

  def __call__(self, x, mask, deterministic: bool):
    y = self.norm_attention(x)
    x = x + self.attention(y, mask=mask, deterministic=deterministic)
    return x + self.mlp(self.norm_mlp(x), deterministic)


class LanguageModel(nnx.Module):
  """Predicts the next token; the embedding is also the output layer."""

  def __init__(self, config: TransformerConfig, *, rngs: nnx.Rngs):
    self.config = config
    cfg = self.config
    self.embed = nnx.Embed(
        cfg.vocab_size,
        cfg.emb_dim,
        embedding_init=nnx.initializers.normal(stddev=1.0),
        rngs=rngs,
    )
    self.positions = nnx.Param(nnx.initializers.normal(stddev=0.02)(rngs.params(), (cfg.max_len, cfg.emb_dim)))
    self.dropout = nnx.Dropout(cfg.dropout_rate, rngs=rngs)
    self.layer = nnx.List([])
    for i in range(cfg.num_layers):
      self.layer.append(Layer(cfg, rngs=rngs))
    self.norm = nnx.LayerNorm(cfg.emb_dim, rngs=rngs)

  def __call__(self, tokens: jax.Array, train: bool = False) -> jax.Array:
    cfg = self.config
    x = self.embed(tokens) * jnp.sqrt(cfg.emb_dim)
    positions = self.positions[...]
    x = x + positions[: tokens.shape[1]]
    x = self.dropout(x, deterministic=not train)
    mask = nnx.make_causal_mask(tokens)
    for layer in self.layer:
      x = layer(x, mask, not train)
    x = self.norm(x)
    return self.embed.attend(x)  # tied
