"""Assignments against all permutations."""

import itertools

import numpy as np
import pytest

from migrate.match.assign import NEVER, best, forced


def by_trying(worth, without=None):
  """(pairs, worth) of the best assignment, from all that there are."""
  rows, columns = worth.shape
  found = (-1, 0.0)
  for choice in itertools.product(range(-1, columns), repeat=rows):
    used = [c for c in choice if c >= 0]
    if len(used) != len(set(used)) or any(c >= 0 and worth[r, c] == NEVER for r, c in enumerate(choice)):
      continue
    if without is None or choice[without[0]] != without[1]:
      found = max(found, (len(used), round(sum(worth[r, c] for r, c in enumerate(choice) if c >= 0), 4)))
  return found


@pytest.mark.parametrize("seed", range(40))
def test_best_and_forced(seed):
  rng = np.random.default_rng(seed)
  worth = rng.normal(size=rng.integers(1, 5, 2)).round(2)
  worth[rng.random(worth.shape) < 0.4] = NEVER
  chosen = best(worth)
  pairs = [(r, c) for r, c in enumerate(chosen) if c >= 0]
  assert (len(pairs), round(sum(worth[p] for p in pairs), 4)) == by_trying(worth)
  sure = forced(worth > NEVER, chosen)
  for r, c in pairs:
    assert sure[r] == (by_trying(worth, (r, c))[0] < len(pairs))
