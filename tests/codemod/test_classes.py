"""Whole classes: `setup`, fields, inheritance, signatures, docstrings and comments."""

from __future__ import annotations

from tests.codemod.support import port_and_check

TRAIN = "Example({model}, ({args}, False), calls=(Call(({args}, True), rngs=('dropout',), mutable=['batch_stats']),))"


def test_class_made_by_a_function(tmp_path):
  source = """
    def make(width):
      class Model(nn.Module):
        features: int = 7

        @nn.compact
        def __call__(self, x):
          return nn.Dense(self.features)(x) * width

      return Model

    Model = make(2)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "make(width=2)(in_features=5, rngs=rngs)" in ported.draft.files["ported.py"]


POST_INIT = """
    class Base(nn.Module):
      hidden: int = 7
      out: int | None = None

      def __post_init__(self):
        # the default
        if self.out is None:
          self.out = self.hidden
        object.__setattr__(self, "twice", 2 * self.hidden)
        super().__post_init__()

      def __getattr__(self, name):
        if name == "alias":
          return self.hidden
        return super().__getattr__(name)

    class Model(Base):
      # two layers
      def setup(self):
        super().setup()
        self.dense = nn.Dense(self.twice)
        self.last = nn.Dense(self.out)

      def __call__(self, x):
        return self.last(self.dense(x)) * self.alias
    """


def test_post_init_runs_in_init(tmp_path):
  ported = port_and_check(tmp_path, POST_INIT, "Model(), x(2, 5)", held_out=["Model(11, 3), x(2, 3)"])
  assert "    # the default\n    if self.out is None:\n      self.out = self.hidden\n" in ported.text
  assert "self.twice = 2 * self.hidden" in ported.text
  assert "__post_init__" not in ported.text
  assert ported.hoisted == []


def test_attributes_that_are_missing_are_still_missing(tmp_path):
  ported = port_and_check(tmp_path, POST_INIT, "Model(), x(2, 5)")
  assert "return super().__getattribute__(name)" in ported.text


MAPPED = """
    def flat(function):
      @functools.wraps(function)
      def run(*args):
        return function(*jax.tree.map({mapped}, args))
      return run

    class Model(nn.Module):
      @flat
      @nn.compact
      def __call__(self, x):
        return nn.Dense(7)(x)
    """


def test_decorator_that_maps_over_all_arguments(tmp_path):
  mapped = "lambda a: a.reshape(2, 5) if isinstance(a, jax.Array) else a"
  ported = port_and_check(tmp_path, MAPPED.replace("{mapped}", mapped), "Model(), x(10)")
  assert "class Model(nnx.Module, pytree=False):" in ported.text


def test_decorator_that_maps_over_nothing(tmp_path):
  source = MAPPED.replace("*jax.tree.map({mapped}, args)", "*args")
  assert "class Model(nnx.Module):" in port_and_check(tmp_path, source, "Model(), x(2, 5)").text


def test_module_class_inside_another(tmp_path):
  source = """
    class Outer(nn.Module):
      class Inner(nn.Module):
        width: int

        @nn.compact
        def __call__(self, x):
          return nn.Dense(self.width)(x)  # the only layer

      width: int = 5

      @nn.compact
      def __call__(self, x):
        return Outer.Inner(self.width)(x)
    """
  ported = port_and_check(tmp_path, source, "Outer(), x(2, 3)", held_out=["Outer(4), x(2, 7)"])
  assert ported.text.count("class Inner") == 1


def test_lines_of_spaces_between_methods_are_blank_lines(tmp_path):
  source = """
    class Model(nn.Module):
      def setup(self):
        self.dense = nn.Dense(3)

      def encode(self, x):
        return self.dense(x)
    ####
      def __call__(self, x):
        return self.encode(x)
    """.replace("####", "      ")
  ported = port_and_check(tmp_path, source, "Model(), x(2, 6)")
  assert "return self.dense(x)\n\n" in ported.text
  assert "return self.dense(x)\n\n\n" not in ported.text
  assert "  \n" not in ported.text.partition("def encode")[2]


def test_overloads_and_setters_stay_beside_their_methods(tmp_path):
  source = """
    import typing


    class Model(nn.Module):
      features: int = 7

      def setup(self):
        self.encoder = nn.Dense(self.features)

      @typing.overload
      def __call__(self, x, twice: typing.Literal[False] = False) -> int: ...

      @typing.overload
      def __call__(self, x, twice: typing.Literal[True] = True) -> float: ...

      def __call__(self, x, twice=False):
        # the encoder
        return self.encoder(x) * (2 if twice else 1)

      @property
      def encoder(self):
        return self._encoder

      @encoder.setter
      def encoder(self, value):
        self._encoder = value
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(11), x(2, 3)"])
  assert ported.text.count("# the encoder") == 1
  assert ported.text.count("@typing.overload") == 2
  assert "def __call__(self, x, twice: typing.Literal[True] = True) -> float: ...\n" in ported.text
  assert "  @property\n  def encoder(self):\n    return self._encoder\n" in ported.text
  assert "  @encoder.setter\n  def encoder(self, value):\n    self._encoder = value\n" in ported.text


def test_an_abstract_base_that_makes_nothing_has_no_constructor(tmp_path):
  source = """
    import abc


    class Base(abc.ABC, nn.Module):
      @abc.abstractmethod
      def __call__(self, x): ...

      def twice(self, x):
        return 2 * x

    class Model(Base):
      features: int = 7

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.features)(self.twice(x))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(11), x(2, 3)"])
  assert "super().__init__" not in ported.text
  assert ported.text.count("def __init__") == 1
