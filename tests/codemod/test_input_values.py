"""Parameters whose first value the inputs give."""

from __future__ import annotations

from tests.codemod.support import port_and_check

NORM = """
    class Norm(nn.Module):
      eps: float = 1e-6

      @nn.compact
      def __call__(self, inputs):
        def minus_mean(key, shape):
          return -jnp.mean(inputs, axis=(0, 1), keepdims=True)

        shape = (1,) * (len(inputs.shape) - 1) + (inputs.shape[-1],)
        loc = self.param("loc", minus_mean, shape)
        scale = self.param("scale", lambda key: 1 / (jnp.std(inputs, axis=(0, 1)) + self.eps))
        return (inputs + loc) * scale

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return Norm()(nn.Dense(7)(x))
    """


def test_first_values_that_the_inputs_give_begin_as_zeros_with_a_finding(tmp_path):
  ported = port_and_check(tmp_path, NORM, "Model(), x(2, 5, 6)", held_out=["Model(), x(3, 4, 8)"], clean=False)
  assert [f.rule for f in ported.findings] == ["L2N115", "L2N115"]
  assert "self.loc = nnx.Param(jnp.zeros(shape))" in ported.text
  assert "shape = (1,) * (3 - 1) + (in_features,)" in ported.text
  assert "minus_mean" not in ported.text  # nothing calls it any more


def test_comments_of_such_an_initializer_keep_it(tmp_path):
  source = NORM.replace("          return -jnp", "          # as in the paper\n          return -jnp")
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5, 6)", clean=False)
  assert "# as in the paper" in ported.text


def test_initializers_that_a_caller_hands_over_are_no_such_values(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, init):
        return x * self.param("w", init, (x.shape[-1],))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5), nn.initializers.ones")
  assert "jnp.zeros" not in ported.text


def test_first_values_from_what_a_maker_computes_are_no_zeros(tmp_path):
  source = """
    def weights(shape):
      return jnp.ones(shape) / shape[0]

    class Linear(nn.Module):
      in_features: int
      features: int

      @nn.compact
      def __call__(self, x):
        w = weights([self.in_features, self.features])
        w = self.param("weight", lambda *_: w)
        return x @ w

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        x = nn.relu(Linear(x.shape[1], 7)(x.reshape((x.shape[0], -1))))
        return Linear(in_features=x.shape[1], features=3)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "zeros" not in ported.text
