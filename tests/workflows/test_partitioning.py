"""Linen's partitioning boxes become metadata of NNX Variables, and boxes again."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from flax import nnx

import migrate
from migrate.core.declare import ModelMapping, move
from migrate.core.ops import Concatenate, Transpose, Unstack
from migrate.core.report import MigrateError
from tests.workflows.small import save

INIT = nn.initializers.lecun_normal()
KINDS = {
  "mesh": nn.with_partitioning(INIT, ("x", None)),
  "logical": nn.with_logical_partitioning(INIT, ("embed", "mlp")),
  "rules": nn.with_logical_partitioning(INIT, ("embed", "mlp"), rules=(("embed", "x"),)),
}


class Layer(nn.Module):
  kind: str

  @nn.compact
  def __call__(self, x, _):
    return nn.Dense(4, kernel_init=KINDS[self.kind], name="dense")(x), None


class Linen(nn.Module):
  kind: str

  @nn.compact
  def __call__(self, x):
    scanned = nn.scan(
      Layer,
      variable_axes={"params": 0},
      split_rngs={"params": True},
      length=3,
      metadata_params={nn.PARTITION_NAME: "layers"},
    )
    x, _ = scanned(self.kind, name="layers")(x, None)
    return nn.Dense(2, kernel_init=KINDS[self.kind], name="head")(x)


class Stacked(nnx.Module):
  def __init__(self, rngs):
    self.layers = nnx.Dict(dense=nnx.vmap(lambda r: nnx.Linear(4, 4, rngs=r))(rngs.fork(split=3)))
    self.head = nnx.Linear(4, 2, rngs=rngs)


class Listed(nnx.Module):
  def __init__(self, rngs):
    self.layers = nnx.List([nnx.Linear(4, 4, rngs=rngs) for _ in range(3)])
    self.head = nnx.Linear(4, 2, rngs=rngs)


UNSTACKED = ModelMapping((move("params/layers/dense/{leaf}", "layers/{i}/{leaf}", Unstack()),))
pytestmark = pytest.mark.filterwarnings("ignore:The 'split' argument:DeprecationWarning")


def boxes(kind):
  return Linen(kind).init(jax.random.key(0), jnp.ones((1, 4)))


def names(tree):
  is_box = lambda x: isinstance(x, nn.Partitioned)
  found = jax.tree_util.tree_flatten_with_path(tree, is_leaf=is_box)[0]
  return {jax.tree_util.keystr(p): (type(x).__name__, getattr(x, "names", None)) for p, x in found}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("cls", "mapping"), [(Stacked, None), (Listed, UNSTACKED)])
def test_boxes_there_and_back(kind, cls, mapping):
  variables = boxes(kind)
  model = migrate.to_nnx(variables, cls(nnx.Rngs(0)), mapping, partitioning=True)
  first = variables["params"]["head"]["kernel"]
  assert model.head.kernel.get_metadata()["out_sharding"] == first.names
  assert "out_sharding" not in model.head.bias.get_metadata()
  back = migrate.to_linen(model, mapping, partitioning=True)
  theirs, mine = names(variables), names(back)
  if cls is Listed:  # the axis of the layers was taken away with its name
    theirs = {k: (t, n if n is None or len(n) < 3 else (None, *n[1:])) for k, (t, n) in theirs.items()}
  assert mine == theirs
  assert getattr(back["params"]["head"]["kernel"], "rules", None) == getattr(first, "rules", None)
  for one, other in zip(jax.tree.leaves(variables), jax.tree.leaves(back), strict=True):
    np.testing.assert_array_equal(one, other)
  assert names(migrate.to_linen(model, mapping)) == dict.fromkeys(theirs, ("ArrayImpl", None))


def test_the_axis_of_the_layers_has_its_name():
  model = migrate.to_nnx(boxes("logical"), Stacked(nnx.Rngs(0)), partitioning=True)
  assert model.layers["dense"].kernel.get_metadata()["out_sharding"] == ("layers", "embed", "mlp")
  listed = migrate.to_nnx(boxes("logical"), Listed(nnx.Rngs(0)), UNSTACKED, partitioning=True)
  assert listed.layers[2].kernel.get_metadata()["out_sharding"] == ("embed", "mlp")


def test_names_follow_transposed_and_joined_axes():
  box = lambda a, b: nn.Partitioned(jnp.ones((4, 3)), names=(a, b))

  class Fused(nnx.Module):
    def __init__(self):
      self.turned, self.joined, self.odd = (nnx.Param(jnp.ones(s)) for s in ((3, 4), (4, 6), (4, 6)))

  tree = {n: box("x", "y") for n in "abc"} | {"d": box("x", "y"), "e": box("y", "x")}
  mapping = ModelMapping(
    (
      move("params/a", "turned", Transpose()),
      move(["params/b", "params/c"], "joined", Concatenate()),
      move(["params/d", "params/e"], "odd", Concatenate()),
    )
  )
  model = migrate.to_nnx({"params": tree}, Fused(), mapping, partitioning=True)
  assert model.turned.get_metadata()["out_sharding"] == ("y", "x")
  assert model.joined.get_metadata()["out_sharding"] == ("x", "y")
  assert "out_sharding" not in model.odd.get_metadata()


def test_an_annotation_of_the_model_is_not_overwritten():
  model = Stacked(nnx.Rngs(0))
  model.head.kernel.set_metadata(out_sharding=("mlp", "embed"))
  with pytest.raises(MigrateError, match="is annotated") as caught:
    migrate.to_nnx(boxes("logical"), model, partitioning=True)
  assert [f.rule for f in caught.value.findings] == ["L2N231"]
  assert "out_sharding" not in model.layers["dense"].kernel.get_metadata()
  migrate.to_nnx(boxes("logical"), model)
  assert model.head.kernel.get_metadata()["out_sharding"] == ("mlp", "embed")


def test_annotated_variables_and_their_moments_are_sharded_over_a_mesh():
  mesh = jax.make_mesh((1, 1), ("layers", "x"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
  with jax.set_mesh(mesh):
    model = migrate.to_nnx(boxes("mesh"), Stacked(nnx.Rngs(0)), partitioning=True)
    optimizer = nnx.Optimizer(model, optax.adam(0.1), wrt=nnx.Param)
    specs = nnx.get_partition_spec(nnx.state(model))
    assert specs["head"]["kernel"].get_value() == jax.sharding.PartitionSpec("x", None)
    moment = optimizer.opt_state[0].mu["head"]["kernel"]
    assert moment.get_metadata()["out_sharding"] == ("x", None)


def test_a_linen_program_with_boxes_restores_what_is_saved(tmp_path):
  import orbax.checkpoint as ocp

  variables = boxes("logical")
  model = migrate.to_nnx(variables, Stacked(nnx.Rngs(0)), partitioning=True)
  migrate.save_linen(tmp_path / "linen", model, partitioning=True)
  with ocp.StandardCheckpointer() as checkpointer:
    found = checkpointer.restore(tmp_path / "linen", variables)
  assert names(found) == names(variables)
  for one, other in zip(jax.tree.leaves(variables), jax.tree.leaves(found), strict=True):
    np.testing.assert_array_equal(one, other)
  again = migrate.restore(save(tmp_path / "again", variables), Stacked(nnx.Rngs(1)))
  np.testing.assert_array_equal(again.head.kernel[...], variables["params"]["head"]["kernel"].value)
