"""The statements of a new `__init__`: what nobody reads is dropped, the rest is written in order."""

from __future__ import annotations

import pytest

from migrate.codemod.scope import Block, Stmt, header_names, prune, render


def made(name: str, value: str) -> Stmt:
  return Stmt(lambda: f"{name} = {value}", frozenset({name}))


def kept(text: str, **options) -> Stmt:
  return Stmt(lambda: text, keep=True, **options)


def mutation(name: str, text: str) -> Stmt:
  return Stmt(lambda: text, mutates=name)


def lines(block: list) -> list[str]:
  return render(prune(block)[0], "", "  ")


def test_name_that_nobody_reads_is_dropped():
  assert lines([made("a", "1"), made("b", "2"), kept("self.x = b")]) == ["b = 2", "self.x = b"]


def test_chain_of_names_is_kept():
  block = [made("a", "1"), made("b", "a + 1"), kept("self.x = b")]
  assert lines(block) == ["a = 1", "b = a + 1", "self.x = b"]


def test_value_overwritten_before_it_is_read_is_dropped():
  assert lines([made("a", "1"), made("a", "2"), kept("self.x = a")]) == ["a = 2", "self.x = a"]


def test_mutation_is_kept_with_what_it_changes():
  block = [
    made("a", "[]"),
    mutation("a", "a.append(1)"),
    made("b", "[]"),
    mutation("b", "b.append(1)"),
    kept("self.x = a"),
  ]
  assert lines(block) == ["a = []", "a.append(1)", "self.x = a"]


def test_empty_branches_disappear():
  block = [Block([(lambda: "if p:", [made("a", "1")]), (lambda: "else:", [])]), kept("self.x = 1")]
  assert lines(block) == ["self.x = 1"]


def test_branch_with_an_empty_body_is_negated():
  block = [Block([(lambda: "if p:", []), (lambda: "else:", [kept("self.x = 1")])])]
  assert lines(block) == ["if not p:", "  self.x = 1"]


def test_names_of_a_header_are_live():
  block = [made("p", "f()"), Block([(lambda: "if p:", [kept("self.x = 1")])])]
  assert lines(block) == ["p = f()", "if p:", "  self.x = 1"]


def test_value_before_a_branch_that_replaces_it_in_one_case_is_kept():
  block = [made("a", "1"), Block([(lambda: "if p:", [made("a", "2")])]), kept("self.x = a")]
  assert lines(block) == ["a = 1", "if p:", "  a = 2", "self.x = a"]


def test_loop_keeps_what_the_next_round_reads():
  loop = Block([(lambda: "for i in range(3):", [kept("self.x.append(a)"), made("a", "i")])], loop=True)
  assert lines([made("a", "0"), loop]) == ["a = 0", "for i in range(3):", "  self.x.append(a)", "  a = i"]


def test_while_loop_keeps_its_counter():
  loop = Block([(lambda: "while i < n:", [kept("self.x.append(1)"), mutation("i", "i += 1")])], loop=True)
  assert lines([made("i", "0"), loop]) == ["i = 0", "while i < n:", "  self.x.append(1)", "  i += 1"]


def test_statement_that_stops_needs_something_after_it():
  block = [Block([(lambda: "if p:", [Stmt(lambda: "return", stop=True)])]), kept("self.x = 1")]
  assert lines(block) == ["if p:", "  return", "self.x = 1"]
  assert lines(block[:1]) == []


def test_comments_stand_above_and_behind():
  assert lines([kept("self.x = 1", comments=("# why",), trailing="# so")]) == ["# why", "self.x = 1  # so"]


def test_text_of_several_lines_is_indented_whole():
  block = [Block([(lambda: "if p:", [kept("self.x = f(\n  1,\n)")])])]
  assert lines(block) == ["if p:", "  self.x = f(", "    1,", "  )"]


@pytest.mark.parametrize(
  ("header", "names"),
  [("if a.b:", {"a"}), ("elif x > y:", {"x", "y"}), ("else:", set()), ("for i in range(n):", {"i", "range", "n"}),
   ("while p(q):", {"p", "q"})],
)  # fmt: skip
def test_names_read_by_headers(header, names):
  assert header_names(header) == names


def test_argument_that_starts_a_local_of_its_name_is_not_assigned_to_itself():
  block = [Stmt(lambda: "a = a", frozenset({"a"})), kept("self.x = a"), made("a", "3"), kept("self.y = a")]
  assert lines(block) == ["self.x = a", "a = 3", "self.y = a"]
