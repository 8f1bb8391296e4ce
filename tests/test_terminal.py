"""Reports as text: what one line says about a comparison."""

import io

import pytest
from rich.console import Console

from migrate.core.report import Finding
from migrate.terminal import Progress, difference, shortened, show_examples, show_findings, show_source


def written(show, *args, width=100):
  """What a function prints on a console of that width."""
  stream = io.StringIO()
  show(*args, Console(file=stream, width=width, highlight=False))
  return stream.getvalue()


@pytest.mark.parametrize(
  ("compared", "text"),
  [
    (None, "-"),
    ({}, "-"),
    ({"compared": 0, "max_abs": None}, "-"),
    ({"compared": 12, "max_abs": 0.0, "noise": 1e-7}, "12 bitwise"),
    ({"compared": 12, "max_abs": 3.14e-7}, "12: 3.1e-07"),
    ({"compared": 12, "max_abs": 3.14e-7, "noise": 5e-7}, "12: 3.1e-07 (noise 5.0e-07)"),
    ({"compared": 12, "max_abs": "nan", "noise": 5e-7}, "12: nan (noise 5.0e-07)"),
    ({"compared": 12, "identical": 12, "max_abs": 0.0, "noise": 0.0}, "12 bitwise"),
    ({"compared": 12, "identical": 11, "max_abs": 0.0, "noise": 0.0}, "12: 0.0e+00 (noise 0.0e+00)"),
  ],
)
def test_difference_in_words(compared, text):
  assert difference(compared) == text


def test_several_collections_are_summed_up_by_the_worst():
  collections = {"batch_stats": {"compared": 4, "max_abs": 1e-3}, "cache": {"compared": 2, "max_abs": 0.0}}
  shown = written(show_examples, {"examples": [{"name": "m", "verdict": "different", "collections": collections}]})
  assert "6: 1.0e-03" in shown


def test_leaves_without_a_place_are_named():
  example = {"name": "m", "verdict": "different", "unmapped": ["params/a[0]"], "unfilled": [f"b/{i}" for i in range(7)]}
  shown = " ".join(written(show_examples, {"examples": [example]}).split())
  assert "m: 1 Linen variables without a place in NNX: params/a[0]" in shown
  assert "m: 7 NNX variables that nothing filled: b/0, b/1, b/2, b/3, b/4 and 2 more" in shown


def test_brackets_in_a_path_are_not_markup():
  shown = written(show_findings, [Finding("layers[0]/kernel", "is [red]", "[/red]")])
  assert "layers[0]/kernel" in shown
  assert "is [red]" in shown
  assert "[/red]" in shown


def test_a_long_place_is_shown_whole():
  where = f"{'/deep' * 30}/site-packages/{'package/' * 14}module.py:287"
  shown = written(show_findings, [Finding(where, "is there")])
  assert "module.py:287" in shown
  assert "deep" not in shown


def test_a_place_below_the_current_folder(monkeypatch, tmp_path):
  monkeypatch.chdir(tmp_path)
  assert shortened(f"{tmp_path}/models.py:3") == "models.py:3"
  assert shortened("params/Dense_0/kernel") == "params/Dense_0/kernel"


def test_errors_come_before_notes():
  shown = written(show_findings, [Finding("b", "x", severity="note"), Finding("a", "x")])
  assert shown.index("─ a ") < shown.index("─ b ")


def test_of_many_findings_those_that_differ_are_shown():
  alike = [Finding(f"params/layer_{i}/{n}", "x", rule="L2N203") for i in range(9) for n in ("bias", "kernel")]
  shown = written(show_findings, [*alike, Finding("rule 2", "matches nothing", rule="L2N204")])
  for where in ("params/layer_0/bias", "params/layer_0/kernel", "rule 2"):
    assert f"─ {where} " in shown
  assert "and 13 more findings" in shown


def test_long_lists_are_cut():
  shown = written(show_source, {"files": 1, "classes": 9, "rewritten": 9, "hoisted": [f"C{i}.n" for i in range(9)]})
  assert "C4.n and 4 more" in shown
  assert "C5.n" not in shown


def test_progress_prints_a_stage_once():
  stream = io.StringIO()
  progress = Progress(Console(file=stream, width=80))
  with progress.running():
    for i in range(3):
      progress("verify", i, 3)
    progress("done")
  assert stream.getvalue().count("verify") == 1
  assert "done" in stream.getvalue()


def test_quiet_progress_prints_nothing():
  stream = io.StringIO()
  with Progress(Console(file=stream), quiet=True).running() as progress:
    progress("trace")
  assert stream.getvalue() == ""
