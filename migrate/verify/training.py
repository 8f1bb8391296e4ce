"""Training continued on both sides: some Linen steps, migration with optimizer state, then the same steps in both."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

import jax
import numpy as np
import optax
from flax import nnx

from migrate.core.report import Finding
from migrate.core.verdict import Comparison, LeafDiff, Verdict, worst
from migrate.verify import arrays as A
from migrate.verify.compare import compare_named
from migrate.verify.draws import adopt, record_draws, rewind
from migrate.verify.nnx_side import Bridge, cast_streams
from migrate.verify.perturb import largest_change, nudge
from migrate.verify.records import SEED, CallPlan, CallRecord


class OptimizerBridge(Bridge, Protocol):
  """State translation with optimizer state."""

  def fill_optimizer(self, opt_state: Any, optimizer: nnx.Optimizer, step: int) -> Any:
    """The NNX optimizer with the Linen run's Optax state and step count in it."""
    ...

  def optimizer_back(self, optimizer: nnx.Optimizer, opt_state: Any) -> Any:
    """The Optax state for the Linen parameters; `opt_state` gives its structure."""
    ...


@dataclasses.dataclass
class Run:
  """A training run on the Linen side: variables, Optax state, losses, random draws of a step."""

  variables: A.Flat
  opt_state: Any
  losses: list[float]
  draws: tuple[Any, ...] = ()


@dataclasses.dataclass(frozen=True)
class TrainingReport:
  """Both runs compared after the last step.

  Attributes:
    linen_losses: before each step.
    nnx_losses: likewise.
    state: every variable and every array of the Optax state.
    warm: steps that Linen made before the migration.
  """

  linen_losses: list[float]
  nnx_losses: list[float]
  state: Comparison
  losses: Comparison
  warm: int

  @property
  def verdict(self) -> Verdict:
    """The worst of the losses and the state."""
    return worst((self.state.verdict, self.losses.verdict))

  def to_json(self) -> dict[str, Any]:
    """A plain dict, as `ExampleReport.training` holds it."""
    return {
      "verdict": self.verdict,
      "warm_steps": self.warm,
      "linen_losses": [x if np.isfinite(x) else str(x) for x in self.linen_losses],
      "nnx_losses": [x if np.isfinite(x) else str(x) for x in self.nnx_losses],
      "state": self.state.to_json(),
    }

  def findings(self, name: str) -> list[Finding]:
    """What differs, if anything."""
    bad = list(self.losses.different) + list(self.state.different)
    if not bad:
      return []
    found = f"{len(bad)} arrays differ after training, first {bad[0]}"
    return [Finding(f"{name}: {bad[0].name}", found, "the same training run", "see `training` in the report")]


def compare_training(
  module: Any,
  variables: A.Flat,
  plan: CallPlan,
  model: nnx.Module,
  bridge: OptimizerBridge,
  optimizer: optax.GradientTransformation,
  *,
  warm: int = 3,
  steps: int = 2,
) -> TrainingReport:
  """Trains Linen for `warm` steps, migrates, and trains both for `steps` steps.

  Args:
    module: the Linen module.
    variables: its variables at the start, flat.
    plan: the call to train on, usually one with `train=True`; the same arguments at every step, other dropout keys.
    model: the NNX model, any state.
    bridge: state translation.
    optimizer: an Optax transformation, used on both sides.
    warm: Linen steps before the migration, so that moments and counts are not zero.
    steps: steps after it.
  """
  tx = optimizer
  trainable = A.unflatten({p: x for p, x in variables.items() if p[0] == "params"}).get("params", {})
  start = Run(variables, tx.init(trainable), [])
  linen_step = _linen_step(module, plan, tx)
  migrated = train_linen(linen_step, start, plan, 0, warm)
  ended = train_linen(linen_step, migrated, plan, warm, steps)
  nudged = dataclasses.replace(migrated, variables=nudge(migrated.variables, 0))
  noisy = train_linen(linen_step, nudged, plan, warm, steps)

  bridge.plan(A.unflatten(migrated.variables), model)
  model = bridge.fill(A.unflatten(migrated.variables), model)
  nnx_optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
  bridge.fill_optimizer(migrated.opt_state, nnx_optimizer, warm)
  losses = train_nnx(model, nnx_optimizer, plan, migrated.draws, bridge, warm, steps)
  theirs = _named(A.flatten(bridge.back(model)), bridge.optimizer_back(nnx_optimizer, ended.opt_state))
  ours, moved = (_named(run.variables, run.opt_state) for run in (ended, noisy))
  known = {k: v for k, v in theirs.items() if k in ours}
  state = compare_named("trained", ours, known, largest_change(ours, moved))
  return TrainingReport(ended.losses, losses, Comparison(tuple(state)), _losses(ended, losses, noisy), warm)


