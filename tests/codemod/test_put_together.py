"""Axes of arrays that are split, cut or put together."""

from __future__ import annotations

import pytest

from migrate.codemod.sizes_pool import added, divided
from tests.codemod.support import port_and_check


def compact(body: str) -> str:
  lines = "\n".join(f"        {line}" for line in body.strip().split("\n"))
  return f"""
    class Model(nn.Module):
      dim: int
      parts: int = 2

      @nn.compact
      def __call__(self, x):
{lines}
    """


@pytest.mark.parametrize(
  ("body", "made"),
  [
    ("a, b = jnp.split(x, 2, axis=-1)\nreturn nn.Dense(self.dim)(a * b)", "nnx.Linear(in_features // 2, self.dim, "),
    (
      "a, b, c = jnp.split(nn.Dense(3 * self.dim)(x), 3, -1)\nreturn nn.Dense(4)(a * b + c)",
      "nnx.Linear(self.dim, 4, ",
    ),
    (
      "a = jnp.split(x, self.parts, axis=-1)[0]\nreturn nn.Dense(self.dim)(a)",
      "nnx.Linear(in_features // self.parts, self.dim, ",
    ),
    ("return nn.Dense(self.dim)(x[..., 3:])", "nnx.Linear(in_features - 3, self.dim, "),
    ("return nn.Dense(self.dim)(x[..., ::2])", "nnx.Linear(in_features // 2, self.dim, "),
    (
      "a, b = jnp.split(x, [3], axis=-1)\nreturn nn.Dense(self.dim)(a).sum() + nn.Dense(self.dim)(b).sum()",
      "nnx.Linear(in_features - 3, self.dim, ",
    ),
    (
      "x = x.reshape(x.shape[0], self.parts, -1)\nreturn nn.Dense(self.dim)(x)",
      "nnx.Linear(in_features // self.parts, self.dim, ",
    ),
    (
      "y = nn.Dense(self.dim)(x)\nz = nn.Dense(7)(x)\nreturn nn.Dense(3)(jnp.concatenate([y, z, jnp.sin(y)], axis=-1))",
      "nnx.Linear(self.dim + 7 + self.dim, 3, ",
    ),
    (
      "y = nn.Dense(self.dim)(x)\nreturn nn.Dense(3)(jnp.concatenate((y, jnp.cos(y), jnp.sin(y)), -1))",
      "nnx.Linear(3 * self.dim, 3, ",
    ),
  ],
)
def test_sizes_of_parts_and_sums(tmp_path, body, made):
  ported = port_and_check(tmp_path, compact(body), "Model(5), x(3, 8)", held_out=["Model(11), x(2, 12)"])
  assert ported.hoisted == []
  assert made in ported.text


def test_a_list_that_grew_is_summed_where_it_is_put_together(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      depth: int = 3

      @nn.compact
      def __call__(self, x):
        seen = []
        for i in range(self.depth):
          x = nn.relu(nn.Dense(3 + i)(x))
          seen.append(x)
        x = nn.Dense(4)(jnp.concatenate(seen, axis=-1))
        seen.append(x)
        return nn.Dense(2)(jnp.concatenate([x, *seen], axis=-1))
    """,
    "Model(), x(2, 5)",
    held_out=["Model(2), x(3, 7)"],
  )
  assert ported.hoisted == []
  assert "self.dense_1 = nnx.Linear(sum(seen), 4, rngs=rngs)" in ported.text
  assert "self.dense_2 = nnx.Linear(4 + sum(seen), 2, rngs=rngs)" in ported.text


def test_a_sum_that_is_kept_is_taken_before_the_list_grows(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        seen = [x]
        for i in range(3):
          seen.append(nn.Dense(3 + i)(x))
        x = jnp.concatenate(seen, axis=-1)
        seen.append(x)
        return nn.Dense(2)(jnp.tanh(x))
    """,
    "Model(), x(2, 5)",
    held_out=["Model(), x(3, 7)"],
  )
  assert ported.hoisted == []
  assert "seen_features = sum(seen)" in ported.text


