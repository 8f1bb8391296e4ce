"""Hand-written pairs of a Linen model and an NNX model that computes the same, with everything that misleads.

Each is a class with `linen()`, `args` and `nnx(rngs)`. Names differ as they do in real ports.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import nnx

from migrate.example import Example

D = 6
X = jax.ShapeDtypeStruct((3, D), "float32")
SEQ = jax.ShapeDtypeStruct((2, 5, D), "float32")
IMAGE = jax.ShapeDtypeStruct((2, 8, 8, 3), "float32")
TOKENS = jnp.array([[1, 4, 2, 0, 3], [5, 5, 6, 2, 1]])

PAIRS: dict[str, type] = {}


def pair(cls: type) -> type:
  """Registers a pair."""
  PAIRS[cls.__name__] = cls
  return cls


def example_of(cls) -> Example:
  """The Linen side."""
  return Example(cls.linen(), cls.args, getattr(cls, "kwargs", {}), mutable=getattr(cls, "mutable", None))


def dense(i, o, rngs):
  return nnx.Linear(i, o, rngs=rngs)


class LinenMlp(nn.Module):
  """Two square layers under names of its own."""

  names: tuple[str, str]

  @nn.compact
  def __call__(self, x):
    x = nn.tanh(nn.Dense(D, name=self.names[0])(x))
    return nn.Dense(D, name=self.names[1])(x)


class NnxMlp(nnx.Module):
  def __init__(self, names, rngs, order=(0, 1)):
    self.names = names
    for n in order:
      setattr(self, names[n], dense(D, D, rngs))

  def __call__(self, x):
    return getattr(self, self.names[1])(nnx.tanh(getattr(self, self.names[0])(x)))


@pair
class SameNames:
  linen = staticmethod(lambda: LinenMlp(("fc1", "fc2")))
  args = (X,)
  nnx = staticmethod(lambda rngs: NnxMlp(("fc1", "fc2"), rngs))


@pair
class SwappedNames:
  """The trap: the names are the same, and stand for each other's layers."""

  linen = staticmethod(lambda: LinenMlp(("fc1", "fc2")))
  args = (X,)
  nnx = staticmethod(lambda rngs: NnxMlp(("fc2", "fc1"), rngs))


@pair
class OtherNames:
  linen = staticmethod(lambda: LinenMlp(("alpha", "beta_layer")))
  args = (X,)
  nnx = staticmethod(lambda rngs: NnxMlp(("second", "first"), rngs))


@pair
class AutomaticNames:
  """Linen numbers by construction, and the outer layer is constructed first."""

  class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
      return nn.Dense(D)(nn.tanh(nn.Dense(D)(x)))

  linen = Linen
  args = (X,)

  class nnx(nnx.Module):
    def __init__(self, rngs):
      self.layers = nnx.List([dense(D, D, rngs) for _ in range(2)])

    def __call__(self, x):
      return self.layers[1](nnx.tanh(self.layers[0](x)))


@pair
class OrderOfConstruction:
  """The NNX model makes its layers from the last to the first."""

  class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
      for _ in range(3):
        x = nn.tanh(nn.Dense(D)(x))
      return x

  linen = Linen
  args = (X,)
  nnx = staticmethod(lambda rngs: Reversed(rngs))


class Reversed(nnx.Module):
  def __init__(self, rngs):
    self.dense_2 = dense(D, D, rngs)
    self.dense_1 = dense(D, D, rngs)
    self.dense_0 = dense(D, D, rngs)

  def __call__(self, x):
    for layer in (self.dense_0, self.dense_1, self.dense_2):
      x = nnx.tanh(layer(x))
    return x


class LinenBlock(nn.Module):
  heads: int = 2

  @nn.compact
  def __call__(self, x, _=None):
    h = nn.LayerNorm()(x)
    x = x + nn.MultiHeadDotProductAttention(self.heads)(h, h)
    h = nn.LayerNorm()(x)
    x = x + nn.Dense(D)(nn.gelu(nn.Dense(4 * D)(h)))
    return (x, None) if _ is not None else x


