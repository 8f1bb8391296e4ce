"""Loops over lists of layers."""

from __future__ import annotations

import textwrap

import pytest

from migrate.codemod.plain_loops import plain_loops
from tests.codemod.support import port_and_check


def plain(text: str, static: tuple[str, ...] = (), taken: tuple[str, ...] = ("x",)) -> str:
  return textwrap.dedent(plain_loops(textwrap.indent(textwrap.dedent(text), "    "), set(static), set(taken))).strip()


@pytest.mark.parametrize(
  ("before", "after"),
  [
    (
      """
      dense_iter = iter(self.dense)
      for size in self.sizes:
        x = nnx.relu(next(dense_iter)(x))
      """,
      "for dense in self.dense:\n  x = nnx.relu(dense(x))",
    ),
    (
      """
      blocks_iter = iter(self.blocks)
      norm_iter = iter(self.norm)
      for size in sizes:
        # narrow
        x = next(blocks_iter)(x)
        x = next(norm_iter)(x) * size
      """,
      "for size, block, norm in zip(sizes, self.blocks, self.norm):\n  # narrow\n  x = block(x)\n  x = norm(x) * size",
    ),
    (
      """
      dense_iter = iter(self.dense)
      for a, b in zip(self.a, self.b):
        x = next(dense_iter)(x) + a * b
      """,
      "for a, b, dense in zip(self.a, self.b, self.dense):\n  x = dense(x) + a * b",
    ),
    (
      """
      dense_iter = iter(self.dense)
      for i, n in enumerate(self.sizes):
        x = next(dense_iter)(x) + i
      """,
      "for (i, n), dense in zip(enumerate(self.sizes), self.dense):\n  x = dense(x) + i",
    ),
    (
      """
      block_iter = iter(self.block)
      for i, size in enumerate(self.stage_sizes):
        for j in range(size):
          # one block
          x = next(block_iter)(x)
          x = nnx.relu(x)
      x = self.head(x)
      """,
      "for block in self.block:\n  # one block\n  x = block(x)\n  x = nnx.relu(x)\nx = self.head(x)",
    ),
    (
      """
      x_iter = iter(self.x)
      for _ in range(x.shape[0]):
        x = next(x_iter)(x)
      """,
      "for _, x_layer in zip(range(x.shape[0]), self.x):\n  x = x_layer(x)",
    ),
  ],
)
def test_layers_stand_in_the_header(before, after):
  assert plain(before) == after


@pytest.mark.parametrize(
  "text",
  [
    """
    dense_iter = iter(self.dense)
    for size in self.sizes:
      if size > 3:
        x = next(dense_iter)(x)
    """,
    """
    dense_iter = iter(self.dense)
    for size in self.sizes:
      if size == 3:
        continue
      x = next(dense_iter)(x)
    """,
    """
    dense_iter = iter(self.dense)
    for size in self.sizes:
      x = next(dense_iter)(x) if size > 3 else x
    """,
    """
    dense_iter = iter(self.dense)
    for size in self.sizes:
      x = next(dense_iter)(x)
    x = next(dense_iter)(x)
    """,
    """
    dense_iter = iter(self.dense)
    for size in self.sizes:
      for _ in range(3):
        x = next(dense_iter)(x) * size
    """,
    """
    dense_iter = iter(self.dense)
    for size in self.sizes:
      for _ in range(size):
        x = next(dense_iter)(x)
      x = nnx.relu(x)
    """,
    """
    dense_iter = iter(self.dense)
    for size in self.sizes:
      # the rest
      for _ in range(x.shape[0]):
        x = next(dense_iter)(x)
    """,
  ],
)
def test_loops_whose_rounds_take_not_one_each_stay(text):
  assert plain(text) == textwrap.dedent(text).strip()


