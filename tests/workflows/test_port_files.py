"""Ported files, written and imported for a while."""

import sys

import numpy as np

from migrate.workflows.port_files import importing, prelude, write_files


def test_files_and_arrays_are_written(tmp_path):
  write_files(tmp_path, {"pkg/a.py": "x = 1\n"}, {"mask": np.arange(3)})
  assert (tmp_path / "pkg/a.py").read_text() == "x = 1\n"
  assert np.load(tmp_path / "ported_values.npz")["mask"].tolist() == [0, 1, 2]


def test_no_file_of_values_without_arrays(tmp_path):
  write_files(tmp_path, {}, {})
  assert not (tmp_path / "ported_values.npz").exists()


def test_modules_of_the_folder_are_forgotten(tmp_path):
  (tmp_path / "only_here_for_a_while.py").write_text("x = 2\n")
  before = list(sys.path)
  with importing(tmp_path) as load:
    assert load("only_here_for_a_while").x == 2
  assert "only_here_for_a_while" not in sys.modules
  assert sys.path == before
  assert not list(tmp_path.rglob("*.pyc"))


def test_overlay_finds_ported_files_before_the_originals(tmp_path, monkeypatch):
  original, ported = tmp_path / "original", tmp_path / "ported"
  for folder, value in ((original, 1), (ported, 2)):
    (folder / "overlaid_pkg").mkdir(parents=True)
    (folder / "overlaid_pkg/model.py").write_text(f"value = {value}\n")
  (original / "overlaid_pkg/__init__.py").write_text("")
  (original / "overlaid_pkg/other.py").write_text("value = 3\n")
  text = prelude(
    '"""Builds."""\n\nfrom overlaid_pkg import model, other\n', {"overlaid_pkg.model": "overlaid_pkg/model.py"}
  )
  (ported / "ported.py").write_text(text)
  monkeypatch.syspath_prepend(str(original))
  finders = list(sys.meta_path)
  try:
    with importing(ported) as load:
      built = load("ported")
      assert (built.model.value, built.other.value) == (2, 3)
  finally:
    sys.meta_path[:] = finders
    for name in [n for n in sys.modules if n.startswith("overlaid_pkg")]:
      del sys.modules[name]
