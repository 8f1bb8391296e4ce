"""Conditions that only initialization answered otherwise."""

from __future__ import annotations

from migrate.codemod.settled import negated
from tests.codemod.support import port_and_check


def test_branches_for_initialization_go(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        mean = self.variable("stats", "mean", jnp.zeros, (6,))
        if not self.is_initializing():
          # keeps the mean
          mean.value = 0.9 * mean.value + 0.1 * x.mean(0)
        if self.is_initializing():
          x = x + 0.0
        else:
          x = x - mean.value
        return nn.Dense(3)(x)
    """
  example = 'Example(Model(), (x(2, 6),), mutable=["stats"])'
  ported = port_and_check(tmp_path, source, example)
  assert "    mean = self.mean\n    # keeps the mean\n    mean.set_value(" in ported.text
  assert "\n    x = x - mean[...]\n" in ported.text


def test_layers_called_once_for_a_switch(tmp_path):
  source = """
    class Model(nn.Module):
      def setup(self):
        self.a, self.b = nn.Dense(4), nn.Dense(4)

      def __call__(self, x, i):
        if self.is_initializing():
          self.a(x), self.b(x)
        x = nn.switch(i, [lambda m, x: m.a(x), lambda m, x: m.b(x)], self, x)
        return nn.cond(i > 0, lambda m, x: x, lambda m, x: -x, self, x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 6), ids()", held_out=["Model(), x(3, 5), ids()"])
  assert "x = nnx.switch(i, [lambda m, x: m.a(x), lambda m, x: m.b(x)], self, x)" in ported.text
  assert "if False" not in ported.text


def test_a_condition_of_the_owner_stays(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        if False:
          x = x + 1
        return nn.Dense(3)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 6)")
  assert "if False:" in ported.text


def test_the_opposite_of_a_test():
  assert negated("self.a") == "not self.a"
  assert negated("self.a and self.b") == "not (self.a and self.b)"
  assert negated("self.a or self.b") == "not (self.a or self.b)"


def test_answers_of_initialization_go_out_of_conditions_and_locals(tmp_path):
  source = """
    class Model(nn.Module):
      momentum: float = 0.5

      @nn.compact
      def __call__(self, x, train: bool = False):
        known = self.has_variable("stats", "mean")
        mean = self.variable("stats", "mean", jnp.zeros, x.shape[-1:])
        first = self.is_initializing()
        if train and not self.is_initializing():
          mean.value = self.momentum * mean.value + x.mean(0)
        if (train or x.ndim > 5) and not first:
          x = x * 2
        if train and (known or x.ndim > 7):
          x = x + 1
        if first or not train:
          x = x - mean.value
        if first and train:
          x = x + 100
        return nn.Dense(3)(x)
    """
  example = 'Example(Model(), (x(2, 6),), calls=[Call((x(2, 6),), {"train": True}, mutable=["stats"])])'
  ported = port_and_check(tmp_path, source, example, held_out=["Example(Model(), (x(3, 5),))"])
  lines = [line.strip() for line in ported.text.splitlines()]
  assert lines.count("if train:") == 2
  assert "if (train or x.ndim > 5):" in lines or "if train or x.ndim > 5:" in lines
  assert "if not train:" in lines
  assert not any("100" in line or "known" in line or "first" in line for line in lines)
  assert "self.mean = Stats(jnp.zeros((in_features,)))" in lines


def test_initialisation_told_by_the_variables_that_are_there(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        is_initializing = len(self.variables) == 0
        dense = nn.Dense(3)
        if is_initializing:
          dense(x)
        return dense(x) if len(self.variables) > 0 else dense(2 * x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 6)")
  assert "variables" not in ported.text
  assert "is_initializing" not in ported.text


def test_question_beside_others_goes_out_of_init(tmp_path):
  source = """
    class Model(nn.Module):
      strict: bool = False
      loud: bool = False

      def setup(self):
        if self.strict and self.is_initializing():
          print("strict")
        if (self.strict or self.loud) and self.is_initializing() and self.loud:
          print("loud")
        if self.strict or self.loud:
          print("either")
        self.head = nn.Dense(3)

      def __call__(self, x):
        return self.head(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(2, 4)"])
  assert "if self.strict:\n" in ported.text
  assert "if (self.strict or self.loud) and self.loud:\n" in ported.text
  assert "if self.strict or self.loud:\n" in ported.text
