"""Norms of one's own that use Linen's private functions."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check, rewrite

SOURCE = """
    from flax.linen.normalization import _canonicalize_axes, _compute_stats, _normalize


    class Norm(nn.Module):
      axis: int = -1
      use_bias: bool = True
      scale_init: Any = nn.initializers.ones

      @nn.compact
      def __call__(self, x, use_running_average: bool = False):
        feature_axes = _canonicalize_axes(x.ndim, self.axis)
        reduction_axes = tuple(i for i in range(x.ndim) if i not in feature_axes)
        shape = [x.shape[a] for a in feature_axes]
        mean = self.variable("batch_stats", "mean", jnp.zeros, shape)
        var = self.variable("batch_stats", "var", jnp.ones, shape)
        steps = self.variable("batch_stats", "steps", lambda s: s, 0)
        if use_running_average:
          m, v = mean.value, var.value
        else:
          m, v = _compute_stats(
            x, reduction_axes, dtype=None, use_fast_variance=False if self.is_initializing() else True
          )
          if not self.is_initializing():
            mean.value, var.value = m, v
            steps.value += 1
        return _normalize(
          self, x, m, v, reduction_axes, feature_axes, None, jnp.float32,
          epsilon=1e-5, use_bias=self.use_bias, use_scale=True, bias_init=nn.initializers.zeros, scale_init=self.scale_init,
        )


    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        x = Norm()(nn.Dense(7)(x))
        x = Norm(use_bias=False)(nn.Dense(5)(x))
        return Norm(axis=1)(x)
    """


def test_statistics_and_normalization_of_linen(tmp_path):
  call = "Example(Model(), (x(6, 5),), mutable=['batch_stats'])"
  ported = port_and_check(tmp_path, SOURCE, call, held_out=["Example(Model(), (x(4, 3),), mutable=['batch_stats'])"])
  assert "from flax.nnx.nn.normalization import _canonicalize_axes, _compute_stats, _normalize" in ported.text
  assert "self.scale = nnx.Param(self.scale_init(rngs.params(), (in_features,), jnp.float32))" in ported.text
  assert "if self.use_bias else nnx.data(None)" in ported.text
  assert "use_fast_variance=True" in ported.text
  assert "self.steps = nnx.BatchStat(jnp.asarray(0))" in ported.text
  assert ported.moves["params/Norm_0/scale"] == "norm/scale"
  assert "params/Norm_1/bias" not in ported.moves


@pytest.mark.parametrize(
  "call",
  [
    "_normalize(self, x, m, v, (0,), self.axes, None, jnp.float32, 1e-5, True, True, zero, one, False)",
    "_normalize(self, x, m, v, (0,), self.axes, None, jnp.float32, 1e-5, True, True, zero)",
  ],
)
def test_other_arguments_are_refused(tmp_path, call):
  source = f"""
    from flax.linen.normalization import _normalize
    zero, one = nn.initializers.zeros, nn.initializers.ones

    class Model(nn.Module):
      axes: tuple = (1,)

      @nn.compact
      def __call__(self, x):
        m, v = x.mean(0), x.var(0)
        return {call.replace("zero)", "zero, scale_init=one, force_float32_reductions=False)")}
    """
  ported = rewrite(tmp_path, source, "Model(), x(4, 5)")
  assert "Linen's private `_normalize` with arguments" in next(
    f.found for f in ported.findings if f.severity == "error"
  )


def test_function_of_one_s_own_with_that_name_is_left_alone(tmp_path):
  source = """
    def _normalize(mdl, x, scale):
      return x * scale / (1 + mdl.width)

    class Model(nn.Module):
      width: int = 7

      @nn.compact
      def __call__(self, x):
        return _normalize(self, nn.Dense(self.width)(x), 2.0)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "return _normalize(self, self.dense(x), 2.0)" in ported.text
