"""What a file has to do with Flax, by its text alone."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.codemod.scan import importing, linen_classes, module_name, scan, scan_text, skipped_lines


def test_files_without_flax_are_not_parsed(tmp_path):
  file = tmp_path / "a.py"
  file.write_text("def (: this does not parse\n")
  found = scan(str(file))
  assert found.text is None
  assert not found.error


@pytest.mark.parametrize(
  ("data", "said"),
  [(b"import flax\ndef (:\n", "does not parse"), (b"# coding: latin-1\nimport flax # \xe9\n", "iso-8859-1"), (b"import flax\n\xff", "")],
)  # fmt: skip
def test_files_that_cannot_be_read_say_why(data, said, tmp_path):
  file = tmp_path / "a.py"
  file.write_bytes(data)
  found = scan(str(file))
  assert found.error
  assert said in found.error


def test_module_name_counts_packages(tmp_path):
  (tmp_path / "pkg" / "inner").mkdir(parents=True)
  for folder in ("pkg", "pkg/inner"):
    (tmp_path / folder / "__init__.py").touch()
  assert module_name(tmp_path / "pkg" / "inner" / "a.py") == "pkg.inner.a"
  assert module_name(tmp_path / "pkg" / "__init__.py") == "pkg"
  assert module_name(tmp_path / "b.py") == "b"


def test_linen_classes_through_bases_of_other_files():
  base = scan_text("base.py", "base", b"from flax import linen as nn\nclass Base(nn.Module): pass\n")
  other = scan_text("a.py", "a", b"import base, flax\nclass A(base.Base): pass\nclass B: pass\nclass C(dict): pass\n")
  assert set(linen_classes([base, other])) == {"base.Base", "a.A"}


def test_skip_comments():
  text = '"""Doc."""\n# linen2nnx: skip\nimport flax\n\n\nclass A:  # linen2nnx: skip\n  pass\n'
  assert skipped_lines(text, ast.parse(text)) == {0, 2, 6}
  below = "import flax\n# linen2nnx: skip\nx = 1\n"
  assert skipped_lines(below, ast.parse(below)) == {2}


@given(st.binary(max_size=200))
def test_any_bytes_at_all_law(data):
  scan_text("a.py", "a", data)


def test_importing_files_are_found_through_others(tmp_path):
  texts = {
    "model": "import flax\n",
    "loop": "from model import Net\n",
    "main": "import os, loop\n",
    "other": "# model\nx = 'import model'\nimport models\n",
    "broken": "import model\ndef\n",
  }
  for name, text in texts.items():
    (tmp_path / f"{name}.py").write_text(text)
  scans = [scan(str(tmp_path / f"{n}.py")) for n in texts]
  found = importing(scans, [s for s in scans if s.text is not None])
  assert [s.module for s in found] == ["loop", "main"]
  assert importing(scans, []) == []


def test_modules_inside_functions():
  text = b"from flax import linen as nn\ndef make(n):\n  class Net(nn.Module):\n    pass\n  class Other:\n    pass\n  return Net\n"
  found = scan_text("a.py", "a", text)
  assert found.inner == {"Net": 3}
  assert found.bases == {}
