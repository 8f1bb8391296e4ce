"""The index of rules agrees with trying every rule."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from migrate.core.declare import ModelMapping, Rule, drop, move
from migrate.core.rules import Index, compile_rules

segments = st.sampled_from(["a", "b", "a_1", "a_22", "x"])
patterns = st.lists(st.sampled_from(["a", "b", "*", "{i}", "a_{j}", "{k}_1"]), min_size=1, max_size=3, unique=True)


@given(st.lists(st.tuples(patterns, st.booleans(), segments), max_size=8), st.lists(segments, min_size=1, max_size=4))
def test_index_finds_what_trying_all_finds(made, path):
  rules = [Rule("drop", ((*p, *(("**",) if rest else ())),), (), (), "x") for p, rest, _ in made]
  compiled, findings = compile_rules([ModelMapping(tuple(rules))])
  assert not findings
  found = sorted(h.rule.number for h in Index(compiled, "source").hits(tuple(path)))
  assert found == sorted(c.number for c in compiled if c.source[0].match(tuple(path)) is not None)


def test_what_matched_but_lost_is_remembered():
  compiled, _ = compile_rules([ModelMapping((move("params/**", "m/**"), drop("params/a", because="x")))])
  index = Index(compiled, "source")
  hit, problem = index.winner(("params", "a"))
  assert problem is None
  assert hit is not None
  assert hit.rule.number == 2
  assert index.matched == {(0, 1), (0, 2)}


def test_wrong_rules_are_findings_and_the_others_stay():
  compiled, findings = compile_rules([ModelMapping((Rule("odd"), move("a", "b")), name="mine")])  # type: ignore[arg-type]
  assert [c.number for c in compiled] == [2]
  assert findings[0].where.startswith("mine, rule 1")
