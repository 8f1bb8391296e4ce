"""The Linen side of a verification: variables, then every call with outputs, state, gradients and noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from migrate.core.report import Finding, MigrateError, refuse
from migrate.example import Call, Example
from migrate.trace.sown import sowing
from migrate.verify import arrays as A
from migrate.verify.draws import record_draws
from migrate.verify.perturb import is_float, largest_change, nudge, perturb
from migrate.verify.programs import cost
from migrate.verify.records import SEED, CallPlan, CallRecord, LinenRecord

NUDGES = 2  # runs of the Linen model that measure its noise


def record_linen(example: Example, *, where: str = "example") -> LinenRecord:
  """Runs the example's Linen model.

  Args:
    example: what to run; arguments that are shapes are filled with random values.
    where: the example's name, for messages.

  Raises:
    MigrateError: where `init` or a call fails.
  """
  everything = init_variables(example, where)
  variables = perturb({p: x for p, x in everything.items() if x is not None}, seed=SEED)
  plans = plans_of(example)
  calls = []
  for i, plan in enumerate(plans):
    try:
      calls.append(run_call(example.module, {**everything, **variables}, plan))
    except Exception as error:
      raise refuse(
        f"{where}, call {i}", f"the Linen model raised {brief(error)}", "a call that works",
        "run `module.apply` with these arguments by itself and mend the example",
      ) from error  # fmt: skip
  findings = tuple(
    Finding(f"{where}, call {i}", f"the Linen model's {what} holds NaN or infinity", "finite numbers",
            "choose arguments for which the model is defined", severity="eye")
    for i, call in enumerate(calls) for what, flat in (("output", call.outputs), ("gradient", call.grads))
    if any(is_float(x) and not np.isfinite(np.asarray(x, np.complex128)).all() for x in flat.values())
  )  # fmt: skip
  return LinenRecord(variables, tuple(streams_of(example)), plans, calls, findings)


def streams_of(example: Example) -> list[str]:
  """The names of all random streams that the example uses."""
  return list(dict.fromkeys((*example.init_rngs, *(n for call in example.all_calls for n in call.rngs))))


def brief(error: BaseException) -> str:
  """An exception in a few lines: no traceback, no page of JAX."""
  text = str(error).strip()
  return f"{type(error).__name__}: {text[:600]}{'...' if len(text) > 600 else ''}"


def init_variables(example: Example, where: str) -> A.Flat:
  """The variables that `init` makes, as one jitted function, metadata boxes opened.

  Sown and perturbation variables are left out: they are outputs, and feeding them back would add to them. A variable
  that holds nothing is None: Linen misses it where it is not given.
  """
  from flax import linen as nn

  kwargs = example.kwargs if example.init_kwargs is None else example.init_kwargs
  args = example.args if example.init_args is None else example.init_args
  dynamic, rebuild = A.split_static(A.fill_shapes((tuple(args), dict(kwargs)), SEED))
  method = example.init_method or example.method
  options: dict[str, Any] = {"method": method} if method else {}

  def init(rngs: Any, dynamic: list[Any]) -> Any:
    a, k = rebuild(dynamic)
    return nn.meta.unbox(nn.Module.init(example.module, rngs, *a, **k, **options))

  rngs = A.stream_keys(example.init_rngs, SEED)
  try:
    with sowing() as sown:
      variables = jax.jit(init)(rngs, dynamic)
  except Exception as error:
    raise refuse(
      where, f"`module.init` raised {brief(error)}", "an example that initialises",
      "run `module.init` with these arguments by itself and mend the example",
    ) from error  # fmt: skip
  flat: A.Flat = {}
  for path, leaf in jax.tree_util.tree_flatten_with_path(variables, is_leaf=lambda x: x is None)[0]:
    name = A.name_of(path)
    if name not in sown:
      flat[name] = leaf
  return flat


def plans_of(example: Example) -> list[CallPlan]:
  """The example's calls with shapes filled in, the same at every run."""
  return [_plan(call, i) for i, call in enumerate(example.all_calls)]


