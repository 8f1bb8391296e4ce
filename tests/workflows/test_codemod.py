"""The codemod over files and folders: what changes, what stays, how it is written."""

import ast
import json
import os
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import migrate
from migrate.cli import main
from migrate.core.report import MigrateError
from migrate.workflows.codemod import Change, codemod
from migrate.workflows.codemod_files import gather, write_whole

MODELS = """
import flax.linen as nn
import jax

import migrate


class Net(nn.Module):
  features: int

  @nn.compact
  def __call__(self, x):
    return nn.Dense(self.features)(x)


def example():
  return migrate.Example(Net(5), (jax.ShapeDtypeStruct((2, 7), "float32"),))
"""
TRAIN = """
import {models}
import jax
import jax.numpy as jnp
import optax
from flax.training import train_state


def create(key):
  model = {models}.Net(5)
  params = model.init(key, jnp.ones((1, 7)))["params"]
  return train_state.TrainState.create(apply_fn=model.apply, params=params, tx=optax.sgd(0.1))


@jax.jit
def step(state, x):
  loss, grads = jax.value_and_grad(lambda p: state.apply_fn({{"params": p}}, x).sum())(state.params)
  return state.apply_gradients(grads=grads), loss


def main():
  state = create(jax.random.key(0))
  for _ in range(3):
    state, loss = step(state, jnp.ones((2, 7)))
  return loss
"""


@pytest.fixture
def program(tmp_path, request):
  """A folder with a model and its training; module names are the test's own, as modules stay imported."""
  name = f"models_{abs(hash(request.node.name)) % 10**8}"
  folder = tmp_path / "program"
  folder.mkdir()
  (folder / f"{name}.py").write_text(MODELS)
  (folder / "train.py").write_text(TRAIN.format(models=name))
  (folder / "other.py").write_text("x  =  1  # nothing to do with it\n")
  return folder, folder / f"{name}.py", folder / "train.py"


def test_model_and_training_are_rewritten_in_place(program):
  folder, models, train = program
  before = models.read_text(), train.read_text()
  report = codemod([folder], examples=[f"{models}:example"])
  assert report.ok
  assert {c.path for c in report.changes} == {models, train}
  assert (models.read_text(), train.read_text()) == before, "a preview writes nothing"
  report = codemod([folder], examples=[f"{models}:example"], write=True)
  assert report.written
  assert "class Net(nnx.Module):" in models.read_text()
  assert "optimizer.update(model, grads)" in train.read_text()
  assert "Net(in_features=7, features=5, rngs=nnx.Rngs(key))" in train.read_text()
  again = codemod([folder], examples=[f"{models}:example"])
  assert again.changes == [], "a second run changes nothing"


def test_size_that_no_call_tells_is_the_one_of_the_example(program):
  folder, models, train = program
  text = models.read_text().replace("(x)\n", "(nn.max_pool(x, (2, 2), (2, 2)).reshape(x.shape[0], -1))\n")
  models.write_text(text.replace("(2, 7)", "(2, 8, 8, 3)"))
  report = codemod([folder], examples=[f"{models}:example"])
  change = next(c for c in report.changes if c.path == train)
  assert "Net(dense_in_features=48, features=5, rngs=nnx.Rngs(key))" in change.after, "not at sizes tried besides"
  assert [f.rule for f in report.findings if f.rule == "L2N412"] == ["L2N412"]


def test_program_that_only_imports_the_training_is_read_with_it(program):
  folder, models, train = program
  text = (
    train.read_text()
    .replace("def create(key):\n", "def create(model, key):\n")
    .replace(f"  model = {models.stem}.Net(5)\n", "")
  )
  text = text.replace("def main():\n  state = create(", "def run(model):\n  state = create(model, ")
  train.write_text(text)
  main_file = folder / "main.py"
  main_file.write_text(f"import train, {models.stem}\n\n\ndef main():\n  train.run({models.stem}.Net(5))\n")
  report = codemod([folder], examples=[f"{models}:example"])
  assert {c.path for c in report.changes} == {models, train, main_file}
  assert f"train.run(functools.partial({models.stem}.Net, features=5))" in next(
    c.after for c in report.changes if c.path == main_file
  )
  assert report.parsed == 2, "a file without flax is read for the training only"


