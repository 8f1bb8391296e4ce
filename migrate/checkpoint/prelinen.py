"""Automatic names from before Linen: one counter a parent over all classes, where Linen counts each class by itself.

`flax.nn` called the unnamed children of a module `LayerNorm_0, Attention_1, LayerNorm_2, Mlp_3`; Linen calls the same
`LayerNorm_0, Attention_0, LayerNorm_1, Mlp_0`. Names that were given are the same in both.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection

from migrate.core.paths import Path

_AUTOMATIC = re.compile(r"([A-Z]\w*?)_(0|[1-9][0-9]*)")


def linen_names(paths: Collection[Path]) -> Callable[[Path], Path] | None:
  """What gives a path Linen's names; None where the paths have these already, as far as one can tell.

  They are told apart by their numbers: Linen's begin at 0 for every class, and repeat from class to class.

  Args:
    paths: of all parameters, and of all other variables.
  """
  parents = _counted(paths)
  if any(len({n for n, _ in found}) < len(found) for found in parents.values()):
    return None
  if not any(_first(found, cls) for found in parents.values() for _, cls in found):
    return None
  renamed: dict[Path, str] = {}
  for parent, found in parents.items():
    counts: Counter[str] = Counter()
    for number, cls in sorted(found):
      renamed[(*parent, f"{cls}_{number}")] = f"{cls}_{counts[cls]}"
      counts[cls] += 1
  return lambda path: tuple(renamed.get(path[: i + 1], s) for i, s in enumerate(path))


def surely_old(paths: Collection[Path]) -> bool:
  """Whether one module has children of several classes that were counted together, from 0 on.

  With that a single class that begins at 1 is not enough: what came before it may have no parameters in Linen either.
  """
  for found in _counted(paths).values():
    numbers, classes = {n for n, _ in found}, {c for _, c in found}
    if len(numbers) == len(found) > 2 and 0 in numbers and len(classes) > 1:
      if any(_first(found, c) for c in classes):
        return True
  return False


def _counted(paths: Collection[Path]) -> dict[Path, set[tuple[int, str]]]:
  """{module: its children with automatic names, as (number, class)}."""
  parents: dict[Path, set[tuple[int, str]]] = {}
  for path in paths:
    for end in range(len(path) - 1):
      match = _AUTOMATIC.fullmatch(str(path[end]))
      if match is not None:
        parents.setdefault(path[:end], set()).add((int(match[2]), match[1]))
  return parents


def _first(found: set[tuple[int, str]], cls: str) -> int:
  return min(n for n, c in found if c == cls)


def split_name(path: Path) -> Path:
  """The path with names such as `/Conv_0/BatchNorm_1`, which a collection had for keys, taken apart."""
  out: list[str | int] = []
  for segment in path:
    out += segment.strip("/").split("/") if isinstance(segment, str) and segment.startswith("/") else [segment]
  return tuple(s for s in out if s != "")
