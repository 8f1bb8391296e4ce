"""Checkpoints of a dict with a training state in it."""

import pytest

from tests.codemod.training.programs import left, rewritten
from tests.codemod.training.running import DATA, check_same

CREATE = """
def create():
  model = Plain(features=3)
  params = model.init(jax.random.key(0), jnp.ones((1, 7)))["params"]
  return train_state.TrainState.create(apply_fn=model.apply, params=params, tx=optax.adam(0.1))
def step(state, x):
  loss, grads = jax.value_and_grad(lambda p: (state.apply_fn({"params": p}, x) ** 2).mean())(state.params)
  return state.apply_gradients(grads=grads), loss
"""


def test_checkpoint_of_a_dict_with_the_state(tmp_path):
  text = check_same(
    f"""
import orbax.checkpoint as ocp
from flax.training import orbax_utils
{CREATE}
def main():
  state = create()
  state, loss = step(state, data()[0])
  tree = {{"state": state, "config": {{"rate": 0.1}}}}
  ocp.PyTreeCheckpointer().save({str(tmp_path / "x")!r}, tree, save_args=orbax_utils.save_args_from_target(tree), force=True)
  return loss, ocp.PyTreeCheckpointer().restore({str(tmp_path / "x")!r})["config"]
"""
  )
  assert (
    '  tree = {"state": {"model": nnx.state(model, nnx.Not(nnx.RngState)), "optimizer": nnx.state(optimizer)}, "config"'
    in text
  )


@pytest.mark.parametrize(
  ("lines", "said"),
  [
    ("  state, loss = step(state, data()[0])\n  ocp.PyTreeCheckpointer().save('x', tree)", "updated since"),
    ("  state = ocp.PyTreeCheckpointer().restore('x', item=tree)['state']", "restored inside a dict"),
    ("  return tree['state']", "out of a dict"),
  ],
)
def test_state_in_a_dict_is_not_lost(lines, said):
  result = rewritten(
    f"{DATA}import orbax.checkpoint as ocp\n{CREATE}\ndef main():\n  state = create()\n  tree = {{'state': state}}\n{lines}\n"
  )
  assert any(said in text for text in left(result)), (left(result), result.texts)
  assert "def main():\n  state = create()\n" in result.texts.get("train", "def main():\n  state = create()\n")
