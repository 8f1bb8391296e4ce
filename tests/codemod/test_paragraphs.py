"""Comments above statements that only construction needs."""

from __future__ import annotations

from tests.codemod.support import port_and_check


def test_comment_goes_with_its_statements(tmp_path):
  source = """
    class Model(nn.Module):
      width: int

      @nn.compact
      def __call__(self, x):
        # The spread of what goes in.
        features = x.shape[-1]
        stddev = features ** -0.5

        # The projection.
        kernel = self.param("kernel", nn.initializers.normal(stddev), (features, self.width))
        return x @ kernel
    """
  ported = port_and_check(tmp_path, source, "Model(5), x(2, 3)", held_out=["Model(4), x(2, 6)"])
  init, call = ported.text.split("def __call__")
  assert init.count("# The spread of what goes in.") == 1
  assert "# The spread" not in call
  assert call.split("\n")[1].strip() == "# The projection."


def test_comment_in_a_branch_goes_with_all_that_was_in_it(tmp_path):
  source = """
    class Model(nn.Module):
      width: int
      hidden: int | None = None

      @nn.compact
      def __call__(self, x):
        hidden = self.hidden
        if hidden is None:
          # four times as many, as in the paper
          hidden = 4 * self.width

        if self.width > 1:
          # said of what stays
          x = 2 * x
        return nn.Dense(self.width)(nn.Dense(hidden)(x))
    """
  ported = port_and_check(tmp_path, source, "Model(5), x(2, 3)", held_out=["Model(4, 7), x(2, 6)"])
  init, call = ported.text.split("def __call__")
  assert "      # four times as many, as in the paper\n      hidden = 4 * self.width\n" in init
  assert "pass" not in call
  assert "    if self.width > 1:\n      # said of what stays\n      x = 2 * x\n" in call


def test_comment_stays_where_something_of_its_paragraph_does(tmp_path):
  source = """
    class Model(nn.Module):
      width: int

      @nn.compact
      def __call__(self, x):
        # Double it.
        twice = 2 * self.width
        x = 2 * x

        # Narrow it.
        once = self.width
        x = nn.Dense(twice)(x)
        return nn.Dense(once)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(5), x(2, 3)", held_out=["Model(4), x(2, 6)"])
  init, call = ported.text.split("def __call__")
  assert "# Double it.\n    x = 2 * x\n\n    # Narrow it.\n    x = self.dense(x)" in call
  assert "#" not in init


def test_comment_at_the_end_of_a_statement_goes_with_it(tmp_path):
  source = """
    class Model(nn.Module):
      width: int

      @nn.compact
      def __call__(self, x):
        hidden = 2 * self.width  # twice as many
        scale = self.width  # as many
        return nn.Dense(hidden)(x) * scale
    """
  ported = port_and_check(tmp_path, source, "Model(5), x(2, 3)", held_out=["Model(4), x(2, 6)"])
  init, call = ported.text.split("def __call__")
  assert "    hidden = 2 * self.width  # twice as many\n" in init
  assert "twice" not in call
  assert "    scale = self.width  # as many\n" in call
