"""Several processes that convert one checkpoint (`jax.distributed`): who writes what, and what they tell one another."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from migrate.checkpoint.references import Reference
from migrate.checkpoint.remote import Place
from migrate.core.report import Finding, MigrateError

# bytes; what is smaller is quicker written by the first process than talked about
_SMALL = 1 << 16


class OtherFailedError(MigrateError):
  """Another process failed, so this one stopped too."""


@dataclasses.dataclass(frozen=True)
class Elsewhere:
  """A leaf that another process writes: its dtype, or what it is copied from."""

  leaf: Any


@dataclasses.dataclass(frozen=True)
class Processes:
  """The processes of one conversion, and which of them this one is."""

  index: int = 0
  count: int = 1

  @classmethod
  def here(cls) -> Processes:
    """Those of `jax.distributed`; this one alone where it was not initialized."""
    jax = sys.modules.get("jax")
    if jax is None or not jax.distributed.is_initialized():
      return cls()
    return cls(jax.process_index(), jax.process_count())

  def owners(self, sizes: Sequence[int]) -> list[int]:
    """Which process writes each leaf, by sizes in bytes: the same answer in all of them."""
    loads = [0] * self.count
    out = [0] * len(sizes)
    for at in sorted(range(len(sizes)), key=lambda i: (-sizes[i], i)):
      if sizes[at] >= _SMALL:
        out[at] = min(range(self.count), key=lambda p: (loads[p], p))
      loads[out[at]] += sizes[at]
    return out

  def gather(self, data: dict[str, Any]) -> list[dict[str, Any]]:
    """What each process said, in order; waits for all. Raises OtherFailedError where one of them failed."""
    if self.count == 1:
      return [data]
    from jax.experimental.multihost_utils import process_allgather

    raw = np.frombuffer(json.dumps(data).encode(), np.uint8)
    sizes = np.asarray(process_allgather(np.array([raw.size]))).reshape(-1)
    rows = np.asarray(process_allgather(np.pad(raw, (0, int(sizes.max()) - raw.size)))).reshape(self.count, -1)
    found = [json.loads(bytes(row[:n])) for row, n in zip(rows, sizes, strict=True)]
    failed = [i for i, one in enumerate(found) if "failed" in one and i != self.index]
    if failed:
      do = "see what that process says; nothing was written"
      said = (Finding(f"process {i}", found[i]["failed"], "all processes to succeed", do) for i in failed)
      raise OtherFailedError(*said)
    return found

  @contextlib.contextmanager
  def guarded(self) -> Iterator[None]:
    """Tells the others where the block fails: they wait in `gather`."""
    try:
      yield
    except OtherFailedError:
      raise
    except BaseException as error:
      with contextlib.suppress(OtherFailedError):
        self.gather({"failed": str(error).splitlines()[0][:300] if str(error) else type(error).__name__})
      raise


ALONE = Processes()


def place_for_shares(folder: Place, source: Any) -> Place:
  """A folder in the destination, for the arrays of other processes, whose name no folder of the source has."""
  number = 0
  while (source / f"linen2nnx.processes_{number}").is_dir():
    number += 1
  return folder / f"linen2nnx.processes_{number}"


def merge_shares(writer: Any, shares: Sequence[Place]) -> None:
  """Takes what other processes wrote into the store of `writer`, by reference, as Orbax does."""
  from migrate.checkpoint.remote import kvstore

  for share in shares:
    if (share / "manifest.ocdbt").is_file():
      spec = {"driver": "ocdbt", "base": kvstore(share)}
      theirs = writer.ts.KvStore.open(spec, context=writer.context).result()
      store = writer.ts.KvStore.open(writer.base, context=writer.context).result()
      with writer.ts.Transaction() as transaction:
        theirs.experimental_copy_range_to(store.with_transaction(transaction)).result()


def is_reference(leaves: Sequence[Any]) -> bool:
  """Whether all of these leaves are taken as they are stored."""
  return bool(leaves) and all(isinstance(leaf, Reference) for leaf in leaves)
