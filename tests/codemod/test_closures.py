"""Functions inside a method that make layers where they are called."""

from __future__ import annotations

from tests.codemod.support import port_and_check

ENCODER = """
  class Encoder(nn.Module):
    width: int = 6
    depth: int = 2
    normalized: bool = True

    @nn.compact
    def __call__(self, x):
      if self.normalized:
        normalize = lambda x: nn.LayerNorm()(x)
      else:
        normalize = lambda x: x
      for i in range(self.depth):
        x = nn.Dense(self.width)(x)
        x = normalize(x)
        x = nn.relu(x)
      return nn.Dense(3)(x)
  """


def test_lambda_under_a_condition(tmp_path):
  held_out = ["Encoder(5, 3), x(2, 4)", "Encoder(normalized=False), x(2, 4)"]
  ported = port_and_check(tmp_path, ENCODER, "Encoder(), x(2, 5)", held_out=held_out)
  assert "normalize = lambda x: next(normalize_layers)(x)" in ported.text
  assert "normalize = lambda x: x\n" in ported.text
  assert "      if self.normalized:\n" in ported.text


def test_lambda_that_the_example_does_not_reach(tmp_path):
  held_out = ["Encoder(5, 3), x(2, 4)", "Encoder(normalized=False), x(2, 4)"]
  ported = port_and_check(tmp_path, ENCODER, "Encoder(normalized=False), x(2, 5)", held_out=held_out)
  assert "self.normalize_layers.append(nnx.LayerNorm(self.width, rngs=rngs))" in ported.text


def test_a_choice_of_layers(tmp_path):
  source = """
    class Model(nn.Module):
      norm: str = "layer"

      @nn.compact
      def __call__(self, x):
        if self.norm == "layer":
          norm = lambda x: nn.LayerNorm()(x)
        else:
          norm = lambda x: nn.RMSNorm()(x)
        x = norm(nn.Dense(6)(x))
        x = norm(nn.Dense(7)(x))
        return nn.Dense(2)(x)
    """
  examples = ["Model(), x(2, 5)", "Model('rms'), x(2, 5)"]
  ported = port_and_check(tmp_path, source, *examples, held_out=["Model('rms'), x(3, 4)"])
  assert ported.text.count("norm = lambda x: next(norm") == 2


def test_plain_lambda(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        head = lambda x: nn.Dense(3, name="head")(nn.tanh(x))
        return head(nn.Dense(4)(x))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(2, 4)"])
  assert "head = lambda x: next(head_layers)(nnx.tanh(x))" in ported.text


def test_functions_that_others_call(tmp_path):
  source = """
    class Model(nn.Module):
      width: int = 6

      @nn.compact
      def __call__(self, x):
        def update(nodes):
          nodes = nn.LayerNorm()(nodes)
          return nn.Dense(self.width, name="update")(nodes)

        scale = lambda x: nn.Dense(self.width, name="scale")(x)
        x = jax.tree.map(update, x)
        return jax.tree.map(scale, x) + jax.tree.map(lambda y: nn.Dense(6)(y), x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(3, 5)"])
  assert "nodes = self.layer_norm(nodes)" in ported.text
  assert "scale = lambda x: self.scale(x)" in ported.text


def test_layer_of_a_lambda_under_three_conditions_called_at_once(tmp_path):
  source = """
    class Model(nn.Module):
      kind: str = "layer"

      @nn.compact
      def __call__(self, x, train: bool = False):
        if self.kind == "layer":
          norm = lambda name=None: nn.LayerNorm(epsilon=1e-3, name=name)
        elif self.kind == "group":
          norm = lambda name=None: nn.GroupNorm(num_groups=2, name=name)
        else:
          norm = lambda name=None: nn.BatchNorm(use_running_average=not train, name=name)
        x = nn.Dense(6)(x)
        x = norm(name="first")(x)
        x = nn.Dense(4)(x)
        return norm()(x)
    """
  examples = ["Model(), x(4, 5)", 'Model("group"), x(4, 5)']
  ported = port_and_check(tmp_path, source, *examples, held_out=['Model("batch"), x(4, 7)'])
  assert ported.hoisted == []
  assert ported.text.count("self.norm_layers.append(") == 2
  assert "functools.partial(next(norm_layers_2), use_running_average=not train)" in ported.text


def test_function_that_another_returns_takes_a_layer_each_time(tmp_path):
  source = """
    def make_block(act):
      def block(x, features):
        return act(nn.Dense(features)(x))  # one more

      return block


    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        block = make_block(nn.relu)
        x = block(x, 6)
        return block(x, features=3)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "def make_block(act, *, layers):" in ported.text
  assert "return act(next(layers)(x))  # one more" in ported.text


def test_choice_of_functions_that_another_returns(tmp_path):
  source = """
    class Noisy(nn.Module):
      noise: Any

      @nn.compact
      def __call__(self, x, features):
        return nn.Dense(features)(x) * self.noise


    def feature_layer(noisy, noise):
      def noisy_net(x, features):
        return Noisy(noise)(x, features)

      def dense_net(x, features):
        return nn.Dense(features)(x)

      return noisy_net if noisy else dense_net


    class Model(nn.Module):
      noisy: bool = False

      @nn.compact
      def __call__(self, x, noise):
        net = feature_layer(self.noisy, noise)
        x = net(x, features=6)
        return net(x, features=3)
    """
  ported = port_and_check(tmp_path, source, "Model(True), x(2, 5), x(2, 1)", "Model(False), x(2, 5), x(2, 1)")
  assert "return next(layers)(x, features, noise=noise)" in ported.text


def test_function_that_returns_a_function_with_layers_for_others_to_call(tmp_path):
  source = """
    class MLP(nn.Module):
      sizes: Sequence[int]

      @nn.compact
      def __call__(self, x):
        for size in self.sizes:
          x = nn.relu(nn.Dense(size)(x))
        return x


    def get_update(
      width,
      depth,
      residual=False
    ):
      def update(nodes, edges):
        x = MLP([width] * depth)(jnp.concatenate([nodes, edges], axis=-1))
        if residual:
          x = x + nn.Dense(width)(x)
        return x

      return update


    class Model(nn.Module):
      width: int = 7
      depth: int = 2
      steps: int = 3
      residual: bool = False

      @nn.compact
      def __call__(self, x):
        edges = x
        for _ in range(self.steps):
          update = get_update(self.width, self.depth, residual=self.residual)
          edges = jax.tree.map(update, x, edges)
        return nn.Dense(2)(edges)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(5, 3, 2, True), x(3, 4)"])
  assert "update = get_update(residual=self.residual, layers=update_layers)" in ported.text
  assert "residual=False,\n  *,\n  layers,\n):" in ported.text
  assert "if self.residual:\n        self.update_layers.append(" in ported.text
  assert "range(num_" not in ported.text


def test_decorators_of_functions_with_layers_stay(tmp_path):
  source = """
    class Model(nn.Module):
      depth: int = 2

      @nn.compact
      def __call__(self, x):
        def residual(f):
          return lambda h, i: h + f(h, i)

        @residual
        def block(h, i):
          h = nn.LayerNorm(name=f"norm_{i}")(h)
          return nn.Dense(h.shape[-1], name=f"dense_{i}")(h)

        for i in range(self.depth):
          x = block(x, i)
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 4)", held_out=["Model(3), x(2, 5)"])
  assert "    @residual\n    def block(h, i):\n" in ported.text
