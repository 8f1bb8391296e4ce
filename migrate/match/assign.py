"""Pairs two sets: the best assignment, and which of its pairs no other assignment could do without."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NEVER = -1e9


def best(worth: np.ndarray) -> list[int]:
  """The column of each row in the assignment of greatest worth, -1 where a row gets none.

  Pairs worth `NEVER` are not made. The shortest augmenting path method, O(n^3).
  """
  rows, columns = worth.shape
  size = max(rows, columns)
  cost = np.zeros((size, size))
  cost[:rows, :columns] = -np.maximum(worth, NEVER)
  if rows != columns:  # to stay alone costs more than any pair, and less than an impossible one
    cost[rows:, :] = cost[:, columns:] = 1e6
  u, v = np.zeros(size + 1), np.zeros(size + 1)
  match = np.zeros(size + 1, dtype=int)
  for row in range(1, size + 1):
    match[0], at = row, 0
    least, way = np.full(size + 1, np.inf), np.zeros(size + 1, dtype=int)
    used = np.zeros(size + 1, dtype=bool)
    while True:
      used[at] = True
      current = cost[match[at] - 1] - u[match[at]] - v[1:]
      better = ~used[1:] & (current < least[1:])
      least[1:][better], way[1:][better] = current[better], at
      step = int(np.argmin(np.where(used[1:], np.inf, least[1:]))) + 1
      delta = least[step]
      u[match[used]] += delta
      v[used] -= delta
      least[~used] -= delta
      at = step
      if match[at] == 0:
        break
    while at:
      match[at] = match[way[at]]
      at = int(way[at])
  out = [-1] * rows
  for column in range(1, columns + 1):
    row = match[column] - 1
    if row < rows and worth[row, column - 1] > NEVER / 2:
      out[row] = column - 1
  return out


def forced(possible: np.ndarray, chosen: Sequence[int]) -> list[bool]:
  """Whether each row's pair is in every assignment as large as the chosen one.

  A pair can be exchanged where it lies on an alternating cycle, or on a path from something that was left over.
  """
  rows, columns = possible.shape
  taken = {c: r for r, c in enumerate(chosen) if c >= 0}
  # an edge r -> s: the row r could take the column of s
  leads = [
    [taken[c] for c in np.flatnonzero(possible[r]).tolist() if c in taken and taken[c] != r] for r in range(rows)
  ]
  group = _components(leads)
  sizes: dict[int, int] = {}
  for g in group:
    sizes[g] = sizes.get(g, 0) + 1
  free_rows = [r for r, c in enumerate(chosen) if c < 0 and possible[r].any()]
  loose = _reached(leads, free_rows)
  back: list[list[int]] = [[] for _ in range(rows)]
  for r, others in enumerate(leads):
    for s in others:
      back[s].append(r)
  free_columns = [c for c in range(columns) if c not in taken]
  starts = [r for r in range(rows) if chosen[r] >= 0 and any(possible[r, c] for c in free_columns)]
  loose |= _reached(back, starts)
  return [chosen[r] >= 0 and sizes[group[r]] == 1 and r not in loose for r in range(rows)]


def _reached(leads: Sequence[Sequence[int]], starts: Sequence[int]) -> set[int]:
  seen, todo = set(starts), list(starts)
  while todo:
    for other in leads[todo.pop()]:
      if other not in seen:
        seen.add(other)
        todo.append(other)
  return seen


def _components(leads: Sequence[Sequence[int]]) -> list[int]:
  """The strongly connected component of each node (Kosaraju, without recursion)."""
  count = len(leads)
  order: list[int] = []
  seen = [False] * count
  for start in range(count):
    if seen[start]:
      continue
    seen[start] = True
    stack = [(start, iter(leads[start]))]
    while stack:
      node, rest = stack[-1]
      for other in rest:
        if not seen[other]:
          seen[other] = True
          stack.append((other, iter(leads[other])))
          break
      else:
        order.append(node)
        stack.pop()
  back: list[list[int]] = [[] for _ in range(count)]
  for node, others in enumerate(leads):
    for other in others:
      back[other].append(node)
  group = [-1] * count
  for number, start in enumerate(reversed(order)):
    if group[start] >= 0:
      continue
    group[start] = number
    todo = [start]
    while todo:
      for other in back[todo.pop()]:
        if group[other] < 0:
          group[other] = number
          todo.append(other)
  return group
