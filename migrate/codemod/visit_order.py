"""The order in which Linen calls modules where NNX calls them in another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flax import nnx

if TYPE_CHECKING:
  from migrate.codemod.ledger import Visit


def in_linen_s_order(linen: Sequence[Visit], ported: Sequence[Visit], model: Any) -> list[Visit]:
  """The visits, those of layers of a dict in the order of Linen's keys: NNX sorts them when it splits and merges."""
  found = list(ported)
  containers = {tuple(map(str, p)): m for p, m in nnx.iter_modules(model) if isinstance(m, nnx.Dict | nnx.List)}
  for prefix in (p for p, m in containers.items() if isinstance(m, nnx.Dict)):
    size, stem = len(prefix), _stem(prefix, containers)
    places = [i for i, v in enumerate(found) if tuple(map(str, v.path[:size])) == prefix and len(v.path) > size]
    groups: dict[Any, list[Visit]] = {}
    for i in places:
      groups.setdefault(found[i].path[size], []).append(found[i])
    first = {k: _first(linen, f"{stem}_{k}") for k in groups}
    if None in first.values():
      continue
    ordered = [v for k in sorted(groups, key=lambda k: first[k] or 0) for v in groups[k]]
    for i, visit in zip(places, ordered, strict=True):
      found[i] = visit
  return found


def _stem(prefix: tuple[str, ...], containers: Mapping[tuple[str, ...], Any]) -> str:
  """What Linen's names of the layers in a dict begin with: the attribute, and the keys and indices down to the dict."""
  start = len(prefix) - 1
  while prefix[:start] in containers:
    start -= 1
  return "_".join(prefix[start:])


def _first(linen: Sequence[Visit], name: str) -> int | None:
  """The first visit of a layer of that name, or of one in a container of that name."""
  for i, visit in enumerate(linen):
    if any(str(part) == name or str(part).startswith(f"{name}_") for part in visit.path):
      return i
  return None
