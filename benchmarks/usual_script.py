"""What people write today: restore with Orbax, rename in nested dicts, save. `usual_script.py rename|stack|transpose SRC DST`."""

import sys

import numpy as np
import orbax.checkpoint as ocp

GATES = "ifgo"


def renamed(params):
  """`layers_3/...` to `layers/3/...`, for the parameters or either moment."""
  out = {"layers": {}}
  for name, layer in params.items():
    head, _, number = name.rpartition("_")
    if head == "layers":
      out["layers"][number] = {n: {k: {"value": v} for k, v in part.items()} for n, part in layer.items()}
    else:
      out[name] = {k: {"value": v} for k, v in layer.items()}
  return out


def stacked(params, change=lambda kernel: kernel):
  """All layers on a leading axis, the four gates of each side by side."""
  layers = [params[f"layers_{i}"] for i in range(sum(name.startswith("layers_") for name in params))]
  out = {"layers": {"cell": {}}, **{n: {k: {"value": v} for k, v in params[n].items()} for n in ("embed", "head")}}
  cell = out["layers"]["cell"]
  for side, name in (("i", "kernel_ih"), ("h", "kernel_hh")):
    made = [change(np.concatenate([layer[side + gate]["kernel"] for gate in GATES], -1)) for layer in layers]
    cell[name] = {"value": np.stack(made)}
  made = [np.concatenate([layer["h" + gate]["bias"] for gate in GATES], -1) for layer in layers]
  cell["bias"] = {"value": np.stack(made)}
  return out


def transposed(params):
  """The same with every kernel transposed."""
  return stacked(params, np.transpose)


def main(how, src, dst):
  change = {"rename": renamed, "stack": stacked, "transpose": transposed}[how]
  with ocp.PyTreeCheckpointer() as checkpointer:
    state = checkpointer.restore(src)
    adam, *rest = state["opt_state"]
    new = {
      "model": change(state["params"]),
      "optimizer": {
        "opt_state": {
          "0": {"count": {"value": adam["count"]}, "mu": change(adam["mu"]), "nu": change(adam["nu"])},
          **{str(i): one for i, one in enumerate(rest, 1)},
        },
        "step": {"value": np.asarray(state["step"], np.uint32)},
      },
    }
    checkpointer.save(dst, new)


if __name__ == "__main__":
  main(*sys.argv[1:])
