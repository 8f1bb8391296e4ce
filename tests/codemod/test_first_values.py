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
