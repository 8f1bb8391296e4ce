"""Saves a checkpoint of many small leaves. `make_leaves.py DST LEAVES`."""

import sys

import numpy as np
import orbax.checkpoint as ocp


def main(dst, leaves):
  params = {f"layers_{i}": {"kernel": np.ones((3, 4), "f4"), "bias": np.ones(4, "f4")} for i in range(int(leaves) // 2)}
  with ocp.StandardCheckpointer() as checkpointer:
    checkpointer.save(dst, {"params": params})


if __name__ == "__main__":
  main(*sys.argv[1:])
