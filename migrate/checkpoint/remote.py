"""Checkpoints in object stores: `gs://` and `s3://`, through TensorStore, which Orbax itself reads and writes with.

`AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL` names an S3-compatible server, as for AWS's own tools.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

from migrate.core.report import refuse

SCHEMES = ("gs", "s3")
# else a server that does not answer is asked for a quarter of an hour
_RETRIES = {"max_retries": 6}
# last of all: Orbax takes a checkpoint of an object store for whole where it is there
COMMITTED = "commit_success.txt"


class RemotePath:
  """A place in an object store, with as much of pathlib's interface as reading a checkpoint needs."""

  def __init__(self, scheme: str, bucket: str, path: str):
    self.scheme, self.bucket, self.path = scheme, bucket, path.strip("/")
    self._opened: Any = None
    self._up: RemotePath | None = None

  def __str__(self) -> str:
    return f"{self.scheme}://{self.bucket}" + (f"/{self.path}" if self.path else "")

  __fspath__ = __str__

  def __eq__(self, other: object) -> bool:
    return isinstance(other, RemotePath) and str(self) == str(other)

  def __hash__(self) -> int:
    return hash(str(self))

  def __truediv__(self, name: str) -> RemotePath:
    below = RemotePath(self.scheme, self.bucket, f"{self.path}/{name}")
    below._up = None if "/" in name else self
    return below

  @property
  def name(self) -> str:
    """The last part."""
    return self.path.rpartition("/")[2]

  @property
  def parent(self) -> RemotePath:
    """All but the last part."""
    return RemotePath(self.scheme, self.bucket, self.path.rpartition("/")[0])

  def spec(self) -> dict[str, Any]:
    """What is below, as a key-value store of TensorStore."""
    path = f"{self.path}/" if self.path else ""
    if self.scheme == "gs":
      return {"driver": "gcs", "bucket": self.bucket, "path": path, "gcs_request_retries": _RETRIES}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    spec: dict[str, Any] = {"driver": "s3", "bucket": self.bucket, "path": path, "s3_request_retries": _RETRIES}
    if os.environ.get("AWS_ACCESS_KEY_ID") and os.environ.get("AWS_SECRET_ACCESS_KEY"):
      spec["aws_credentials"] = {
        "type": "environment"
      }  # else TensorStore looks everywhere, and complains of each place
    if endpoint:
      spec |= {"endpoint": endpoint, "aws_region": region or "us-east-1"}
    elif region:
      spec["aws_region"] = region
    return spec

  def names(self) -> list[str]:
    """The names of all objects below, in order."""
    with self._asked():
      return sorted(key.decode() for key in self._store().list().result())

  def is_dir(self) -> bool:
    """Whether there is any object below."""
    return bool(self.names())

  def is_file(self) -> bool:
    """Whether there is an object of that name."""
    import tensorstore as ts

    alone = ts.KvStore.KeyRange(self.name.encode(), self.name.encode() + b"\0")
    with self._asked():
      return bool(self._above()._store().list(alone).result())

  def iterdir(self) -> Iterator[RemotePath]:
    """What is directly below."""
    return (self / name for name in dict.fromkeys(key.partition("/")[0] for key in self.names()))

  def read_bytes(self) -> bytes:
    """The object's bytes. Raises FileNotFoundError where it is not there."""
    with self._asked():
      found = self._above()._store().read(self.name).result()
    if found.state != "value":
      raise FileNotFoundError(2, "No such object", str(self))
    return found.value

  def write_bytes(self, data: bytes) -> None:
    """Writes the object."""
    with self._asked():
      self._above()._store().write(self.name, data).result()

  def remove_object(self) -> None:
    """Deletes the object."""
    with self._asked():
      self._above()._store().write(self.name, None).result()

  def remove(self) -> None:
    """Deletes all objects below, and first the one that says that the checkpoint is whole."""
    import tensorstore as ts

    with self._asked():
      self._store().write(COMMITTED, None).result()
      self._store().delete_range(ts.KvStore.KeyRange()).result()

  def _above(self) -> RemotePath:
    self._up = self._up or self.parent
    return self._up

  def _store(self) -> Any:
    import tensorstore as ts

    if self._opened is None:
      self._opened = ts.KvStore.open(self.spec()).result()
    return self._opened

  @contextlib.contextmanager
  def _asked(self) -> Iterator[None]:
    try:
      yield
    except (ValueError, RuntimeError, OSError) as error:
      if isinstance(error, FileNotFoundError):
        raise
      do = "check the address, the credentials and the region (for another S3 server AWS_ENDPOINT_URL)"
      raise refuse(str(self), str(error).split(" [")[0][:300], "an object store that answers", do) from error


Place = FilePath | RemotePath


def place_of(path: str | os.PathLike[str] | RemotePath) -> Place:
  """The absolute local path, or the place in an object store. Raises MigrateError for other addresses."""
  if isinstance(path, RemotePath):
    return path
  text = os.fspath(path)
  scheme, sign, rest = text.partition("://")
  if not sign:
    return FilePath(path).absolute()
  bucket, _, below = rest.partition("/")
  if scheme not in SCHEMES or not bucket or {".", ".."} & set(below.split("/")):
    wanted = "a local path, gs://BUCKET/PATH or s3://BUCKET/PATH"
    raise refuse(text, "no address that can be read", wanted, "copy it to a local disk with the store's own tool")
  return RemotePath(scheme, bucket, below)


def kvstore(place: Place) -> dict[str, Any]:
  """What is below a place, as a key-value store of TensorStore."""
  return place.spec() if isinstance(place, RemotePath) else {"driver": "file", "path": f"{place}/"}
