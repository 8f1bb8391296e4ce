"""What a dotted name of `flax.linen` is called without Linen."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
from typing import Any

# functions that moved: full Linen name -> full name outside flax.linen, where meaning and arguments are the same
MOVED = {
  "flax.linen.Module": "flax.nnx.Module",
  "flax.linen.Variable": "flax.nnx.Variable",
  "flax.linen.dot_product_attention_weights": "flax.nnx.nn.attention.dot_product_attention_weights",
  "flax.linen.initializers.zeros": "flax.nnx.initializers.zeros",
  "flax.linen.initializers.ones": "flax.nnx.initializers.ones",
  "flax.linen.broadcast": "flax.core.broadcast",
  "flax.linen.cond": "flax.nnx.cond",
  "flax.linen.transforms.cond": "flax.nnx.cond",
  "flax.linen.switch": "flax.nnx.switch",
  "flax.linen.transforms.switch": "flax.nnx.switch",
  "flax.linen.FrozenDict": "flax.core.FrozenDict",
  "flax.linen.normalize": "jax.nn.standardize",
  "flax.linen.activation": "flax.nnx",
  "flax.linen.initializers": "flax.nnx.initializers",
  "flax.linen.linear.default_kernel_init": "flax.nnx.nn.linear.default_kernel_init",
  "flax.linen.linear.default_embed_init": "flax.nnx.nn.linear.default_embed_init",
}


@functools.cache
def nnx_name(full: str) -> str | None:
  """The NNX (or jax) name of a function or constant of `flax.linen`.

  The very same object is looked for under `flax.nnx`, then in the modules that define it; else the table of names
  that moved. None where there is no counterpart.
  """
  if full in MOVED:
    return MOVED[full]
  if not full.startswith("flax.linen."):
    return None
  rest = full.removeprefix("flax.linen.")
  value = lookup(full)
  if value is None:
    return None
  if value is Any:  # an alias for annotations
    return "typing.Any"
  tails = [rest, rest.rpartition(".")[2]]
  for tail in dict.fromkeys(tails):
    for root in ("flax.nnx", "flax.nnx.initializers"):
      if lookup(f"{root}.{tail}") is value:
        return f"{root}.{tail}"
  for root in ("jax.nn", "jax.nn.initializers", "jax.numpy", "jax.lax", "jax", "flax.typing"):
    if lookup(f"{root}.{tails[-1]}") is value:
      return f"{root}.{tails[-1]}"
  module, _, name = rest.rpartition(".")
  if module and callable(value) and not isinstance(value, type):
    twin = f"flax.nnx.nn.{module.rpartition('.')[2]}.{name}"
    if _takes_the_same(lookup(twin), value):
      return twin
  # written again in NNX with the same arguments: pooling, masks
  if callable(value) and not isinstance(value, type) and rest in _REWRITTEN:
    for root in ("flax.nnx", "flax.nnx.initializers"):
      if lookup(f"{root}.{tails[-1]}") is not None:
        return f"{root}.{tails[-1]}"
  return None


def _takes_the_same(twin: Any, linen: Any) -> bool:
  """Whether NNX's function takes the arguments of Linen's, but for options at the end that it has not."""
  try:
    mine, theirs = ([*inspect.signature(f).parameters.values()] for f in (twin, linen))
  except (TypeError, ValueError):
    return False
  gathers = lambda p: (p.name, p.kind == p.VAR_POSITIONAL)
  more = theirs[len(mine) :]
  return [*map(gathers, theirs[: len(mine)])] == [*map(gathers, mine)] and all(p.default is not p.empty for p in more)


_REWRITTEN = {
  "avg_pool", "max_pool", "min_pool", "pool", "make_attention_mask", "make_causal_mask", "combine_masks",
  "standardize", "one_hot", "zeros_init", "ones_init", "initializers.zeros_init",
  "initializers.ones_init",
}  # fmt: skip


def lookup(full: str) -> Any:
  """The object of a full dotted name, or None."""
  parts = full.split(".")
  for cut in range(len(parts), 0, -1):
    try:
      value: Any = importlib.import_module(".".join(parts[:cut]))
    except ImportError:
      continue
    for part in parts[cut:]:
      value = getattr(value, part, None)
      if value is None:
        return None
    return value
  return None


def spell(full: str, nnx: str = "nnx") -> tuple[str, str]:
  """(text, import statement) for a full name: `flax.nnx.relu` is written `nnx.relu`."""
  for prefix, alias, statement in (
    ("flax.nnx.", nnx, "from flax import nnx"),
    ("jax.numpy.", "jnp", "import jax.numpy as jnp"),
    ("jax.", "jax", "import jax"),
  ):
    if full.startswith(prefix):
      if prefix == "flax.nnx." and full.startswith("flax.nnx.nn."):
        break
      return f"{alias}.{full.removeprefix(prefix)}", statement
  if full == "flax.nnx":
    return nnx, "from flax import nnx"
  module, _, name = full.rpartition(".")
  return name, f"from {module} import {name}"


def spoken(unit: Any, node: ast.AST, index: str | None) -> str | None:
  """The name that counts the rounds of a loop; for `_`, under which nothing is looked up, one that is free."""
  if index != "_":
    return index
  method = next((n for n in unit.source.enclosing(node) if isinstance(n, ast.FunctionDef)), node)
  used = {n.id for n in ast.walk(method) if isinstance(n, ast.Name)} | {
    n.arg for n in ast.walk(method) if isinstance(n, ast.arg)
  }
  read = any(isinstance(n, ast.Name) and n.id == "_" and isinstance(n.ctx, ast.Load) for n in ast.walk(method))
  return index if read else next((n for n in "ijk" if n not in used), index)


def snake(name: str) -> str:
  """`MlpBlock` -> `mlp_block`, `Conv1DBlock` -> `conv1d_block`."""
  out = ""
  for i, c in enumerate(name):
    if (
      c.isupper()
      and i
      and not (c == "D" and name[i - 1].isdigit() and not name[i + 1 : i + 2].islower())
      and (not name[i - 1].isupper() or (i + 1 < len(name) and name[i + 1].islower()))
      and name[i - 1] != "_"
    ):
      out += "_"
    out += c.lower()
  return out
