"""Conditions and loops of compact methods: what guards construction, what does not, what is a list."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check


def test_loop_over_a_range_makes_a_list(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      depth: int = 2

      @nn.compact
      def __call__(self, x):
        for i in range(self.depth):
          x = nn.relu(nn.Dense(7)(x))
        return x
    """,
    "Model(), x(2, 5)",
    held_out=["Model(3), x(2, 11)"],
  )
  assert "for dense in self.dense:\n      x = nnx.relu(dense(x))" in ported.text
  assert ported.moves["params/Dense_1/kernel"] == "dense/1/kernel"


def test_loop_over_a_sequence_field_needs_no_index(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      features: Sequence[int] = (7, 5)

      @nn.compact
      def __call__(self, x):
        for f in self.features:
          x = nn.tanh(nn.Dense(f)(x))
        return x
    """,
    "Model(), x(2, 3)",
    held_out=["Model((11, 2, 13)), x(2, 5)"],
  )
  assert ported.hoisted == []


def test_loop_over_enumerate_with_a_last_layer_that_differs(tmp_path):
  port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      features: Sequence[int] = (7, 5, 3)

      @nn.compact
      def __call__(self, x):
        for i, f in enumerate(self.features):
          x = nn.Dense(f, name=f"layers_{i}")(x)
          if i != len(self.features) - 1:
            x = nn.relu(x)
        return x
    """,
    "Model(), x(2, 11)",
    held_out=["Model((5, 2)), x(2, 5)"],
  )


def test_layer_made_only_in_some_rounds(tmp_path):
  port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      depth: int = 3

      @nn.compact
      def __call__(self, x):
        for i in range(self.depth):
          x = nn.Dense(7)(x)
          if i % 2 == 0:
            x = nn.LayerNorm()(x)
        return x
    """,
    "Model(), x(2, 5)",
    held_out=["Model(4), x(2, 3)"],
  )


def test_nested_loops_share_one_list(tmp_path):
  port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      stages: Sequence[int] = (2, 1)
      width: int = 5

      @nn.compact
      def __call__(self, x):
        for i, blocks in enumerate(self.stages):
          for j in range(blocks):
            x = nn.relu(nn.Dense(self.width * 2**i)(x))
        return x
    """,
    "Model(), x(2, 3)",
    held_out=["Model((1, 3, 2), 7), x(2, 2)"],
  )


def test_loop_over_zip(tmp_path):
  port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      features: Sequence[int] = (5, 7)
      kernels: Sequence[int] = (3, 1)

      @nn.compact
      def __call__(self, x):
        for f, k in zip(self.features, self.kernels):
          x = nn.relu(nn.Conv(f, (k, k))(x))
        return x
    """,
    "Model(), x(2, 6, 6, 3)",
    held_out=["Model((2, 3, 5), (1, 3, 1)), x(1, 5, 5, 2)"],
  )


def test_while_loop_with_a_static_counter(tmp_path):
  port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      depth: int = 2

      @nn.compact
      def __call__(self, x):
        i = 0
        while i < self.depth:
          x = nn.Dense(5)(x)
          i += 1
        return x
    """,
    "Model(), x(2, 3)",
    held_out=["Model(3), x(2, 7)"],
  )


def test_conditional_on_a_field_guards_construction(tmp_path):
  source = """
    class Model(nn.Module):
      norm: bool = True

      @nn.compact
      def __call__(self, x):
        x = nn.Dense(7)(x)
        if self.norm:
          x = nn.LayerNorm()(x)
        else:
          x = nn.Dense(7, name="instead")(x)
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", "Model(False), x(2, 5)")
  assert ported.text.count("if self.norm:") == 2


def test_branch_that_no_example_reaches_still_runs(tmp_path):
  port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      norm: str = "layer"

      @nn.compact
      def __call__(self, x):
        x = nn.Dense(7)(x)
        if self.norm == "layer":
          x = nn.LayerNorm()(x)
        elif self.norm == "rms":
          x = nn.RMSNorm()(x)
        return x
    """,
    "Model(), x(2, 5)",
    held_out=["Model('rms'), x(2, 3)", "Model('none'), x(2, 3)"],
    clean=False,
  )


