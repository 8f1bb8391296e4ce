"""Ported files before the original ones."""

import sys

import jax
import pytest

from migrate.core.report import MigrateError
from migrate.verify import imports


@pytest.fixture
def places(tmp_path, monkeypatch):
  """A package whose two modules say where they are, and an overlay of one of them."""
  site, over = tmp_path / "site", tmp_path / "over"
  written = {site: ("__init__", "one", "two", "sub/__init__", "sub/three"), over: ("one", "sub/__init__")}
  for folder, files in written.items():
    for file in files:
      path = folder / "l2n_pack" / f"{file}.py"
      path.parent.mkdir(parents=True, exist_ok=True)
      path.write_text(f"WHERE = {folder.name!r}\n")
  monkeypatch.setattr(sys, "path", [str(site), *sys.path])
  monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
  yield over
  for name in [n for n in sys.modules if n.startswith("l2n_pack")]:
    del sys.modules[name]


def test_overlay_takes_what_it_has_and_leaves_the_rest(places):
  imports.enter_ported(places, "overlay")
  import l2n_pack  # type: ignore[import-not-found]
  import l2n_pack.one  # type: ignore[import-not-found]
  import l2n_pack.sub.three  # type: ignore[import-not-found]
  import l2n_pack.two  # type: ignore[import-not-found]

  found = [m.WHERE for m in (l2n_pack, l2n_pack.one, l2n_pack.two, l2n_pack.sub, l2n_pack.sub.three)]
  assert found == ["site", "over", "site", "over", "site"]


def test_no_ported_file(tmp_path):
  with pytest.raises(MigrateError, match="no such file"):
    imports.load_build(tmp_path, "build_x")


def test_ported_file_that_does_not_import(tmp_path):
  (tmp_path / "ported.py").write_text("x = 1\nraise KeyError('y')\n")
  with pytest.raises(MigrateError, match=r"KeyError.*\n(.*\n)*.*ported.py:2"):
    imports.load_build(tmp_path, "build_x")
  sys.modules.pop("ported", None)


def test_configuration_is_carried():
  before = imports.jax_config()
  assert imports.changed_config(before, before) == {}
  jax.config.update("jax_default_matmul_precision", "highest")
  try:
    changes = imports.changed_config(before, imports.jax_config())
  finally:
    jax.config.update("jax_default_matmul_precision", None)
  assert changes == {"jax_default_matmul_precision": "highest"}
  imports.apply_config({"no_such_option": 1})
