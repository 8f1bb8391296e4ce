"""Arrays that `setup` computes from parameters."""

from __future__ import annotations

from tests.codemod.support import port_and_check, rewrite

SSM = '''
    def discretize(a, b, step):
      return jnp.exp(a * step), b * step

    class Model(nn.Module):
      n: int
      clip: bool = False
      kind: str = "real"
      rescale: float = 1.0

      def setup(self):
        """Parameters once, discretization at every call."""
        twice = 2 * self.n
        # the diagonal
        self.a = self.param("a", nn.initializers.normal(), (self.n,))
        self.b = self.param("b", nn.initializers.normal(), (twice // 2,))
        if self.clip:
          self.diagonal = jnp.clip(self.a, None, -1e-4)
        else:
          self.diagonal = -nn.softplus(self.a)

        # what comes out
        if self.kind == "real":
          c = self.param("c", nn.initializers.normal(), (self.n, 2))
          self.c_bar = c[:, 0] + c[:, 1]
        elif self.kind == "none":
          self.c_bar = jnp.abs(self.b)
        else:
          raise ValueError(self.kind)
        step = self.rescale * jnp.exp(self.b)
        self.a_bar, self.b_bar = discretize(self.diagonal, self.b, step)

      def __call__(self, u):
        """Runs it."""
        return jnp.sum(self.a_bar * u[..., None] + self.b_bar * self.c_bar, -1)
'''


def test_what_setup_computes_from_parameters_is_computed_at_every_call(tmp_path):
  ported = port_and_check(tmp_path, SSM, "Model(4), x(3, 7)", held_out=["Model(5, True, 'none'), x(2, 3)"])
  init, _, rest = ported.text.partition("  def _from_parameters(self):")
  assert not [word for word in ("self.diagonal", "exp(self", "raise") if word in init]
  assert "    self.c = nnx.Param(" in init
  assert "    twice = 2 * self.n\n" in init
  assert "c_bar, a_bar, b_bar = self._from_parameters()" in rest
  assert "diagonal = -nnx.softplus(self.a[...])" in rest
  assert "c = self.c[...]" in rest
  assert "raise ValueError(self.kind)" in rest
  assert "# what comes out" in rest


def test_one_array_is_a_property(tmp_path):
  source = """
    class Model(nn.Module):
      n: int

      def setup(self):
        self.w = self.param("w", nn.initializers.normal(), (self.n,))
        self.log_step = self.param("log_step", nn.initializers.normal(), (1,))
        step = jnp.exp(self.log_step)
        self.kernel = self.w * step

      def __call__(self, u):
        return u * self.kernel
  """
  text = port_and_check(tmp_path, source, "Model(4), x(3, 4)").text
  assert (
    "  @property\n  def kernel(self):\n    step = jnp.exp(self.log_step[...])\n    return self.w[...] * step\n" in text
  )
  assert "return u * self.kernel" in text


def test_what_setup_computes_without_parameters_stays_in_init(tmp_path):
  source = """
    class Model(nn.Module):
      n: int

      def setup(self):
        self.w = self.param("w", nn.initializers.normal(), (self.n,))
        self.grid = jnp.linspace(0.0, 1.0, self.w.shape[0])
        self.dense = nn.Dense(self.w.shape[-1])

      def __call__(self, u):
        return self.dense(u) * self.grid + self.w
  """
  text = rewrite(tmp_path, source, "Model(4), x(3, 4)").text
  assert "self.grid = jnp.linspace(" in text.partition("def __call__")[0]
  assert not [word for word in ("_from_parameters", "@property") if word in text]


def test_docstring_of_setup_is_that_of_init(tmp_path):
  text = rewrite(tmp_path, SSM, "Model(4), x(3, 7)").text
  assert '  ):\n    """Parameters once, discretization at every call."""\n    self.n = n\n' in text


def test_annotated_parameters_of_setup(tmp_path):
  source = """
    class Model(nn.Module):
      width: int = 3

      def setup(self):
        kernel: jax.Array = self.param("kernel", nn.initializers.normal(), (5, self.width))
        self.bias: jax.Array = self.param("bias", nn.initializers.normal(), (self.width,))
        self.doubled: jax.Array = kernel * 2

      def __call__(self, x):
        return x @ self.doubled + self.bias
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(4), x(2, 5)"])
  assert "    self.kernel = nnx.Param(" in ported.text
  assert "    self.bias = nnx.Param(" in ported.text
  assert "    kernel = self.kernel[...]\n" in ported.text
