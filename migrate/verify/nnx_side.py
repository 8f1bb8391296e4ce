"""The NNX side of a verification: the same variables and calls, translated there and back by the mapping."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol
from unittest import mock

import jax
from flax import nnx

from migrate.core.mutable import Flags, set_flags, variable_class
from migrate.core.report import Finding, MigrateError, refuse
from migrate.trace.sown import sowing_in_nnx
from migrate.verify import arrays as A
from migrate.verify.draws import Casting, adopt, cast, draws_as_linen, log_draws, rewind, streams_of
from migrate.verify.layerwise import ModuleCall, ModuleDiff, compare_modules
from migrate.verify.linen_side import brief, differentiated
from migrate.verify.perturb import is_float
from migrate.verify.records import SEED, CallPlan, CallRecord, LinenRecord, NnxRecord

Build = Callable[[nnx.Rngs], nnx.Module]


class Bridge(Protocol):
  """State translation, as the workflows give it (siblings of this package may not be imported here)."""

  rng_paths: Mapping[str, str]
  flags: Flags

  def plan(self, variables: Mapping[str, Any], model: nnx.Module) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    """How many leaves are carried, which Linen variables have no place, which NNX variables nothing fills."""
    ...

  def fill(self, variables: Mapping[str, Any], model: nnx.Module) -> nnx.Module:
    """The model with the Linen variables in it."""
    ...

  def pairs(self) -> Mapping[tuple[str, ...], tuple[str, ...]]:
    """Linen module path -> NNX attribute path, once planned."""
    ...

  def back(self, model: nnx.Module) -> Mapping[str, Any]:
    """The Linen variables of the model, by collection."""
    ...


def record_nnx(linen: LinenRecord, model: nnx.Module, bridge: Bridge, *, where: str = "example") -> NnxRecord:
  """Fills the NNX model and repeats the calls of the Linen side.

  Raises:
    MigrateError: where filling or a call fails.
  """
  lacking = missing_methods(model, linen.plans, where)
  if lacking:
    raise MigrateError(*lacking)
  variables = A.unflatten(linen.variables)
  leaves, unmapped, unfilled = bridge.plan(variables, model)
  model = bridge.fill(variables, model)
  adopt(model)
  calls = []
  for i, (plan, theirs) in enumerate(zip(linen.plans, linen.calls)):
    try:
      calls.append(run_call(model, plan, theirs, bridge))
    except MigrateError:
      raise
    except Exception as error:
      raise refuse(
        f"{where}, call {i}", f"the NNX model raised {brief(error)}", "the call that the Linen model takes",
        "compare the signature and body of the ported method with the original's",
      ) from error  # fmt: skip
  return NnxRecord(calls, leaves, unmapped, unfilled, ())


def build_model(build: Build, streams: Sequence[str], where: str) -> nnx.Module:
  """Calls `build` with a stream of its own for every name. Raises MigrateError where it fails."""
  names = dict.fromkeys(("params", "dropout", *streams))
  seeds = {name: i + 1 for i, name in enumerate(names)}
  try:
    model = build(nnx.Rngs(default=0, **seeds))
  except Exception as error:
    raise refuse(
      where, f"building the NNX model raised {brief(error)}", "a function of nnx.Rngs that returns a module",
      "call it by itself and mend the ported module's __init__",
    ) from error  # fmt: skip
  if not isinstance(model, nnx.Module):
    raise refuse(where, f"build returned {type(model).__name__}", "an nnx.Module", "return the model itself")
  return model


def compare_filled(
  linen: LinenRecord, model: nnx.Module, bridge: Bridge, calls: Sequence[ModuleCall], number: int
) -> list[ModuleDiff]:
  """Module by module comparison of one call, see `layerwise`."""
  variables = A.unflatten(linen.variables)
  bridge.plan(variables, model)
  model = bridge.fill(variables, model)
  plan = linen.plans[number]
  adopt(model)
  casting = cast_streams(model, plan, linen.calls[number], bridge)
  return compare_modules(model, calls, bridge.pairs(), plan, casting)


def cast_streams(model: nnx.Module, plan: CallPlan, linen: CallRecord, bridge: Bridge) -> Casting:
  """Which stream plays which of Linen's draws, from tracing the call. Leaves the streams rewound, without tables.

  What says which collections the call may change is set before.
  """
  set_flags(model, bridge.flags, plan.mutable)
  rewind(model, A.stream_keys(plan.rngs, SEED + 1), {})
  if not linen.draws or any(map(draws_as_linen, streams_of(model).values())):
    return Casting()
  graphdef, params, rest = nnx.split(model, _trainable, ...)
  forward, dynamic, _ = _forward(graphdef, plan)
  with log_draws() as log:
    jax.eval_shape(forward, params, rest, dynamic)
  return cast(linen.draws, log, bridge.rng_paths)


def _trainable(_: Any, variable: Any) -> bool:
  return isinstance(variable, nnx.Param) and is_float(variable.get_value())


def _plain(tree: Any) -> Any:
  """Variables in an output replaced by their values."""
  is_variable = lambda x: isinstance(x, nnx.Variable)
  if not any(map(is_variable, jax.tree_util.tree_leaves(tree, is_leaf=is_variable))):
    return tree  # an object of the user's need not stand being made again
  return jax.tree_util.tree_map(lambda x: x.get_value() if is_variable(x) else x, tree, is_leaf=is_variable)


def run_call(original: nnx.Module, plan: CallPlan, linen: CallRecord, bridge: Bridge) -> CallRecord:
  """One call on a copy of the model: outputs, Linen variables after it, Linen gradients."""
  model = nnx.clone(original)
  casting = cast_streams(model, plan, linen, bridge)
  rewind(model, A.stream_keys(plan.rngs, SEED + 1), casting.tables)
  graphdef, params, rest = nnx.split(model, _trainable, ...)
  forward, dynamic, seen = _forward(graphdef, plan)
  has_params = not linen.no_gradient and bool(jax.tree_util.tree_leaves(params))
  run, no_gradient = differentiated(forward, has_params, (params, rest, dynamic))
  (outputs, state, sown), grads = run(params, rest, dynamic)
  nnx.update(model, state)
  after = A.flatten(bridge.back(model))
  after.update(_in_linen(sown, bridge.pairs(), {p[0] for p in linen.after}))
  flat_grads: A.Flat = {}
  if not no_gradient:
    carrier = nnx.merge(graphdef, grads, rest)
    flat_grads = {p: x for p, x in A.flatten(bridge.back(carrier)).items() if p[0] == "params"}
  return CallRecord(
    outputs,
    seen["plain"],
    seen["opaque"],
    after,
    flat_grads,
    no_gradient=no_gradient,
    notes=casting.problems,
    program=run.program,
  )


def _forward(graphdef: Any, plan: CallPlan) -> tuple[Callable[..., Any], list[Any], dict[str, Any]]:
  """The call as a pure function of (params, other state, arrays) that gives (scalar, (outputs, state))."""
  dynamic, rebuild = A.split_static((plan.args, plan.kwargs))
  seen: dict[str, Any] = {}

  def forward(params: Any, rest: Any, dynamic: list[Any]) -> Any:
    model = nnx.merge(graphdef, params, rest, copy=True)  # a Variable of an outer trace may not be written
    a, k = rebuild(dynamic)
    with _sowing() as names:
      out = getattr(model, plan.method or "__call__")(*a, **k)
    outputs, seen["plain"], seen["opaque"] = A.named_leaves(_plain(out))
    sown = _pop_sown(model, names)
    return A.scalar_of(outputs), (outputs, nnx.state(model), sown)

  return forward, dynamic, seen


@contextlib.contextmanager
def _sowing() -> Iterator[set[tuple[type, str]]]:
  """While active, `Module.sow` of NNX notes types and names of what it writes."""
  found: set[tuple[type, str]] = set()
  sow = nnx.Module.sow

  def noting(self: nnx.Module, variable_type: Any, name: str, *args: Any, **kwargs: Any) -> bool:
    wrote = sow(self, variable_type, name, *args, **kwargs)
    if wrote and isinstance(variable := getattr(self, name, None), nnx.Variable):
      found.add((type(variable), name))
    return wrote

  with sowing_in_nnx(), mock.patch.object(nnx.Module, "sow", noting):
    yield found


def _pop_sown(model: nnx.Module, names: set[tuple[type, str]]) -> A.Flat:
  """What the call sowed, taken out of the model: (name of the type, attributes..., places in what was sown)."""
  is_sown = lambda path, v: isinstance(v, nnx.Variable) and (type(v), path[-1]) in names
  found: A.Flat = {}
  for path, variable in nnx.to_flat_state(nnx.pop(model, is_sown)):
    for place, value in jax.tree_util.tree_flatten_with_path(variable.get_value())[0]:
      found[type(variable).__name__, *map(str, path), *A.name_of(place)] = value
  return found


def _in_linen(sown: A.Flat, pairs: Mapping[tuple[str, ...], tuple[str, ...]], collections: set[str]) -> A.Flat:
  """The same under Linen's collections and module paths; what was sown in a module without a partner is left out."""
  linen = {attribute: path for path, attribute in pairs.items()}
  known = {variable_class(c): c for c in collections} | {"Intermediate": "intermediates"}
  found: A.Flat = {}
  for (kind, *path), value in sown.items():
    collection = known.get(kind) or known.get(kind.removesuffix("Variable"), kind)
    for depth in range(len(path) - 1, -1, -1):
      module = linen.get(tuple(path[:depth]))
      if module is not None:
        found[collection, *module, *path[depth:]] = value
        break
  return found


def missing_methods(model: nnx.Module, plans: Sequence[CallPlan], where: str) -> tuple[Finding, ...]:
  """A finding for each method that a call names and the NNX model lacks."""
  names = {p.method for p in plans if p.method and not hasattr(model, p.method)}
  return tuple(
    Finding(where, f"{type(model).__name__} has no method {n}", "the methods that the example calls", "port it too")
    for n in sorted(names)
  )
