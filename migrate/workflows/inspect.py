"""What is in a checkpoint: paths, shapes, dtypes and sizes, without reading data."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from migrate.checkpoint.detect import open_checkpoint
from migrate.core.paths import Path, natural, show
from migrate.core.training import is_nnx
from migrate.core.tree import Spec, spec_of


@dataclasses.dataclass(frozen=True)
class Inspection:
  """The tree of a checkpoint.

  Attributes:
    path: what was given.
    place: the folder or file that holds the tree.
    format: `orbax`, `msgpack`, `safetensors` or `npz`.
    kind: `linen`, `nnx` or `other`.
    step: the step that a name gives, None where there is none.
    leaves: (path, spec, bytes) of every array, in natural order.
    empty: paths without an array.
    note: how it is stored.
  """

  path: str
  place: str
  format: str
  kind: str
  step: int | None
  leaves: tuple[tuple[Path, Spec, int], ...]
  empty: tuple[Path, ...]
  note: str = ""

  @property
  def nbytes(self) -> int:
    """The size of all arrays in memory."""
    return sum(n for _, _, n in self.leaves)

  def to_json(self) -> dict[str, Any]:
    """A plain dict."""
    leaves = [{"path": list(p), "shape": list(s.shape), "dtype": s.dtype, "bytes": n} for p, s, n in self.leaves]
    plain = {f: getattr(self, f) for f in ("path", "place", "format", "kind", "step", "note")}
    total = {"leaves": len(leaves), "bytes": self.nbytes, "elements": sum(_elements(s) for _, s, _ in self.leaves)}
    return plain | {"leaves": leaves, "empty": [list(p) for p in self.empty], "total": total}

  def render(self) -> str:
    """The tree as text, one line a leaf, with totals for each part."""
    step = "" if self.step is None else f", step {self.step}"
    lines = [f"{self.place}: {self.format} ({self.note})" if self.note else f"{self.place}: {self.format}"]
    lines[0] += f", {self.kind}{step}"
    wide = max([len(show(p[-1:])) + 2 * len(p) for p, _, _ in self.leaves] or [0])
    shown: Path = ()
    for path, spec, nbytes in self.leaves:
      same = next((i for i, (a, b) in enumerate(zip(path, shown, strict=False)) if a != b), min(len(path), len(shown)))
      for depth in range(same, len(path) - 1):
        lines.append("  " * (depth + 1) + show(path[depth : depth + 1]))
      lines.append(f"{'  ' * len(path) + show(path[-1:]):<{wide + 2}}{spec}  {_size(nbytes)}")
      shown = path
    for name in sorted({str(p[0]) for p, _, _ in self.leaves}):
      part = [(s, n) for p, s, n in self.leaves if str(p[0]) == name]
      numbers = sum(_elements(s) for s, _ in part)
      lines.append(f"{name}: {len(part)} leaves, {numbers:,} numbers, {_size(sum(n for _, n in part))}")
    lines.append(f"total: {len(self.leaves)} leaves, {_size(self.nbytes)}")
    return "\n".join(lines)


def inspect_checkpoint(path: str | os.PathLike[str], *, item: str | None = None) -> Inspection:
  """Reads the metadata of a checkpoint of any format. Raises MigrateError where it is none."""
  stored = open_checkpoint(path, item)
  rows = sorted(stored.leaves.items(), key=lambda kv: [natural(str(s)) for s in kv[0]])
  kind = "nnx" if is_nnx(stored.leaves) else "linen" if any(p[0] == "params" for p in stored.leaves) else "other"
  leaves = tuple((p, spec_of(leaf), leaf.nbytes) for p, leaf in rows)
  return Inspection(
    os.fspath(path), str(stored.place), stored.format, kind, stored.step, leaves, stored.empty, stored.note
  )


def _elements(spec: Spec) -> int:
  size = 1
  for n in spec.shape:
    size *= n
  return size


def _size(nbytes: int) -> str:
  size = float(nbytes)
  for unit in ("B", "kB", "MB", "GB"):
    if size < 1000:
      return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
    size /= 1000
  return f"{size:.1f} TB"
