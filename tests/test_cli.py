"""The command's contract: exit codes, one-screen errors, and what reaches the workflow."""

import json
import subprocess
import sys
import types

import pytest

import migrate
from migrate import cli
from migrate.core.report import Finding, MigrateError
from migrate.core.verdict import ExampleReport

REPORT = {
  "version": 1,
  "examples": [
    {
      "name": "tiny",
      "verdict": "equal",
      "forward": {"compared": 3, "max_abs": 3.1e-7, "max_ulp": 2, "noise": 5.2e-7},
      "collections": {"batch_stats": {"compared": 2, "max_abs": 0.0, "noise": 0.0}},
      "gradients": {"compared": 4, "max_abs": 0.0, "noise": 1e-6},
      "leaves": 4,
      "unmapped": [],
      "unfilled": [],
      "seconds": 1.25,
    }
  ],
  "source": {"files": 1, "classes": 2, "rewritten": 2, "left": [], "todo": [], "hoisted": ["Block.in_features"]},
  "findings": [],
}


class FakeReport:
  """What `migrate.workflows.port.port` returns, as far as the command looks at it."""

  def __init__(self, document=REPORT, exit_code=0):
    self.document, self.exit_code = document, exit_code
    self.ok = exit_code == 0

  def to_json(self):
    return self.document


@pytest.fixture
def workflow(monkeypatch):
  """Puts a workflow in place of port; `calls` holds what it was given."""
  module = types.ModuleType("migrate.workflows.port")
  module.calls, module.result = [], FakeReport()  # type: ignore[attr-defined]

  def port(examples, out, *, progress, **options):
    module.calls.append((examples, out, options))
    progress("trace tiny")
    progress("verify tiny", 1, 2)
    if isinstance(module.result, Exception):
      raise module.result
    return module.result

  module.port = port  # type: ignore[attr-defined]
  monkeypatch.setitem(sys.modules, "migrate.workflows.port", module)
  return module


def test_port_hands_every_option_to_the_workflow(workflow, tmp_path, capsys):
  out, checkpoint = tmp_path / "out", tmp_path / "ckpt"
  checkpoint.mkdir()
  argv = ["port", "pkg.mod:one", "pkg.mod:two", "--out", str(out), "--include", "a", "--include", "b.c"]
  argv += ["--layout", "overlay", "--apply", "--checkpoint", str(checkpoint), "--checkpoint-out", str(tmp_path / "new")]
  argv += ["--allow-optimizer-change", "--keep-rng", "--rng", "reseed"]
  assert cli.main(argv) == 0
  ((examples, given_out, options),) = workflow.calls
  assert list(examples) == ["pkg.mod:one", "pkg.mod:two"]
  assert given_out == out
  assert options == {
    "include": ("a", "b.c"),
    "layout": "overlay",
    "apply": True,
    "checkpoint": str(checkpoint),
    "checkpoint_out": str(tmp_path / "new"),
    "overwrite": False,
    "exact": False,
    "allow_optimizer_change": True,
    "keep_rng": True,
    "rng": "reseed",
    "seed": 0,
  }
  shown = capsys.readouterr().out
  assert "trace tiny" in shown
  assert "3: 3.1e-07 (noise 5.2e-07)" in shown
  assert "2 bitwise" in shown
  assert "Block.in_features" in shown
  assert "proven" in shown


def test_what_was_left_exits_1_and_is_shown(workflow, tmp_path, capsys):
  finding = Finding("pkg/mod.py:12", "calls setattr on self", "a plain assignment", "assign it in setup").to_json()
  workflow.result = FakeReport({**REPORT, "findings": [finding]}, exit_code=1)
  assert cli.main(["port", "pkg.mod:one", "--out", str(tmp_path / "out")]) == 1
  shown = capsys.readouterr().out
  for text in ("pkg/mod.py:12", "calls setattr on self", "a plain assignment", "assign it in setup", "not proven"):
    assert text in shown


def test_json_goes_to_the_file(workflow, tmp_path):
  target = tmp_path / "deep" / "report.json"
  assert cli.main(["port", "pkg.mod:one", "--out", str(tmp_path / "out"), "--json", str(target), "--quiet"]) == 0
  assert json.loads(target.read_text()) == REPORT


def test_json_alone_on_standard_output(workflow, tmp_path, capsys):
  assert cli.main(["port", "pkg.mod:one", "--out", str(tmp_path / "out"), "--json", "-"]) == 0
  shown = capsys.readouterr()
  assert json.loads(shown.out) == REPORT
  assert "verdict" in shown.err


def test_a_refusal_is_a_panel_and_exits_1(workflow, tmp_path, capsys):
  workflow.result = MigrateError(Finding("params/Dense_0/kernel", "is (8, 4)", "(4, 8)", "transpose it in the rule"))
  assert cli.main(["port", "pkg.mod:one", "--out", str(tmp_path / "out")]) == 1
  shown = capsys.readouterr().err
  assert "Traceback" not in shown
  for text in ("params/Dense_0/kernel", "is (8, 4)", "wanted: (4, 8)", "do: transpose it in the rule"):
    assert text in shown


def test_many_findings_stay_on_one_screen(workflow, tmp_path, capsys):
  workflow.result = MigrateError(*(Finding(f"leaf_{i}", "missing") for i in range(40)))
  assert cli.main(["port", "pkg.mod:one", "--out", str(tmp_path / "out")]) == 1
  shown = capsys.readouterr().err
  assert len(shown.splitlines()) <= 24
  assert "34 more" in shown


