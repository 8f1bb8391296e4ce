"""Attributes of `setup` that hold a constant first and a layer or an array then."""

from __future__ import annotations

from tests.codemod.support import port_and_check


def test_attribute_that_is_a_number_first_and_an_array_then(tmp_path):
  source = """
    class Model(nn.Module):
      width: int = 4
      scale: Any = None

      def setup(self):
        self._scale = self.scale
        if self._scale is None:
          self._scale = jnp.sqrt(2.0 / self.width)
        self._scale = jnp.asarray(self._scale)
        self.dense = nn.Dense(self.width)

      def __call__(self, x):
        return self._scale * self.dense(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)")
  assert "self._scale = nnx.data(self.scale)" in ported.text


def test_attribute_that_a_base_leaves_empty_for_its_subclasses(tmp_path):
  source = """
    class Base(nn.Module):
      size: int
      normed: bool = True

      def setup(self):
        self.norm = nn.LayerNorm() if self.normed else None
        self.layer = None
        self.shift = None

      def __call__(self, x):
        x = self.layer(x)
        return self.norm(x) if self.norm else x

    class Dense(Base):
      def setup(self):
        super().setup()
        self.layer = nn.Dense(self.size, use_bias=self.norm is None)
        self.shift = (1, 1)

    class Conv(Base):
      width: int = 3

      def setup(self):
        super().setup()
        self.layer = nn.Conv(self.size, (self.width,))

    class Model(nn.Module):
      size: int

      @nn.compact
      def __call__(self, x):
        return Dense(self.size, normed=False)(Dense(self.size)(Conv(self.size)(x)))
    """
  ported = port_and_check(tmp_path, source, "Model(5), x(2, 7, 11)", held_out=["Model(4), x(2, 6, 13)"])
  assert "self.layer = nnx.data(None)" in ported.text
  assert "self.shift = None" in ported.text
