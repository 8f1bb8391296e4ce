"""Sizes of arrays that a call argument holds."""

from __future__ import annotations

import pytest

from migrate.codemod.items import item_size_name
from tests.codemod.support import port_and_check

MODEL = """
  class Model(nn.Module):
    width: int

    @nn.compact
    def __call__(self, batch):
      rgb = batch["rgb"]
      rgb = jnp.sign(rgb) * jnp.log1p(jnp.abs(rgb))
      x = nn.relu(nn.Dense(self.width)(rgb))
      return nn.Dense(3)(jnp.concatenate([rgb, x, batch["state"]], axis=-1))
  """


def test_items_of_a_dict_have_sizes_as_arguments_have(tmp_path):
  ported = port_and_check(
    tmp_path,
    MODEL,
    "Model(7), {'rgb': x(2, 5), 'state': x(2, 11)}",
    held_out=["Model(3), {'rgb': x(2, 2), 'state': x(2, 3)}"],
  )
  assert "self.dense = nnx.Linear(rgb_features, self.width, rngs=rngs)" in ported.text
  assert "rgb_features + self.width + state_features" in ported.text


def test_a_dict_that_is_bound_again_is_another(tmp_path):
  source = MODEL.replace(
    'rgb = batch["rgb"]\n', 'batch = {k: v[..., :2] for k, v in batch.items()}\n      rgb = batch["rgb"]\n', 1
  )
  ported = port_and_check(tmp_path, source, "Model(7), {'rgb': x(2, 5), 'state': x(2, 11)}")
  assert "nnx.Linear(rgb_features + self.width" not in ported.text


@pytest.mark.parametrize(
  ("parameter", "short", "name"),
  [
    ("batch", "features", ""),
    ("batch_AT_rgb", "features", "rgb_features"),
    ("batch_AT_float_features", "features", "float_features"),
    ("batch_AT_rgb", "height", "rgb_height"),
  ],
)
def test_names_of_such_sizes(parameter, short, name):
  assert item_size_name(parameter, short) == name