@pytest.mark.parametrize("own", ["", "nn.BatchNorm(use_running_average=True)"])
def test_model_that_asks_for_its_mode_is_told_by_the_training(program, own):
  folder, models, train = program
  keeping = """    mean = self.variable("batch_stats", "mean", jnp.zeros, (x.shape[-1],))
    if self.is_mutable_collection("batch_stats"):
      mean.value = x.mean(0)
    x = x - mean.value
"""
  text = models.read_text().replace("    return", f"{keeping}    return") + "\n"
  if own:
    text = text.replace("    return nn.Dense", f"    x = {own}(x)\n    return nn.Dense")
  models.write_text(text.replace("import jax\n", "import jax\nimport jax.numpy as jnp\n", 1))
  train.write_text(f"""
import jax
from {models.stem} import Net  # in flax

def main(x):
  model = Net(5)
  variables = model.init(jax.random.key(0), x)
  y, changed = model.apply(variables, x, mutable=["batch_stats"])
  variables = {{"params": variables["params"], "batch_stats": changed["batch_stats"]}}
  return y + model.apply(variables, x)
""")
  report = codemod([folder], examples=[f"{models}:example"], write=True)
  assert "if not self.use_running_average:" in models.read_text()
  assert ("  model.train()\n" in train.read_text()) == (not own)
  assert any("a mode of their own" in f.found for f in report.findings) == bool(own)


def test_without_examples_everything_stays(program):
  folder, *_ = program
  report = codemod([folder])
  assert report.changes == []
  assert {(f.rule, f.severity) for f in report.findings} == {("L2N110", "eye")}
  assert report.parsed == 2


def test_rules_can_be_left_out(program):
  folder, models, _ = program
  report = codemod([folder], examples=[f"{models}:example"], ignore=["L2N4"])
  assert {c.path for c in report.changes} == {models}
  with pytest.raises(MigrateError, match="not a rule"):
    codemod([folder], ignore=["E501"])


def test_files_without_models_lose_linen_with_the_last_of_its_classes(program):
  folder, models, _ = program
  types = folder / "types_of.py"
  types.write_text("from flax import linen as nn\n\nMaker = type[nn.Module]\nINIT = nn.initializers.normal(0.1)\n")
  other = folder / "more.py"
  report = codemod([folder], examples=[f"{models}:example"])
  change = next(c for c in report.changes if c.path == types)
  assert change.after == "from flax import nnx\n\nMaker = type[nnx.Module]\nINIT = nnx.initializers.normal(0.1)\n"
  types.write_text(types.read_text() + "\n\ndef act(x):  # linen2nnx: skip\n  return nn.relu(x)\n")
  assert types not in {c.path for c in codemod([folder], examples=[f"{models}:example"]).changes}
  types.write_text(types.read_text().replace("  # linen2nnx: skip", ""))
  other.write_text("from flax import linen as nn\n\n\nclass Other(nn.Module):\n  pass\n")
  report = codemod([folder], examples=[f"{models}:example"])
  assert types not in {c.path for c in report.changes}, "its names are right for the class that stays"


def test_skipped_training_code_stays(program):
  folder, models, train = program
  train.write_text(train.read_text().replace("def step(state, x):", "def step(state, x):  # linen2nnx: skip"))
  report = codemod([folder], examples=[f"{models}:example"])
  assert {c.path for c in report.changes} == {models}
  assert "L2N121" in {f.rule for f in report.findings}


def test_skipped_class_stays_with_its_training(program):
  folder, models, _ = program
  models.write_text(models.read_text().replace("class Net(nn.Module):", "class Net(nn.Module):  # linen2nnx: skip"))
  report = codemod([folder], examples=[f"{models}:example"])
  assert report.changes == []
  assert not report.ok


def test_command_previews_checks_and_writes(program, capsys):
  folder, models, _ = program
  report = folder.parent / "report.json"
  command = ["codemod", str(folder), "--example", f"{models}:example"]
  assert main([*command, "--report", str(report)]) == 0
  assert "+class Net(nnx.Module):" in capsys.readouterr().out
  assert len(json.loads(report.read_text())["changed"]) == 2
  assert main([*command, "--check"]) == 1
  assert main([*command, "--write"]) == 0
  assert main([*command, "--check"]) == 0


