"""Fixtures of the codemod's tests."""

import ast
import importlib
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from migrate.codemod.extract import extract

RUFF = Path(sys.executable).with_name("ruff")


def dedent(text: str) -> str:
  return textwrap.dedent(text).lstrip("\n")


@pytest.fixture
def world(tmp_path, monkeypatch):
  """Writes original files, extracts, writes the result, checks it with ruff; gives an importer."""
  old, new = tmp_path / "old", tmp_path / "new"
  monkeypatch.syspath_prepend(str(old))
  monkeypatch.syspath_prepend(str(new))
  before = set(sys.modules)

  class World:
    files: dict[str, str]

    def run(self, originals, keep, package_map, **kwargs):
      for path, text in originals.items():
        (old / path).parent.mkdir(parents=True, exist_ok=True)
        (old / path).write_text(dedent(text))
      sources, is_package = {}, {}
      for path, text in originals.items():
        name = path.removesuffix(".py").replace("/", ".")
        is_package[name.removesuffix(".__init__")] = name.endswith(".__init__")
        sources[name.removesuffix(".__init__")] = dedent(text)
      self.files = extract(sources, keep, package_map, is_package, **kwargs)
      for path, text in self.files.items():
        ast.parse(text)
        (new / path).parent.mkdir(parents=True, exist_ok=True)
        (new / path).write_text(text)
      command = [str(RUFF), "check", "--isolated", "--select", "F401,F821,F811", "--quiet", str(new)]
      checked = subprocess.run(command, capture_output=True, text=True, check=False)
      assert checked.returncode == 0, checked.stdout + "\n".join(self.files.values())
      importlib.invalidate_caches()
      return self.files

    def load(self, name):
      return importlib.import_module(name)

  yield World()
  for name in set(sys.modules) - before:
    del sys.modules[name]
