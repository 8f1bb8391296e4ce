"""Locals of `setup` as sizes."""

from __future__ import annotations

from tests.codemod.support import port_and_check

GATED = """
    class Gated(nn.Module):
      dim: int
      ratio: float = 4.0

      def setup(self):
        hidden = int(self.dim * self.ratio)
        hidden = (hidden + 7) // 8 * 8
        self.into = nn.Dense(2 * hidden)
        self.out = nn.Dense(self.dim)

      def __call__(self, x):
        a, b = jnp.split(self.into(x), 2, axis=-1)
        return self.out(nn.silu(a) * b)
    """


def test_a_local_of_setup_is_the_size_of_the_next_layer(tmp_path):
  ported = port_and_check(tmp_path, GATED, "Gated(3), x(2, 5)", held_out=["Gated(6, 3.0), x(2, 4)"])
  assert ported.hoisted == []
  assert "self.out = nnx.Linear(hidden, self.dim, rngs=rngs)" in ported.text


def test_another_class_reads_what_the_local_was_assigned(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Gelu(nn.Module):
      dim: int

      def setup(self):
        inner = self.dim * 4
        self.proj = nn.Dense(inner * 2)

      def __call__(self, x):
        a, b = jnp.split(self.proj(x), 2, axis=-1)
        return a * nn.gelu(b)


    class Model(nn.Module):
      dim: int

      def setup(self):
        self.first = Gelu(self.dim)
        self.second = nn.Dense(self.dim)

      def __call__(self, x):
        return self.second(self.first(x))
    """,
    "Model(3), x(2, 5)",
    held_out=["Model(7), x(2, 4)"],
  )
  assert ported.hoisted == []
  assert "self.second = nnx.Linear(self.dim * 4, self.dim, rngs=rngs)" in ported.text


def test_a_local_of_the_call_under_the_same_name_is_another(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      dim: int

      def setup(self):
        width = self.dim * 2
        self.first = nn.Dense(width)
        self.second = nn.Dense(self.dim)

      def __call__(self, x):
        width = x.shape[-1]
        y = self.first(x)
        return self.second(y) * width
    """,
    "Model(3), x(2, 5)",
    held_out=["Model(7), x(2, 4)"],
  )
  assert "self.second = nnx.Linear(width, self.dim, rngs=rngs)" in ported.text
  assert "width = x.shape[-1]" in ported.text


def test_a_layer_made_before_the_local_does_not_name_it(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      dim: int

      def setup(self):
        self.second = nn.Dense(self.dim)
        width = self.dim * 2
        self.first = nn.Dense(width)

      def __call__(self, x):
        return self.second(self.first(x))
    """,
    "Model(3), x(2, 5)",
    held_out=["Model(7), x(2, 4)"],
  )
  assert "self.second = nnx.Linear(self.dim * 2, self.dim, rngs=rngs)" in ported.text


def test_the_number_of_groups_is_no_size(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      channels: int
      heads: int

      def setup(self):
        inner = self.channels * self.heads
        self.norm = nn.GroupNorm(num_groups=4)
        self.proj = nn.Conv(inner, (1, 1))
        self.out = nn.Conv(self.channels, (1, 1))

      def __call__(self, x):
        return self.out(self.proj(self.norm(x))) + x
    """,
    "Model(4, 2), x(2, 6, 6, 4)",
    held_out=["Model(8, 3), x(2, 6, 6, 8)"],
  )
  assert "self.out = nnx.Conv(inner, self.channels, (1, 1), rngs=rngs)" in ported.text
  assert "nnx.Conv(4," not in ported.text


def test_layer_of_a_checkpointed_class_reads_its_size_through_a_local_of_setup(tmp_path):
  source = """
    class Config:
      hidden_size = 6

      def __init__(self, hidden_size=6, intermediate_size=11):
        self.hidden_size = hidden_size
        self.intermediate_size = intermediate_size


    class Mlp(nn.Module):
      config: Config

      def setup(self):
        config = self.config
        self.gate = nn.Dense(config.intermediate_size)
        self.up = nn.Dense(config.intermediate_size)
        self.down = nn.Dense(config.hidden_size)

      def __call__(self, x):
        return self.down(nn.silu(self.gate(x)) * self.up(x))


    class Model(nn.Module):
      config: Config

      def setup(self):
        self.mlp = nn.remat(Mlp)(self.config)

      def __call__(self, x):
        return x + self.mlp(x)
    """
  ported = port_and_check(tmp_path, source, "Model(Config()), x(2, 6)", held_out=["Model(Config(4, 9)), x(2, 4)"])
  assert "self.down = nnx.Linear(config.intermediate_size, config.hidden_size, rngs=rngs)" in ported.text


def test_parameter_computed_with_a_local_of_setup(tmp_path):
  source = """
    class Model(nn.Module):
      width: int = 5

      def setup(self):
        factor = self.width * 3
        self.kernel = factor * self.param("kernel", nn.initializers.normal(), (self.width, self.width))

      def __call__(self, x):
        return x @ self.kernel
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(3), x(2, 3)"])
  assert "factor = factor" in ported.text


def test_local_of_a_loop_carries_a_parameter_to_a_list(tmp_path):
  source = """
    class Model(nn.Module):
      depth: int = 2

      def setup(self):
        kernels = []
        for i in range(self.depth):
          kernel: jax.Array = self.param(f"kernel_{i}", nn.initializers.normal(), (5, 3))
          kernels.append(kernel)
        self.kernels = kernels

      def __call__(self, x):
        return sum(x @ kernel for kernel in self.kernels)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(3), x(4, 5)"])
  assert "      kernel = nnx.Param(nnx.initializers.normal()(rngs.params(), (5, 3)))\n" in ported.text
  assert ported.moves["params/kernel_1"] == "kernels/1"


def test_local_of_setup_is_the_parameter_of_an_attribute(tmp_path):
  source = """
    class Model(nn.Module):
      both: bool = True

      def setup(self):
        bias = self.param("bias", nn.initializers.normal(), (3,))
        self.bias = bias
        scale = self.param("scale", nn.initializers.normal(), (3,))
        self.factor = scale
        extra = self.param("extra", nn.initializers.normal(), (3,))
        if self.both:
          self.zoom = extra

      def __call__(self, x):
        return x * self.factor + self.bias + (self.zoom if self.both else 0)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model(False), x(2, 3)"])
  assert "    bias = nnx.Param(nnx.initializers.normal()(rngs.params(), (3,)))\n    self.bias = bias\n" in ported.text
  assert ported.moves["params/scale"] == "factor"
  assert "extra = self.extra = nnx.Param(" in ported.text  # kept wherever it goes