class NnxBlock(nnx.Module):
  def __init__(self, rngs):
    self.norm1 = nnx.LayerNorm(D, rngs=rngs)
    self.attn = nnx.MultiHeadAttention(2, D, decode=False, rngs=rngs)
    self.norm2 = nnx.LayerNorm(D, rngs=rngs)
    self.fc1 = dense(D, 4 * D, rngs)
    self.fc2 = dense(4 * D, D, rngs)

  def __call__(self, x):
    h = self.norm1(x)
    x = x + self.attn(h, h)
    return x + self.fc2(nnx.gelu(self.fc1(self.norm2(x))))


class LinenTransformer(nn.Module):
  depth: int = 2
  name_of: str = "layer_{:02}"

  @nn.compact
  def __call__(self, tokens):
    x = nn.Embed(7, D, name="wte")(tokens) + self.param("pos", nn.initializers.normal(), (5, D))
    for i in range(self.depth):
      x = LinenBlock(name=self.name_of.format(i))(x)
    return nn.Dense(7, name="lm_head")(nn.LayerNorm(name="ln_f")(x))


class NnxTransformer(nnx.Module):
  def __init__(self, rngs, depth=2, block=NnxBlock):
    self.token_embedding = nnx.Embed(7, D, rngs=rngs)
    self.pos_embed = nnx.Param(jnp.zeros((5, D)))
    self.blocks = nnx.List([block(rngs) for _ in range(depth)])
    self.norm = nnx.LayerNorm(D, rngs=rngs)
    self.head = dense(D, 7, rngs)

  def __call__(self, tokens):
    x = self.token_embedding(tokens) + self.pos_embed.get_value()
    for block in self.blocks:
      x = block(x)
    return self.head(self.norm(x))


@pair
class RenamedBlocks:
  linen = LinenTransformer
  args = (TOKENS,)
  nnx = NnxTransformer


@pair
class PastTen:
  """Twelve blocks: 10 comes after 9, whatever the alphabet says."""

  class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
      for i in range(12):
        x = x + nn.tanh(nn.Dense(D, name=f"layers_{i}")(x))
      return x

  linen = Linen
  args = (X,)

  class nnx(nnx.Module):
    def __init__(self, rngs):
      self.layers = nnx.List([dense(D, D, rngs) for _ in range(12)])

    def __call__(self, x):
      for layer in self.layers:
        x = x + nnx.tanh(layer(x))
      return x


@pair
class OneBased:
  args = (TOKENS,)

  class Linen(nn.Module):
    @nn.compact
    def __call__(self, tokens):
      x = nn.Embed(7, D)(tokens)
      for i in range(3):
        x = LinenBlock(name=f"block{i + 1}")(x)
      return x

  linen = Linen

  class nnx(nnx.Module):
    def __init__(self, rngs):
      self.embed = nnx.Embed(7, D, rngs=rngs)
      self.blocks = nnx.List([NnxBlock(rngs) for _ in range(3)])

    def __call__(self, tokens):
      x = self.embed(tokens)
      for block in self.blocks:
        x = block(x)
      return x


@nnx.split_rngs(splits=2)
@nnx.vmap(in_axes=(0,), out_axes=0)
def stacked_blocks(rngs):
  return NnxBlock(rngs)


@pair
class Stacked:
  """Layers of their own in Linen, one scanned stack in NNX."""

  linen = LinenTransformer
  args = (TOKENS,)

  class nnx(NnxTransformer):
    def __init__(self, rngs):
      super().__init__(rngs, depth=0)
      self.blocks = stacked_blocks(rngs)

    def __call__(self, tokens):
      x = self.token_embedding(tokens) + self.pos_embed.get_value()

      @nnx.scan(in_axes=(0, nnx.Carry), out_axes=nnx.Carry)
      def forward(block, x):
        return block(x)

      return self.head(self.norm(forward(self.blocks, x)))