def test_rows_of_an_array_keep_the_axes_after_the_first(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Einsum(nn.Module):
      shape: tuple

      @nn.compact
      def __call__(self, equation, x):
        return jnp.einsum(equation, x, self.param("w", nn.initializers.normal(), self.shape))


    class Model(nn.Module):
      heads: int
      head_dim: int
      features: int

      def setup(self):
        self.kv = Einsum((2, self.heads, self.features, self.head_dim))
        self.key_norm = nn.RMSNorm()

      def __call__(self, x):
        k, v = self.kv("BSD,CKDH->CBSKH", x)
        return self.key_norm(k) + v
    """,
    "Model(2, 4, 10), x(3, 5, 10)",
    held_out=["Model(3, 5, 7), x(2, 6, 7)"],
  )
  assert ported.hoisted == []
  assert "self.key_norm = nnx.RMSNorm(self.head_dim, rngs=rngs)" in ported.text


def test_channels_before_the_image_are_features(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return nn.Conv(5, (3, 3))(jnp.transpose(x, (0, 2, 3, 1)))
    """,
    "Model(), x(2, 3, 8, 8)",
    held_out=["Model(), x(2, 4, 6, 8)"],
  )
  assert "def __init__(self, in_features: int, *, rngs: nnx.Rngs):" in ported.text


def test_an_argument_is_not_named_like_a_local(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        x = x.reshape(x.shape[0], -1)
        length = x.shape[-1]
        return nn.Dense(length)(x)
    """,
    "Model(), x(2, 3, 5)",
    held_out=["Model(), x(2, 4, 7)"],
  )
  assert "length = (x_length * in_features)" in ported.text or "length = x_length * in_features" in ported.text


@pytest.mark.parametrize(
  ("text", "by", "wanted"),
  [
    ("2 * hidden", "2", "hidden"),
    ("hidden * 2", "2", "hidden"),
    ("self.a + 1", "2", "(self.a + 1) // 2"),
    ("3 * hidden", "2", "(3 * hidden) // 2"),
  ],
)
def test_divided(text, by, wanted):
  assert divided(text, by) == wanted


def test_added():
  assert added(["a", "b"]) == "a + b"
  assert added(["a", "a", "a"]) == "3 * a"
  assert added(["a // 2", "b"]) == "(a // 2) + b"


def test_list_with_an_array_of_unknown_size_tells_no_sum(tmp_path):
  source = """
    class Model(nn.Module):
      width: int

      @nn.compact
      def __call__(self, x, more, condition=None):
        h = nn.Dense(self.width)(x)
        h = [h]
        h.append(jnp.concatenate(jnp.split(more, 2, axis=-1)[:1], axis=-1) ** jnp.arange(1, more.shape[-1] // 2 + 1))
        if condition is not None:
          h.append(condition)
        return nn.Dense(3)(jnp.concatenate(h, axis=-1))
    """
  port_and_check(tmp_path, source, "Model(5), x(2, 3), x(2, 4), x(2, 7)")


def test_axes_that_a_pattern_splits_by_a_keyword(tmp_path):
  source = """
    def rearrange(x, pattern, h=0):
      return x.reshape(*x.shape[:-1], h, -1) if h else x.reshape(*x.shape[:-2], -1)

    class Model(nn.Module):
      heads: int
      head_dim: int

      @nn.compact
      def __call__(self, x):
        q = rearrange(nn.Dense(self.heads * self.head_dim)(x), "b (h d) -> b h d", h=self.heads)
        return nn.Dense(3)(rearrange(jnp.tanh(q), "b h d -> b (h d)"))
    """
  ported = port_and_check(tmp_path, source, "Model(2, 5), x(3, 7)", held_out=["Model(3, 2), x(3, 5)"])
  assert ported.hoisted == []
  assert "nnx.Linear(self.heads * self.head_dim, 3" in ported.text