def _plan(call: Call, index: int) -> CallPlan:
  args, kwargs = A.fill_shapes((tuple(call.args), dict(call.kwargs)), SEED + index)
  mutable = list(call.mutable) if isinstance(call.mutable, (tuple, set, frozenset)) else call.mutable
  return CallPlan(args, kwargs, tuple(call.rngs), mutable, call.method)


def run_call(module: Any, variables: A.Flat, plan: CallPlan) -> CallRecord:
  """One call: outputs, variables after it, gradients, noise, and the random numbers drawn."""
  dynamic, rebuild = A.split_static((plan.args, plan.kwargs))
  mutable = False if plan.mutable is None else plan.mutable
  options: dict[str, Any] = {"method": plan.method} if plan.method else {}
  trainable = {p: x for p, x in variables.items() if p[0] == "params" and is_float(x)}
  rest = {p: x for p, x in variables.items() if p not in trainable}
  seen: dict[str, Any] = {}

  def forward(trainable: A.Flat, rest: A.Flat, rngs: Any, dynamic: list[Any]) -> Any:
    draws.clear()  # of a trace that was given up
    a, k = rebuild(dynamic)
    out = module.apply(A.unflatten({**rest, **trainable}), *a, rngs=rngs, mutable=mutable, **options, **k)
    out, mutated = out if mutable is not False else (out, {})
    outputs, seen["plain"], seen["opaque"] = A.named_leaves(out)
    from flax import linen as nn

    mutated = A.flatten(nn.meta.unbox(mutated))
    return A.scalar_of(outputs), (outputs, mutated)

  rngs = A.stream_keys(plan.rngs, SEED + 1)
  with record_draws() as draws:
    run, no_gradient = differentiated(forward, bool(trainable), (trainable, rest, rngs, dynamic))
  (outputs, mutated), grads = run(trainable, rest, rngs, dynamic)
  others = []
  for seed in range(NUDGES):
    t, r = nudge(trainable, seed), nudge(rest, seed)
    d = list(nudge(dict(enumerate(dynamic)), seed).values())
    others.append(run(t, r, rngs, d))
  noise = {
    "outputs": largest_change(outputs, *(o[0][0] for o in others)),
    "after": largest_change(mutated, *(o[0][1] for o in others)),
    "grads": largest_change(grads, *(o[1] for o in others)),
  }
  return CallRecord(
    outputs,
    seen["plain"],
    seen["opaque"],
    {p: x for p, x in {**variables, **mutated}.items() if x is not None},
    grads,
    noise,
    tuple(draws),
    no_gradient,
    program=run.program,
  )


def differentiated(forward: Callable[..., Any], has_params: bool, arguments: tuple[Any, ...]) -> tuple[Any, str]:
  """Compiles `forward(trainable, ...) -> (scalar, outputs)` together with its gradient.

  Returns:
    A function that gives (outputs, gradients) as NumPy arrays, and why there are no gradients (empty if there are).

  Raises:
    Whatever `forward` raises by itself.
  """
  why = "" if has_params else "no parameter of floating point"
  compiled: Any = None
  if not why:
    try:
      compiled = jax.jit(jax.value_and_grad(forward, has_aux=True)).lower(*arguments).compile()
    except MigrateError:
      raise
    except Exception as error:
      why = brief(error)[:200]
  if compiled is None:
    compiled = jax.jit(forward).lower(*arguments).compile()

  def run(*arguments: Any) -> Any:
    if why:
      (_, aux), grads = compiled(*arguments), {}
    else:
      (_, aux), grads = compiled(*arguments)
    return jax.tree_util.tree_map(_numpy, (aux, grads))

  run.program = cost(compiled)  # pyright: ignore[reportFunctionMemberAccess]
  return run, why


def _numpy(x: Any) -> Any:
  return x if A.is_key(x) else np.asarray(x)
