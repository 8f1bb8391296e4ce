"""Axes that a call names."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check

PATCHES = """
  class Patches(nn.Module):
    size: Sequence[int]
    width: int

    @nn.compact
    def __call__(self, x):
      x = nn.Dense(self.width)(self.extract(x))
      return x + nn.Embed(num_embeddings=x.shape[1], features=x.shape[2])(jnp.arange(x.shape[1]))

    def extract(self, images):
      batch, h, w, c = images.shape
      ph, pw = self.size
      rows = h // ph
      columns = w // pw
      patches = jnp.reshape(images, (batch, rows, ph, columns, pw, c))
      patches = jnp.transpose(patches, (0, 1, 3, 2, 4, 5))
      return jnp.reshape(patches, (batch, -1, ph * pw * c))
  """


def test_patches_of_a_square_image_are_told_by_rows_and_columns(tmp_path):
  held_out = ["Patches((2, 3), 5), x(3, 8, 15, 7)"]
  ported = port_and_check(tmp_path, PATCHES, "Patches((4, 4), 7), x(2, 8, 12, 3)", held_out=held_out)
  assert "rows * columns" in ported.text
  assert "self.dense = nnx.Linear(ph * pw * in_features, self.width, rngs=rngs)" in ported.text
  assert ported.hoisted == []


def test_shape_that_a_local_holds(tmp_path):
  source = """
    class Model(nn.Module):
      wide: int

      @nn.compact
      def __call__(self, x, noise):
        shape = (x.shape[0], x.shape[1], self.wide)
        noise = jax.image.resize(noise, shape, method="nearest")
        return nn.Dense(4)(noise) + nn.Dense(4)(jnp.broadcast_to(x, (*x.shape[:2], self.wide)))
    """
  example = "Model(6), x(2, 3, 1), x(2, 1, 1)"
  ported = port_and_check(tmp_path, source, example, held_out=["Model(9), x(2, 3, 1), x(2, 1, 1)"])
  assert ported.text.count("nnx.Linear(self.wide, 4, rngs=rngs)") == 2


def test_axis_that_is_left_to_the_call_is_not_named(tmp_path):
  source = """
    class Model(nn.Module):
      rows: int

      @nn.compact
      def __call__(self, x):
        return nn.Dense(4)(x.reshape(x.shape[0], self.rows, -1))
    """
  ported = port_and_check(tmp_path, source, "Model(4), x(2, 12)", held_out=["Model(2), x(2, 10)"])
  assert "nnx.Linear(self.rows," not in ported.text


@pytest.mark.parametrize(
  "shape",
  [
    "self.shape",
    "(2, *self.shape[1:])",
    "(-1, *self.image)",
    "(x.shape[0],) + self.image",
    "[x.shape[0], *self.image]",
  ],
)
def test_shape_that_a_field_has(tmp_path, shape):
  source = f"""
    class Decoder(nn.Module):
      shape: Any
      image: Any

      @nn.compact
      def __call__(self, x):
        x = nn.Dense(self.image[0] * self.image[1])(x)
        x = x.reshape({shape})
        return nn.Conv(4, (3,))(x)
    """
  held_out = ["Decoder((2, 3, 5), (3, 5)), x(2, 7)"]
  ported = port_and_check(tmp_path, source, "Decoder((2, 4, 6), (4, 6)), x(2, 7)", held_out=held_out)
  assert ported.hoisted == []
  assert "nnx.Conv(self." in ported.text
