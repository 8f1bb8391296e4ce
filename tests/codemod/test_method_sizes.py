"""Sizes that go through methods of a class."""

from __future__ import annotations

from tests.codemod.support import port_and_check

CACHE = """
class Attention(nn.Module):
  heads: int
  head_dim: int

  def setup(self):
    self.key = nn.Dense(self.heads * self.head_dim)

  def _split(self, x):
    return x.reshape(x.shape[:2] + (self.heads, self.head_dim))

  @nn.compact
  def _remember(self, key):
    is_initialized = self.has_variable("cache", "cached_key")
    cached_key = self.variable("cache", "cached_key", jnp.zeros, key.shape, key.dtype)
    if is_initialized:
      key = cached_key.value + key
      cached_key.value = key
    return key

  def __call__(self, hidden):
    return self._remember(self._split(self.key(hidden)))

class Layer(nn.Module):
  heads: int

  def setup(self):
    self.attention = Attention(self.heads, 5)

  def __call__(self, hidden):
    return self.attention(hidden)

class Model(nn.Module):
  heads: int = 3

  def setup(self):
    self.embed = nn.Embed(11, 7)
    self.layers = [Layer(self.heads) for _ in range(2)]

  def __call__(self, ids):
    hidden = self.embed(ids)
    return [layer(hidden) for layer in self.layers]
"""


def test_shape_of_a_cache_is_batch_and_length_and_fields(tmp_path):
  example = "Example({model}, (ids(4, 6),), mutable=['cache'])"
  ported = port_and_check(
    tmp_path, CACHE, example.format(model="Model()"), held_out=[example.format(model="Model(2)")], clean=False
  )
  assert "jnp.zeros((batch_size, length, self.heads, self.head_dim)" in ported.text
  assert ported.sizes("Layer") == ["in_features", "batch_size", "length"]
  assert ported.sizes("Model") == ["batch_size", "length"]
  assert ported.hoisted == []


def test_size_in_one_branch_for_some_instances(tmp_path):
  source = """
    class Block(nn.Module):
      def setup(self):
        self.query = nn.Dense(7)
        self.key = nn.Dense(7)
        self.value = nn.Dense(7)

      def __call__(self, x, memory=None):
        if memory is not None:
          key, value = self.key(memory), self.value(memory)
        else:
          key, value = self.key(x), self.value(x)
        return self.query(x) + key.sum(1, keepdims=True) * value.sum(1, keepdims=True)

    class Model(nn.Module):
      def setup(self):
        self.own = Block()
        self.cross = Block()

      def __call__(self, x, memory):
        return self.cross(self.own(x), memory)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 4, 5), x(2, 3, 11)", clean=False)
  assert ported.hoisted == ["key_in_features"]
  assert "self.own = Block(in_features, in_features, rngs=rngs)" in ported.text


HANDED = """
    class Block(nn.Module):
      width: int

      def setup(self):
        self.norm = nn.LayerNorm()

      def mix(self, x):
        raise NotImplementedError

      def __call__(self, x):
        return x + self.mix(self.norm(x))

    class Mlp(Block):
      expansion: int = 2

      def setup(self):
        super().setup()
        self.up = nn.Dense(self.width * self.expansion)
        self.down = nn.Dense(self.width)

      def mix(self, x):
        return self.down(nn.gelu(self.up(x)))

    class Gate(Block):
      def setup(self):
        super().setup()
        self.gate = nn.Dense(self.width)

      def mix(self, x):
        return x * nn.sigmoid(self.gate(x))

    KINDS = {"mlp": Mlp, "gate": Gate}

    class Model(nn.Module):
      kinds: Sequence[str] = ("mlp", "gate", "mlp")
      width: int = 8

      @nn.compact
      def __call__(self, x):
        x = nn.Dense(self.width)(x)
        for kind in self.kinds:
          x = KINDS[kind](self.width)(x)
        return x
    """


def test_what_a_base_hands_a_method_that_is_overridden(tmp_path):
  held_out = ["Model(('gate', 'mlp'), 6), x(2, 4)", "Mlp(7, 3), x(2, 7)"]
  ported = port_and_check(tmp_path, HANDED, "Model(), x(2, 5)", held_out=held_out)
  assert "def __init__(self, in_features: int, width: int, expansion: int = 2, *, rngs: nnx.Rngs):" in ported.text
  assert "self.up = nnx.Linear(in_features, self.width * self.expansion, rngs=rngs)" in ported.text
  assert ported.hoisted == []
