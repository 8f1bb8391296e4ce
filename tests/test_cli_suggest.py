"""`linen2nnx suggest`."""

import json
import textwrap

import numpy as np
import pytest

from migrate import cli
from migrate.workflows.mapping import load_mapping


@pytest.fixture
def place(tmp_path):
  """A checkpoint, and a file with both models."""
  leaves = {"params/Dense_0/kernel": (5, 7), "params/Dense_0/bias": (7,), "params/Dense_1/kernel": (7, 3)}
  leaves["params/Dense_1/bias"] = (3,)
  rng = np.random.default_rng(0)
  np.savez(tmp_path / "ckpt.npz", **{k: rng.normal(size=s).astype("float32") for k, s in leaves.items()})
  (tmp_path / "pair.py").write_text(
    textwrap.dedent("""
      import flax.linen as nn
      import jax
      from flax import nnx

      import migrate

      class Linen(nn.Module):
        sizes: tuple = (7, 3)

        @nn.compact
        def __call__(self, x):
          x = nn.relu(nn.Dense(self.sizes[0])(x))
          return nn.Dense(self.sizes[1])(x)

      class Model(nnx.Module):
        def __init__(self, rngs, hidden=7, out=3):
          self.up = nnx.Linear(5, hidden, rngs=rngs)
          self.down = nnx.Linear(hidden, out, rngs=rngs)

        def __call__(self, x):
          return self.down(nnx.relu(self.up(x)))

      def model(rngs):
        return Model(rngs)

      def square(rngs):
        return Model(rngs, out=4)

      def example():
        return migrate.Example(Linen(), (jax.ShapeDtypeStruct((2, 5), "float32"),))

      def larger():
        return migrate.Example(Linen((9, 3)), (jax.ShapeDtypeStruct((2, 5), "float32"),))
    """)
  )
  return tmp_path


def run(place, *more):
  return cli.main(["suggest", str(place / "ckpt.npz"), "--model", f"{place / 'pair.py'}:model", *map(str, more)])


def test_writes_a_mapping_that_holds(place, capsys):
  assert run(place, "--out", place / "mapping.py", "--json", place / "report.json") == 0
  text = (place / "mapping.py").read_text()
  assert "shapes and layer kinds allow nothing else" in text
  assert 'move("params/Dense_0/**", "up/**"),' in text
  document = json.loads((place / "report.json").read_text())
  assert document["certain"] is True
  mapping = ["--mapping", str(place / "mapping.py"), "--model", f"{place / 'pair.py'}:model"]
  assert cli.main(["plan", str(place / "ckpt.npz"), *mapping, "--quiet"]) == 0
  capsys.readouterr()


def test_json_holds_the_same_rules(place):
  assert run(place, "--out", place / "mapping.py", "--quiet") == 0
  assert run(place, "--out", place / "mapping.json", "--quiet") == 0
  assert load_mapping(place / "mapping.json").rules == load_mapping(place / "mapping.py").rules


def test_without_out_the_file_is_shown(place, capsys):
  assert run(place) == 0
  assert "MAPPING = ModelMapping(" in capsys.readouterr().out


def test_an_example_proves_it(place, capsys):
  assert run(place, "--example", f"{place / 'pair.py'}:example") == 0
  assert "both models ran and agree" in capsys.readouterr().out


def test_an_example_of_other_sizes_is_refused(place, capsys):
  assert run(place, "--example", f"{place / 'pair.py'}:larger") == 1
  assert "at its sizes" in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_what_does_not_fit_exits_1(place, capsys):
  argv = ["suggest", str(place / "ckpt.npz"), "--model", f"{place / 'pair.py'}:square", "--out", str(place / "m.py")]
  assert cli.main(argv) == 1
  assert "nothing fills it: fresh(" in (place / "m.py").read_text()
  assert "params/Dense_1/bias" in capsys.readouterr().err


@pytest.mark.parametrize("out", ["mapping.txt", "mapping"])
def test_another_suffix_is_a_wrong_command(place, out, capsys):
  assert run(place, "--out", place / out) == 2
  assert "mapping.py" in capsys.readouterr().err


def test_an_existing_file_is_not_replaced(place, capsys):
  (place / "mapping.py").write_text("mine")
  assert run(place, "--out", place / "mapping.py") == 2
  assert (place / "mapping.py").read_text() == "mine"
  assert run(place, "--out", place / "mapping.py", "--overwrite", "--quiet") == 0
  capsys.readouterr()


def test_guesses_exit_1_and_say_so(tmp_path, capsys):
  shapes = {f"params/Dense_{i}/{n}": s for i in range(2) for n, s in (("kernel", (5, 5)), ("bias", (5,)))}
  np.savez(tmp_path / "ckpt.npz", **{k: np.zeros(s, "float32") for k, s in shapes.items()})
  (tmp_path / "squares.py").write_text(
    "from flax import nnx\n\nclass Model(nnx.Module):\n  def __init__(self, rngs):\n"
    "    self.b, self.a = (nnx.Linear(5, 5, rngs=rngs) for _ in range(2))\n"
  )
  argv = ["suggest", str(tmp_path / "ckpt.npz"), "--model", f"{tmp_path / 'squares.py'}:Model"]
  assert cli.main([*argv, "--out", str(tmp_path / "m.py")]) == 1
  text = (tmp_path / "m.py").read_text()
  assert "NOT SETTLED" in text
  assert "# guess: Dense_#" in text
  assert "guess: Dense_#" in capsys.readouterr().out


def test_a_factory_that_fails_is_named(place, capsys):
  (place / "failing.py").write_text("def model(rngs):\n  raise RuntimeError('no config')\n")
  assert cli.main(["suggest", str(place / "ckpt.npz"), "--model", f"{place / 'failing.py'}:model"]) == 1
  shown = " ".join(capsys.readouterr().err.replace("│", " ").split())
  assert "the factory raised RuntimeError: no config" in shown
  assert "fault of linen2nnx" not in shown
