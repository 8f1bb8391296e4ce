"""Tests about the project itself: sizes, pairing, light imports, and what no committed file may hold."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("migrate", "mappings")
MOST_LINES = 400

# source file -> why no test file of the same name exists
UNPAIRED = {
  "migrate/__init__.py": "names only; test_project imports it",
  "migrate/core/declare.py": "frozen values; every mapping and the conformance tests build them",
  "migrate/core/report.py": "frozen values; test_cli shows them",
  "migrate/core/op.py": "the base of the operations; test_ops goes through all of them",
  "migrate/core/joins.py": "operations; test_ops goes through all of them",
  "migrate/core/samples.py": "frozen values; every conformance test is made of them",
  "migrate/codemod/trial.py": "a part of Unit; test_compound and test_unit run it",
  "migrate/codemod/factory_text.py": "the text of factories; test_factories reads it",
  "migrate/verify/construct.py": "a part of conformance; test_conformance runs it",
  "migrate/verify/signature.py": "a part of conformance; test_conformance runs it",
}

# folder -> the test file that goes through every file of it
TOGETHER = {
  "migrate/codemod/training": "tests/codemod/training/test_reader.py",
  "migrate/match": "tests/match/test_pairs.py",
  "mappings/optimizers": "tests/mappings/optimizers/test_records.py",
  "mappings/templates": "tests/mappings/test_layers.py",
  "mappings/transforms": "tests/mappings/test_transforms.py",
}


def source_files() -> list[str]:
  """Every Python file of both packages, package markers left out."""
  found = [p for name in PACKAGES for p in sorted((ROOT / name).rglob("*.py"))]
  return [p.relative_to(ROOT).as_posix() for p in found if p.read_text(encoding="utf-8").strip()]


def tracked_files() -> list[Path]:
  """What git holds or would hold, as far as it is there and text."""
  listed = subprocess.run(
    ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
  )
  if listed.returncode:
    pytest.skip("not a git checkout")
  return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def test_files(source: str) -> list[str]:
  """Where the tests of a source file may be: under tests/, with or without the package's name.

  A file that was split off keeps the tests of what it was split off from: `test_imports.py` is also
  the test file of `imports_edit.py`.
  """
  path = Path(source)
  words = path.stem.split("_")
  stems = ["_".join(words[:n]) for n in range(len(words), 0, -1)]
  folders = [path.parent, Path(*path.parts[1:-1])]
  own = [(Path("tests") / folder / f"test_{stem}.py").as_posix() for stem in stems for folder in folders]
  return own + [tests for folder, tests in TOGETHER.items() if path.parent.as_posix() == folder]


test_files.__test__ = False  # pyright: ignore[reportFunctionMemberAccess]


def test_source_files_are_short():
  lines = {source: len((ROOT / source).read_text(encoding="utf-8").splitlines()) for source in source_files()}
  assert {s: n for s, n in lines.items() if n > MOST_LINES} == {}, "split them: one job a file"


def test_source_files_have_their_test_files():
  tests = lambda path: path.is_file() and "def test_" in path.read_text(encoding="utf-8")
  found = {s: [t for t in test_files(s) if tests(ROOT / t)] for s in source_files()}
  missing = [s for s, tests in found.items() if not tests and s not in UNPAIRED and not s.endswith("/__init__.py")]
  assert missing == [], f"add {test_files(missing[0])[0]} and so on, or list them in UNPAIRED with a reason"
  assert [s for s in UNPAIRED if found.get(s)] == [], "they have test files now: take them off UNPAIRED"


def test_unpaired_files_exist():
  assert [s for s in UNPAIRED if not (ROOT / s).is_file()] == []


def loaded_after(code: str) -> set[str]:
  """Top-level names in sys.modules after running the code in a fresh interpreter."""
  tail = "\nimport sys; print('\\n'.join(sorted({m.split('.')[0] for m in sys.modules})))"
  ran = subprocess.run([sys.executable, "-c", code + tail], cwd=ROOT, capture_output=True, text=True, check=True)
  return set(ran.stdout.split())


HEAVY = {"jax", "jaxlib", "flax", "libcst", "orbax", "optax", "tensorstore", "numpy"}


@pytest.mark.parametrize(
  "code",
  [
    "import migrate",
    "import migrate.example, migrate.cli, migrate.terminal",
    "import contextlib, io, migrate.cli\nwith contextlib.suppress(SystemExit): migrate.cli.main(['--help'])",
  ],
  ids=["import migrate", "import migrate.cli", "linen2nnx --help"],
)
def test_start_is_light(code):
  assert loaded_after(code) & HEAVY == set()


def test_public_names_exist():
  import migrate

  # a workflow that is not there yet must not be promised
  missing = []
  for name in migrate.__all__:
    try:
      getattr(migrate, name)
    except (ImportError, AttributeError) as error:
      missing.append(f"{name}: {error}")
  assert missing == []


# spelled in pieces, so that this file does not match itself
REGISTRY = ["pypi" + r"\.org", "python" + "hosted", "index" + "-url", "find" + "-links"]
FORBIDDEN = {
  "a registry's address": re.compile("|".join(REGISTRY)),
  "a machine path": re.compile(r"(?<![\w.$})/-])/" + r"(root|home|opt|work|Users|mnt)/\w"),
}


def test_no_tracked_file_names_a_machine_or_a_registry():
  found = []
  for path in tracked_files():
    try:
      text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
      continue
    for what, pattern in FORBIDDEN.items():
      found += [f"{path.relative_to(ROOT)}: {what}: {hit.group()}" for hit in pattern.finditer(text)]
  assert found == []


def test_every_version_is_pinned():
  lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
  assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!-]+", line)] == []
  pinned = {re.sub(r"[-_.]+", "-", line.split("==")[0]).lower() for line in lines}
  project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
  wanted = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
  names = {re.sub(r"[-_.]+", "-", re.match(r"[A-Za-z0-9._-]+", d).group()).lower() for d in wanted}  # pyright: ignore
  assert names - pinned == set()


def test_least_versions_agree_with_the_project_file():
  from migrate.versions import LEAST

  project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
  declared = dict(d.split(">=") for d in project["dependencies"])
  assert {name: ".".join(map(str, least)) for name, least in LEAST.items()} == {n: declared[n] for n in LEAST}
