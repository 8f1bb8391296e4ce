"""Pairs two sets: the best assignment, and which of its pairs no other assignment could do without."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

NEVER = -1e9


def best(worth: np.ndarray) -> list[int]:
  """The column of each row in the assignment of greatest worth, -1 where a row gets none.

  Pairs worth `NEVER` are not made, and as many others as can be.
  """
  out = [-1] * worth.shape[0]
  for row, column in zip(*linear_sum_assignment(-worth), strict=True):
    if worth[row, column] > NEVER / 2:
      out[row] = int(column)
  return out


def forced(possible: np.ndarray, chosen: Sequence[int]) -> list[bool]:
  """Whether each row's pair is in every assignment as large as the chosen one.

  A pair can be exchanged where it lies on an alternating cycle, or on a path from something that was left over.
  """
  # rows that may take the same columns, and whose own columns the same rows may take, are one node with many members:
  # layers come in hundreds, and their forms don't
  row_forms, column_forms = _forms(possible), _forms(possible.T)
  nodes: dict[tuple[int, int], list[int]] = {}
  for r, c in enumerate(chosen):
    if possible[r].any():
      nodes.setdefault((row_forms[r], column_forms[c] if c >= 0 else -1), []).append(r)
  firsts = [members[0] for members in nodes.values()]
  # an edge r -> s: the row r could take the column of s
  leads = [[n for n, s in enumerate(firsts) if chosen[s] >= 0 and s != r and possible[r, chosen[s]]] for r in firsts]
  group = _components(leads)
  sizes: dict[int, int] = {}
  for g, members in zip(group, nodes.values(), strict=True):
    sizes[g] = sizes.get(g, 0) + len(members)
  loose = _reached(leads, [n for n, r in enumerate(firsts) if chosen[r] < 0])
  back: list[list[int]] = [[] for _ in firsts]
  for n, others in enumerate(leads):
    for other in others:
      back[other].append(n)
  free = np.setdiff1d(np.arange(possible.shape[1]), chosen)
  loose |= _reached(back, [n for n, r in enumerate(firsts) if chosen[r] >= 0 and possible[r, free].any()])
  sure = {
    r
    for n, members in enumerate(nodes.values())
    for r in members
    if chosen[r] >= 0 and sizes[group[n]] == 1 and n not in loose
  }
  return [r in sure for r in range(len(chosen))]


def _forms(possible: np.ndarray) -> list[int]:
  """A number for each row, the same for equal rows."""
  known: dict[bytes, int] = {}
  return [known.setdefault(row.tobytes(), len(known)) for row in np.ascontiguousarray(possible)]


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
