"""Subclasses of Linen's own layers."""

from __future__ import annotations

from tests.codemod.support import port_and_check


def test_subclass_with_a_setup_of_its_own(tmp_path):
  source = '''
    class Positions(nn.Embed):
      """Learned positions, of which the first are kept free."""

      def setup(self):
        self.offset = 2
        self.embedding = self.param(
          "embedding", self.embedding_init, (self.num_embeddings + self.offset, self.features), self.param_dtype
        )

      def __call__(self, positions):
        return super().__call__(positions + self.offset)

    class Model(nn.Module):
      width: int = 7

      def setup(self):
        self.positions = Positions(11, self.width, embedding_init=nn.initializers.normal(0.1))

      def __call__(self, x):
        return self.positions(x)
    '''
  ported = port_and_check(tmp_path, source, "Model(), ids(2, 3)", held_out=["Model(5), ids(2, 4)"])
  assert "class Positions(nnx.Embed):" in ported.text
  assert "super().__init__(*args, embedding_init=embedding_init, rngs=rngs, **kwargs)" in ported.text
  assert ported.moves == {"params/positions/embedding": "positions/embedding"}


def test_subclass_that_changes_what_comes_out(tmp_path):
  source = """
    class Scaled(nn.Dense):
      scale: float = 2.0

      def __call__(self, x):
        return super().__call__(x) * self.scale / self.features

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        x = Scaled(7, use_bias=False)(x)
        return Scaled(3, scale=0.5, name="head")(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(2, 4)"])
  assert "class Scaled(nnx.Linear):" in ported.text
  assert "self.scale / self.out_features" in ported.text
  assert "self.head = Scaled(7, 3, scale=0.5, rngs=rngs)" in ported.text


def test_subclass_with_a_parameter_more(tmp_path):
  source = """
    class Gained(nn.Dense):
      @nn.compact
      def __call__(self, x):
        gain = self.param("gain", nn.initializers.ones, (self.features,))
        return super().__call__(x) * gain

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return Gained(7)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert set(ported.moves) == {"params/Gained_0/kernel", "params/Gained_0/bias", "params/Gained_0/gain"}


def test_subclass_without_a_constructor_of_its_own(tmp_path):
  source = """
    class Tanh(nn.Dense):
      def __call__(self, x):
        return nn.tanh(super().__call__(x))

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return Tanh(7)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "def __init__" not in ported.text.partition("class Model")[0]


def test_cell_of_a_users_own(tmp_path):
  source = """
    class Cell(nn.RNNCellBase):
      features: int

      @nn.compact
      def __call__(self, carry, x):
        carry = nn.tanh(nn.Dense(self.features)(x) + nn.Dense(self.features, use_bias=False)(carry))
        return carry, carry

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        cell = Cell(6)
        carry, _ = cell(jnp.zeros((x.shape[0], 6)), x)
        return cell(carry, x)[1]
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(3, 4)"])
  assert "class Cell(nnx.RNNCellBase):" in ported.text


def test_parameter_that_the_layer_makes_just_so_is_the_layer_s(tmp_path):
  source = """
    class Monotone(nn.Dense):
      @nn.compact
      def __call__(self, x):
        kernel = self.param("kernel", self.kernel_init, (x.shape[-1], self.features))
        y = x @ abs(kernel)
        if self.use_bias:
          y = y + self.param("bias", self.bias_init, (self.features,))
        return y

    class Model(nn.Module):
      width: int = 7

      def setup(self):
        self.first = Monotone(self.width, kernel_init=nn.initializers.ones)
        self.last = Monotone(3, use_bias=False)

      def __call__(self, x):
        return self.last(self.first(x))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(4), x(2, 6)"])
  assert "def __init__" not in ported.text.partition("class Monotone")[2].partition("class Model")[0]
  assert "kernel = self.kernel[...]" in ported.text
  assert "self.last = Monotone(self.width, 3, use_bias=False, rngs=rngs)" in ported.text


def test_field_of_the_layer_that_is_declared_again_is_given_to_it(tmp_path):
  source = """
    class Masked(nn.Dense):
      event_size: int = 1
      use_bias: bool = False

      @nn.compact
      def __call__(self, inputs):
        kernel = self.param("kernel", self.kernel_init, (inputs.shape[-1], self.features))
        y = inputs @ (kernel * self.event_size)
        if self.use_bias:
          bias = self.param("bias", self.bias_init, (self.features,))
          y = y + bias
        return y

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return Masked(5, event_size=2)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)")
  assert "super().__init__(*args, use_bias=use_bias, rngs=rngs, **kwargs)" in ported.text
  assert "nnx.Param" not in ported.text