def test_command_refuses_what_is_not_there(capsys):
  assert main(["codemod", "no/such/folder"]) == 1
  assert "no such file or folder" in capsys.readouterr().err


def test_gather_passes_over_environments_and_hidden_folders(tmp_path):
  for name in ("a.py", "pkg/b.py", ".hidden/c.py", "env/lib/d.py", "node_modules/e.py", "notes.txt"):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
  (tmp_path / "env" / "pyvenv.cfg").touch()
  found = [os.path.relpath(f, tmp_path) for f in gather([tmp_path, tmp_path / "a.py"])]
  assert found == ["a.py", "pkg/b.py"]
  assert gather([tmp_path / "notes.txt"]) == [str(tmp_path / "notes.txt")], "what is named is taken"


def test_writing_keeps_permissions_and_links(tmp_path):
  file, link = tmp_path / "a.py", tmp_path / "b.py"
  file.write_text("old")
  file.chmod(0o750)
  link.symlink_to(file)
  write_whole(link, "new")
  assert file.read_text() == "new"
  assert link.is_symlink()
  assert file.stat().st_mode & 0o777 == 0o750
  assert sorted(p.name for p in tmp_path.iterdir()) == ["a.py", "b.py"]


def test_diff_of_a_new_file_and_of_a_missing_newline(tmp_path):
  assert Change(tmp_path / "a.py", None, "x\n").diff().startswith("--- none\n")
  assert "\\ No newline at end of file" in Change(tmp_path / "a.py", "x", "y").diff()


@pytest.mark.parametrize("jobs", [1, 2])
def test_jobs_find_the_same(jobs, tmp_path):
  for i in range(6):
    (tmp_path / f"m{i}.py").write_text(f"import flax.linen as nn\nclass A{i}(nn.Module): pass\n")
  report = codemod([tmp_path], jobs=jobs)
  assert [f.found.split()[0] for f in report.findings] == [f"A{i}" for i in range(6)]


def test_notebook_with_model_training_and_example(tmp_path):
  name = f"notebook_{abs(hash(str(tmp_path))) % 10**8}"
  head, example = MODELS.split("def example")
  _, _, train = TRAIN.format(models="M").replace("M.Net", "Net").partition("import M\n")
  cells = [
    head.strip(),
    f"def example{example}".strip(),
    f"%time\n{train.strip()}",
    "loss = main()\nprint(loss, nn.relu(1.0))",
  ]
  document = {"cells": [{"cell_type": "code", "metadata": {"a": 1}, "outputs": [{"text": "7"}],
                         "source": c.splitlines(keepends=True)} for c in cells], "nbformat": 4}  # fmt: skip
  file = tmp_path / f"{name}.ipynb"
  file.write_text(json.dumps(document, indent=1) + "\n")
  report = codemod([file], examples=[f"{file}:example"], write=True)
  assert report.ok, report.findings
  found = json.loads(file.read_text())
  new = ["".join(c["source"]) for c in found["cells"]]
  assert "class Net(nnx.Module):" in new[0]
  assert "linen" not in new[0], "the last cell used it"
  assert new[1] == cells[1]
  assert new[2].startswith("%time\nimport jax")
  assert "optimizer.update(model, grads)" in new[2]
  assert new[3] == cells[3].replace("nn.relu", "nnx.relu")
  assert all(c["outputs"] == [{"text": "7"}] and c["metadata"] == {"a": 1} for c in found["cells"])


