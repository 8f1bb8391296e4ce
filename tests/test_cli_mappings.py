"""`mappings list`, `show` and `check`."""

import json

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
