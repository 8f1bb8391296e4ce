"""Compact methods of one class that make layers of one name use the same layers."""

import pytest

from tests.codemod.support import port_and_check, rewrite

MEMORY = """
    class Memory(nn.Module):
      features: int
      gated: bool = False

      @nn.compact
      def __call__(self, x):
        q = nn.Dense(self.features{name})(x)
        if self.gated:
          q = q * nn.sigmoid(nn.Dense(self.features, name="gate")(x))
        return nn.LayerNorm()(q)

      @nn.compact
      def read(self, x):
        q = nn.Dense(features=self.features{name})(x)
        if self.gated:
          q = q + nn.Dense(self.features, name="gate")(x)
        return q

    class Model(nn.Module):
      gated: bool = False

      @nn.compact
      def __call__(self, x):
        memory = Memory(5, self.gated)
        return memory(x) + memory.read(x)
    """


@pytest.mark.parametrize("name", [', name="query"', ""])
@pytest.mark.parametrize("gated", [False, True])
def test_both_methods_use_one_layer(tmp_path, name, gated):
  source = MEMORY.replace("{name}", name)
  ported = port_and_check(tmp_path, source, f"Model({gated}), x(2, 7)", held_out=[f"Model({not gated}), x(3, 4)"])
  assert ported.text.count("nnx.Linear(") == 2
  assert all(f.rule != "L2N103" for f in ported.findings)


def test_layers_of_other_names_are_two(tmp_path):
  source = MEMORY.replace("(self.features{name})", '(self.features, name="query")')
  source = source.replace("features=self.features{name}", 'self.features, name="key"')
  ported = port_and_check(tmp_path, source, "Model(), x(2, 7)", held_out=["Model(), x(3, 4)"])
  assert "self.query(x)" in ported.text
  assert "self.key(x)" in ported.text


def test_method_that_no_example_runs_has_the_layer_as_well(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return nn.relu(nn.Dense(5)(x))

      @nn.compact
      def logits(self, x):
        return nn.Dense(5)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 7)")
  assert ported.text.count("nnx.Linear(") == 1
  assert "return self.dense(x)" in ported.text


def test_both_ways_of_a_condition_are_found_in_the_other_method(tmp_path):
  source = """
    class Part(nn.Module):
      conv: bool

      @nn.compact
      def __call__(self, x):
        if self.conv:
          return nn.Conv(5, (3,), name="out")(x)
        else:
          return nn.Dense(5, name="out")(x)

      @nn.compact
      def logits(self, x):
        if self.conv:
          return nn.relu(nn.Conv(5, (3,), name="out")(x))
        else:
          return nn.relu(nn.Dense(5, name="out")(x))

    class Model(nn.Module):
      conv: bool

      @nn.compact
      def __call__(self, x):
        part = Part(self.conv)
        return part(x) + part.logits(x)
    """
  ported = port_and_check(tmp_path, source, "Model(False), x(2, 4, 7)", "Model(True), x(2, 4, 7)")
  assert ported.text.count("self.out = ") == 2
  assert ported.findings == []


def test_other_arguments_are_told(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return nn.Dense(5, name="out")(x)

      @nn.compact
      def logits(self, x):
        return nn.Dense(5, use_bias=False, name="out")(x)
    """
  ported = rewrite(tmp_path, source, "Model(), x(2, 7)")
  assert ported.text.count("nnx.Linear(") == 2
  [finding] = [f for f in ported.findings if f.rule == "L2N103"]
  assert "which `__call__` makes otherwise" in finding.found


def test_layer_that_other_methods_use_is_made_whatever_the_fields_are(tmp_path):
  source = """
    class Model(nn.Module):
      deep: bool = False

      @nn.compact
      def __call__(self, x):
        if self.deep:
          x = self.encode(x)
        return self.read(x)

      @nn.compact
      def encode(self, x):
        return nn.Dense(7, name="proj")(x)

      @nn.compact
      def read(self, x):
        return nn.relu(nn.Dense(7, name="proj")(x))
    """
  port_and_check(tmp_path, source, "Model(True), x(2, 7)", held_out=["Model(False), x(2, 7)"])
