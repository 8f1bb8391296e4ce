"""Which NNX module plays which Linen module, read off where the leaves went. Imports no jax."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Path = tuple[str, ...]


def pair_modules(
  entries: Sequence[tuple[Sequence[Path], Sequence[Path]]], given: Mapping[str, str] | None = None
) -> dict[Path, Path]:
  """Linen module path -> NNX attribute path.

  Two modules belong together where exactly the same leaves lie below both. A module with one child has the
  same leaves below it as the child: such chains are aligned from the inside.

  Args:
    entries: (Linen leaf paths without their collection, NNX leaf paths) of each translation.
    given: Linen path -> NNX path, as the codemod's ledger says; it wins.
  """
  theirs = _complete([sources for sources, _ in entries])
  ours = _complete([targets for _, targets in entries])
  pairs: dict[Path, Path] = {}
  for below, paths in theirs.items():
    pairs.update(zip(paths, ours.get(below, ())))
  for linen, attribute in (given or {}).items():
    pairs[tuple(p for p in linen.split("/") if p)] = tuple(p for p in attribute.split("/") if p)
  pairs[()] = ()
  return pairs


def _complete(sides: Sequence[Sequence[Path]]) -> dict[frozenset[int], list[Path]]:
  """Entries below a path -> the paths, innermost first; paths that hold only a part of some entry are left out."""
  below: dict[Path, dict[int, int]] = {}
  for number, paths in enumerate(sides):
    for path in paths:
      for depth in range(len(path)):
        counts = below.setdefault(path[:depth], {})
        counts[number] = counts.get(number, 0) + 1
  found: dict[frozenset[int], list[Path]] = {}
  for path, counts in sorted(below.items(), key=lambda item: -len(item[0])):
    if all(len(sides[number]) == count for number, count in counts.items()):
      found.setdefault(frozenset(counts), []).append(path)
  return found
