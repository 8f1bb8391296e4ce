"""Which collections a call may change."""

from __future__ import annotations

import types

import pytest
from flax.core import DenyList
from flax.core.scope import in_filter

from migrate.core.mutable import is_mutable, set_flags


@pytest.mark.parametrize(
  "mutable",
  [True, False, "cache", "batch_stats", ["cache"], {"cache", "x"}, (), DenyList("cache"), DenyList(["intermediates"])],
)
@pytest.mark.parametrize("collection", ["cache", "batch_stats"])
def test_says_what_linen_says(mutable, collection):
  assert is_mutable(mutable, collection) == in_filter(mutable, collection)


def test_nothing_given_changes_nothing():
  assert not is_mutable(None, "cache")


def test_flags_are_set_where_they_lie():
  block = types.SimpleNamespace(update_cache=True, other=True)
  model = types.SimpleNamespace(use_running_average=False, blocks=[block])
  flags = {"": {"use_running_average": ("batch_stats", False)}, "blocks/0": {"update_cache": ["cache", True]}}
  set_flags(model, flags, ["batch_stats"])
  assert (model.use_running_average, block.update_cache, block.other) == (False, False, True)
  set_flags(model, flags, "cache")
  assert (model.use_running_average, block.update_cache) == (True, True)
