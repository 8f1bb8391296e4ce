"""Linen's random numbers in NNX: record what Linen drew, and make the NNX streams draw the same.

Linen's k-th key of a scope is `fold_in(root, sha1(path, k))`; NNX's is `fold_in(key, count)`. Dropout masks
therefore differ by design. Here Linen's draws are recorded while it is traced, and every `nnx.RngStream` of the
model is turned into a `ReplayStream`, which folds in Linen's hashes instead of its own count. Which stream plays
which Linen scope is told by `rng_paths`, or else read off the order in which the two programs draw.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx


@dataclasses.dataclass(frozen=True)
class Draw:
  """One key that Linen drew: of `stream`, in the scope `path`, by folding `hash` into the root key."""

  stream: str
  path: str
  hash: int

  @classmethod
  def from_json(cls, row: Sequence[Any]) -> Draw:
    """From the list that `dataclasses.astuple` gives."""
    return cls(row[0], row[1], int(row[2]))


def _hash(suffix: Iterable[str | int]) -> int:
  """Linen's number for a path and counter (flax/core/scope.py `_fold_in_static`)."""
  import hashlib

  from flax import config

  digest = hashlib.sha1()
  for part in suffix:
    if getattr(config, "flax_fix_rng_separator", False):
      digest.update(b"\00")
    digest.update(part.encode() if isinstance(part, str) else part.to_bytes((part.bit_length() + 7) // 8, "big"))
  return int.from_bytes(digest.digest()[:4], "big")


@contextlib.contextmanager
def record_draws() -> Iterator[list[Draw]]:
  """Collects every `make_rng` of Linen applies traced inside, in order.

  `nn.scan` traces its body twice and throws the first away; those draws are not recorded.
  """
  from flax.core import axes_scan, scope

  draws: list[Draw] = []
  dry = 0
  make_rng = scope.Scope.make_rng
  pe = axes_scan.pe

  def recording(self: Any, name: str = "params") -> Any:
    key = make_rng(self, name)
    stream = name if self.has_rng(name) else "params"
    suffix = scope.LazyRng.create(self.rngs[stream], self.rng_counters[stream]).suffix
    if not dry:
      draws.append(Draw(stream, "/".join(str(p) for p in suffix[:-1]), _hash(suffix)))
    return key

  class DryTrace:
    """The module `pe` of axes_scan, whose tracing of invariants is marked as dry."""

    def __getattr__(self, name: str) -> Any:
      return getattr(pe, name)

    def trace_to_jaxpr_nounits(self, *args: Any, **kwargs: Any) -> Any:
      nonlocal dry
      dry += 1
      try:
        return pe.trace_to_jaxpr_nounits(*args, **kwargs)
      finally:
        dry -= 1

  scope.Scope.make_rng = recording
  axes_scan.pe = DryTrace()  # type: ignore[assignment]
  try:
    yield draws
  finally:
    scope.Scope.make_rng = make_rng
    axes_scan.pe = pe


_SPLITTERS = ("_graph_updates_split_rngs", "_split_stream")  # flax 0.12.8 nnx/rnglib.py: who draws in `nnx.split_rngs`
_log: list[tuple[str, str]] | None = None


class ReplayStream(nnx.RngStream):
  """An `nnx.RngStream` whose n-th key is `fold_in(key, table[n])`; without a table, an ordinary one.

  Static attributes, so that they survive `nnx.split` and every transform: `owner`, the attribute path in the
  model, and `table`, Linen's hashes. The count stays an array, so a scan or a remat counts as NNX does.
  """

  owner: str = ""
  table: tuple[int, ...] = ()

  def __call__(self) -> jax.Array:
    if (self.table or _log is not None) and sys._getframe(1).f_code.co_name in _SPLITTERS:
      # nnx.split_rngs draws the key that it splits; Linen splits the root key itself
      return self.key[...]
    if _log is not None:
      _log.append((str(self.tag), self.owner))
    if not self.table:
      return super().__call__()
    hashes = jnp.asarray(self.table, jnp.uint32)
    key = jax.random.fold_in(self.key[...], hashes[self.count[...]])
    self.count[...] += 1
    return key

  def split(self, k: int | tuple[int, ...]) -> ReplayStream:
    """Linen's `split_rngs=True`: the root key is split, the path is folded in afterwards."""
    if not self.table:
      return super().split(k)  # type: ignore[return-value]
    stream = ReplayStream(jax.random.split(self.key[...], k), tag=self.tag)
    stream.owner, stream.table = self.owner, self.table
    return stream


@contextlib.contextmanager
def log_draws() -> Iterator[list[tuple[str, str]]]:
  """Collects (tag, owner) of every draw of `ReplayStream`s traced inside, in order."""
  global _log
  before, _log = _log, []
  try:
    yield _log
  finally:
    _log = before


def streams_of(model: nnx.Module) -> dict[str, nnx.RngStream]:
  """Every random stream of the model by attribute path; a shared one once."""
  found = {}
  for path, node in nnx.iter_graph(model):
    if isinstance(node, nnx.RngStream):
      found["/".join(map(str, path))] = node
  return found


def adopt(model: nnx.Module) -> None:
  """Turns every stream of the model into a `ReplayStream` that knows its owner, in place."""
  for owner, stream in streams_of(model).items():
    if type(stream) is nnx.RngStream:
      object.__setattr__(stream, "__class__", ReplayStream)
    if isinstance(stream, ReplayStream):
      stream.owner = owner


def draws_as_linen(stream: Any) -> bool:
  """Whether it is a `LinenStream` of a port that keeps Linen's random numbers, which needs no table."""
  return isinstance(stream, nnx.RngStream) and bool(getattr(stream, "folds", ()))


def rewind(model: nnx.Module, roots: Mapping[str, jax.Array], tables: Mapping[str, tuple[int, ...]]) -> None:
  """Gives each stream its root key and table and sets its count to zero, in place.

  A stream whose key has leading axes (a layer made under `nnx.vmap`) gets the root key split as Linen splits it.
  """
  for owner, stream in streams_of(model).items():
    if isinstance(stream, ReplayStream):
      stream.table = tuple(tables.get(owner, ()))
    elif not draws_as_linen(stream):
      continue
    root = roots.get(str(getattr(stream, "name", stream.tag)), roots.get("params"))
    if root is None:
      continue
    for size in stream.key.shape:
      split = lambda key, n=size: jax.random.split(key, n)
      root = split(root) if root.ndim == 0 else jax.vmap(split)(root)
    stream.key.set_value(root)
    stream.count.set_value(jnp.zeros(root.shape, jnp.uint32))


@dataclasses.dataclass(frozen=True)
class Casting:
  """Which stream plays which Linen draws.

  Attributes:
    tables: owner -> Linen's hashes, in order.
    problems: what did not fit.
    scopes: owner -> Linen scope, of the streams that play just one.
  """

  tables: dict[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
  problems: tuple[str, ...] = ()
  scopes: dict[str, str] = dataclasses.field(default_factory=dict)


def cast(draws: Sequence[Draw], log: Sequence[tuple[str, str]], rng_paths: Mapping[str, str] | None = None) -> Casting:
  """Assigns Linen's draws to the NNX streams that drew.

  Args:
    draws: what Linen drew, in order.
    log: (tag, owner) of what NNX drew in a dry trace, in order.
    rng_paths: owner path or its module's path -> Linen scope path; where absent, order decides.
  """
  tables: dict[str, list[int]] = {}
  problems = []
  wanted: dict[str, list[Draw]] = {}
  for draw in draws:
    wanted.setdefault(draw.stream, []).append(draw)
  drawn: dict[str, list[str]] = {}
  for tag, owner in log:
    drawn.setdefault(tag, []).append(owner)
  for stream, ours in wanted.items():
    theirs = drawn.pop(stream, [])
    named, ours, theirs = _by_path(ours, theirs, rng_paths or {})
    tables.update(named)
    if len(ours) != len(theirs):
      problems.append(_uneven(stream, ours, theirs))
    for draw, owner in zip(ours, theirs):
      tables.setdefault(owner, []).append(draw.hash)
  problems += [f"NNX draws {len(v)} numbers of {k!r}, Linen none" for k, v in drawn.items() if k == "dropout"]
  plays: dict[str, set[str]] = {}
  scope_of = {draw.hash: draw.path for draw in draws}
  for owner, hashes in tables.items():
    plays[owner] = {scope_of[h] for h in hashes}
  scopes = {owner: paths.pop() for owner, paths in plays.items() if len(paths) == 1}
  return Casting({k: tuple(v) for k, v in tables.items()}, tuple(problems), scopes)


def _by_path(
  ours: list[Draw], theirs: list[str], rng_paths: Mapping[str, str]
) -> tuple[dict[str, list[int]], list[Draw], list[str]]:
  """The draws that `rng_paths` settles, and the rest of both sides.

  A stream that draws another number of times than the scope of its path does is shared by several modules: order
  must tell.
  """
  tables: dict[str, list[int]] = {}
  for owner in dict.fromkeys(theirs):
    keys = [k for k in rng_paths if owner == k or owner.startswith(k + "/") or not k]
    linen = rng_paths[max(keys, key=len)] if keys else None
    hashes = [d.hash for d in ours if d.path == linen]
    if len(hashes) == theirs.count(owner):
      tables[owner] = hashes
      ours = [d for d in ours if d.path != linen]
      theirs = [o for o in theirs if o != owner]
  return tables, ours, theirs


def _uneven(stream: str, ours: list[Draw], theirs: list[str]) -> str:
  scopes = ", ".join(f"{p or 'the root'} {n}x" for p, n in list(Counter(d.path for d in ours).items())[:6])
  owners = ", ".join(f"{p} {n}x" for p, n in list(Counter(theirs).items())[:6])
  return f"Linen draws {len(ours)} numbers of {stream!r} ({scopes or 'none'}), NNX {len(theirs)} ({owners or 'none'})"
