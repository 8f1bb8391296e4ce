"""What a Linen module offers its methods, in the words of NNX."""

from __future__ import annotations

import jax.numpy as jnp
from flax import nnx

from migrate.workflows.port_files import importing
from tests.codemod.support import port_and_check, rewrite


def test_merge_param_of_field_and_argument(tmp_path):
  source = """
    class Model(nn.Module):
      deterministic: bool | None = None

      @nn.compact
      def __call__(self, x, deterministic: bool | None = None):
        deterministic = nn.merge_param("deterministic", self.deterministic, deterministic)
        return nn.Dropout(0.5)(nn.Dense(7)(x), deterministic=deterministic)
    """
  port_and_check(tmp_path, source, "Model(), x(2, 5), deterministic=True", "Model(True), x(2, 5)")


def test_rng_of_the_user_s_own(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, train: bool = False):
        x = nn.Dense(7)(x)
        if train:
          x = x + jax.random.normal(self.make_rng("noise"), x.shape)
        return x
    """
  call = "Example(Model(), (x(2, 5),), init_rngs=('params', 'noise'), calls=(Call((x(2, 5), True), rngs=('noise',)),))"
  ported = port_and_check(tmp_path, source, call)
  assert "self.rngs.noise()" in ported.text


def test_sown_values_become_intermediates(tmp_path):
  ported = rewrite(
    tmp_path,
    """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        x = nn.Dense(7)(x)
        self.sow("intermediates", "hidden", x)
        return x
    """,
    "Model(), x(2, 5)",
  )
  assert 'self.sow(nnx.Intermediate, "hidden", x)' in ported.text


def test_sown_values_given_by_name_keep_their_layout(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        x = nn.Dense(7)(x)
        self.sow(
          col="intermediates",
          name="hidden",  # before the head
          value=x,
        )
        return nn.Dense(3)(x)
    """
  ported = rewrite(tmp_path, source, "Model(), x(2, 5)")
  assert 'variable_type=nnx.Intermediate,\n      name="hidden",  # before the head\n      value=x,\n' in ported.text


def test_put_and_get_variable(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        self.variable("batch_stats", "last", jnp.zeros, (5,))
        y = x + self.get_variable("batch_stats", "last")
        self.put_variable("batch_stats", "last", y.mean(0))
        return y
    """
  port_and_check(tmp_path, source, "Example(Model(), (x(2, 5),), mutable=['batch_stats'])")


def test_cache_of_decoding(tmp_path):
  source = """
    class Model(nn.Module):
      width: int = 5

      @nn.compact
      def __call__(self, x):
        index = self.variable("cache", "index", lambda: jnp.array(0, jnp.int32))
        keys = self.variable("cache", "keys", jnp.zeros, (x.shape[0], 4, self.width))
        k = nn.Dense(self.width)(x)
        if not self.is_initializing():
          keys.value = jax.lax.dynamic_update_slice(keys.value, k[:, None], (0, index.value, 0))
          index.value = index.value + 1
        return keys.value.sum(1)
    """
  ported = port_and_check(tmp_path, source, "Example(Model(), (x(2, 3),), mutable=['cache'])")
  assert "nnx.Cache(" in ported.text


def test_field_that_the_layer_does_not_keep(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      layer: nn.Module

      @nn.compact
      def __call__(self, x):
        scale = 1 + len(self.layer.batch_dims)
        return self.layer(x) * scale
    """,
    "Model(nn.DenseGeneral(7)), x(2, 5)",
  )
  assert "scale = 1 + len(())" in ported.text
  assert "L2N112" in {f.rule for f in ported.findings}


def test_field_of_several_values_stays(tmp_path):
  ported = rewrite(
    tmp_path,
    """
    class Model(nn.Module):
      first: nn.Module
      second: nn.Module

      @nn.compact
      def __call__(self, x):
        for layer in (self.first, self.second):
          x = layer(x) * (1 + len(layer.batch_dims))
        return x
    """,
    "Model(nn.DenseGeneral(7), nn.DenseGeneral(7, batch_dims=(0,))), x(2, 5)",
  )
  assert "len(layer.batch_dims)" in ported.text


