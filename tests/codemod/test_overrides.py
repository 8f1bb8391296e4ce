"""Classes that override what Linen offers its modules."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check, rewrite

STANDARDIZED = """
    def standardize(x, axis, eps):
      x = x - jnp.mean(x, axis=axis, keepdims=True)
      return x / jnp.sqrt(jnp.mean(jnp.square(x), axis=axis, keepdims=True) + eps)


    class StdConv(nn.Conv):
      # weights are standardized whenever they are read
      def param(self, name, *a, **kw):
        param = super().param(name, *a, **kw)
        if name == "kernel":
          param = standardize(param, axis=[0, 1, 2], eps=1e-10)
        return param


    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        x = StdConv(7, (3, 3), name="conv_root")(x)
        x = nn.relu(x)
        return StdConv(features=3, kernel_size=(1, 1), use_bias=False, name="proj")(x)
    """


def test_layer_whose_parameters_are_read_through_param(tmp_path):
  ported = port_and_check(tmp_path, STANDARDIZED, "Model(), x(2, 6, 6, 5)", held_out=["Model(), x(1, 5, 5, 4)"])
  assert "def param(self, name):" in ported.text
  assert "param = getattr(self, name)[...]" in ported.text
  assert "return call_reading(nnx.Conv, self, self.param, *args, **kwargs)" in ported.text
  assert ported.moves == {
    "params/conv_root/kernel": "conv_root/kernel",
    "params/conv_root/bias": "conv_root/bias",
    "params/proj/kernel": "proj/kernel",
  }


def test_param_with_named_arguments_and_types(tmp_path):
  source = """
    class Positive(nn.Dense):
      def param(self, name: str, init_fn, *args, unbox: bool = True, **kwargs) -> jax.Array:
        if name == "bias":
          return super().param(name, init_fn, *args, unbox=unbox, **kwargs)
        return jnp.exp(super(Positive, self).param(name, init_fn, *args, unbox=unbox, **kwargs))

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return Positive(7)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "def param(self, name: str) -> jax.Array:" in ported.text
  assert "return jnp.exp(getattr(self, name)[...])" in ported.text


@pytest.mark.parametrize(
  ("method", "said"),
  [
    ("def param(self, name, init_fn, *a):\n        return super().param(name, init_fn, *a) * len(a)", "`param`"),
    ("def param(self, name, init_fn, *a):\n        return init_fn(jax.random.key(0), *a)", "`param`"),
    ("def variable(self, col, name, *a):\n        return super().variable('other', name, *a)", "`variable`"),
  ],
)
def test_other_overriding_is_refused(tmp_path, method, said):
  source = f"""
    class Own(nn.Dense):
      {method}

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return Own(7)(x)
    """
  ported = rewrite(tmp_path, source, "Model(), x(2, 5)")
  found = [f for f in ported.findings if f.severity == "error"]
  assert f"Own overrides Linen's {said}, which NNX modules do not call" in found[0].found


def test_module_that_overrides_param_for_itself_is_refused(tmp_path):
  source = """
    class Model(nn.Module):
      def param(self, name, *a):
        return 2 * super().param(name, *a)

      @nn.compact
      def __call__(self, x):
        return x * self.param("scale", nn.initializers.ones, (5,))
    """
  ported = rewrite(tmp_path, source, "Model(), x(2, 5)")
  assert "Model overrides Linen's `param`" in next(f.found for f in ported.findings if f.severity == "error")


def test_field_or_method_of_another_name_is_left_alone(tmp_path):
  source = """
    class Model(nn.Module):
      params: int = 7

      def params_of(self, x):
        return x * self.params

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.params)(self.params_of(x))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "def params_of(self, x):" in ported.text
