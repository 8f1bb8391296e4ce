"""Files of a port: written, imported for a while, and found before the originals."""

from __future__ import annotations

import ast
import subprocess
import sys

import numpy as np
import pytest

from migrate.workflows.port_files import importing, prelude, write_files


def test_files_in_folders_and_arrays(tmp_path):
  write_files(tmp_path, {"pkg/a.py": "A = 'ü'\n", "b.py": "B = 2\n"}, {"w": np.arange(3)})
  assert (tmp_path / "pkg" / "a.py").read_text(encoding="utf-8") == "A = 'ü'\n"
  with np.load(tmp_path / "ported_values.npz") as values:
    np.testing.assert_array_equal(values["w"], [0, 1, 2])


def test_no_arrays_no_file(tmp_path):
  write_files(tmp_path, {"a.py": ""}, {})
  assert [p.name for p in tmp_path.iterdir()] == ["a.py"]


def test_modules_are_forgotten_afterwards(tmp_path):
  write_files(tmp_path, {"port_files_pkg/__init__.py": "", "port_files_pkg/m.py": "X = 1\n"}, {})
  path = list(sys.path)
  with importing(tmp_path) as load:
    assert load("port_files_pkg.m").X == 1
  assert not [m for m in sys.modules if m.startswith("port_files_pkg")]
  assert sys.path == path


def test_modules_are_forgotten_after_an_error(tmp_path):
  write_files(tmp_path, {"port_files_bad.py": "raise ValueError('bad')\n"}, {})
  with pytest.raises(ValueError, match="bad"), importing(tmp_path) as load:
    load("port_files_bad")
  assert "port_files_bad" not in sys.modules


def test_two_folders_with_one_name_do_not_mix(tmp_path):
  for i in (1, 2):
    write_files(tmp_path / str(i), {"port_files_same.py": f"X = {i}\n"}, {})
  found = []
  for i in (1, 2):
    with importing(tmp_path / str(i)) as load:
      found.append(load("port_files_same").X)
  assert found == [1, 2]


def test_no_byte_code_is_left(tmp_path):
  write_files(tmp_path, {"port_files_code.py": "X = 1\n"}, {})
  with importing(tmp_path) as load:
    load("port_files_code")
  assert not list(tmp_path.rglob("*.pyc"))


PORTED = (
  '"""Makes the models."""\n\nfrom flax import nnx\nfrom pkg.model import NAME\n\n\ndef build_f(rngs):\n  return NAME\n'
)


def test_overlay_is_found_before_the_original(tmp_path):
  write_files(
    tmp_path / "old",
    {"pkg/__init__.py": "", "pkg/model.py": "NAME = 'old'\n", "pkg/rest.py": "NAME = 'rest'\n"},
    {},
  )
  text = prelude(PORTED, {"pkg.model": "pkg/model.py"})
  ast.parse(text)
  write_files(
    tmp_path / "new", {"pkg/model.py": "from .rest import NAME as R\nNAME = 'new, ' + R\n", "ported.py": text}, {}
  )
  code = "import ported; print(ported.build_f(None))"
  path = f"{tmp_path / 'new'}:{tmp_path / 'old'}"
  ran = subprocess.run(
    [sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True, check=True
  )
  assert ran.stdout.strip() == "new, rest"


def test_prelude_keeps_the_docstring_first():
  assert ast.get_docstring(ast.parse(prelude(PORTED, {}))) == "Makes the models."
