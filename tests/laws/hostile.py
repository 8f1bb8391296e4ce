"""Damaged, lying and odd checkpoints, made from a number, and what the commands must do with each.

`python -m tests.laws.hostile FIRST COUNT` goes through cases in a process of its own, so that one that brings the
process down is named too. It prints a line of JSON for each case that went wrong.
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import json
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tests.laws.damage import ODD, changed_bytes, changed_json

FORMATS = ("orbax", "zarr", "zarr3", "msgpack", "safetensors", "npz", "manifest")
SECONDS = 60
ROOM = 96 << 20  # beyond twice the source: libraries that load on first use, threads' stacks
NAMES = (
  "..",
  "../../x",
  "/abs",
  "a/b",
  "a\0b",
  "😀",
  "",
  ".",
  "x" * 300,
  "a.b",
  "~",
  "c:\\x",
  "0",
  "-1",
  "\n",
  "{i}",
  "**",
)


def tree(rng: random.Random | None = None) -> dict[str, Any]:
  """A training state with NaNs, infinities and several dtypes; with `rng` also odd names and arrays without elements."""
  params = {
    f"layers_{i}": {
      "kernel": np.array([[np.nan, -0.0, np.inf], [1e-45, i, -np.inf]], np.float32),
      "bias": np.arange(3, dtype=np.float16) + i,
    }
    for i in range(3)
  }
  if rng is not None:
    params["empty"] = {"x": np.zeros((0, 4), np.float32)}
    params[rng.choice(NAMES) or "e"] = {rng.choice(NAMES) or "e": np.full((2, 2), np.nan, np.float32)}
  return {"step": 3, "params": params, "opt_state": {"0": {"count": np.array(3, np.int32), "mu": params, "nu": params}}}


class Cases:
  """Makes cases in a folder; undamaged checkpoints are made once a format and copied."""

  def __init__(self, folder: Path):
    self.folder = folder
    self.whole: dict[str, Path] = {}

  def make(self, number: int) -> tuple[Path, str, random.Random]:
    """The source of a case, and what was done to it."""
    rng = random.Random(number)
    kind = FORMATS[number % len(FORMATS)]
    place = self.folder / "a" / "b" / "src"
    shutil.rmtree(self.folder / "a", ignore_errors=True)
    place.parent.mkdir(parents=True)
    if kind == "msgpack" and rng.random() < 0.3:
      place.write_bytes(bomb(rng))
      return place, "msgpack bomb", rng
    if kind == "safetensors" and rng.random() < 0.4:
      place.write_bytes(lying_header(rng))
      return place, "safetensors header that lies", rng
    if kind in ("msgpack", "safetensors", "npz") and rng.random() < 0.2:
      write_plain(kind, place, tree(rng))
      return place, f"{kind} with odd names", rng
    whole = self._whole(kind)
    if whole.is_file():
      place.write_bytes(changed_bytes(whole.read_bytes(), rng))
      return place, f"{kind}: bytes", rng
    shutil.copytree(whole, place)
    if kind == "manifest":
      one = place / "linen2nnx.json"
      text = one.read_text()
      one.write_text(changed_json(text, rng)) if rng.random() < 0.8 else one.write_bytes(
        changed_bytes(text.encode(), rng)
      )
      return place, "manifest", rng
    return place, f"{kind}: {self._damage_folder(place, kind, rng)}", rng

  def _whole(self, kind: str) -> Path:
    if kind in self.whole:
      return self.whole[kind]
    place = self.folder / f"whole_{kind}"
    state = tree()
    if kind in ("msgpack", "safetensors", "npz"):
      write_plain(kind, place, state)
    elif kind == "manifest":
      code, said = told(["convert", str(self._whole("orbax")), str(place), "--checksum"])
      assert code == 0, said
    else:
      import orbax.checkpoint as ocp

      handler = ocp.PyTreeCheckpointHandler(use_ocdbt=kind == "orbax", use_zarr3=kind == "zarr3")
      with ocp.Checkpointer(handler) as checkpointer:
        checkpointer.save(place, state)
    self.whole[kind] = place
    return place

  def _damage_folder(self, place: Path, kind: str, rng: random.Random) -> str:
    files = sorted(p for p in place.rglob("*") if p.is_file())
    how = rng.choice(["bytes", "bytes", "metadata", "metadata", "array metadata", "array metadata", "gone", "swapped"])
    if how == "bytes":
      for one in rng.sample(files, min(len(files), rng.randint(1, 3))):
        one.write_bytes(changed_bytes(one.read_bytes(), rng))
    elif how == "metadata":
      named = [p for p in files if p.name in ("_METADATA", "_sharding", "_CHECKPOINT_METADATA", "process_0")]
      one = rng.choice(named)
      one.write_text(changed_json(one.read_text(), rng))
    elif how == "array metadata":
      self._edit_arrays(place, kind, rng)
    elif how == "gone":
      for one in rng.sample(files, min(len(files), rng.randint(1, 2))):
        one.unlink()
    else:
      one, other = rng.sample(files, 2)
      a, b = one.read_bytes(), other.read_bytes()
      one.write_bytes(b)
      other.write_bytes(a)
    return how

  def _edit_arrays(self, place: Path, kind: str, rng: random.Random) -> None:
    """Edits shapes, chunks, dtypes... as a person with an editor would; inside the store where it is one."""
    import tensorstore as ts

    ocdbt = (place / "manifest.ocdbt").is_file()
    store = ts.KvStore.open(
      {"driver": "ocdbt", "base": f"file://{place}/"} if ocdbt else {"driver": "file", "path": f"{place}/"}
    ).result()
    names = [k for k in store.list().result() if k.endswith((b"/.zarray", b"/zarr.json"))]
    for name in rng.sample(names, min(len(names), rng.randint(1, 3))):
      text = store.read(name).result().value.decode()
      if rng.random() < 0.5:
        data = json.loads(text)
        big = rng.choice([[1 << 40], [1 << 20, 64], [1 << 62, 1 << 62], [1 << 13, 1 << 11], [7, 7], [0], [5] * 40])
        data["shape"] = big
        if rng.random() < 0.5 and "chunks" in data:
          data["chunks"] = big
        text = json.dumps(data)
      else:
        text = changed_json(text, rng)
      store.write(name, text.encode(errors="surrogatepass")).result()
      if rng.random() < 0.3:
        folder = name.rpartition(b"/")[0]
        for key in store.list().result():
          if key.startswith(folder + b"/") and key != name:
            store.write(
              key, changed_bytes(store.read(key).result().value, rng) if rng.random() < 0.5 else None
            ).result()


def write_plain(kind: str, place: Path, state: dict[str, Any]) -> None:
  """Writes a file as its own library would."""
  if kind == "msgpack":
    from flax import serialization

    place.write_bytes(serialization.msgpack_serialize(state, in_place=False))
    return
  from migrate.checkpoint.npz import write_npz
  from migrate.checkpoint.safetensors import write_safetensors
  from migrate.core.tree import flatten

  flat = {p: np.asarray(v) for p, v in flatten(state).items()}
  (write_npz if kind == "npz" else write_safetensors)(place, flat)


def bomb(rng: random.Random) -> bytes:
  """A msgpack file that promises more than it holds, or nests without end."""
  import msgpack

  def array(shape: Any, dtype: str, data: bytes) -> msgpack.ExtType:
    return msgpack.ExtType(1, msgpack.packb((shape, dtype, data)))

  shapes = [[1 << 40], [1 << 62, 1 << 62], [-1], [2.5], "ab", [1 << 31], [[1]], None, [3, 0, 1 << 60], [1] * 70]
  chunked = {
    "__msgpack_chunked_array__": True,
    "shape": {"0": 1 << 40},
    "chunks": {"0": array([1], "float32", b"\0" * 4)},
  }
  one = rng.choice(
    [
      b"\x91" * rng.choice([100, 5000, 200_000]),
      b"\x81\xa1a" * rng.choice([100, 5000, 100_000]),
      b"\xdf\xff\xff\xff\xff\xa1a\x01",
      b"\x81\xa1a\xdd\xff\xff\xff\xff\x01",
      b"\x81\xa1a\xc6\xff\xff\xff\xff\x01",
      b"\x81\xa1a\xc9\xff\xff\xff\xf0\x01\x01",
      msgpack.packb({"params": {"a": array(rng.choice(shapes), rng.choice(["float32", "object", "O", "V8", "\0", "<U9", "bfloat16", "int4"]), b"\0" * 8)}}),
      msgpack.packb({"params": {"a": msgpack.ExtType(rng.choice([0, 2, 3, 4, 99]), rng.randbytes(9))}}),
      msgpack.packb({"params": {"a": chunked}}),
      msgpack.packb({"params": {"a": {"__msgpack_chunked_array__": True, "shape": rng.choice(ODD[:8]), "chunks": rng.choice(ODD[:8])}}}),
      msgpack.packb({"params": {1: 2, b"x": 3, None: 4}}),
      msgpack.packb({"params": {"a": rng.choice(ODD[:8])}, "step": rng.choice([1 << 63, -1, 2.5, "x", True])}),
    ]
  )  # fmt: skip
  return one


def lying_header(rng: random.Random) -> bytes:
  """A safetensors file whose header does not tell the truth."""
  good = {"params/a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
  good["params/b"] = {"dtype": "F16", "shape": [4], "data_offsets": [24, 32]}
  text = changed_json(json.dumps(good), rng) if rng.random() < 0.6 else json.dumps(
    {rng.choice(NAMES): {"dtype": rng.choice(["F32", "U8", "BF16", "F99", ""]),
     "shape": rng.choice([[1 << 62], [6], [2, 3], [0], [-6], [1 << 31, 1 << 31]]),
     "data_offsets": rng.choice([[0, 24], [24, 0], [0, 1 << 60], [-24, 0], [0], [8, 32], ["0", "24"]])}}
  )  # fmt: skip
  data = text.encode(errors="surrogatepass")
  size = rng.choice([len(data), len(data), len(data), 1 << 60, 0, len(data) - 1, len(data) + 9])
  return struct.pack("<Q", size) + data + rng.randbytes(32)


class Slow(BaseException):
  """A case takes too long."""


def listing(root: Path, but: Path) -> dict[str, bytes | None]:
  """Everything below a folder, with the content of files, except below `but`."""
  found = {}
  for folder, _, names in os.walk(root):
    if Path(folder).is_relative_to(but):
      continue
    found[folder] = None
    for name in names:
      found[os.path.join(folder, name)] = Path(folder, name).read_bytes()
  return found


def peak() -> int:
  """The largest memory of this process since it was last asked, in bytes."""
  text = Path("/proc/self/status").read_text()
  Path("/proc/self/clear_refs").write_text("5")
  return int(text.split("VmHWM:")[1].split()[0]) << 10


def commands(source: Path, out: Path, how: str, rng: random.Random) -> list[list[str]]:
  """What is done with a case."""
  if how == "manifest":
    return [["verify-checkpoint", str(source)], ["convert", str(source), str(out / "dst"), "--to", "linen"]]
  target = out / rng.choice(["dst", "dst.npz", "dst.safetensors", "dst.msgpack"])
  more = rng.choice([[], [], ["--copy"], ["--checksum"], ["--only", "params/**"]])
  first = rng.choice([["inspect", str(source)], ["plan", str(source)]])
  return [
    first,
    ["convert", str(source), str(target), *more],
    ["verify-checkpoint", str(target), "--against", str(source)],
  ]


def told(command: list[str]) -> tuple[int, str]:
  """Runs a command in this process: its exit code and all that it said."""
  from migrate.cli import main

  said = io.StringIO()
  with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
    code = main([*command, "--quiet"])
  return code, said.getvalue()


def wrong(cases: Cases, number: int) -> str:
  """What a case did that it must not; empty where all is well."""
  source, how, rng = cases.make(number)
  out = source.parent / "out"
  out.mkdir()
  before = listing(cases.folder, out)
  size = sum(len(v) for k, v in before.items() if v and k.startswith(str(source)))
  start = int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) << 10
  peak()
  converted = False
  for command in commands(source, out, how, rng):
    if command[0] == "verify-checkpoint" and not converted and how != "manifest":
      continue
    try:
      code, said = told(command)
    except Slow:
      return f"{how}: {command[0]} takes more than {SECONDS} s"
    except BaseException as error:
      return f"{how}: {command[0]} raised {type(error).__name__}: {error!s:.200}"
    if "Traceback" in said or "fault of linen2nnx" in said:
      return f"{how}: {command[0]} said {said[:600]}"
    if code not in (0, 1, 2) or (code and not said.strip()):
      return f"{how}: {command[0]} ended with {code} and said {said[:100]!r}"
    if command[0] == "convert":
      converted = code == 0 and "--only" not in command
      if code and any(out.iterdir()):
        return f"{how}: convert failed and left {sorted(p.name for p in out.iterdir())}"
    # what was only renamed was not read: a source that cannot be is told of when it is
    told_wrong = any(text in " ".join(said.split()) for text in ("differs from", "is not in", str(out)))
    if command[0] == "verify-checkpoint" and code and how != "manifest" and told_wrong:
      return f"{how}: converted, but not to what the source holds: {said[:400]}"
  used = peak() - start
  if used > 2 * size + ROOM:
    return f"{how}: {used >> 20} MB for a source of {size} bytes"
  if listing(cases.folder, out) != before:
    return f"{how}: something outside the destination changed"
  return ""


def main(first: int, count: int) -> None:
  """Goes through the cases; prints what went wrong."""
  faulthandler.enable()

  def stop(*_: Any) -> None:
    raise Slow

  signal.signal(signal.SIGALRM, stop)
  with tempfile.TemporaryDirectory() as folder:
    cases = Cases(Path(folder).resolve())
    for kind in FORMATS:
      cases._whole(kind)
      to = ["--to", "linen"] if kind == "manifest" else []
      told(["convert", str(cases.whole[kind]), str(Path(folder) / f"warm_{kind}"), *to])
      told(["convert", str(cases.whole[kind]), str(Path(folder) / f"warm_{kind}.npz"), *to])
    for number in range(first, first + count):
      print(json.dumps({"case": number}), flush=True)
      faulthandler.dump_traceback_later(2 * SECONDS, exit=True)
      signal.alarm(SECONDS)
      found = wrong(cases, number)
      signal.alarm(0)
      if found:
        print(json.dumps({"case": number, "wrong": found}), flush=True)


if __name__ == "__main__":
  main(int(sys.argv[1]), int(sys.argv[2]))
