"""Statements of compact methods: loops, conditionals, assignments; what moves to `__init__` and what stays."""

from __future__ import annotations

from tests.codemod.support import port_and_check, rewrite


def test_skip_connections_kept_in_a_list_of_arrays(tmp_path):
  port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      features: Sequence[int] = (5, 7, 11)

      @nn.compact
      def __call__(self, x):
        skips = []
        for f in self.features:
          x = nn.relu(nn.Dense(f)(x))
          skips.append(x)
        for f, skip in zip(self.features[::-1], skips[::-1]):
          x = nn.relu(nn.Dense(f)(jnp.concatenate([x, skip], axis=-1)))
        return x
    """,
    "Model(), x(2, 3)",
    held_out=["Model((2, 13)), x(2, 4)"],
  )


def test_with_block_keeps_its_header(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        with jax.named_scope("first"):
          x = nn.Dense(7)(x)
        return x
    """,
    "Model(), x(2, 5)",
  )
  assert 'with jax.named_scope("first"):' in ported.text


def test_list_of_layers_by_append(tmp_path):
  port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      features: Sequence[int] = (5, 5)

      @nn.compact
      def __call__(self, x):
        layers = []
        for f in self.features:
          layers.append(nn.Dense(f))
        for layer in layers:
          x = layer(x)
        return x
    """,
    "Model(), x(2, 5)",
  )


def test_outputs_collected_by_a_comprehension(tmp_path):
  port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      heads: int = 3

      @nn.compact
      def __call__(self, x):
        return jnp.concatenate([nn.Dense(4)(x) for _ in range(self.heads)], axis=-1)
    """,
    "Model(), x(2, 5)",
    held_out=["Model(2), x(2, 3)"],
  )


def test_statements_without_layers_stay_as_they_are(tmp_path):
  body = """    total = 0
    for i in range(3):
      total += i  # counted
    if train:
      x = x * 2
    assert x.ndim == 2, "rank"
    x = jax.lax.fori_loop(0, 3, lambda i, c: c + i, x)
"""
  source = f"""
class Model(nn.Module):
  @nn.compact
  def __call__(self, x, train=False):
{body}    return nn.Dense(3)(x)
"""
  ported = rewrite(tmp_path, source, "Model(), x(2, 5)")
  assert body in ported.text


def test_comments_of_layers_that_move_to_init(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        # Three features are enough.
        dense = nn.Dense(3)  # the first
        # Doubled.
        x = x * 2
        # It is here for its name only.
        head = nn.Dense(4, name="head")
        return head(dense(x))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert (
    """
    # Three features are enough.
    self.dense = nn""".replace("nn", "nnx.Linear(in_features, 3, rngs=rngs)  # the first")
    in ported.text
  )
  assert "# It is here for its name only.\n    self.head = " in ported.text
  assert "# Doubled.\n    x = x * 2\n    return" in ported.text


def test_several_statements_on_a_line_get_lines_of_their_own(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        # in and out
        x = nn.Dense(4)(x); x = nn.relu(x); x = nn.Dense(3)(x)  # three
        y = x * 2; z = y + 1;
        if x.ndim > 1: x = x + 1; y = nn.Dense(3, name="inner")(z)
        return x + y
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 6)", held_out=["Model(), x(3, 5)"])
  assert (
    "    # in and out\n    x = self.dense(x)\n    x = nnx.relu(x)\n    x = self.dense_1(x)  # three\n" in ported.text
  )
  assert ported.text.count("# in and out") == 1
  assert "nn.Dense" not in ported.text


def test_sizes_that_count_a_list_are_kept_before_it_grows(tmp_path):
  source = """
    class Model(nn.Module):
      width: int = 4
      levels: int = 3

      @nn.compact
      def __call__(self, x):
        feats = []
        while len(feats) < self.levels:
          x = nn.relu(nn.Dense(self.width * 2 ** len(feats))(x))
          feats.append(x)
        return jnp.concatenate(feats, axis=-1)
    """
  port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(3, 2), x(2, 4)"])
