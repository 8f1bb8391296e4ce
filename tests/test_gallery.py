"""The gallery's modules and what becomes of them, as recorded: `python -m tests.test_gallery` records them anew."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GALLERY = ROOT / "docs" / "gallery"
NAMES = sorted(p.stem for p in (GALLERY / "linen").glob("*.py"))


def rewrite(name: str, folder: Path) -> dict[str, str]:
  """New file -> text of one module, rewritten and proven in a folder of its own."""
  shutil.copytree(GALLERY / "linen", folder, dirs_exist_ok=True)
  shutil.copy(GALLERY / "shown.py", folder)
  command = ["codemod", f"{name}.py", "--example", f"shown.py:show_{name}", "--write"]
  environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
  ran = subprocess.run(
    [sys.executable, "-m", "migrate.cli", *command], cwd=folder, env=environment, capture_output=True, text=True
  )
  assert ran.returncode == 0, ran.stdout + ran.stderr
  return {f"{name}.py": (folder / f"{name}.py").read_text(encoding="utf-8")}


def test_there_are_ten():
  assert len(NAMES) == 10
  assert sorted(p.stem for p in (GALLERY / "nnx").glob("*.py")) == NAMES
  shown = ast.parse((GALLERY / "shown.py").read_text(encoding="utf-8"))
  assert {n.name.removeprefix("show_") for n in shown.body if isinstance(n, ast.FunctionDef)} >= set(NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_rewritten_is_as_recorded(name, tmp_path):
  for file, text in rewrite(name, tmp_path).items():
    recorded = GALLERY / "nnx" / file
    assert text == recorded.read_text(encoding="utf-8"), "record it anew: python -m tests.test_gallery, then make docs"


if __name__ == "__main__":
  (GALLERY / "nnx").mkdir(exist_ok=True)
  for case in sys.argv[1:] or NAMES:
    for path, content in rewrite(case, Path(tempfile.mkdtemp())).items():
      (GALLERY / "nnx" / path).write_text(content, encoding="utf-8")
      print(GALLERY / "nnx" / path)
