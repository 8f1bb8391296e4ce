"""Fewer rules that say the same."""

from migrate.core.ops import Stack
from migrate.core.paths import key
from migrate.core.tree import Spec
from migrate.match.bind import Move
from migrate.match.fits import Item
from migrate.match.rules import compress, drafts_of

SPEC = Spec((2,), "float32")


def moves(pairs):
  """Moves of single leaves from `{source: target}`."""
  split = lambda text: tuple(text.split("/"))
  item = lambda path: Item(key(path), "params", SPEC, (path,))
  return [(Move((item(split(s)),), (item(split(t)),)), "") for s, t in pairs.items()]


def rules(pairs):
  source = {("params", *s.split("/")): SPEC for s in pairs}
  target = {tuple(t.split("/")): SPEC for t in pairs.values()}
  drafts = compress(drafts_of(moves(pairs)), source, target)
  join = lambda paths: " + ".join("/".join(map(str, p)) for p in paths)
  return {(join(d.sources), join(d.targets)) for d in drafts}


def test_blocks_become_one_rule():
  pairs = {f"layer_{i}/{n}/w": f"blocks/{i}/{n}/w" for i in range(12) for n in ("a", "b")}
  assert rules(pairs) == {("params/layer_{i}/**", "blocks/{i}/**")}


def test_zeros_before_numbers():
  pairs = {f"layer_{i:02}/w": f"blocks/{i}/w" for i in range(12)}
  assert rules(pairs) == {("params/layer_{i:02}/w", "blocks/{i}/w")} or rules(pairs) == {
    ("params/layer_{i:02}/**", "blocks/{i}/**")
  }


def test_a_pattern_never_takes_what_it_should_not():
  pairs = {f"layer_{i}/w": f"blocks/{i}/w" for i in range(3)} | {"layer_3/w": "last/w"}
  found = rules(pairs)
  assert ("params/layer_3/w", "last/w") in {(s.replace("**", "w"), t.replace("**", "w")) for s, t in found}
  assert not any("{i}" in s for s, _ in found)


def test_what_keeps_its_name_needs_no_rule():
  assert rules({"a/w": "a/w", "b/w": "c/w"}) == {("params/b/w", "c/w")}


def test_names_that_stay_are_captured():
  pairs = {f"attn/{n}/w": f"{n}/w" for n in ("query", "key", "value")} | {"attn/out/b": "out/b2", "mlp/w": "m/w"}
  assert ("params/attn/{name}/w", "{name}/w") in rules(pairs)


def test_braces_in_names_stay_what_they_are():
  assert rules({"a{0}/w": "b/w"}) == {("params/a{{0}}/w", "b/w")}


def test_a_series_that_does_not_start_at_zero_is_listed():
  members = tuple((f"layer_{i}", "w") for i in (1, 2, 3))
  whole = Item(("layers", "w"), "params", Spec((3, 2), "float32"), (("layers", "w"),))
  series = Item(("layer_#", "w"), "params", SPEC, members)
  (draft,) = drafts_of([(Move((series,), (whole,), (Stack(axis=0),)), "")])
  assert [p[1] for p in draft.sources] == ["layer_1", "layer_2", "layer_3"]
