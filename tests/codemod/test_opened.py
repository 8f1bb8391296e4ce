"""`nn.Sequential` with functions that only a call can make: put together in the call, its layers made in `__init__`."""

from tests.codemod.support import port_and_check


def test_function_that_reads_an_argument_of_the_call(tmp_path):
  source = """
    class Model(nn.Module):
      hidden: int = 4

      @nn.compact
      def __call__(self, x, shift):
        return nn.Sequential([nn.Dense(self.hidden), lambda y: y + shift, nn.LayerNorm(), nn.Dense(3)])(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5), x(4)", held_out=["Model(6), x(2, 3), x(6)"])
  assert "return nnx.Sequential(self.dense, lambda y: y + shift, self.layer_norm, self.dense_1)(x)\n" in ported.text
  assert "self.dense_1 = nnx.Linear(self.hidden, 3, rngs=rngs)" in ported.text
  assert ported.hoisted == []


def test_functions_that_make_layers_and_layers_that_are_told_train(tmp_path):
  source = """
    class Model(nn.Module):
      rate: float = 0.5

      @nn.compact
      def __call__(self, x, train: bool = False):
        x = nn.Sequential([
          nn.Dense(4),
          nn.BatchNorm(use_running_average=not train),  # as in Keras
          # then
          lambda y: nn.Dropout(self.rate)(y, deterministic=not train),
          lambda y: nn.Dense(7)(y),
        ])(x)
        head = nn.Sequential([nn.Dense(5), nn.Dropout(self.rate, deterministic=not train)])
        return head(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(0.1), x(2, 3)"])
  assert (
    "    x = nnx.Sequential(\n        self.dense,\n"
    "        functools.partial(self.batch_norm, use_running_average=not train),  # as in Keras\n        # then\n"
    "        lambda y: self.dropout(y, deterministic=not train),\n        lambda y: self.dense_1(y),\n    )(x)\n"
  ) in ported.text


def test_sequential_of_layers_and_plain_functions_is_a_layer_still(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return nn.Sequential([nn.Dense(4), nn.relu, lambda y: y * 2, nn.Dense(3)])(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "self.sequential = nnx.Sequential(" in ported.text
  assert "return self.sequential(x)" in ported.text


def test_one_sequential_that_is_put_together_around_another(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, scale):
        return nn.Sequential([nn.Sequential([nn.Dense(4), nn.relu]), lambda y: y * scale, nn.Dense(3)])(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5), x(4)")
  assert "return nnx.Sequential(self.sequential, lambda y: y * scale, self.dense)(x)" in ported.text
