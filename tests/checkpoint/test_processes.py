"""Who writes what, and what processes tell one another; tests/workflows/test_convert_write.py runs two."""

from __future__ import annotations

import pytest

from migrate.checkpoint.processes import Processes, place_for_shares


def test_owners_are_the_same_everywhere_and_even():
  sizes = [10, 1 << 20, 1 << 20, 5 << 20, 0, 3 << 20]
  found = Processes(1, 2).owners(sizes)
  assert found == Processes(0, 2).owners(sizes)
  assert [found[i] for i in (0, 4)] == [0, 0]
  loads = [sum(n for n, owner in zip(sizes, found, strict=True) if owner == p) for p in (0, 1)]
  assert abs(loads[0] - loads[1]) <= 1 << 20


def test_alone_nothing_is_gathered():
  assert Processes.here() == Processes(0, 1)
  assert Processes().gather({"a": 1}) == [{"a": 1}]


def test_alone_an_error_stays_what_it_is():
  with pytest.raises(KeyError), Processes().guarded():
    raise KeyError("x")


def test_shares_go_where_the_source_has_nothing(tmp_path):
  (tmp_path / "source" / "linen2nnx.processes_0").mkdir(parents=True)
  assert place_for_shares(tmp_path / "to", tmp_path / "source") == tmp_path / "to" / "linen2nnx.processes_1"
