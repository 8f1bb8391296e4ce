"""Proof of a converted checkpoint, and what it catches."""

from __future__ import annotations

import json

import jax
import orbax.checkpoint as ocp
import pytest

from migrate.checkpoint.detect import open_checkpoint
from migrate.core.declare import ModelMapping, move
from migrate.core.ops import Stack
from migrate.core.paths import show
from migrate.core.report import MigrateError
from migrate.workflows.convert import convert
from migrate.workflows.verify_checkpoint import verify_checkpoint
from tests.workflows.small import MAPPING, equal, fields, save, trained

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("form", ["orbax", "npz"])
def test_conversion_is_proven(tmp_path, form):
  source = save(tmp_path / "linen", fields(trained()))
  convert(source, tmp_path / "nnx", MAPPING, format=form, checksum=True, copy=True)
  for against in (None, source):
    found = verify_checkpoint(tmp_path / "nnx", against)
    assert found.proven, found.findings
    assert found.compared == len(jax.tree.leaves(fields(trained())))


def test_leaves_by_reference_are_proven_against_the_source_or_by_checksums(tmp_path):
  source = save(tmp_path / "linen", fields(trained()))
  convert(source, tmp_path / "nnx", MAPPING)
  found = verify_checkpoint(tmp_path / "nnx")
  assert not found.proven
  assert "params/head/bias" in found.unread
  assert verify_checkpoint(tmp_path / "nnx", source).proven
  convert(source, tmp_path / "summed", MAPPING, checksum=True)
  assert verify_checkpoint(tmp_path / "summed").proven


def test_every_leaf_has_a_checksum_or_an_origin(tmp_path):
  source = save(tmp_path / "linen", fields(trained()))
  for options in ({}, {"copy": True}, {"checksum": True}, {"copy": True, "checksum": True}):
    convert(source, tmp_path / "nnx", MAPPING, overwrite=True, **options)
    manifest = json.loads((tmp_path / "nnx" / "linen2nnx.json").read_text())
    leaves = {show(p) for p in open_checkpoint(source).leaves}
    origins = {name for names in manifest["references"].values() for name in names}
    assert set(manifest["sha256"]) | origins == leaves
    assert set(manifest["unread"]) == leaves - set(manifest["sha256"])
    if options.get("checksum"):
      assert set(manifest["sha256"]) == leaves
    assert set(manifest["references"]) <= {show(p) for p in open_checkpoint(tmp_path / "nnx").leaves}
    assert manifest["references"]["model/conv/kernel/value"] == ["params/Conv_0/kernel"]


def test_joined_leaves_name_all_that_they_were_made_of(tmp_path):
  params = {f"l_{i}": {"k": jax.numpy.full((2, 3), i)} for i in range(11)}
  source = save(tmp_path / "linen", {"params": params})
  convert(source, tmp_path / "nnx", ModelMapping((move("params/l_{i}/k", "k", Stack()),)))
  manifest = json.loads((tmp_path / "nnx" / "linen2nnx.json").read_text())
  assert manifest["references"] == {"model/k/value": [f"params/l_{i}/k" for i in range(11)]}
  assert verify_checkpoint(tmp_path / "nnx", source).compared == 11
  convert(tmp_path / "nnx", tmp_path / "back", to="linen")
  with ocp.StandardCheckpointer() as c:
    equal(c.restore(tmp_path / "back"), {"params": params})


def test_changed_leaf_is_named(tmp_path):
  source = save(tmp_path / "linen", fields(trained()))
  convert(source, tmp_path / "nnx", MAPPING, checksum=True, copy=True)
  with ocp.StandardCheckpointer() as c:
    tree = c.restore(tmp_path / "nnx")
    manifest = (tmp_path / "nnx" / "linen2nnx.json").read_text()
    tree["model"]["head"]["bias"]["value"] += 1e-6
    c.save(tmp_path / "nnx", tree, force=True)
  (tmp_path / "nnx" / "linen2nnx.json").write_text(manifest)
  for against in (None, source):
    found = verify_checkpoint(tmp_path / "nnx", against)
    assert [f.where for f in found.findings] == ["params/head/bias"]


def test_without_a_manifest_there_is_nothing_to_prove(tmp_path):
  source = save(tmp_path / "linen", fields(trained()))
  convert(source, tmp_path / "nnx", MAPPING)
  (tmp_path / "nnx" / "linen2nnx.json").unlink()
  with pytest.raises(MigrateError, match="no manifest"):
    verify_checkpoint(tmp_path / "nnx")


def test_damaged_manifest_is_an_error(tmp_path):
  source = save(tmp_path / "linen", fields(trained()))
  convert(source, tmp_path / "nnx", MAPPING, checksum=True, copy=True)
  place = tmp_path / "nnx" / "linen2nnx.json"
  good = json.loads(place.read_text())
  for bad in ("", "[]", json.dumps({**good, "plan": 3}), json.dumps({**good, "sha256": {}}), "[" * 100_000):
    place.write_text(bad)
    with pytest.raises(MigrateError):
      verify_checkpoint(tmp_path / "nnx")