def test_conditional_on_a_call_argument_guards_nothing(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, extra: bool = False):
        x = nn.Dense(7)(x)
        if extra:
          x = nn.Dense(7, name="more")(x)
        return x
    """,
    "Example(Model(), (x(2, 5), True), calls=(Call((x(2, 5), False)),))",
  )
  init = ported.text.partition("def __call__")[0]
  assert "if extra" not in init
  assert "self.more = nnx.Linear(7, 7, rngs=rngs)" in init


def test_early_return_on_a_field(tmp_path):
  source = """
    class Model(nn.Module):
      num_classes: int | None = None

      @nn.compact
      def __call__(self, x):
        x = nn.Dense(7)(x)
        if self.num_classes is None:
          return x
        return nn.Dense(self.num_classes)(x)
    """
  port_and_check(tmp_path, source, "Model(), x(2, 5)", "Model(3), x(2, 5)")


def test_conditional_expression_of_layers(tmp_path):
  source = """
    class Model(nn.Module):
      norm: bool = True

      @nn.compact
      def __call__(self, x):
        x = nn.Dense(7)(x)
        x = nn.LayerNorm()(x) if self.norm else x
        return nn.Dense(3)(x)
    """
  port_and_check(tmp_path, source, "Model(), x(2, 5)", "Model(False), x(2, 5)")


def test_projection_where_shapes_differ(tmp_path):
  source = """
    class Block(nn.Module):
      features: int

      @nn.compact
      def __call__(self, x):
        y = nn.Dense(self.features)(nn.relu(nn.Dense(self.features)(x)))
        if x.shape != y.shape:
          x = nn.Dense(self.features, name="proj")(x)
        return x + y

    class Model(nn.Module):
      features: Sequence[int] = (5, 7)

      @nn.compact
      def __call__(self, x):
        for f in self.features:
          x = Block(f)(x)
        return x
    """
  port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model((3, 11, 11)), x(2, 5)"])


def test_size_that_changes_in_a_loop_is_carried(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      width: int = 5
      depth: int = 3

      @nn.compact
      def __call__(self, x):
        for i in range(self.depth):
          y = nn.Dense(self.width)(x)
          x = jnp.concatenate([x, y], axis=-1)
        return x
    """,
    "Model(), x(2, 3)",
    held_out=["Model(7, 2), x(2, 11)"],
  )
  assert ported.hoisted == []


@pytest.mark.parametrize("scan", ["self.scan", "self.depth > 9"])
def test_loop_in_one_branch_of_a_condition(tmp_path, scan):
  ported = port_and_check(
    tmp_path,
    f"""
    class Model(nn.Module):
      depth: int = 2
      scan: bool = False

      @nn.compact
      def __call__(self, x):
        if {scan}:
          x = x + 1
        else:
          for i in range(self.depth):
            x = nn.relu(nn.Dense(7 + i, name=f"block_{{i}}")(x))
        return x
    """,
    "Model(), x(2, 5)",
    held_out=["Model(3), x(2, 3)"],
  )
  assert ported.moves["params/block_1/kernel"] == "block/1/kernel"


def test_name_bound_in_a_branch_that_never_ran_is_that_of_the_other(tmp_path):
  source = """
    class Model(nn.Module):
      dense: Any = nn.Dense

      @nn.compact
      def __call__(self, x, train=False):
        if hasattr(self, "normalised"):
          dense = self.normalised(self.dense, train=train)
        else:
          dense = self.dense
        return dense(3)(dense(7)(x))
    """
  port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(), x(2, 6)"])


def test_rounds_that_nobody_counted(tmp_path):
  source = """
    class Model(nn.Module):
      depth: int = 2

      @nn.compact
      def __call__(self, x, i=1):
        for _ in range(self.depth):
          x = nn.Dense(4)(x) * i
        for _ in range(self.depth):
          x = nn.relu(x)
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(3), x(3, 4)"])
  assert "for dense in self.dense:\n      x = dense(x) * i\n" in ported.text
  assert "for _ in range(self.depth):\n      x = nnx.relu(x)" in ported.text


def test_a_loop_inside_a_function_that_a_loop_calls_leaves_nothing_of_its_trial(tmp_path):
  source = """
    class Model(nn.Module):
      depth: int = 2
      width: int = 10

      @nn.compact
      def __call__(self, x, train=False):
        drop = functools.partial(nn.Dropout, rate=0.1, deterministic=not train)

        def block(h, i):
          for j, width in enumerate((self.width, h.shape[-1])):
            h = nn.Dense(width, name=f"dense_{i}_{j}")(h)
            h = drop(name=f"drop_{i}_{j}")(h)
          return h

        for i in range(self.depth):
          x = x + block(x, i)
        return nn.LayerNorm()(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 6)", held_out=["Model(3, 7), x(2, 5)"])
  assert ported.hoisted == []


def test_suites_behind_their_colon(tmp_path):
  source = """
    class Model(nn.Module):
      wide: bool = True
      act: str = "relu"

      @nn.compact
      def __call__(self, x):
        if self.wide: size = 3
        else: size = 1
        x = nn.Conv(7, (size,))(x)
        if self.act == "relu": x = nn.relu(x)
        elif self.act == "none": pass
        else: x = nn.tanh(x); x = x + 1
        for _ in range(2): x = nn.Dense(5)(x)
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 8, 5)", "Model(False, 'tanh'), x(2, 8, 5)", "Model(True, 'none'), x(2, 8, 5)")  # fmt: skip
  assert ported.text.count("size = 3") == 1
  assert 'elif self.act == "none": pass' in ported.text
  assert "for dense in self.dense: x = dense(x)" in ported.text
