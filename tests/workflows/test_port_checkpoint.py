"""`port --checkpoint` from end to end: what plain Orbax restores, and checkpoints that do not fit."""

from __future__ import annotations

import importlib.util
import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax import nnx

from migrate import cli
from migrate.workflows.port_files import importing
from tests.workflows.small import save

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SOURCE = '''
import flax.linen as nn
import jax
import jax.numpy as jnp

import migrate


class Tiny(nn.Module):
  """Has a mask that it makes, and positions that no call looks up."""

  features: int

  def setup(self):
    self.causal_mask = jnp.tril(jnp.ones((3, 3)))
    self.dense = nn.Dense(self.features)
    self.positions = nn.Embed(5, self.features)

  def __call__(self, x, where=None):
    if where is not None:
      x = x + self.positions(where)
    return self.causal_mask @ self.dense(x)


class Strange(nn.Module):
  @nn.compact
  def __call__(self, x):
    class Inner(nn.Module):
      @nn.compact
      def __call__(self, x):
        return nn.Dense(3)(x)

    return Inner()(x)


def tiny():
  return migrate.Example(Tiny(4), (jax.ShapeDtypeStruct((3, 2), "float32"),))


def strange():
  return migrate.Example(Strange(), (jax.ShapeDtypeStruct((3, 2), "float32"),))
'''
TX = optax.adamw(1e-2)
X = jnp.ones((3, 2))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
  """A folder with the source and a checkpoint; and the training state, and a step of it."""
  folder = tmp_path_factory.mktemp("tiny")
  name = "tiny_of_port_checkpoint"
  (folder / f"{name}.py").write_text(SOURCE)
  spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
  module = sys.modules[name] = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  model = module.Tiny(4)

  def step(params, opt_state):
    loss, grads = jax.value_and_grad(lambda p: (model.apply({"params": p}, X) ** 2).mean())(params)
    updates, opt_state = TX.update(grads, opt_state, params)
    return optax.apply_updates(params, updates), opt_state, float(loss)

  params = model.init(jax.random.key(0), X)["params"]
  opt_state = TX.init(params)
  for _ in range(3):
    params, opt_state, _ = step(params, opt_state)
  save(folder / "linen", {"params": params, "opt_state": opt_state, "step": 3})
  yield folder, params, opt_state, step
  del sys.modules[name]


def port(folder, out, checkpoint, example="tiny", *more):
  file = f"{folder / 'tiny_of_port_checkpoint.py'}:{example}"
  argv = ["port", file, "--out", str(out), "--checkpoint", str(checkpoint), "--checkpoint-out", str(out) + "-ckpt"]
  return cli.main([*argv, *more])


def test_plain_orbax_restores_the_live_state_and_training_goes_on(trained, tmp_path, capsys):
  folder, params, opt_state, step = trained
  code = port(folder, tmp_path / "out", folder / "linen")
  shown = capsys.readouterr()
  assert code == 0, shown.out + shown.err
  assert "causal_mask" in shown.out
  assert "positions" in shown.out
  with importing(tmp_path / "out") as load:
    model = load("ported").build_tiny(nnx.Rngs(7))
  optimizer = nnx.Optimizer(model, TX, wrt=nnx.Param)
  live = {"model": nnx.state(model, nnx.Not(nnx.RngState)), "optimizer": nnx.state(optimizer)}
  assert any(p[-1] == "causal_mask" for p, _ in nnx.to_flat_state(live["model"]))
  with ocp.StandardCheckpointer() as c:
    found = c.restore(tmp_path / "out-ckpt", jax.tree.map(ocp.utils.to_shape_dtype_struct, live))
  nnx.update(model, found["model"])
  nnx.update(optimizer, found["optimizer"])
  np.testing.assert_array_equal(model.causal_mask, np.tril(np.ones((3, 3))))
  assert np.asarray(model.positions.embedding).std() > 0.1
  for _ in range(2):
    loss, grads = nnx.value_and_grad(lambda m: (m(X) ** 2).mean())(model)
    optimizer.update(model, grads)
    params, opt_state, wanted = step(params, opt_state)
    np.testing.assert_allclose(loss, wanted, rtol=1e-6)


def test_where_nothing_was_ported_the_report_is_left(trained, tmp_path, capsys):
  folder = trained[0]
  assert port(folder, tmp_path / "out", folder / "linen", "strange") == 1
  assert not (tmp_path / "out-ckpt").exists()
  report = json.loads((tmp_path / "out" / "report.json").read_text())
  assert report["ok"] is False
  assert report["checkpoint"] is None
  said = [f["found"] for f in report["findings"]]
  assert any("no example was ported" in s for s in said)
  assert any("made anew in every call" in f["found"] for f in report["findings"]), report["findings"]
  assert "no example was ported" in " ".join(capsys.readouterr().out.split())


def lacks_a_leaf(params):
  return {"dense": {"kernel": params["dense"]["kernel"]}}


def other_shape(params):
  return {"dense": {"kernel": jnp.ones((7, 4)), "bias": params["dense"]["bias"]}}


@pytest.mark.parametrize(("spoil", "named"), [(lacks_a_leaf, "dense/bias"), (other_shape, "dense/kernel")])
def test_a_checkpoint_that_does_not_fit(trained, tmp_path, capsys, spoil, named):
  folder, params, _, _ = trained
  bad = spoil(params)
  save(tmp_path / "bad", {"params": bad, "opt_state": TX.init(bad), "step": 3})
  assert port(folder, tmp_path / "out", tmp_path / "bad") == 1
  shown = capsys.readouterr()
  assert named in shown.out
  assert "Traceback" not in shown.out + shown.err
  assert len(shown.out.splitlines()) < 60
  report = json.loads((tmp_path / "out" / "report.json").read_text())
  assert report["ok"] is False
  assert report["examples"][0]["verdict"] in ("identical", "equal")
  assert any(named in f["where"] for f in report["findings"])
  assert sorted(p.name for p in tmp_path.iterdir()) == ["bad", "out"]
