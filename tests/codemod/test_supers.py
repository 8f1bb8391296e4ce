"""Compact methods that build on those of a base."""

from __future__ import annotations

from tests.codemod.support import port_and_check

BASE = """
  class Mlp(nn.Module):
    sizes: Sequence[int]

    @nn.compact
    def __call__(self, x):
      for size in self.sizes:
        x = nn.relu(nn.Dense(size)(x))
      return x


  """


def test_subclass_adds_a_layer_to_those_of_its_base(tmp_path):
  source = (
    BASE
    + """
  class Model(Mlp):
    classes: int = 3

    @nn.compact
    def __call__(self, obs, action):
      x = super().__call__(jnp.concatenate([obs, action], axis=-1))
      return nn.Dense(self.classes)(x)
  """
  )
  ported = port_and_check(
    tmp_path, source, "Model((7, 11)), x(2, 5), x(2, 2)", held_out=["Model((4,), 2), x(2, 3), x(2, 6)"]
  )
  assert "super().__init__(in_features=in_features + action_features, sizes=sizes, rngs=rngs)" in ported.text
  assert "nnx.Linear(self.sizes[-1], self.classes, rngs=rngs)" in ported.text
  assert ported.hoisted == []


def test_base_that_is_called_through_super_keeps_its_size_where_nothing_tells_it(tmp_path):
  source = (
    BASE
    + """
  class Model(Mlp):
    @nn.compact
    def __call__(self, inputs):
      return nn.Dense(3)(super().__call__(inputs["x"].reshape(2, -1)))
  """
  )
  port_and_check(tmp_path, source, 'Model((7, 11)), {"x": x(2, 5, 3)}')


def test_subclass_that_replaces_the_layers_of_its_base_makes_only_its_own(tmp_path):
  source = (
    BASE
    + """
  class Model(Mlp):
    @nn.compact
    def __call__(self, x):
      return nn.Dense(self.sizes[-1])(x)
  """
  )
  ported = port_and_check(tmp_path, source, "Model((7, 11)), x(2, 5)", clean=False)
  assert "super().__init__" not in ported.text


def test_layers_of_both_methods_have_names_of_their_own(tmp_path):
  source = (
    BASE
    + """
  class Model(Mlp):
    classes: int

    @nn.compact
    def __call__(self, x):
      return nn.Dense(self.classes)(super().__call__(x))
  """
  )
  ported = port_and_check(tmp_path, source, "Model((6, 5), 3), x(4, 7)")
  assert "self.dense_1 = nnx.Linear(" in ported.text