@pair
class Unstacked:
  """A scanned stack in Linen, a list in NNX."""

  class Linen(nn.Module):
    @nn.compact
    def __call__(self, tokens):
      x = nn.Embed(7, D)(tokens)
      scanned = nn.scan(LinenBlock, variable_axes={"params": 0}, split_rngs={"params": True}, length=2)
      x, _ = scanned(name="layers")(x, jnp.zeros((2,)))
      return nn.Dense(7)(x)

  linen = Linen
  args = (TOKENS,)

  class nnx(nnx.Module):
    def __init__(self, rngs):
      self.embed = nnx.Embed(7, D, rngs=rngs)
      self.blocks = nnx.List([NnxBlock(rngs) for _ in range(2)])
      self.head = dense(D, 7, rngs)

    def __call__(self, tokens):
      x = self.embed(tokens)
      for block in self.blocks:
        x = block(x)
      return self.head(x)


class NnxFused(nnx.Module):
  """One kernel for query, key and value, in an order and a layout."""

  def __init__(self, rngs, order="qkv", by_head=False):
    self.order, self.by_head = order, by_head
    setattr(self, order, dense(D, 3 * D, rngs))
    self.proj = dense(D, D, rngs)

  def __call__(self, x):
    fused = getattr(self, self.order)(x)
    if self.by_head:
      parts = jnp.moveaxis(fused.reshape(*x.shape[:-1], 2, 3, D // 2), -2, 0)
    else:
      parts = jnp.moveaxis(fused.reshape(*x.shape[:-1], 3, 2, D // 2), -3, 0)
    named = dict(zip(self.order, parts, strict=True))
    out = nnx.dot_product_attention(named["q"], named["k"], named["v"])
    return self.proj(out.reshape(x.shape))


class LinenAttention(nn.Module):
  @nn.compact
  def __call__(self, x):
    return nn.MultiHeadDotProductAttention(2, name="attention")(x, x)


@pair
class FusedQkv:
  linen = LinenAttention
  args = (SEQ,)
  nnx = NnxFused


@pair
class FusedByHead:
  linen = LinenAttention
  args = (SEQ,)
  nnx = staticmethod(lambda rngs: NnxFused(rngs, by_head=True))


@pair
class FusedInAnotherOrder:
  linen = LinenAttention
  args = (SEQ,)
  nnx = staticmethod(lambda rngs: NnxFused(rngs, order="vqk"))


@pair
class SplitQkv:
  """One Dense in Linen, three in NNX."""

  class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
      q, k, v = jnp.split(nn.Dense(3 * D, name="qkv")(x), 3, axis=-1)
      return nn.Dense(D, name="out")(nn.softmax(q @ k.mT) @ v)

  linen = Linen
  args = (SEQ,)

  class nnx(nnx.Module):
    def __init__(self, rngs):
      self.to_q, self.to_k, self.to_v = (dense(D, D, rngs) for _ in range(3))
      self.to_out = dense(D, D, rngs)

    def __call__(self, x):
      q, k, v = self.to_q(x), self.to_k(x), self.to_v(x)
      return self.to_out(nnx.softmax(q @ k.mT) @ v)


@pair
class Reshaped:
  """DenseGeneral in Linen, Linear in NNX."""

  class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
      h = nn.tanh(nn.DenseGeneral((2, 4), name="split")(x))
      return nn.DenseGeneral(D, axis=(-2, -1), name="merge")(h)

  linen = Linen
  args = (X,)

  class nnx(nnx.Module):
    def __init__(self, rngs):
      self.up = dense(D, 8, rngs)
      self.down = dense(8, D, rngs)

    def __call__(self, x):
      return self.down(nnx.tanh(self.up(x)))


class Torchlike(nnx.Module):
  """A layer of the user's own, its weight as (out, in)."""

  def __init__(self, i, o, rngs):
    self.weight = nnx.Param(jax.random.normal(rngs.params(), (o, i)))
    self.b = nnx.Param(jnp.zeros(o))

  def __call__(self, x):
    return x @ self.weight.T + self.b


@pair
class TransposedWeights:
  class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
      return nn.Dense(5)(nn.tanh(nn.Dense(8)(x)))

  linen = Linen
  args = (X,)

  class nnx(nnx.Module):
    def __init__(self, rngs):
      self.one = Torchlike(D, 8, rngs)
      self.two = Torchlike(8, 5, rngs)

    def __call__(self, x):
      return self.two(nnx.tanh(self.one(x)))


@pair
class TransposedSquares:
  """Nothing but running it can tell that these are transposed."""

  linen = staticmethod(lambda: LinenMlp(("fc1", "fc2")))
  args = (X,)

  class nnx(nnx.Module):
    def __init__(self, rngs):
      self.fc1 = Torchlike(D, D, rngs)
      self.fc2 = Torchlike(D, D, rngs)

    def __call__(self, x):
      return self.fc2(nnx.tanh(self.fc1(x)))


@pair
class TransposedNames:
  """Shapes that fit the wrong way round: each weight has the transposed shape of the other's."""

  class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
      a = self.param("a", nn.initializers.normal(1.0), (D, 4))
      b = self.param("b", nn.initializers.normal(1.0), (4, D))
      return nn.tanh(x @ a) @ b

  linen = Linen
  args = (X,)

  class nnx(nnx.Module):
    def __init__(self, rngs):
      self.a = nnx.Param(jnp.zeros((4, D)))
      self.b = nnx.Param(jnp.zeros((D, 4)))

    def __call__(self, x):
      return nnx.tanh(x @ self.a.T) @ self.b.T


@pair
class ScaleAndBias:
  """A norm of the user's own, with names that tell little."""

  class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
      return nn.Dense(4)(nn.LayerNorm()(x))

  linen = Linen
  args = (X,)

  class nnx(nnx.Module):
    def __init__(self, rngs):
      self.ln = MyNorm()
      self.fc = dense(D, 4, rngs)

    def __call__(self, x):
      return self.fc(self.ln(x))


class MyNorm(nnx.Module):
  def __init__(self):
    self.shift = nnx.Param(jnp.zeros(D))
    self.mult = nnx.Param(jnp.ones(D))

  def __call__(self, x):
    x = x - x.mean(-1, keepdims=True)
    return x / jnp.sqrt((x**2).mean(-1, keepdims=True) + 1e-6) * self.mult + self.shift


class LinenResBlock(nn.Module):
  features: int
  stride: int = 1

  @nn.compact
  def __call__(self, x):
    norm = lambda: nn.BatchNorm(use_running_average=True)
    y = nn.relu(norm()(nn.Conv(self.features, (3, 3), self.stride, use_bias=False)(x)))
    y = norm()(nn.Conv(self.features, (3, 3), use_bias=False)(y))
    if y.shape != x.shape:
      x = nn.Conv(self.features, (1, 1), self.stride, use_bias=False, name="conv_proj")(x)
    return nn.relu(x + y)


class NnxResBlock(nnx.Module):
  def __init__(self, i, o, stride, rngs):
    conv = lambda a, b, k, s: nnx.Conv(a, b, (k, k), strides=s, use_bias=False, rngs=rngs)
    self.conv1, self.bn1 = conv(i, o, 3, stride), nnx.BatchNorm(o, use_running_average=True, rngs=rngs)
    self.conv2, self.bn2 = conv(o, o, 3, 1), nnx.BatchNorm(o, use_running_average=True, rngs=rngs)
    self.shortcut = conv(i, o, 1, stride) if stride > 1 else None

  def __call__(self, x):
    y = nnx.relu(self.bn1(self.conv1(x)))
    y = self.bn2(self.conv2(y))
    return nnx.relu(y + (x if self.shortcut is None else self.shortcut(x)))


@pair
class ResNet:
  """Blocks that differ; statistics in a collection of their own; stages in Linen, one list in NNX."""

  class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
      x = nn.Conv(4, (3, 3), name="conv_init")(x)
      for stage, features in enumerate((4, 6)):
        for j in range(2):
          x = LinenResBlock(features, 2 if stage and not j else 1, name=f"stage{stage}_block{j}")(x)
      return nn.Dense(5)(x.mean((1, 2)))

  linen = Linen
  args = (IMAGE,)

  class nnx(nnx.Module):
    def __init__(self, rngs):
      self.stem = nnx.Conv(3, 4, (3, 3), rngs=rngs)
      sizes = ((4, 4, 1), (4, 4, 1), (4, 6, 2), (6, 6, 1))
      self.blocks = nnx.List([NnxResBlock(*s, rngs) for s in sizes])
      self.classifier = dense(6, 5, rngs)

    def __call__(self, x):
      x = self.stem(x)
      for block in self.blocks:
        x = block(x)
      return self.classifier(x.mean((1, 2)))


@pair
class BatchStats:
  class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
      x = nn.BatchNorm(use_running_average=False, name="bn_a")(nn.Conv(D, (3, 3), name="conv_a")(x))
      return nn.BatchNorm(use_running_average=False, name="bn_b")(nn.Conv(D, (3, 3), name="conv_b")(nn.relu(x)))

  linen = Linen
  args = (IMAGE,)
  mutable = ("batch_stats",)

  class nnx(nnx.Module):
    def __init__(self, rngs):
      self.conv_b, self.conv_a = (nnx.Conv(i, D, (3, 3), rngs=rngs) for i in (D, 3))
      self.norm_a, self.norm_b = (nnx.BatchNorm(D, use_running_average=False, rngs=rngs) for _ in range(2))

    def __call__(self, x):
      return self.norm_b(self.conv_b(nnx.relu(self.norm_a(self.conv_a(x)))))


class LinenRnn(nn.Module):
  cell: type

  @nn.compact
  def __call__(self, x):
    return nn.RNN(self.cell(4))(x)


@pair
class FusedGates:
  """Eight small kernels in Linen, two with all gates in NNX."""

  linen = staticmethod(lambda: LinenRnn(nn.OptimizedLSTMCell))
  args = (SEQ,)

  class nnx(nnx.Module):
    def __init__(self, rngs):
      self.rnn = nnx.RNN(nnx.OptimizedLSTMCell(D, 4, rngs=rngs))

    def __call__(self, x):
      return self.rnn(x)


@pair
class Gates:
  linen = staticmethod(lambda: LinenRnn(nn.LSTMCell))
  args = (SEQ,)

  class nnx(nnx.Module):
    def __init__(self, rngs):
      self.lstm = nnx.RNN(nnx.LSTMCell(D, 4, rngs=rngs))

    def __call__(self, x):
      return self.lstm(x)


@pair
class TiedEmbedding:
  class Linen(nn.Module):
    @nn.compact
    def __call__(self, tokens):
      embed = nn.Embed(7, D, name="shared")
      return embed.attend(nn.Dense(D)(embed(tokens)))

  linen = Linen
  args = (TOKENS,)

  class nnx(nnx.Module):
    def __init__(self, rngs):
      self.tok = nnx.Embed(7, D, rngs=rngs)
      self.mix = dense(D, D, rngs)
      self.out = self.tok

    def __call__(self, tokens):
      return self.out.attend(self.mix(self.tok(tokens)))


class LinenTower(nn.Module):
  @nn.compact
  def __call__(self, x):
    return nn.Dense(D, name="fc2")(nn.tanh(nn.Dense(D, name="fc1")(x)))


@pair
class Towers:
  """Two towers that are alike but for their names, and these say nothing."""

  class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
      return LinenTower(name="tower_a")(x) - 2 * LinenTower(name="tower_b")(x)

  linen = Linen
  args = (X,)

  class nnx(nnx.Module):
    def __init__(self, rngs):
      self.minuend = NnxMlp(("fc1", "fc2"), rngs)
      self.subtrahend = NnxMlp(("fc1", "fc2"), rngs)

    def __call__(self, x):
      return self.minuend(x) - 2 * self.subtrahend(x)


@pair
class CrossedTowers:
  """The same, and the order of construction misleads."""

  linen = Towers.linen
  args = (X,)

  class nnx(nnx.Module):
    def __init__(self, rngs):
      self.negative = NnxMlp(("fc1", "fc2"), rngs)
      self.positive = NnxMlp(("fc1", "fc2"), rngs)

    def __call__(self, x):
      return self.positive(x) - 2 * self.negative(x)


@pair
class NestedToFlat:
  """Stages of blocks in Linen, one list in NNX, nothing in the shapes to tell them apart."""

  class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
      for i in range(2):
        for j in range(2):
          x = x + LinenTower(name=f"stage_{i}_block_{j}")(x)
      return x

  linen = Linen
  args = (X,)

  class nnx(nnx.Module):
    def __init__(self, rngs):
      self.blocks = nnx.List([NnxMlp(("fc1", "fc2"), rngs) for _ in range(4)])

    def __call__(self, x):
      for block in self.blocks:
        x = x + block(x)
      return x


@pair
class EncoderDecoder:
  """The same attention layers everywhere; only names tell encoder, decoder, self and cross."""

  class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
      attend = nn.MultiHeadDotProductAttention
      memory = attend(2, name="encoder_self_attention")(x, x)
      y = attend(2, name="decoder_self_attention")(x, x)
      return attend(2, name="decoder_cross_attention")(y, memory)

  linen = Linen
  args = (SEQ,)

  class nnx(nnx.Module):
    def __init__(self, rngs):
      self.decoder = Decoder(rngs)
      self.encoder = Encoder(rngs)

    def __call__(self, x):
      return self.decoder(x, self.encoder(x))


class Encoder(nnx.Module):
  def __init__(self, rngs):
    self.self_attn = nnx.MultiHeadAttention(2, D, decode=False, rngs=rngs)

  def __call__(self, x):
    return self.self_attn(x, x)


class Decoder(nnx.Module):
  def __init__(self, rngs):
    self.cross_attn = nnx.MultiHeadAttention(2, D, decode=False, rngs=rngs)
    self.self_attn = nnx.MultiHeadAttention(2, D, decode=False, rngs=rngs)

  def __call__(self, x, memory):
    return self.cross_attn(self.self_attn(x, x), memory)


@pair
class Mixture:
  """Experts stacked on both sides, and one that stands alone with the shape of a stack."""

  class Linen(nn.Module):
    @nn.compact
    def __call__(self, x):
      experts = nn.vmap(nn.Dense, in_axes=None, out_axes=0, axis_size=3, variable_axes={"params": 0},
                        split_rngs={"params": True})  # fmt: skip
      gate = nn.softmax(nn.Dense(3, name="router")(x))
      return jnp.einsum("be,ebd->bd", gate, experts(D, name="experts")(x)) * self.param(
        "gain", nn.initializers.ones, (D,)
      )

  linen = Linen
  args = (X,)

  class nnx(nnx.Module):
    def __init__(self, rngs):
      self.gating = dense(D, 3, rngs)
      self.gain = nnx.Param(jnp.ones(D))
      self.w = nnx.Param(jnp.zeros((3, D, D)))
      self.b = nnx.Param(jnp.zeros((3, D)))

    def __call__(self, x):
      out = jnp.einsum("bi,eio->ebo", x, self.w.get_value()) + self.b.get_value()[:, None]
      return jnp.einsum("be,ebd->bd", nnx.softmax(self.gating(x)), out) * self.gain
