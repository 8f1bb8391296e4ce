"""Which functions make a layer."""

from __future__ import annotations

import ast

from migrate.codemod.maker_nodes import find_definition, receiver_of
from migrate.codemod.source import Source


def test_definitions_are_found_by_name_and_first_line():
  source = Source("f.py", "@wraps\ndef f():\n  pass\n\ng = lambda: 1\nh = (lambda: 1, lambda: 2)\n")
  assert isinstance(find_definition(source, "f", 1), ast.FunctionDef)
  assert find_definition(source, "f", 2) is None
  assert isinstance(find_definition(source, "<lambda>", 5), ast.Lambda)
  assert find_definition(source, "<lambda>", 6) is None  # two in one line


def test_a_method_has_a_receiver_and_a_static_one_has_none():
  source = Source(
    "f.py", "class C:\n  def f(self): ...\n  @classmethod\n  def g(cls): ...\n  @staticmethod\n  def h(x): ...\n"
  )
  found = {n.name: receiver_of(n) for n in ast.walk(source.tree) if isinstance(n, ast.FunctionDef)}
  assert found == {"f": "self", "g": "cls", "h": ""}