def test_a_fault_of_the_tool_is_named_without_a_traceback(workflow, tmp_path, capsys, monkeypatch):
  monkeypatch.delenv(cli.DEBUG, raising=False)
  workflow.result = KeyError("surprise")
  assert cli.main(["port", "pkg.mod:one", "--out", str(tmp_path / "out")]) == 1
  shown = capsys.readouterr().err
  assert "Traceback" not in shown
  assert "KeyError" in shown
  assert cli.DEBUG in shown


def test_debug_shows_the_traceback(workflow, tmp_path, monkeypatch):
  monkeypatch.setenv(cli.DEBUG, "1")
  workflow.result = KeyError("surprise")
  with pytest.raises(KeyError):
    cli.main(["port", "pkg.mod:one", "--out", str(tmp_path / "out")])


@pytest.mark.parametrize(
  ("argv", "said"),
  [
    (["port", "nocolon", "--out", "OUT"], "not an example"),
    (["port", "no/such/file.py:f", "--out", "OUT"], "no file no/such/file.py"),
    (["port", "m:f", "--out", "EXISTS"], "exists"),
    (["port", "m:f", "--out", "OUT", "--apply"], "without --layout overlay"),
    (["port", "m:f", "--out", "OUT", "--checkpoint", "EXISTS"], "without --checkpoint-out"),
    (["port", "m:f", "--out", "OUT", "--checkpoint-out", "OUT2"], "without --checkpoint"),
    (["port", "m:f", "--out", "OUT", "--checkpoint", "MISSING", "--checkpoint-out", "OUT2"], "a checkpoint"),
    (["port", "m:f", "--out", "OUT", "--checkpoint", "EXISTS", "--checkpoint-out", "EXISTS"], "exists"),
  ],
)
def test_a_wrong_command_exits_2_and_calls_nothing(workflow, tmp_path, capsys, argv, said):
  (tmp_path / "exists").mkdir()
  names = {"OUT": "out", "OUT2": "out2", "EXISTS": "exists", "MISSING": "missing"}
  argv = [str(tmp_path / names[a]) if a in names else a for a in argv]
  assert cli.main(argv) == 2
  assert said in " ".join(capsys.readouterr().err.replace("│", " ").split())
  assert workflow.calls == []
  assert sorted(p.name for p in tmp_path.iterdir()) == ["exists"]


@pytest.mark.parametrize(
  "argv", [["port"], ["port", "m:f"], ["nonsense"], ["port", "m:f", "--out", "o", "--layout", "x"]]
)
def test_usage_errors_exit_2(argv, capsys):
  with pytest.raises(SystemExit) as stopped:
    cli.main(argv)
  assert stopped.value.code == 2
  assert "usage: linen2nnx" in capsys.readouterr().err


def test_overwrite_lets_existing_folders_be(workflow, tmp_path):
  assert cli.main(["port", "m:f", "--out", str(tmp_path), "--overwrite"]) == 0
  assert workflow.calls[0][2]["overwrite"] is True


@pytest.mark.parametrize(("verdict", "code"), [("identical", 0), ("equal", 0), ("different", 1), ("error", 1)])
def test_verify_exits_by_the_verdict(monkeypatch, tmp_path, capsys, verdict, code):
  calls = []

  def verify_ported(spec, ported, build, mapping, **options):
    calls.append((spec, ported, build, mapping, options))
    return ExampleReport(options["name"], verdict, leaves=7)

  monkeypatch.setattr("migrate.workflows.proof.verify_ported", verify_ported)
  for name in ("ported.py", "mapping.json"):
    (tmp_path / name).write_text("")
  target = tmp_path / "report.json"
  assert cli.main(["verify", "pkg.mod:tiny", "--ported", str(tmp_path), "--json", str(target)]) == code
  ((spec, ported, build, mapping, options),) = calls
  assert (spec, ported, build) == ("pkg.mod:tiny", tmp_path, "build_tiny")
  assert mapping == tmp_path / "mapping.json"
  assert options == {"layout": "extract", "timeout_s": 600.0, "name": "tiny"}
  assert json.loads(target.read_text())["examples"][0]["verdict"] == verdict
  assert verdict in capsys.readouterr().out


def test_verify_of_no_port_exits_2(tmp_path, capsys):
  assert cli.main(["verify", "pkg.mod:tiny", "--ported", str(tmp_path)]) == 2
  assert "ported.py" in capsys.readouterr().err


def test_without_a_command_the_help_is_shown(capsys):
  assert cli.main([]) == 0
  assert "port" in capsys.readouterr().out


def test_old_flax_is_one_panel(workflow, monkeypatch, tmp_path, capsys):
  monkeypatch.setattr("importlib.metadata.version", lambda name: "0.11.2" if name == "flax" else "99.0")
  assert cli.main(["port", "m:f", "--out", str(tmp_path / "out")]) == 1
  assert "version 0.11.2 is installed" in capsys.readouterr().err


def test_installed_command_tells_its_version():
  ran = subprocess.run([sys.executable, "-m", "migrate.cli", "--version"], capture_output=True, text=True, check=True)
  assert ran.stdout.strip() == f"linen2nnx {migrate.__version__}"