def test_method_reads_as_by_hand(tmp_path):
  source = """
    class Model(nn.Module):
      sizes: Sequence[int] = (7, 3)

      @nn.compact
      def __call__(self, x):
        for size in self.sizes:
          x = nn.relu(nn.Dense(size)(x))
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model((4, 6, 2)), x(2, 3)"])
  assert "for dense in self.dense:\n      x = nnx.relu(dense(x))\n" in ported.text


def counted(text: str, *lists: str, static: tuple[str, ...] = ()) -> str:
  return textwrap.dedent(
    plain_loops(textwrap.indent(textwrap.dedent(text), "  "), set(static), {"x"}, set(lists))
  ).strip()


@pytest.mark.parametrize(
  ("before", "after"),
  [
    (
      """
      for i in range(self.depth):
        x = self.blocks[i](x, train=train)
      """,
      "for block in self.blocks:\n  x = block(x, train=train)",
    ),
    (
      """
      for i, (width, size) in enumerate(zip(self.widths, self.sizes)):
        x = self.conv[i](x)
        if self.pool:
          x = self.norm[i](x)
      """,
      "for conv, norm in zip(self.conv, self.norm):\n  x = conv(x)\n  if self.pool:\n    x = norm(x)",
    ),
    (
      """
      for i, (width, size) in enumerate(zip(self.widths, self.sizes)):
        x = self.conv[i](x) * width
      """,
      "for width, size, conv in zip(self.widths, self.sizes, self.conv):\n  x = conv(x) * width",
    ),
  ],
)
def test_rounds_that_are_counted_only_to_find_their_layers(before, after):
  assert counted(before, "blocks", "conv", "norm") == after


@pytest.mark.parametrize(
  "text",
  [
    "for i in range(self.depth):\n  x = self.blocks[i](x) * i",  # the number is read
    "for i in range(self.depth):\n  x = self.own[i](x)",  # a list of which nobody knows how long it is
    "for i in range(x.shape[0]):\n  x = self.blocks[i](x)",  # only the call knows how often
    "for i in range(1, self.depth):\n  x = self.blocks[i](x)",
    "for i in range(self.depth):\n  x = self.blocks[i](x)\ny = self.blocks[i](x)",  # the last one again
  ],
)
def test_rounds_that_have_to_be_counted(text):
  assert counted(text, "blocks") == text


def test_many_lists_are_read_by_number():
  text = "for i in range(self.depth):\n  x = self.a[i](self.b[i](x))\n  x = self.c[i](self.d[i](x))"
  assert counted(text, "a", "b", "c", "d") == text


def test_lists_stand_in_the_header_as_they_are_read():
  text = "for i in range(self.depth):\n  if self.wide:\n    x = self.b[i](x)\n  x = self.a[i](x)"
  assert counted(text, "a", "b").startswith("for b, a in zip(self.b, self.a):")


def test_blocks_made_in_a_loop_that_counts(tmp_path):
  source = """
    class Model(nn.Module):
      depth: int

      @nn.compact
      def __call__(self, x, scale):
        for i in range(self.depth):
          x = nn.Dense(5, name=f"block_{i}")(x) * scale
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(3), x(2, 3), x(2, 1)", held_out=["Model(2), x(2, 7), x(2, 1)"])
  assert "for block in self.block:\n      x = block(x) * scale" in ported.text


def test_long_headers_have_a_line_for_each_list():
  text = """
  rows_iter = iter(self.rows_of_the_first_kind)
  rows_iter = iter(self.rows)
  for size, other in reversed(
      list(zip(self.sizes_of_all_layers, self.other_sizes_of_all_layers, strict=False))
  ):
    x = next(rows_iter)(x, size, other)
"""
  text = text.replace("  rows_iter = iter(self.rows_of_the_first_kind)\n", "")
  body = plain_loops(text, {"self"}, set(), set())
  assert body == (
    "\n  for (size, other), row in zip(\n"
    "      reversed(list(zip(self.sizes_of_all_layers, self.other_sizes_of_all_layers, strict=False))),\n"
    "      self.rows,\n"
    "  ):\n"
    "    x = row(x, size, other)\n"
  )
