"""The documentation tells the truth: its code runs, its links lead somewhere, its tables are up to date."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def run(argv: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
  """Runs Python there, with this project importable."""
  environment = {**os.environ, "PYTHONPATH": str(ROOT)}
  return subprocess.run([sys.executable, *argv], cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_code_runs_in_the_order_of_the_page(page, tmp_path):
  """Python blocks that name a file are written and run; console blocks are our own commands."""
  for language, code in BLOCK.findall(page.read_text(encoding="utf-8")):
    named = re.match(r"# file: (\S+)\n", code)
    if language == "python" and named:
      (tmp_path / named[1]).write_text(code, encoding="utf-8")
      commands = [[named[1]]]
    elif language == "console":
      lines = [line[2:] for line in code.splitlines() if line.startswith("$ linen2nnx ")]
      commands = [["-m", "migrate.cli", *shlex.split(line)[1:]] for line in lines]
    else:
      commands = []
    for argv in commands:
      ran = run(argv, tmp_path)
      assert ran.returncode == 0, f"{' '.join(argv)}\n{ran.stdout}\n{ran.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_to_files(page):
  links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
  local = [link for link in links if "://" not in link]
  assert [link for link in local if not (page.parent / link).exists()] == []


def test_support_table_is_what_the_mappings_declare():
  ran = run([str(ROOT / "docs" / "generate.py"), "--check"], ROOT)
  assert ran.returncode == 0, ran.stdout + ran.stderr


def test_every_make_target_of_the_readme_exists():
  targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
  named = set(re.findall(r"\bmake ([a-z]+)", (ROOT / "README.md").read_text()))
  assert named <= targets


def test_commands_of_the_readme_are_those_of_the_program():
  from migrate.cli import make_parser

  (commands,) = [a.choices for a in make_parser()._actions if getattr(a, "choices", None) and a.dest == "command"]
  named = set(re.findall(r"^\| `linen2nnx ([a-z-]+)", (ROOT / "README.md").read_text(), re.MULTILINE))
  assert named == set(commands)


def test_every_construct_is_held_by_a_test_or_a_rule(monkeypatch):
  monkeypatch.syspath_prepend(str(ROOT / "docs"))
  from constructs import CONSTRUCTS, LEFT

  from migrate.core.rulebook import rule

  for _, fate, by in (row for rows in CONSTRUCTS.values() for row in rows):
    if by.startswith("L2N"):
      assert rule(by) is not None, by
    else:
      path, _, name = by.partition("::")
      assert f"\ndef {name}(" in (ROOT / path).read_text(encoding="utf-8"), by
      assert fate != LEFT, by


def test_every_rule_of_training_code_that_leaves_something_is_in_the_table(monkeypatch):
  monkeypatch.syspath_prepend(str(ROOT / "docs"))
  from constructs import CONSTRUCTS

  from migrate.core.rulebook import RULES

  named = {by for rows in CONSTRUCTS.values() for _, _, by in rows}
  leaving = {r.id for r in RULES if r.id.startswith("L2N4") and r.severity == "error"}
  assert leaving - named == {"L2N402", "L2N408"}, "variables of another model, and faults of ours, are no constructs"
