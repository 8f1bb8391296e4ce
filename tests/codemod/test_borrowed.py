"""Parameters that start as those of a layer made for nothing else."""

from __future__ import annotations

from tests.codemod.support import port_and_check

STANDARDIZED = """
    class StandardizedConv(nn.Module):
      features: int
      use_bias: bool = True

      @nn.compact
      def __call__(self, x):
        # the layer is never bound: it computes, and the parameters are here
        conv = nn.Conv(self.features, (3, 3), use_bias=self.use_bias, parent=None)
        first = lambda rng, x: conv.init(rng, x)["params"]["kernel"]
        kernel = self.param("kernel", first, x)
        kernel = kernel - kernel.mean((0, 1, 2))
        bias = self.param("bias", lambda rng, value: conv.init(rng, value)["params"]["bias"], x)
        return conv.apply({"params": {"kernel": kernel, "bias": bias}}, x)


    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        x = StandardizedConv(7)(x)
        return StandardizedConv(3, name="last")(nn.relu(x))
    """


def test_kernel_of_a_layer_without_a_parent(tmp_path):
  ported = port_and_check(tmp_path, STANDARDIZED, "Model(), x(2, 6, 6, 5)", held_out=["Model(), x(1, 5, 5, 4)"])
  assert "kernel = self.conv.kernel[...]" in ported.text
  assert "call_with(self.conv, {" in ported.text
  assert "first =" not in ported.text
  assert ported.hoisted == []
  assert ported.moves["params/last/kernel"] == "last/conv/kernel"
  assert len(ported.moves) == 4


def test_value_of_one_s_own_stays_a_parameter(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        first = lambda rng, n: {"params": {"kernel": jax.random.normal(rng, (n, 7))}}["params"]["kernel"]
        kernel = self.param("kernel", first, x.shape[-1])
        return nn.Dense(7)(x) + x @ kernel
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "self.kernel = nnx.Param(" in ported.text
