"""Methods of layers that no example runs are written as NNX spells them."""

from tests.codemod.support import port_and_check

SOURCE = """
    class Own(nn.RNNCellBase):
      @nn.compact
      def __call__(self, carry, x):
        carry = nn.tanh(nn.Dense(5)(x) + carry)
        return carry, carry

      @nn.nowrap
      def initialize_carry(self, rng, input_shape):
        return jnp.zeros((input_shape[0], 5))

      @property
      def num_feature_axes(self):
        return 1

    class Memory(nn.Module):
      cell: nn.RNNCellBase

      def setup(self):
        self.second = nn.GRUCell(5)

      def __call__(self, x, carry):
        return self.second(*self.cell(carry, x))[1]

      def start(self, key, input_shape):
        return self.cell.initialize_carry(key, input_shape), self.second.initialize_carry(key, (*input_shape[:-1], 5))

    class Model(nn.Module):
      cell: nn.RNNCellBase

      @nn.compact
      def __call__(self, x, carry):
        return Memory(self.cell)(x, carry)
    """


def test_carry_of_layers_in_fields_and_of_setup(tmp_path):
  ported = port_and_check(tmp_path, SOURCE, "Model(nn.GRUCell(5)), x(2, 7), x(2, 5)")
  assert "self.cell.initialize_carry(input_shape, nnx.Rngs(key))" in ported.text
  assert "self.second.initialize_carry((*input_shape[:-1], 5), nnx.Rngs(key))" in ported.text


def test_method_of_a_class_of_the_project_stays(tmp_path):
  ported = port_and_check(tmp_path, SOURCE, "Model(Own()), x(2, 7), x(2, 5)")
  assert "self.cell.initialize_carry(key, input_shape)" in ported.text
