"""Times one model: `measure_model.py linen SPEC`, `measure_model.py nnx SPEC PORTED`. Prints JSON, times in seconds.

`compile` is the first training step, tracing and compiling with it; `step` a later one, with SGD; `split` the same step of
NNX over `nnx.split` state in `jax.jit`, without the walk that `nnx.jit` takes around the model; `eager` a call outside of jit.
"""

from __future__ import annotations

import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import optax

from migrate.example import ExampleSpec
from migrate.verify import arrays as A
from migrate.verify.linen_side import init_variables, plans_of, streams_of

STEPS, EAGER = 40, 5


def seconds(run: Callable[[], Any], times: int) -> float:
  """The median of some runs."""
  found = []
  for _ in range(times):
    started = time.perf_counter()
    jax.block_until_ready(run())
    found.append(time.perf_counter() - started)
  return statistics.median(found)


def loss_of(out: Any) -> Any:
  """A number that depends on every output."""
  return A.scalar_of(A.named_leaves(out)[0])


def linen(spec: str) -> dict[str, float]:
  """The Linen model."""
  example = ExampleSpec.parse(spec).build()
  variables = A.unflatten(init_variables(example, "example"))
  plan = plans_of(example)[0]
  dynamic, rebuild = A.split_static((plan.args, plan.kwargs))
  rngs = A.stream_keys(plan.rngs, 1)
  options = {"method": plan.method} if plan.method else {}
  params, rest = variables.pop("params", {}), variables
  tx = optax.sgd(0.01)

  def apply(params: Any, rest: Any, dynamic: Any) -> Any:
    a, k = rebuild(dynamic)
    return example.module.apply({"params": params, **rest}, *a, rngs=rngs, **options, **k)

  @jax.jit
  def step(params: Any, opt_state: Any, rest: Any, dynamic: Any) -> Any:
    loss, grads = jax.value_and_grad(lambda p: loss_of(apply(p, rest, dynamic)))(params)
    updates, opt_state = tx.update(grads, opt_state)
    return optax.apply_updates(params, updates), opt_state, loss

  opt_state = tx.init(params)
  run = lambda: step(params, opt_state, rest, dynamic)
  found = {"compile": seconds(run, 1), "step": seconds(run, STEPS)}
  return found | {"eager": seconds(lambda: apply(params, rest, dynamic), EAGER)}


def nnx_model(spec: str, ported: str) -> dict[str, float]:
  """The ported model."""
  from flax import nnx

  from migrate.verify.nnx_side import build_model

  example = ExampleSpec.parse(spec).build()
  plan = plans_of(example)[0]
  dynamic, rebuild = A.split_static((plan.args, plan.kwargs))
  sys.path.insert(0, ported)
  build = getattr(importlib.import_module("ported"), f"build_{ExampleSpec.parse(spec).name}")
  model = build_model(build, streams_of(example), "example")
  optimizer = nnx.Optimizer(model, optax.sgd(0.01), wrt=nnx.Param)

  def call(model: Any, dynamic: Any) -> Any:
    a, k = rebuild(dynamic)
    return getattr(model, plan.method or "__call__")(*a, **k)

  def update(model: Any, optimizer: Any, dynamic: Any) -> Any:
    loss, grads = nnx.value_and_grad(lambda model: loss_of(call(model, dynamic)))(model)
    optimizer.update(model, grads)
    return loss

  step = nnx.jit(update)
  found = {"compile": seconds(lambda: step(model, optimizer, dynamic), 1)}
  found["step"] = seconds(lambda: step(model, optimizer, dynamic), STEPS)
  found["eager"] = seconds(lambda: jax.tree.leaves(call(model, dynamic)), EAGER)
  graphdef, state = nnx.split((model, optimizer))

  @jax.jit
  def split_step(state: Any, dynamic: Any) -> Any:
    model, optimizer = nnx.merge(graphdef, state, copy=True)
    loss = update(model, optimizer, dynamic)
    return nnx.state((model, optimizer)), loss

  jax.block_until_ready(split_step(state, dynamic))
  return found | {"split": seconds(lambda: split_step(state, dynamic), STEPS)}


if __name__ == "__main__":
  which, place, *more = sys.argv[1:]
  sys.path.insert(0, str(Path(place.rpartition(":")[0]).resolve().parent))
  print(json.dumps(linen(place) if which == "linen" else nnx_model(place, *more)))