NAMES = st.sampled_from(["state", "params", "model", "x", "Net", "jax", "TrainState", "f"])
LINES = st.sampled_from(
  ["{a} = {b}", "{a} = {b}.init({c}, {c})", "{a} = {b}['params']", "{a}, {b} = {c}({a}, {b})", "def {a}({b}): return {c}",
   "for {a} in {b}: {c} = {a}", "{a} = {b}.apply({{'params': {c}}}, {a}, mutable=['batch_stats'])", "return {a}",
   "{a} = TrainState.create(apply_fn={b}.apply, params={c}, tx={a})", "{a} = {b}.apply_gradients(grads={c})",
   "{a} = jax.value_and_grad({b})({c})", "with {a} as {b}: {a} = {c}", "{a} = lambda {b}: {c}", "{a}: int = {b}",
   "if {a}: {b} = {c}", "{a} = [{b} for {b} in {c}]", "@jax.jit\ndef {a}({b}): return {b}.params", "{a} = Net(3)",
   "while {a}: {b} = {c}", "{a} = {b} if {c} else {a}", "{a} += {b}", "del {a}", "global {a}", "{a} = {b} = {c}"]
)  # fmt: skip


@st.composite
def programs(draw):
  """Python of the kind that training code is made of, most of it nonsense."""
  lines = []
  for _ in range(draw(st.integers(1, 8))):
    line = draw(LINES).format(a=draw(NAMES), b=draw(NAMES), c=draw(NAMES))
    lines.append(line)
  text = "\n".join(lines)
  if draw(st.booleans()):
    text = f"def outer({draw(NAMES)}):\n" + textwrap.indent(text, "  ")
  return text


@settings(deadline=None)
@given(programs())
def test_any_program_at_all_is_rewritten_to_one_that_parses_law(text):
  from tests.codemod.training.programs import HEADER, rewritten

  try:
    ast.parse(HEADER + text)
  except SyntaxError:
    return
  for new in rewritten(text).texts.values():
    ast.parse(new)


def test_public_name():
  assert callable(migrate.codemod)


GUIDE = """# Guide

Apply it:

```python
import jax
import jax.numpy as jnp
from {models} import Net

model = Net(5)
variables = model.init(jax.random.key(0), jnp.ones((1, 7)))
y = model.apply(variables, jnp.ones((2, 7)))
```

```sh
python train.py
```
"""
USE = '''
import jax
import jax.numpy as jnp
from flax.core import freeze
from {models} import Net


def use():
  """How it is used.

  >>> model = Net(5)
  >>> variables = model.init(jax.random.key(0), jnp.ones((1, 7)))
  >>> model.apply(variables, jnp.ones((2, 7))).shape
  (2, 5)
  """
  return freeze
'''


def test_documentation_is_rewritten_on_request(program, capsys):
  folder, models, _ = program
  guide, use = folder / "GUIDE.md", folder / "use.py"
  guide.write_text(GUIDE.format(models=models.stem))
  use.write_text(USE.format(models=models.stem))
  report = codemod([folder], examples=[f"{models}:example"])
  assert not {c.path for c in report.changes} & {guide, use}, "only on request"
  assert main(["codemod", str(folder), "--example", f"{models}:example", "--markdown", "--doctests", "--write"]) == 0
  before = GUIDE.format(models=models.stem)
  called = "model = Net(in_features=7, features=5, rngs=nnx.Rngs(jax.random.key(0)))\n{}y = model(jnp.ones((2, 7)))\n"
  start, end = before.index("model = Net"), before.index("```\n\n```sh")
  above = before[:start].replace("import jax\n", "from flax import nnx\nimport jax\n")
  assert guide.read_text() == above + called.format("") + before[end:]
  text = use.read_text()
  assert (
    "  >>> from flax import nnx\n  >>> model = Net(in_features=7, features=5, rngs=nnx.Rngs(jax.random.key(0)))\n"
    in text
  )
  assert "  >>> model(jnp.ones((2, 7))).shape\n  (2, 5)\n" in text
  assert "L2N417" in capsys.readouterr().err


def test_modules_inside_functions_are_told(tmp_path):
  head, _, rest = MODELS.partition("class Net")
  body, _, example = rest.partition("def example")
  made = textwrap.indent(f"class Net{body}return Net\n", "  ")
  text = f"{head}def make():\n{made}\n\ndef example{example.replace('Net(5)', 'make()(5)')}"
  (tmp_path / "inner.py").write_text(text)
  told = codemod([tmp_path / "inner.py"])
  assert [f.found for f in told.findings] == ["Net is left as it was: a class inside a function or class"]
  assert told.ok
  assert not codemod([tmp_path / "inner.py"], examples=[f"{tmp_path / 'inner.py'}:example"]).ok
