"""What training code is told of the models around which it is written."""

import textwrap

from migrate.workflows.codemod_models import port_models

SOURCE = """
import flax.linen as nn
import jax

import migrate


class Block(nn.Module):
  @nn.compact
  def __call__(self, x):
    x = nn.Dense(x.shape[-1])(x)
    {sow}
    return x


class Net(nn.Module):
  @nn.compact
  def __call__(self, x):
    for _ in range(2):
      x = Block()(x)
    return nn.Dense(3)(x)


def example():
  return migrate.Example(Net(), (jax.ShapeDtypeStruct((2, 7), "float32"),))
"""


def described(tmp_path, monkeypatch, name, sow):
  path = tmp_path / f"{name}.py"
  path.write_text(textwrap.dedent(SOURCE.replace("{sow}", sow)))
  monkeypatch.syspath_prepend(str(tmp_path))
  made = port_models([f"{path}:example"], {str(path): path.read_text()})
  print(
    made.report.ok,
    [str(f) for f in made.findings],
    [str(f) for e in made.report.examples for f in e.findings],
    made.report.examples[:1],
  )
  return made.classes[f"{name}.Net"]


def test_a_model_knows_what_its_modules_sow_and_where_they_are(tmp_path, monkeypatch):
  net = described(tmp_path, monkeypatch, "sowing", 'self.sow("intermediates", "x", x)')
  assert net.sown == {"intermediates"}
  assert net.modules is not None
  assert net.modules[""] == ""
  assert net.modules["Block_1"] == "block/1"


def test_other_collections_and_none(tmp_path, monkeypatch):
  assert described(tmp_path, monkeypatch, "losing", 'self.sow(col="losses", name="x", value=x)').sown == {"losses"}
  assert described(tmp_path, monkeypatch, "silent", "x = nn.relu(x)").sown == frozenset()
