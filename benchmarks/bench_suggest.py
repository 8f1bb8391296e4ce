"""Finding the mapping to a hand-written transformer of many layers. `python benchmarks/bench_suggest.py`.

Shapes alone, no values. The layers' attention is fused on the NNX side, or not. BENCH_LAYERS (625) gives 10,000 leaves;
ten times fewer layers are measured beside.
"""

from __future__ import annotations

import os
import time

import common
import jax
from flax import nnx

import migrate

WIDTH = 64


class Block(nnx.Module):
  """Names of its own; `fused` holds query, key and value in one layer."""

  def __init__(self, fused: bool, rngs: nnx.Rngs):
    self.ln1, self.ln2 = nnx.LayerNorm(WIDTH, rngs=rngs), nnx.LayerNorm(WIDTH, rngs=rngs)
    if fused:
      self.qkv = nnx.Linear(WIDTH, 3 * WIDTH, rngs=rngs)
    else:
      self.q_proj, self.k_proj, self.v_proj = (nnx.Linear(WIDTH, WIDTH, rngs=rngs) for _ in range(3))
    self.o_proj = nnx.Linear(WIDTH, WIDTH, rngs=rngs)
    self.fc1, self.fc2 = nnx.Linear(WIDTH, 4 * WIDTH, rngs=rngs), nnx.Linear(4 * WIDTH, WIDTH, rngs=rngs)


class Net(nnx.Module):
  """As many blocks."""

  def __init__(self, layers: int, fused: bool, rngs: nnx.Rngs):
    self.blocks = nnx.List([Block(fused, rngs) for _ in range(layers)])


def variables(layers: int) -> dict:
  """What a Linen model of these layers has, by shape."""
  spec = lambda *shape: jax.ShapeDtypeStruct(shape, "float32")
  dense = lambda rows, columns: {"kernel": spec(rows, columns), "bias": spec(columns)}
  norm = {"scale": spec(WIDTH), "bias": spec(WIDTH)}
  block = {
    "LayerNorm_0": norm,
    "LayerNorm_1": norm,
    "MultiHeadDotProductAttention_0": {n: dense(WIDTH, WIDTH) for n in ("query", "key", "value", "out")},
    "MlpBlock_0": {"Dense_0": dense(WIDTH, 4 * WIDTH), "Dense_1": dense(4 * WIDTH, WIDTH)},
  }
  return {"params": {f"encoderblock_{i}": block for i in range(layers)}}


def main() -> None:
  """Prints processor times and ratios."""
  common.busy()
  many = int(os.environ.get("BENCH_LAYERS", "625"))
  for fused in (False, True):
    found = []
    for layers in (many // 10, many):
      tree = variables(layers)
      start = time.process_time()
      suggestion = migrate.suggest(tree, lambda rngs, n=layers, f=fused: Net(n, f, rngs))
      found.append(time.process_time() - start)
      assert not suggestion.unmapped
      assert not suggestion.unfilled
      how = "fused" if fused else "apart"
      print(f"suggest, {layers} layers, {how}, {len(jax.tree.leaves(tree))} leaves {found[-1]:8.2f} s")
    common.ratio("ten times the layers", found[1] / found[0], 20)
  common.busy()


if __name__ == "__main__":
  main()