def test_has_variable_of_a_layer(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        made = self.has_variable("params", "Dense_0")
        layer = nn.Dense(3)
        return layer(x) * 2 if made else layer(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(3, 4)"])
  assert "return self.layer(x) * 2\n" in ported.text


def test_parameters_that_are_trees(tmp_path):
  source = """
    def make(key, n):
      return {"w": nn.initializers.normal()(key, (n, 4)), "b": jnp.ones((4,))}


    class Compact(nn.Module):
      @nn.compact
      def __call__(self, x):
        p = self.param("p", make, x.shape[-1])
        return x @ p["w"] + p["b"]


    class Setup(nn.Module):
      def setup(self):
        self.p = self.param("p", make, 3)

      def __call__(self, x):
        return x @ self.p["w"] + self.p["b"]
    """
  port_and_check(tmp_path, source, "Compact(), x(2, 3)", "Setup(), x(2, 3)")


def test_variables_of_a_layer_read_by_name(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        dense = nn.Dense(3)
        norm = nn.LayerNorm()
        y = norm(dense(x))
        return y + jnp.sum(dense.get_variable("params", "kernel")) * norm.get_variable("params", "scale")
    """
  port_and_check(tmp_path, source, "Model(), x(2, 5)")


def test_perturbed_values(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        x = self.perturb("hidden", nn.Dense(4)(x))
        return nn.Dense(2)(x)
    """
  ported = rewrite(tmp_path, source, "Model(), x(2, 3)")
  assert 'x = self.perturb("hidden", self.dense(x))' in ported.text
  assert ported.findings == []


STATISTICS = """
    class Norm(nn.Module):
      @nn.compact
      def __call__(self, x):
        mean = self.variable("batch_stats", "mean", jnp.zeros, (x.shape[-1],))
        now = x.mean(0) if self.is_mutable_collection("batch_stats") else mean.value
        if self.is_mutable_collection("batch_stats") and not self.is_initializing():
          mean.value = 0.9 * mean.value + 0.1 * now
        return x - now


    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return Norm()(nn.Dense(7)(x))
    """


def test_mutable_collection_asked_for_is_told_by_train_and_eval(tmp_path):
  call = "Example(Model(), (x(2, 5),), calls=(Call((x(2, 5),)), Call((x(2, 5),), mutable=['batch_stats'])))"
  ported = port_and_check(tmp_path, STATISTICS, call, "Model(), x(3, 4)")
  assert "self.use_running_average = False  # set by model.train() and model.eval()" in ported.text
  assert "now = x.mean(0) if (not self.use_running_average) else mean[...]" in ported.text
  assert ported.mapping.metadata["mutable"] == {"norm": {"use_running_average": ("batch_stats", False)}}
  assert "L2N118" in {f.rule for f in ported.findings}


def test_mutable_collection_of_one_mode_is_right_in_the_other(tmp_path):
  ported = port_and_check(tmp_path, STATISTICS, "Model(), x(2, 5)", held_out=["Example(Model(), (x(2, 5),), mutable=['batch_stats'])"])  # fmt: skip
  with importing(ported.out) as load:
    model = load("ported").build_example(nnx.Rngs(0))
    x = jnp.arange(10.0).reshape(2, 5)
    model.eval()
    model(x)
    assert not model.norm.mean[...].any()
    model.train()
    assert jnp.allclose(model(x).mean(0), 0, atol=1e-5)
    assert model.norm.mean[...].any()


def test_mutable_collection_beside_a_field_of_train_mode(tmp_path):
  source = """
    class Model(nn.Module):
      use_running_average: bool | None = None

      @nn.compact
      def __call__(self, x, use_running_average: bool | None = None):
        fixed = nn.merge_param("use_running_average", self.use_running_average, use_running_average)
        mean = self.variable("batch_stats", "mean", jnp.zeros, (x.shape[-1],))
        if not fixed and self.is_mutable_collection("batch_stats"):
          mean.value = x.mean(0)
        return x - mean.value
    """
  call = "Example(Model(), (x(2, 5), False), calls=(Call((x(2, 5), False)), Call((x(2, 5), False), mutable=True)))"
  ported = port_and_check(tmp_path, source, call)
  assert "if not fixed and self.update_batch_stats:" in ported.text


def test_mutable_cache_makes_its_variables_at_construction(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        x = nn.Dense(4)(x)
        if self.is_mutable_collection("cache"):
          step = self.variable("cache", "step", lambda: jnp.array(0, jnp.int32))
          x = x * step.value
          if not self.is_initializing():
            step.value = step.value + 1
        return x
    """
  call = "Example(Model(), (x(2, 5),), calls=(Call((x(2, 5),)), Call((x(2, 5),), mutable=['cache'])))"
  ported = port_and_check(tmp_path, source, call)
  assert "self.update_cache = True" in ported.text
  assert "if self.update_cache:" in ported.text


def test_mutable_parameters_mean_initialization(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, train: bool = True):
        starting = self.is_mutable_collection("params")
        mean = self.variable("batch_stats", "mean", jnp.zeros, (x.shape[-1],))
        if train and not starting:
          mean.value = x.mean(0)
        return x - mean.value
    """
  ported = port_and_check(tmp_path, source, "Example(Model(), (x(2, 5),), mutable=['batch_stats'])")
  assert "    if train:\n" in ported.text
  assert "starting" not in ported.text
