"""`mappings list`, `show` and `check`."""

import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from migrate import cli
from migrate.core.report import Finding


def text(shown):
  """Without the borders of tables and panels."""
  return " ".join(shown.replace("│", " ").split())


def test_list_shows_every_record(capsys):
  assert cli.main(["mappings", "list"]) == 0
  shown = text(capsys.readouterr().out)
  assert "flax.linen.Dense" in shown
  assert "optax.ScaleByAdamState" in shown


def test_list_of_one_kind_as_json(capsys):
  assert cli.main(["mappings", "list", "--kind", "optimizer", "--json", "-"]) == 0
  found = json.loads(capsys.readouterr().out)["records"]
  assert {r["kind"] for r in found} == {"optimizer"}
  assert {"kind", "name", "nnx", "note"} == set(found[0])


def test_show(capsys, tmp_path):
  assert cli.main(["mappings", "show", "BatchNorm", "--json", str(tmp_path / "a.json")]) == 0
  assert "batch_stats/mean" in text(capsys.readouterr().out)
  (record,) = json.loads((tmp_path / "a.json").read_text())["records"]
  assert record["name"] == "flax.linen.BatchNorm"


def test_show_of_no_record(capsys):
  assert cli.main(["mappings", "show", "Dens"]) == 1
  assert "nearest: Dense" in text(capsys.readouterr().err)


def test_check_holds(capsys):
  assert cli.main(["mappings", "check", "Dense"]) == 0
  assert "1 checked, 0 findings" in text(capsys.readouterr().out)


def test_check_of_all_takes_layers_and_models(monkeypatch, capsys):
  monkeypatch.setattr("migrate.workflows.records.check_record", lambda record: ())
  assert cli.main(["mappings", "check", "--json", "-"]) == 0
  document = json.loads(capsys.readouterr().out)
  assert "flax.linen.Dense" in document["checked"]
  assert "flax.linen.scan" not in document["checked"]


def test_what_does_not_hold_exits_1(monkeypatch, capsys):
  said = Finding("flax.linen.Dense", "output is 3 ulp off", "at most 0", "mend the record")
  monkeypatch.setattr("migrate.workflows.records.check_record", lambda record: (said,))
  assert cli.main(["mappings", "check", "Dense", "--quiet"]) == 1
  assert "3 ulp off" in capsys.readouterr().err


def test_check_of_a_mapping_file(tmp_path, capsys):
  head = "from migrate.core.declare import ModelMapping, move\n"
  (tmp_path / "good.py").write_text(head + "MAPPING = ModelMapping((move('params/a', 'b'),))\n")
  (tmp_path / "bad.py").write_text(head + "MAPPING = ModelMapping((move('params/a', 'b/{i}'),))\n")
  assert cli.main(["mappings", "check", str(tmp_path / "good.py")]) == 0
  assert cli.main(["mappings", "check", str(tmp_path / "bad.py")]) == 1
  assert "rule 1" in text(capsys.readouterr().err)


@pytest.mark.parametrize("argv", [["mappings"], ["mappings", "lists"], ["mappings", "list", "--kind", "x"]])
def test_wrong_commands_exit_2(argv, capsys):
  with pytest.raises(SystemExit) as stop:
    cli.main(argv)
  assert stop.value.code == 2


def test_new_writes_a_file_that_check_takes(tmp_path, capsys):
  path = tmp_path / "started_mapping.py"
  assert cli.main(["mappings", "new", str(path)]) == 0
  assert cli.main(["mappings", "check", str(path)]) == 0
  assert cli.main(["mappings", "new", str(path)]) == 2  # it exists
  assert cli.main(["mappings", "new", str(tmp_path / "mapping.yaml")]) == 2
  assert cli.main(["mappings", "new", str(tmp_path / "m.py"), "--checkpoint", str(tmp_path / "none")]) == 2
  capsys.readouterr()


RECORDS = {
  "theirs_mappings-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: theirs-mappings\nVersion: 1.0\n",
  "theirs_mappings-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
  "theirs_mappings-1.0.dist-info/entry_points.txt": "[linen2nnx.mappings]\ntheirs = theirs_mappings\n",
  "theirs_mappings-1.0.dist-info/RECORD": "",
  "theirs_mappings/__init__.py": "",
  "theirs_mappings/layers/__init__.py": "",
  "theirs_mappings/layers/dense.py": """
from migrate.core.declare import LayerMapping, infer, leaf, rename

MAPPING = LayerMapping(
  linen="theirs.Dense", nnx="theirs.nnx.Dense", source="theirs 1.0", inputs="* in_features", output="* out_features",
  args=(*infer("in_features"), *rename("features", "out_features")),
  leaves=(leaf("params/kernel", "kernel", "in_features out_features"),),
)
""",
  "theirs_mappings/models/__init__.py": "",
  "theirs_mappings/models/family.py": """
from migrate.core.declare import ModelMapping, move

FAMILY = ModelMapping(rules=(move("params/block_{i}/**", "blocks/{i}/**"),), name="theirs-family")
""",
  "theirs_mappings/optimizers/__init__.py": "",
  "theirs_mappings/optimizers/own.py": """
from migrate.core.declare import OptimizerMapping

MAPPING = OptimizerMapping(state="theirs.OwnState", like_params=("trace",), scalars=("count",))
""",
}


def test_records_of_an_installed_package(tmp_path):
  """A distribution of somebody else, installed by pip: its records are listed, shown, checked and used."""
  wheel, site = tmp_path / "theirs_mappings-1.0-py3-none-any.whl", tmp_path / "site"
  with zipfile.ZipFile(wheel, "w") as archive:
    for name, text in RECORDS.items():
      archive.writestr(name, text)
  pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
  subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
  np.savez(tmp_path / "c.npz", **{f"params/block_{i}/w": np.full(2, i) for i in range(11)})
  code = """
import sys
from migrate import cli
sys.exit(max(cli.main(argv) for argv in (
  ["mappings", "list", "--json", "list.json", "--quiet"],
  ["mappings", "show", "theirs-family"],
  ["mappings", "check", "theirs-family"],
  ["mappings", "show", "theirs.Dense"],
  ["mappings", "show", "theirs.OwnState"],
  ["convert", "c.npz", "out.npz", "--mapping", "theirs-family", "--quiet"],
)))
"""
  path = os.pathsep.join([str(site), *(p for p in sys.path if p)])
  environment = {**os.environ, "PYTHONPATH": path}
  ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
  assert ran.returncode == 0, ran.stdout + ran.stderr
  listed = {(r["kind"], r["name"]) for r in json.loads((tmp_path / "list.json").read_text())["records"]}
  theirs = {("layer", "theirs.Dense"), ("model", "theirs-family"), ("optimizer", "theirs.OwnState")}
  assert theirs < listed
  assert ("layer", "flax.linen.Dense") in listed
  assert "blocks/{i}/**" in ran.stdout
  with np.load(tmp_path / "out.npz") as found:
    assert any("blocks/10" in name and (found[name] == 10).all() for name in found.files)
