"""First sizes of loops that nothing tells."""

from __future__ import annotations

from tests.codemod.support import port_and_check

WAVES = """
    class Waves(nn.Module):
      scale: float
      width: int

      @nn.compact
      def __call__(self, x):
        kernel = self.param("kernel", nn.initializers.normal(self.scale), (x.shape[-1], self.width // 2))
        return jnp.concatenate([jnp.cos(x @ kernel), jnp.sin(x @ kernel)], axis=-1)

    class Embedding(nn.Module):
      waves: Any = None

      @nn.compact
      def __call__(self, x):
        if self.waves:
          x = Waves(**self.waves)(x)
        return x

    class Model(nn.Module):
      waves: Any = None
      hidden: int = 13
      depth: int = 2

      @nn.compact
      def __call__(self, x):
        x = Embedding(self.waves)(x)
        for _ in range(self.depth):
          x = jnp.tanh(nn.Dense(self.hidden)(x))
        return nn.Dense(3)(x)
"""


def test_only_the_first_round_asks_for_an_argument(tmp_path):
  ported = port_and_check(tmp_path, WAVES, 'Model({"scale": 1.0, "width": 10}), x(2, 4)')
  assert ported.hoisted == ["embedding_features"]
  assert "x_features = embedding_features" in ported.text
  assert "x_features = self.hidden" in ported.text


def test_a_loop_that_keeps_its_size_asks_for_none(tmp_path):
  source = WAVES.replace("nn.Dense(self.hidden)(x)", "nn.Dense(x.shape[-1])(x)")
  ported = port_and_check(tmp_path, source, 'Model({"scale": 1.0, "width": 10}), x(2, 4)')
  assert "x_features" not in ported.text


def test_two_loops_that_count_under_one_name_have_two_starts(tmp_path):
  source = """
    class Model(nn.Module):
      filters: Sequence[int] = (4, 5)
      rounds: int = 2

      @nn.compact
      def __call__(self, x):
        for f in self.filters:
          x = nn.Conv(f, (3, 3), strides=(1, 2))(x)
        b, h, w, c = x.shape
        x = x.reshape(b, h, w * c)
        for _ in range(self.rounds):
          x = nn.LayerNorm()(nn.Dense(7)(x))
        return nn.Dense(3)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 4, 8, 3)")
  assert "x_features = flat_x_features" in ported.text
  assert "x_features = x_features" not in ported.text


NERF = """
  class Model(nn.Module):
    depth: int = 6
    width: int = 7
    skip: int = 2

    @nn.compact
    def __call__(self, x, condition):
      x = jnp.sin(x[..., None] * 2.0 ** jnp.arange(3)).reshape(x.shape[0], -1)
      inputs = x
      for i in range(self.depth):
        x = nn.Dense(self.width)(x)
        if i % self.skip == 0 and i > 0:
          x = jnp.concatenate([x, inputs], axis=-1)
      density = nn.Dense(1)(x)
      x = jnp.cos(jnp.concatenate([x, condition], axis=-1)[..., None] * jnp.arange(2)).reshape(x.shape[0], -1)
      inputs = x
      for i in range(2):
        x = jnp.concatenate([nn.Dense(self.width)(x), inputs], axis=-1)
      return density, nn.Dense(4)(x)
  """


def test_inputs_of_skip_connections_whose_size_nothing_tells(tmp_path):
  ported = port_and_check(tmp_path, NERF, "Model(), x(2, 5), x(2, 4)")
  assert sorted(ported.hoisted) == ["inputs_features", "inputs_features_1"]
  assert "x_features = inputs_features\n" in ported.text
  assert "x_features = self.width + inputs_features\n" in ported.text
  assert "x_features = self.width + inputs_features_1\n" in ported.text


def test_model_without_the_skip_connection_of_another(tmp_path):
  source = (
    NERF
    + """

  class Both(nn.Module):
    @nn.compact
    def __call__(self, x, condition):
      return Model(depth=2)(x, condition), Model(width=5)(x, condition)
  """
  )
  port_and_check(tmp_path, source, "Both(), x(2, 5), x(2, 4)")


def test_loops_that_name_their_rounds_as_the_loop_before(tmp_path):
  source = """
    class Model(nn.Module):
      width: int
      scales: Sequence[int]

      @nn.compact
      def __call__(self, x):
        skips = []
        for scale in self.scales:
          x = nn.Dense(self.width * scale)(x)
          skips.append(x)
        x = nn.Dense(self.width * scale)(x)
        for scale in reversed(self.scales):
          x = jnp.concatenate([skips.pop(), x], -1)
          x = nn.Dense(self.width * scale)(x)
        return x
    """
  ported = port_and_check(
    tmp_path, source, "Model(3, (1, 2, 5)), x(2, 7)", held_out=["Model(2, (3, 1, 4, 2)), x(2, 5)"]
  )
  assert ported.hoisted == []
  assert ported.text.count("x_features = self.width * scale") >= 2


def test_loops_that_leave_a_size_as_it_is_have_no_local_for_it(tmp_path):
  source = """
    class Model(nn.Module):
      width: int
      scales: Sequence[int]

      @nn.compact
      def __call__(self, x):
        for scale in self.scales:
          x = nn.Dense(self.width)(x)
        for scale in self.scales:
          x = x + nn.Dense(self.width)(x) * scale
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(3, (1, 2)), x(2, 7)", held_out=["Model(2, (3, 1, 4)), x(2, 5)"])
  assert ported.text.count("x_features = self.width") == 1


def test_sizes_go_from_round_to_round_whatever_the_number_of_axes(tmp_path):
  source = """
    class Mlp(nn.Module):
      sizes: Sequence[int]

      @nn.compact
      def __call__(self, x):
        for i in range(len(self.sizes) - 1):
          x = nn.relu(nn.Dense(self.sizes[i])(x))
        return nn.Dense(self.sizes[-1])(x)

    class Model(nn.Module):
      deep: Sequence[int] = (13, 17)
      flat: Sequence[int] = (19,)

      @nn.compact
      def __call__(self, x):
        return Mlp(self.flat)(Mlp(self.deep)(x).mean(1))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3, 5)", held_out=["Model((3, 4, 2), (7, 6)), x(2, 4, 3)"])
  assert (
    "      x_features = self.sizes[i]\n    self.dense_1 = nnx.Linear(x_features, self.sizes[-1], rngs=rngs)\n"
    in ported.text
  )
