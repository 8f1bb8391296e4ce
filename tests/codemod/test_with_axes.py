"""Parameters with names of axes: parameters like any other."""

from __future__ import annotations

from tests.codemod.support import port_and_check

HEAD = """
    from flax.linen import partitioning as nn_partitioning
    from flax.linen.partitioning import variable_with_axes

    param_with_axes = nn_partitioning.param_with_axes
    with_sharding_constraint = nn_partitioning.with_sharding_constraint
"""


def test_parameters_with_axes_are_parameters(tmp_path):
  source = (
    HEAD
    + """
    class Dense(nn.Module):
      features: int
      kernel_init: Any = nn.initializers.lecun_normal()
      kernel_axes: Any = ()

      @nn.compact
      def __call__(self, x):
        # the weights
        kernel = param_with_axes(
          "kernel", self.kernel_init, (x.shape[-1], self.features), jnp.float32, axes=self.kernel_axes
        )
        kernel = jnp.asarray(kernel, x.dtype)
        bias = nn_partitioning.param_with_axes("bias", nn.initializers.zeros, (self.features,), axes=("embed",), module=self)
        return with_sharding_constraint(x @ kernel + bias, ("batch", "embed"))

    class Scale(nn.Module):
      def setup(self):
        self.scale = param_with_axes("scale", nn.initializers.ones, (3,), axes=("embed",))

      def __call__(self, x):
        return x * self.scale

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        x = Dense(7, kernel_axes=("embed", "mlp"))(x)
        return Scale()(Dense(3, kernel_axes=("mlp", "embed"))(x))
    """
  )
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(2, 11)"])
  assert "param_with_axes" not in ported.text
  assert (
    "self.kernel = nnx.Param(self.kernel_init(rngs.params(), (in_features, self.features), jnp.float32))" in ported.text
  )
  assert "self.bias = nnx.Param(nnx.initializers.zeros(rngs.params(), (self.features,)))" in ported.text
  assert "self.scale = nnx.Param(nnx.initializers.ones(rngs.params(), (3,)))" in ported.text
  assert [f.found for f in ported.findings] == ["names of a parameter's axes"] * 3


def test_function_of_the_same_name_is_another_one(tmp_path):
  source = """
    def param_with_axes(name, width, axes):
      return len(f"{name}{width}{axes}")

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return nn.Dense(7)(x), param_with_axes("kernel", 3, axes=("embed",))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert 'param_with_axes("kernel", 3, axes=("embed",))' in ported.text
  assert not ported.findings
