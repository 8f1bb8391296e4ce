"""Path patterns by example."""

from __future__ import annotations

import pytest

from migrate.core.paths import escape, key, natural, pattern, show
from migrate.core.report import MigrateError


@pytest.mark.parametrize(
  ("text", "path", "captures"),
  [
    ("params/Dense_0/kernel", "params/Dense_0/kernel", {}),
    ("params/Dense_0/kernel", "params/Dense_0/bias", None),
    ("params/*/kernel", "params/a/kernel", {"*0": "a"}),
    ("params/{name}/kernel", "params/a/kernel", {"name": "a"}),
    ("params/layers_{i}/**", "params/layers_12/a/b", {"i": "12", "**": ("a", "b")}),
    ("params/layers_{i}/**", "params/layers_/a", None),
    ("params/layers_{i}/**", "params/layers_1", {"i": "1", "**": ()}),
    ("params/**/kernel", "params/a/b/kernel", {"**": ("a", "b")}),
    ("params/**/kernel", "params/kernel", {"**": ()}),
    ("**", "a/b", {"**": ("a", "b")}),
    ("e_{i:02}", "e_07", {"i": "7"}),
    ("e_{i:02}", "e_7", None),
    ("e_{i:02}", "e_107", {"i": "107"}),
    ("e_{i:02}", "e_007", None),
    ("{a}_{b}", "x_y_z", {"a": "x", "b": "y_z"}),
    ("{a}/{a}", "x/x", {"a": "x"}),
    ("{a}/{a}", "x/y", None),
    ("a{{b}}", "a{b}", {}),
  ],
)
def test_match_and_fill(text, path, captures):
  found = pattern(text).match(tuple(path.split("/")))
  assert found == captures
  if captures is not None:
    assert "/".join(pattern(text).fill(captures)) == path


def test_integer_segments_equal_their_digits():
  assert pattern("layers/0/kernel") is not None
  assert pattern("layers/{i}/kernel").match(key(("layers", 0, "kernel"))) == {"i": "0"}
  assert pattern(("layers", 0, "kernel")).match(("layers", "0", "kernel")) == {}


def test_a_segment_may_hold_a_slash():
  path = ("params", "Dense_0/kernel/scale")
  assert pattern(("params", "{name}/scale")).match(path) == {"name": "Dense_0/kernel"}
  assert show(path) == "params/'Dense_0/kernel/scale'"


@pytest.mark.parametrize("text", ["a/**/b/**", "{", "}", "{1}", "{a}{b}", "{a:x}", "{a", "{}"])
def test_what_is_no_pattern(text):
  with pytest.raises(MigrateError):
    pattern(text)


def test_user_text_is_never_a_regular_expression():
  assert pattern("a.c").match(("abc",)) is None
  assert pattern("[ab]+").match(("[ab]+",)) == {}


@pytest.mark.parametrize(
  ("wide", "narrow", "contains"),
  [
    ("params/**", "params/a/kernel", True),
    ("params/**", "params/{x}/**", True),
    ("params/{x}/**", "params/a/b/**", True),
    ("params/layers_{i}/**", "params/layers_0/attn/**", True),
    ("params/layers_0/**", "params/{x}/attn/**", False),
    ("params/**/kernel", "params/a/kernel", True),
    ("params/**/kernel", "params/a/**", False),
    ("params/**", "batch_stats/**", False),
    ("params/a", "params/**", False),
    ("params/{x}", "params/a", True),
    ("params/e_{i:02}", "params/e_{i}", False),
  ],
)
def test_contains(wide, narrow, contains):
  assert pattern(wide).contains(pattern(narrow)) is contains


def test_numbers_sort_as_numbers():
  assert sorted(["10", "9", "a", "1"], key=natural) == ["1", "9", "10", "a"]


def test_escape_matches_itself():
  path = ("a{b}", "c", 3)
  assert pattern(escape(path)).match(key(path)) == {}
