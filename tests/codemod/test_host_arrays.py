"""NumPy arrays that `setup` keeps: Python code may look into them in every call."""

from __future__ import annotations

from tests.codemod.support import port_and_check, rewrite


def test_array_that_a_call_looks_into(tmp_path):
  source = """
    import numpy as np

    class Model(nn.Module):
      width: int = 4
      signs: tuple | None = None

      def setup(self):
        if self.signs is None:
          self.mask = np.tril(np.ones((self.width, self.width)))
        else:
          self.mask = np.diag(self.signs)
        self.positive = bool(np.all(self.mask >= 0))
        self.dense = nn.Dense(self.width)

      def __call__(self, x):
        x = self.dense(x) @ self.mask
        if np.all(self.mask >= 0) and self.positive:
          x = x + len(self.mask)
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(3, (1, -1, 1)), x(2, 7)"])
  assert "self.mask = HostArray(np.tril(" in ported.text
  assert "@ self.mask[...]" in ported.text


def test_array_of_jax_is_kept_as_it_is(tmp_path):
  source = """
    class Model(nn.Module):
      width: int = 4

      def setup(self):
        self.mask = jnp.tril(jnp.ones((self.width, self.width)))
        self.dense = nn.Dense(self.width)

      def __call__(self, x):
        return self.dense(x) @ self.mask
    """
  ported = rewrite(tmp_path, source, "Model(), x(2, 5)")
  assert "HostArray" not in ported.text


def test_attribute_that_is_not_always_numpy_is_kept_as_it_is(tmp_path):
  source = """
    import numpy as np

    class Model(nn.Module):
      def setup(self):
        self.scale = 2.0
        self.scale = np.full((3,), self.scale)
        self.dense = nn.Dense(3)

      def __call__(self, x):
        return self.dense(x) * self.scale
    """
  ported = rewrite(tmp_path, source, "Model(), x(2, 5)")
  assert "HostArray" not in ported.text


def test_tuples_and_dicts_of_arrays_are_containers_of_nnx(tmp_path):
  source = """
  def freqs(length, width):
    times = jnp.arange(length)[:, None] / (10 ** (jnp.arange(width) / width))
    return jnp.sin(times), jnp.cos(times)


  class Net(nn.Module):
    def setup(self):
      self.freqs = freqs(7, 5)
      self.named = {"one": jnp.ones(5), "count": 3}
      self.nested = [(jnp.ones(5), None), (jnp.zeros(5), None)]
      self.sizes = (3, 4)
      self.dense = nn.Dense(self.sizes[0])

    def __call__(self, x):
      sin, cos = self.freqs
      return self.dense(x * sin + cos * self.named["one"] + self.nested[0][0] * self.named["count"])
  """
  ported = port_and_check(tmp_path, source, "Net(), x(2, 7, 5)")
  assert "self.freqs = nnx.List(freqs(7, 5))" in ported.text
  assert 'self.named = nnx.Dict({"one": jnp.ones(5), "count": 3})' in ported.text
  assert "self.sizes = (3, 4)" in ported.text
