"""What Linen folds into its random keys, for each stream of an NNX model: recorded by running both abstractly."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
from flax import linen as nn
from flax import nnx

from migrate.core.mutable import Flags
from migrate.core.report import Finding, MigrateError, refuse
from migrate.example import Example
from migrate.trace.sown import sowing
from migrate.verify import arrays as A
from migrate.verify.draws import Draw, adopt, record_draws
from migrate.verify.linen_side import brief, plans_of
from migrate.verify.nnx_side import cast_streams
from migrate.verify.records import SEED, CallPlan, CallRecord

LinenDraws = dict[str, tuple[str, tuple[int, ...]]]
"""Attribute path of an NNX stream -> (name of Linen's stream, what Linen folds into its root key, draw by draw)."""


@dataclasses.dataclass(frozen=True)
class _Paths:
  """As much of a bridge as casting needs."""

  rng_paths: Mapping[str, str]
  flags: Flags = dataclasses.field(default_factory=dict)


def linen_draws(
  example: Example, model: nnx.Module, rng_paths: Mapping[str, str] | None = None, *, where: str = "example"
) -> LinenDraws:
  """Traces every call of the example that draws, in Linen and in NNX; nothing is computed.

  Args:
    example: the Linen model with its calls.
    model: the NNX model, live or abstract, with a stream of its own for every name. It is not changed.
    rng_paths: attribute path -> Linen path of modules; where absent, the order of the draws decides.
    where: the example's name, for messages.

  Raises:
    MigrateError: where the two sides draw differently, or calls disagree about a stream.
  """
  model = nnx.clone(model)
  adopt(model)
  bridge = _Paths(rng_paths or {})
  variables = _abstract_variables(example, where)
  found: LinenDraws = {}
  for i, plan in enumerate(plans_of(example)):
    draws = _drawn(example, variables, plan, f"{where}, call {i}") if plan.rngs else ()
    if not draws:
      continue
    record = CallRecord({}, {}, 0, {}, {}, draws=draws)
    try:
      casting = cast_streams(model, plan, record, bridge)  # type: ignore[arg-type]
    except Exception as error:
      said = f"the NNX model raised {brief(error)}"
      raise refuse(f"{where}, call {i}", said, "the call that the Linen model takes", "run it by itself") from error
    if casting.problems:
      do = "give the modules that draw to the mapping's rng_paths, or draw as often as Linen does"
      raise MigrateError(
        *(Finding(f"{where}, call {i}", p, "the same draws on both sides", do) for p in casting.problems)
      )
    stream_of = {d.hash: d.stream for d in draws}
    for owner, folds in casting.tables.items():
      _add(found, owner, (stream_of[folds[0]], folds), f"{where}, call {i}")
  return found


def _add(found: LinenDraws, owner: str, new: tuple[str, tuple[int, ...]], where: str) -> None:
  """Keeps the longer of two tables of which one begins as the other. Raises MigrateError for others."""
  old = found.get(owner, new)
  short, long = sorted((old, new), key=lambda one: len(one[1]))
  if short[0] != long[0] or long[1][: len(short[1])] != short[1]:
    do = "keep only the calls that training makes in the example"
    raise refuse(where, f"the stream {owner} draws otherwise than in another call", "one order of draws", do)
  found[owner] = long


def _abstract_variables(example: Example, where: str) -> Any:
  kwargs = example.kwargs if example.init_kwargs is None else example.init_kwargs
  args = example.args if example.init_args is None else example.init_args
  dynamic, rebuild = A.split_static(A.fill_shapes((tuple(args), dict(kwargs)), SEED))
  method = example.init_method or example.method
  options: dict[str, Any] = {"method": method} if method else {}

  def init(rngs: Any, dynamic: list[Any]) -> Any:
    a, k = rebuild(dynamic)
    return nn.Module.init(example.module, rngs, *a, **k, **options)

  try:
    with sowing() as sown:
      variables = jax.eval_shape(init, A.stream_keys(example.init_rngs, SEED), dynamic)
  except Exception as error:
    said, do = f"`module.init` raised {brief(error)}", "run it by itself and mend the example"
    raise refuse(where, said, "an example that initialises", do) from error
  return sown.left_out_of(variables)


def _drawn(example: Example, variables: Any, plan: CallPlan, where: str) -> tuple[Draw, ...]:
  dynamic, rebuild = A.split_static((plan.args, plan.kwargs))
  options: dict[str, Any] = {"method": plan.method} if plan.method else {}

  def apply(variables: Any, rngs: Any, dynamic: list[Any]) -> Any:
    a, k = rebuild(dynamic)
    out = example.module.apply(variables, *a, rngs=rngs, mutable=plan.mutable or False, **options, **k)
    return A.named_leaves(out)[0]

  try:
    with record_draws() as draws:
      jax.eval_shape(apply, variables, A.stream_keys(plan.rngs, SEED + 1), dynamic)
  except Exception as error:
    said, do = f"the Linen model raised {brief(error)}", "run `module.apply` by itself and mend the example"
    raise refuse(where, said, "a call that works", do) from error
  return tuple(draws)
