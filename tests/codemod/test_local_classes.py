"""Classes that functions make."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check, rewrite

RESIDUAL = """
    def residual(inner):
      class Residual(nn.Module):
        width: int

        @nn.compact
        def __call__(self, x):
          return x + inner(self.width)(x)

      return Residual


    """


def test_function_that_returns_an_instance(tmp_path):
  source = '''
    def make(width: int, act: Callable = nn.relu) -> nn.Module:
      """Makes a network."""
      scale = 2  # of every layer

      class Net(nn.Module):
        """A network."""

        depth: int = 2

        @nn.compact
        def __call__(self, x):
          for _ in range(self.depth):
            x = act(nn.Dense(width)(x)) * scale  # from outside
          return x

      # deeper than usual
      return Net(depth=3)
    '''
  ported = port_and_check(tmp_path, source, "make(6), x(4, 5)", held_out=["make(5, nn.tanh), x(4, 7)"])
  assert (
    "def make(width: int, act: Callable = nnx.relu, *, in_features: int, rngs: nnx.Rngs) -> nnx.Module:" in ported.text
  )
  assert "      self.dense.append(nnx.Linear(x_features, width, rngs=rngs))" in ported.text
  assert "return Net(depth=3, in_features=in_features, rngs=rngs)" in ported.text
  assert "return make(width=6, act=jax.nn.relu, in_features=5, rngs=rngs)" in ported.draft.files["ported.py"]


def test_function_that_returns_a_subclass_of_what_it_is_given(tmp_path):
  source = """
    class Network(nn.Module):
      actions: int

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.actions)(x)


    def greedy(base):
      class Greedy(base):
        def act(self, x):
          return jnp.argmax(self(x), -1)

      return Greedy
    """
  ported = port_and_check(tmp_path, source, "greedy(Network)(4), x(4, 5)")
  assert "greedy(base=Network)(in_features=5, actions=4, rngs=rngs)" in ported.draft.files["ported.py"]


def test_class_made_at_the_top_of_a_file(tmp_path):
  source = (
    RESIDUAL
    + """
    Wide = residual(nn.Dense)


    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return Wide(5)(x)
    """
  )
  ported = port_and_check(tmp_path, source, "Model(), x(4, 5)")
  assert "Wide = residual(nnx.Linear)" in ported.text


def test_two_classes_of_one_function(tmp_path):
  source = (
    RESIDUAL
    + """
    Wide = residual(nn.Dense)
    Unbiased = residual(functools.partial(nn.Dense, use_bias=False))


    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return Unbiased(5)(Wide(5)(x))
    """
  )
  ported = port_and_check(tmp_path, source, "Model(), x(4, 5)")
  assert ported.text.count("class Residual(nnx.Module):") == 1


@pytest.mark.parametrize(
  ("body", "found"),
  [
    ("half = width // 2\n\n      class Net(nn.Module):\n        def __call__(self, x):\n          return x * half\n\n      return Net()",
     "tells what make was given for `width`"),
    ("class Net(nn.Module):\n        def __call__(self, x):\n          return x * width\n\n      return [Net()][0]", "returns something else"),
  ],
)  # fmt: skip
def test_class_that_cannot_be_made_again_is_refused(tmp_path, body, found):
  ported = rewrite(tmp_path, f"\n    def make(width):\n      {body}\n", "make(6), x(4, 5)")
  with pytest.raises(Exception, match=found):
    draft_of(ported)


def draft_of(ported):
  from tests.codemod.support import draft, importable

  with importable(ported.folder):
    return draft(ported)


def test_class_made_in_every_call_is_refused(tmp_path):
  source = """
    def residual(inner):
      class Residual(nn.Module):
        @nn.compact
        def __call__(self, x):
          return x + inner(x.shape[-1])(x)

      return Residual


    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return residual(nn.Dense)()(x)
    """
  ported = rewrite(tmp_path, source, "Model(), x(4, 5)")
  assert any("made anew in every call" in f.found for f in ported.findings)
