"""Ways to damage bytes and JSON."""

from __future__ import annotations

import json
import random
from typing import Any

ODD: list[Any] = [
  [], {}, "", None, -1, 1 << 62, True, 2.5, "..", "../../x", "/abs", "\0", "😀", float("nan"), float("inf"), "a" * 5000,
  [[[]]], {"a": {}}, 1 << 70, "None", "scalar", "string", "jax.Array", "<f8", "|O", "<U4", "float32", [1, 2], [0], "F", 3,
]  # fmt: skip


def changed_bytes(data: bytes, rng: random.Random) -> bytes:
  """Truncated, with flipped bits, other bytes, some missing or some more."""
  if not data:
    return b"x"
  how = rng.randrange(6)
  if how == 0:
    return data[: rng.randrange(len(data))]
  out = bytearray(data)
  for _ in range(rng.randint(1, 4)):
    at = rng.randrange(max(len(out), 1))
    if how == 1:
      out[at] ^= 1 << rng.randrange(8)
    elif how == 2:
      out[at] = rng.randrange(256)
    elif how == 3:
      del out[at : at + rng.randint(1, 9)]
      if not out:
        break
    elif how == 4:
      out[at:at] = rng.randbytes(rng.randint(1, 9))
    else:  # sizes and counts are often whole words
      out[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f"])
  return bytes(out)


def changed_json(text: str, rng: random.Random) -> str:
  """A value or name replaced, removed or doubled, as by hand; now and then no JSON any more."""
  try:
    data = json.loads(text)
  except ValueError:
    return text[: len(text) // 2]
  if rng.random() < 0.05:
    return rng.choice(["", "[", "{" * 100_000, "[" * 100_000, "null", "3", '"x"', text[:-1], text + text])
  places: list[tuple[Any, Any]] = []
  _places(data, places)
  for _ in range(rng.randint(1, 3)):
    if not places:
      break
    holder, name = rng.choice(places)
    if (isinstance(holder, dict) and name not in holder) or (isinstance(holder, list) and name >= len(holder)):
      continue
    how = rng.randrange(4)
    if how == 0:
      del holder[name]
    elif how == 1 and isinstance(holder, dict):
      holder[str(rng.choice(ODD))] = holder.pop(name)
    elif how == 2 and isinstance(holder, list):
      holder.insert(name, holder[name])
    else:
      holder[name] = rng.choice(ODD)
  return json.dumps(data, ensure_ascii=rng.random() < 0.5)


def _places(node: Any, out: list[tuple[Any, Any]]) -> None:
  for name, child in list(
    node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
  ):
    out.append((node, name))
    _places(child, out)
