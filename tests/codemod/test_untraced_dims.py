"""Sizes behind expressions that no example runs."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check

SOURCE = """
    class Model(nn.Module):
      features: int
      labels: int | None

      def setup(self):
        self.embed = nn.Dense(self.features)
        self.head = nn.Dense(self.labels) if self.labels is not None else None

      def __call__(self, x):
        x = self.embed(x)
        if self.head is None:
          return x
        {body}
        return self.head(x)
    """


def one_line(text: str) -> str:
  """A text without its layout."""
  return " ".join(text.split()).replace("( ", "(")


@pytest.mark.parametrize(
  "body",
  [
    "pass",
    "x = x[:, 0]",
    "x = x[:, 0, :]",
    "x = x[..., 1, :]",
    "x = x[:, ::2]",
    "x = x.mean(1)",
    "x = jnp.mean(x, axis=1, keepdims=True)",
    "x = jnp.max(x, axis=(0, 1))",
    "x = x.astype(jnp.float32)",
    "x = x[:, :1].squeeze(1)",
    "x = jnp.take(x, jnp.array([1, 0]), axis=1)",
    "x = jnp.take_along_axis(x, jnp.zeros((2, 3, 1), int), axis=-2)",
    "x = jnp.concatenate([x[:, :1], x], axis=1)",
    "x = jnp.concatenate([jnp.zeros((2, 1)), x.mean(-1)], axis=-1)[:, :, None] * x[:, :1]",
  ],
)
def test_last_axis_stays(tmp_path, body):
  ported = port_and_check(
    tmp_path, SOURCE.format(body=body), "Model(7, None), x(2, 5, 3)", held_out=["Model(6, 4), x(2, 5, 3)"]
  )
  assert "nnx.Linear(self.features, self.labels, rngs=rngs) if self.labels is not None else None" in ported.text


@pytest.mark.parametrize(
  ("body", "size"),
  [
    ("x = jnp.concatenate([x, x], axis=-1)", "self.features + self.features"),
    ("x = x.reshape(-1, 6)", "6"),
    ("x = jnp.reshape(x, (2, -1, self.features))", "self.features"),
  ],
)
def test_last_axis_becomes(tmp_path, body, size):
  ported = port_and_check(
    tmp_path, SOURCE.format(body=body), "Model(12, None), x(2, 5, 3)", held_out=["Model(6, 4), x(2, 5, 3)"]
  )
  assert f"nnx.Linear({size}, self.labels," in one_line(ported.text)


def test_flattened(tmp_path):
  body = "x = x.reshape(x.shape[0], -1)"
  ported = port_and_check(
    tmp_path, SOURCE.format(body=body), "Model(12, None), x(2, 5, 3)", held_out=["Model(6, 4), x(2, 5, 3)"]
  )
  assert "nnx.Linear(length * self.features, self.labels," in one_line(ported.text)


def test_sizes_that_nothing_tells_are_guessed_with_a_finding(tmp_path):
  body = "x = jnp.einsum('bij->bi', x)"
  ported = port_and_check(tmp_path, SOURCE.format(body=body), "Model(12, None), x(2, 5, 3)", clean=False)
  assert any("self.head" in str(f) or "no example" in str(f) for f in ported.findings)


WRAPPED = """
class Part(nn.Module):
  @nn.compact
  def __call__(self, x):
    alone = x.ndim == 1
    x = jnp.expand_dims(x, 0) if alone else x
    return nn.Dense(3)(x)

class Net(nn.Module):
  part: bool = False

  @nn.compact
  def __call__(self, x):
    x = nn.Dense(4)(x)
    return Part()(x) if self.part else x
"""


def test_an_axis_in_front_leaves_the_last_one_in_both_ways_of_an_expression(tmp_path):
  ported = port_and_check(tmp_path, WRAPPED, "Net(), x(2, 5)", held_out=["Net(part=True), x(3, 5)"])
  assert "self.dense = nnx.Linear(in_features, 3, rngs=rngs)" in ported.text


def test_an_axis_behind_the_last_one_is_no_size_that_came_in(tmp_path):
  source = WRAPPED.replace("jnp.expand_dims(x, 0) if alone else x", "jnp.expand_dims(x, -1)").replace(
    "    alone = x.ndim == 1\n", ""
  )
  ported = port_and_check(tmp_path, source, "Net(), x(2, 5)", clean=False)
  assert "nnx.Linear(in_features, 3, rngs=rngs)" not in ported.text


UNPACKED = """
class Part(nn.Module):
  factor: int = 2

  @nn.compact
  def __call__(self, x):
    batch, time, width = x.shape
    x = x.reshape(batch, -1, width * self.factor)
    return nn.Dense(width * self.factor)(x)

class Net(nn.Module):
  part: bool = False

  @nn.compact
  def __call__(self, x):
    x = nn.Dense(4)(x)
    if self.part:
      x = Part()(x)
    return nn.Dense(3)(x)
"""


def test_the_last_name_of_an_unpacked_shape_is_the_last_axis(tmp_path):
  ported = port_and_check(tmp_path, UNPACKED, "Net(), x(2, 6, 5)", held_out=["Net(part=True), x(3, 4, 5)"])
  assert "self.dense = nnx.Linear(in_features * self.factor, in_features * self.factor, rngs=rngs)" in ported.text


def test_the_other_names_of_an_unpacked_shape_are_not_the_last_axis(tmp_path):
  source = UNPACKED.replace("nn.Dense(width * self.factor)(x)", "nn.Dense(time)(x)")
  ported = port_and_check(tmp_path, source, "Net(), x(2, 6, 5)", clean=False)
  assert "self.dense = nnx.Linear(in_features * self.factor, dense_features, rngs=rngs)" in ported.text


def test_shape_that_is_a_field_has_the_items_of_the_field(tmp_path):
  source = """
    class Model(nn.Module):
      kind: str
      shape: tuple[int, ...]

      @nn.compact
      def __call__(self, x):
        if self.kind == "dense":
          x = nn.Dense(5)(x)
        else:
          x = x.reshape(self.shape)
          x = nn.Conv(7, (3,))(x)
        return x
    """
  ported = port_and_check(
    tmp_path,
    source,
    "Model('dense', (2, 4, 3)), x(2, 12)",
    held_out=["Model('conv', (2, 4, 3)), x(2, 12)"],
    clean=False,
  )  # the guess is told
  assert "nnx.Conv(self.shape[-1], 7, (3,), rngs=rngs)" in ported.text
