"""Names of sizes of inputs that come in dicts and tuples."""

from __future__ import annotations

from tests.codemod.support import port_and_check

MODEL = """
class Model(nn.Module):
  def setup(self):
    self.last = nn.Dense(3)

  @nn.compact
  def __call__(self, batch):
    {lines}
    return y + self.last({last})
"""


def test_item_of_a_dict_gives_its_key_to_the_size(tmp_path):
  source = MODEL.format(lines='y = nn.Dense(3)(batch["image"].astype(jnp.float32))', last='batch["state"]')
  ported = port_and_check(
    tmp_path,
    source,
    'Model(), {"image": x(2, 5), "state": x(2, 7)}',
    held_out=['Model(), {"image": x(2, 6), "state": x(2, 4)}'],
  )
  assert ported.sizes("Model") == ["state_features", "image_features"]


def test_local_that_a_tuple_was_taken_apart_into_names_the_size(tmp_path):
  source = MODEL.format(lines="obs, state = batch\n    y = nn.Dense(3)(obs)", last="state")
  ported = port_and_check(tmp_path, source, "Model(), (x(2, 5), x(2, 7))", held_out=["Model(), (x(2, 6), x(2, 4))"])
  assert ported.sizes("Model") == ["obs_features", "state_features"]


def test_local_that_was_computed_names_nothing(tmp_path):
  source = MODEL.format(
    lines="obs, state = batch\n    seen = jnp.cumsum(obs[:, ::3], -1)\n    y = nn.Dense(3)(seen)", last="state"
  )
  ported = port_and_check(tmp_path, source, "Model(), (x(2, 12), x(2, 7))")
  assert sorted(ported.sizes("Model")) == ["dense_in_features", "state_features"]


def test_function_that_makes_layers_for_an_item(tmp_path):
  source = """
    def encoder(width):
      return nn.Dense(width)

    class Model(nn.Module):
      width: int = 4

      @nn.compact
      def __call__(self, batch):
        image, state = batch
        return encoder(self.width)(image) + encoder(self.width)(state)
    """
  port_and_check(tmp_path, source, "Model(), (x(2, 5), x(2, 7))", held_out=["Model(), (x(2, 6), x(2, 9))"])


def test_field_that_holds_the_module_before_gives_its_name_to_the_size(tmp_path):
  source = """
    class Encoder(nn.Module):
      @nn.compact
      def __call__(self, x):
        return jnp.concatenate([nn.Dense(4)(x), nn.Dense(3)(x)], -1)


    class Model(nn.Module):
      encoder: nn.Module

      @nn.compact
      def __call__(self, x):
        x = self.encoder(x)
        x = nn.LayerNorm()(x)
        return nn.Dense(3)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(Encoder()), x(2, 5)", held_out=["Model(Encoder()), x(2, 6)"])
  assert ported.sizes("Model") == ["encoder_features"]
  assert "nnx.LayerNorm(encoder_features, rngs=rngs)" in ported.text
  assert "nnx.Linear(encoder_features, 3, rngs=rngs)" in ported.text  # what a norm returns is as wide


def test_what_follows_the_module_names_the_size_after_the_layer(tmp_path):
  source = """
    class Encoder(nn.Module):
      @nn.compact
      def __call__(self, x):
        return jnp.concatenate([nn.Dense(4)(x), nn.Dense(3)(x)], -1)


    class Model(nn.Module):
      encoder: nn.Module

      @nn.compact
      def __call__(self, x):
        x = self.encoder(x)
        x = jnp.fft.rfft(x).real
        return nn.Dense(3)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(Encoder()), x(2, 5)", held_out=["Model(Encoder()), x(2, 6)"])
  assert "encoder_features" not in ported.text
