"""The rule book and the sources agree: no finding without a page, no page without a finding."""

import re
from pathlib import Path

import pytest

from migrate.core.rulebook import GROUPS, RULES, rule

ROOT = Path(__file__).parents[2]
SOURCES = [p for p in (ROOT / "migrate").rglob("*.py") if p.name != "rulebook.py"]


def used() -> set[str]:
  """Ids in the sources."""
  return {i for p in SOURCES for i in re.findall(r"\"(L2N\d{3})\"", p.read_text(encoding="utf-8"))}


def test_every_id_of_the_sources_has_a_page():
  assert used() - {r.id for r in RULES} == set()


def test_every_page_is_of_an_id_of_the_sources():
  assert {r.id for r in RULES} - used() == set()


def test_ids_are_in_order_and_each_once():
  ids = [r.id for r in RULES]
  assert ids == sorted(set(ids))
  assert {i[:4] for i in ids} == set(GROUPS)


@pytest.mark.parametrize("one", RULES, ids=lambda r: r.id)
def test_pages_say_why_and_what_to_do(one):
  assert one.why.endswith(".")
  assert one.do.endswith((".", "`."))
  assert not one.title.endswith(".")
  assert rule(one.id) is one


def test_plans_and_modules_do_not_share_ids():
  by_room = {}
  for path in SOURCES:
    for found in re.findall(r"\"(L2N\d{3})\"", path.read_text(encoding="utf-8")):
      by_room.setdefault(found, set()).add(path.relative_to(ROOT / "migrate").parts[0])
  assert {i for i, rooms in by_room.items() if "codemod" in rooms and "core" in rooms} == set()