def _named(variables: A.Flat, opt_state: Any) -> dict[str, Any]:
  flat = {"/".join(p): np.asarray(x) for p, x in variables.items() if not A.is_key(x)}
  flat.update({"/".join(("opt_state", *p)): np.asarray(x) for p, x in A.flatten(opt_state).items() if A.is_array(x)})
  return flat


def _losses(ended: Run, losses: list[float], noisy: Run) -> Comparison:
  diffs: list[LeafDiff] = []
  for i, (a, b, c) in enumerate(zip(ended.losses, losses, noisy.losses)):
    one, other = ({str(i): np.float32(x)} for x in (a, b))
    diffs += compare_named("loss", one, other, {str(i): abs(a - c)})
  return Comparison(tuple(diffs))


def _step_keys(plan: CallPlan, step: int) -> dict[str, Any]:
  return {name: jax.random.fold_in(key, step) for name, key in A.stream_keys(plan.rngs, SEED + 2).items()}


def _linen_step(module: Any, plan: CallPlan, tx: optax.GradientTransformation) -> Any:
  """A jitted training step (params, rest, opt_state, rngs, arrays) -> (loss, params, rest, opt_state)."""
  _, rebuild = A.split_static((plan.args, plan.kwargs))
  options: dict[str, Any] = {"method": plan.method} if plan.method else {}
  mutable = False if plan.mutable is None else plan.mutable

  @jax.jit
  def step(params: Any, rest: A.Flat, opt_state: Any, rngs: Any, dynamic: list[Any]) -> Any:
    def loss(params: Any) -> Any:
      a, k = rebuild(dynamic)
      out = module.apply({**A.unflatten(rest), "params": params}, *a, rngs=rngs, mutable=mutable, **options, **k)
      out, mutated = out if mutable is not False else (out, {})
      return A.loss_of(A.named_leaves(out)[0]), mutated

    (value, mutated), grads = jax.value_and_grad(loss, has_aux=True)(params)
    updates, opt_state = tx.update(grads, opt_state, params)
    changed = {p: x for p, x in A.flatten(mutated).items() if p in rest}
    return value, optax.apply_updates(params, updates), {**rest, **changed}, opt_state

  return step


def train_linen(step: Any, run: Run, plan: CallPlan, first: int, steps: int) -> Run:
  """Continues a Linen run for some steps."""
  dynamic, _ = A.split_static((plan.args, plan.kwargs))
  params = A.unflatten({p[1:]: x for p, x in run.variables.items() if p[0] == "params"})
  rest = {p: x for p, x in run.variables.items() if p[0] != "params"}
  opt_state, losses, draws = run.opt_state, [], run.draws
  for i in range(first, first + steps):
    with record_draws() as drawn:
      value, params, rest, opt_state = step(params, rest, opt_state, _step_keys(plan, i), dynamic)
    draws = tuple(drawn) or draws  # only the step that is traced draws
    losses.append(float(value))
  variables = {**{("params", *p): x for p, x in A.flatten(params).items()}, **rest}
  return Run(variables, opt_state, losses, draws)


def train_nnx(
  model: nnx.Module, optimizer: nnx.Optimizer, plan: CallPlan, draws: Any, bridge: Bridge, first: int, steps: int
) -> list[float]:
  """Trains the NNX model in place with Linen's dropout masks; gives the loss before each step."""
  dynamic, rebuild = A.split_static((plan.args, plan.kwargs))
  adopt(model)
  tables: Mapping[str, Any] = cast_streams(model, plan, CallRecord({}, {}, 0, {}, {}, draws=draws), bridge).tables

  def loss(model: nnx.Module, dynamic: list[Any]) -> Any:
    a, k = rebuild(dynamic)
    out = getattr(model, plan.method or "__call__")(*a, **k)
    nnx.pop(model, lambda _, v: isinstance(v, nnx.Variable) and isinstance(v.get_value(), tuple))
    return A.loss_of(A.named_leaves(out)[0])

  @nnx.jit
  def step(model: nnx.Module, optimizer: nnx.Optimizer, dynamic: list[Any]) -> Any:
    value, grads = nnx.value_and_grad(loss, argnums=nnx.DiffState(0, nnx.Param))(model, dynamic)
    optimizer.update(model, grads)
    return value

  losses = []
  for i in range(first, first + steps):
    rewind(model, _step_keys(plan, i), tables)
    losses.append(float(step(model, optimizer, dynamic)))
  return losses


def training_call(plans: list[CallPlan]) -> int:
  """The call to train on: the last that draws dropout or changes statistics, else the first."""
  training = [i for i, p in enumerate(plans) if p.rngs or p.mutable]
  return training[-1] if training else 0
