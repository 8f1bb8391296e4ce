"""`migrate.port` from end to end: two layouts, several examples, and bad input that leaves nothing behind."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
import textwrap

import pytest

import migrate
from migrate import cli
from migrate.core.report import MigrateError
from tests.codemod.support import port_and_check

pytestmark = pytest.mark.filterwarnings("ignore")

FILES = {
  "__init__.py": "",
  "blocks.py": '''
  """Blocks."""

  from flax import linen as nn


  class Block(nn.Module):
    """A block with everything that a port has to carry."""

    features: int
    rate: float = 0.25

    @nn.compact
    def __call__(self, x, train: bool):
      y = nn.BatchNorm(use_running_average=not train)(nn.Dense(self.features)(x))
      return x + nn.Dropout(self.rate, deterministic=not train)(nn.gelu(y))
  ''',
  "other.py": """
  from flax import linen as nn


  class Other(nn.Module):
    @nn.compact
    def __call__(self, x):
      return nn.Dense(3)(x)
  """,
  "model.py": '''
  """The model."""

  from flax import linen as nn

  from .blocks import Block


  class Model(nn.Module):
    width: int = 7
    depth: int = 2

    @nn.compact
    def __call__(self, x, train: bool = False):
      x = nn.Dense(self.width, name="stem")(x)
      for _ in range(self.depth):
        x = Block(self.width)(x, train)
      return nn.Dense(3)(x)
  ''',
  "examples.py": '''
  """Examples, good and bad."""

  import jax
  import jax.numpy as jnp
  import migrate
  from flax import linen as nn

  from {package}.model import Model

  X = jax.ShapeDtypeStruct((4, 5), jnp.float32)


  def small():
    train = migrate.Call((X, True), rngs=("dropout",), mutable=["batch_stats"])
    return migrate.Example(Model(), (X,), calls=(train,))


  def deep():
    return migrate.Example(Model(11, 3), (jax.ShapeDtypeStruct((2, 13), jnp.float32),))


  def raises():
    raise RuntimeError("no data here")


  def nothing():
    return None


  def wrong_shape():
    return migrate.Example(Model(), (X, True, 3))


  def no_source():
    names = {{"nn": nn}}
    exec("class Made(nn.Module):\\n  @nn.compact\\n  def __call__(self, x):\\n    return nn.Dense(3)(x)\\n", names)
    return migrate.Example(names["Made"](), (X,))
  ''',
}


@pytest.fixture
def package(tmp_path, monkeypatch, request):
  """A copy of the package under a name of its own, importable here and in the processes that verify."""
  name = f"port_{abs(hash(request.node.name)) % 10**8}"
  home = tmp_path / "home" / name
  home.mkdir(parents=True)
  for file, text in FILES.items():
    (home / file).write_text(
      textwrap.dedent(text).lstrip("\n").replace("{package}", name).replace("{{", "{").replace("}}", "}")
    )
  monkeypatch.syspath_prepend(str(home.parent))
  monkeypatch.setenv("PYTHONPATH", str(home.parent))
  importlib.invalidate_caches()
  yield home
  for module in [m for m in sys.modules if m.partition(".")[0] == name]:
    del sys.modules[module]


def texts(folder) -> dict[str, str]:
  return {p.name: p.read_text() for p in folder.glob("*.py")}


@pytest.mark.slow
def test_extract_of_two_examples(package, tmp_path):
  before = texts(package)
  report = migrate.port([f"{package.name}.examples:small", f"{package.name}.examples:deep"], tmp_path / "out")
  assert report.ok, report.findings
  assert [e.name for e in report.examples] == ["small", "deep"]
  assert report.exit_code == 0
  assert texts(package) == before
  out = tmp_path / "out"
  written = json.loads((out / "report.json").read_text())
  assert [e["verdict"] for e in written["examples"]] == [e.verdict for e in report.examples]
  assert {e["verdict"] for e in written["examples"]} <= {"identical", "equal"}
  assert written["source"]["linen_imports_left"] == written["source"]["left"] == written["source"]["todo"] == []
  assert (out / f"{package.name}_nnx" / "model.py").is_file()
  assert not (out / f"{package.name}_nnx" / "other.py").exists()
  for name in ("small", "deep"):
    assert f"def build_{name}(rngs: nnx.Rngs)" in (out / "ported.py").read_text()
    mapping = migrate.load_mapping(str(out / f"mapping_{name}.json"))
    assert mapping.rules
  assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


@pytest.mark.slow
def test_overlay_applied_to_a_copied_package(package, tmp_path):
  before = texts(package)
  report = migrate.port(f"{package.name}.examples:small", tmp_path / "out", layout="overlay", apply=True)
  assert report.ok, report.findings
  after = texts(package)
  assert {name for name in before if before[name] != after[name]} == {"blocks.py", "model.py"}
  assert "nnx.Module" in after["model.py"]
  assert "linen" not in after["model.py"]
  assert after["model.py"] == (tmp_path / "out" / package.name / "model.py").read_text()
  assert not list(package.glob("*.linen2nnx"))


@pytest.mark.slow
def test_overlay_with_a_class_that_no_example_reaches_is_not_applied(package, tmp_path):
  blocks = package / "blocks.py"
  blocks.write_text(blocks.read_text() + (package / "other.py").read_text().partition("nn\n")[2])
  before = texts(package)
  report = migrate.port(f"{package.name}.examples:deep", tmp_path / "out", layout="overlay", apply=True)
  assert report.exit_code == 1
  assert report.source["linen_imports_left"] == [f"{package.name}/blocks.py"]
  assert any("not applied" in f.found for f in report.findings)
  assert texts(package) == before


@pytest.mark.slow
def test_overlay_that_is_not_applied_leaves_the_package(package, tmp_path):
  before = texts(package)
  report = migrate.port(f"{package.name}.examples:deep", tmp_path / "out", layout="overlay")
  assert report.ok, report.findings
  assert texts(package) == before
  assert sorted(p.name for p in (tmp_path / "out" / package.name).iterdir()) == ["blocks.py", "model.py"]


def nothing_written(tmp_path) -> bool:
  return sorted(p.name for p in tmp_path.iterdir()) == ["home"]


@pytest.mark.parametrize(
  ("function", "found"),
  [
    ("raises", "no data here"),
    ("nothing", "NoneType"),
    ("wrong_shape", "init raised TypeError"),
    ("no_source", "its source can't be found"),
    ("no_such_function", "has no function"),
  ],
)
def test_bad_examples_leave_nothing_behind(package, tmp_path, function, found):
  with pytest.raises(MigrateError, match=found) as caught:
    migrate.port(f"{package.name}.examples:{function}", tmp_path / "out")
  assert len(str(caught.value).splitlines()) <= 6
  assert caught.value.findings[0].do
  assert nothing_written(tmp_path)


def test_include_that_leaves_out_the_model_says_what_to_include(package, tmp_path):
  report = migrate.port(f"{package.name}.examples:small", tmp_path / "out", include=("json",))
  assert report.exit_code == 1
  assert any(f"--include {package.name}" in f.do for e in report.examples for f in e.findings)


@pytest.mark.parametrize(
  ("text", "found"),
  [
    ("no_colon", "not an example"),
    ("no_such_module_of_ours:f", "no module"),
    ("no/such/file.py:f", "no such file"),
    (":f", "not an example"),
  ],
)
def test_examples_that_are_none(tmp_path, text, found):
  with pytest.raises(MigrateError, match=found):
    migrate.port(text, tmp_path / "out")
  assert list(tmp_path.iterdir()) == []


def test_local_function_is_refused(tmp_path):
  def local():
    return None

  with pytest.raises(MigrateError, match="not a function at the top level"):
    migrate.port(local, tmp_path / "out")


def test_folder_that_exists_is_left_as_it_is(package, tmp_path):
  out = tmp_path / "out"
  out.mkdir()
  (out / "mine.txt").write_text("precious")
  with pytest.raises(MigrateError, match="exists") as caught:
    migrate.port(f"{package.name}.examples:small", out)
  assert "--overwrite" in caught.value.findings[0].do
  assert [p.name for p in out.iterdir()] == ["mine.txt"]


def test_checkpoint_without_a_place_is_refused(package, tmp_path):
  with pytest.raises(MigrateError, match="go together"):
    migrate.port(f"{package.name}.examples:small", tmp_path / "out", checkpoint=tmp_path / "c")
  assert nothing_written(tmp_path)


@pytest.mark.parametrize(("arguments", "code"), [([":raises"], 1), ([":no_such"], 2), ([], 2)])
def test_command_says_it_on_one_screen(package, tmp_path, capsys, arguments, code):
  examples = [f"{package.name}.examples{a}" for a in arguments]
  try:
    status = cli.main(["port", *examples, "--out", str(tmp_path / "out")])
  except SystemExit as stopped:
    status = stopped.code
  shown = capsys.readouterr()
  assert status in (1, 2)
  assert len((shown.out + shown.err).splitlines()) < 25
  assert "Traceback" not in shown.out + shown.err
  assert nothing_written(tmp_path)
  del code


@pytest.mark.slow
def test_overwrite_replaces_the_folder(package, tmp_path):
  out = tmp_path / "out"
  out.mkdir()
  (out / "old.txt").write_text("old")
  report = migrate.port(f"{package.name}.examples:deep", out, overwrite=True)
  assert report.ok
  assert not (out / "old.txt").exists()
  shutil.rmtree(out)


def test_package_that_says_its_classes_are_defined_where_it_hands_them_on(tmp_path):
  files = {
    "whole/__init__.py": """
    from whole._blocks import Block

    Block.__module__ = "whole"
    """,
    "whole/_blocks.py": """
    from flax import linen as nn


    class Wide(nn.Module):
      width: int

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.width * 2)(x)


    class Block(nn.Module):
      width: int
      other: type = Wide  # no example makes one

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.width)(x)
    """,
    "whole/model.py": """
    from flax import linen as nn

    from whole import Block


    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return Block(3)(x)
    """,
  }
  ported = port_and_check(tmp_path, files, "Model(), x(2, 5)", module="whole.model")
  assert "from whole_nnx._blocks import Block" in ported.draft.files["whole_nnx/model.py"]
