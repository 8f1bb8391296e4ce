"""Checkpoints in an object store: moto's S3 server on loopback stands for it."""

from __future__ import annotations

import json

import numpy as np
import orbax.checkpoint as ocp
import pytest

from migrate.checkpoint.detect import open_checkpoint
from migrate.checkpoint.orbax import write_orbax
from migrate.checkpoint.remote import RemotePath, kvstore, place_of
from migrate.checkpoint.upload import WRITING
from migrate.cli import main
from migrate.core.declare import ModelMapping, move
from migrate.core.ops import Transpose
from migrate.core.report import MigrateError
from migrate.workflows.convert import convert
from migrate.workflows.mapping import save_mapping
from migrate.workflows.verify_checkpoint import verify_checkpoint

MAPPING = ModelMapping((move("params/turned", "turned", Transpose()),))


def state():
  params = {"same": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3)}, "turned": np.ones((2, 3), np.float32)}
  moments = {"count": np.array(7, np.int32), "mu": params, "nu": params}
  return {"params": params, "opt_state": [moments, None], "step": 7}


def upload(folder, place):
  for file in sorted(p for p in folder.rglob("*") if p.is_file()):
    (place / str(file.relative_to(folder))).write_bytes(file.read_bytes())


def download(place, folder):
  for key in place.names():
    (folder / key).parent.mkdir(parents=True, exist_ok=True)
    (folder / key).write_bytes((place / key).read_bytes())


def test_there_and_back(bucket, tmp_path):
  write_orbax(tmp_path / "linen", state())
  upload(tmp_path / "linen", place_of(f"{bucket}/runs/7/default"))
  done = convert(f"{bucket}/runs", f"{bucket}/nnx", MAPPING)
  assert done.step == 7
  assert "every leaf was written: an object store does not link" in done.notes
  assert verify_checkpoint(f"{bucket}/nnx", f"{bucket}/runs").proven
  place = place_of(f"{bucket}/nnx")
  assert {"_METADATA", "commit_success.txt", "manifest.ocdbt", "linen2nnx.json"} <= set(place.names())
  assert WRITING not in place.names()
  # Orbax, which reads s3:// not at all, restores the same objects from a disk
  download(place, tmp_path / "nnx")
  with ocp.StandardCheckpointer() as checkpointer:
    found = checkpointer.restore(tmp_path / "nnx")
  np.testing.assert_array_equal(found["model"]["same"]["kernel"]["value"], state()["params"]["same"]["kernel"])
  assert found["model"]["turned"]["value"].shape == (3, 2)
  convert(f"{bucket}/nnx", tmp_path / "back", to="linen")
  assert verify_checkpoint(tmp_path / "nnx", tmp_path / "back").proven


def test_commands(bucket, tmp_path, capsys):
  write_orbax(tmp_path / "linen", state())
  save_mapping(MAPPING, tmp_path / "mapping.json")
  upload(tmp_path / "linen", place_of(f"{bucket}/linen"))
  mapping = ["--mapping", str(tmp_path / "mapping.json")]
  assert main(["inspect", f"{bucket}/linen"]) == 0
  assert "8 leaves" in capsys.readouterr().out
  assert main(["plan", f"{bucket}/linen", *mapping]) == 0
  assert main(["convert", str(tmp_path / "linen"), f"{bucket}/nnx", *mapping]) == 0
  assert main(["verify-checkpoint", f"{bucket}/nnx", "--against", str(tmp_path / "linen"), "--json", "-"]) == 0
  assert json.loads(capsys.readouterr().out.partition("{")[2].join(["{", ""]))["proven"]
  assert main(["convert", str(tmp_path / "linen"), f"{bucket}/nnx", *mapping]) == 1
  assert "exists" in capsys.readouterr().err
  assert main(["convert", str(tmp_path / "linen"), f"{bucket}/nnx", *mapping, "--overwrite"]) == 0
  assert main(["convert", f"{bucket}/linen", str(tmp_path / "local"), *mapping]) == 0
  assert main(["verify-checkpoint", str(tmp_path / "local"), "--against", str(tmp_path / "linen")]) == 0


def test_restore_and_save_linen(bucket, tmp_path):
  import jax.numpy as jnp
  from flax import nnx

  from migrate.workflows.restore import restore, save_linen

  class Model(nnx.Module):
    def __init__(self):
      self.weight = nnx.Param(jnp.zeros((2, 3)))

  model = Model()
  model.weight.set_value(jnp.arange(6.0).reshape(2, 3))
  save_linen(f"{bucket}/linen", model)
  other = restore(f"{bucket}/linen", Model())
  np.testing.assert_array_equal(other.weight[...], model.weight[...])
  with pytest.raises(MigrateError, match="exists"):
    save_linen(f"{bucket}/linen", model)
  with pytest.raises(MigrateError, match="one process"):
    save_linen(f"{bucket}/linen.npz", model, format="npz")


def test_one_file_is_refused(bucket, tmp_path):
  (place_of(bucket) / "x.npz").write_bytes(b"PK")
  with pytest.raises(MigrateError, match="one file in an object store"):
    open_checkpoint(f"{bucket}/x.npz")
  write_orbax(tmp_path / "linen", state())
  with pytest.raises(MigrateError, match="one file in an object store"):
    convert(tmp_path / "linen", f"{bucket}/y.npz", MAPPING)
  with pytest.raises(MigrateError, match="no such folder"):
    open_checkpoint(f"{bucket}/none")


def test_a_bucket_that_is_not_there_is_an_error(bucket):
  with pytest.raises(MigrateError, match="check the address"):
    open_checkpoint("s3://there-is-no-such-bucket/x")


@pytest.mark.parametrize("address", ["http://host/x", "s3://", "s3:///x", "gs://bucket/../x", "az://c/x"])
def test_other_addresses_are_refused(address):
  with pytest.raises(MigrateError, match="gs://BUCKET/PATH"):
    place_of(address)


def test_specs(monkeypatch, tmp_path):
  for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_REGION", "AWS_DEFAULT_REGION"):
    monkeypatch.delenv(name, raising=False)
  assert kvstore(place_of(tmp_path)) == {"driver": "file", "path": f"{tmp_path}/"}
  found = kvstore(place_of("gs://bucket/a/b/"))
  assert (found["driver"], found["bucket"], found["path"]) == ("gcs", "bucket", "a/b/")
  assert "endpoint" not in kvstore(place_of("s3://bucket/a"))
  monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
  assert kvstore(place_of("s3://bucket"))["endpoint"] == "http://127.0.0.1:1"
  assert str(RemotePath("gs", "b", "x") / "y") == "gs://b/x/y"
