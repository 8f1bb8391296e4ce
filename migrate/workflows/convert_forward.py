"""Plans the conversion of a Linen training state: its parts, their plans, and how its leaves are read and named."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from migrate.checkpoint.processes import ALONE, Elsewhere, Processes, is_reference
from migrate.checkpoint.references import NotStoredSoError, Reference, reference
from migrate.checkpoint.stored import Stored, StoredLeaf
from migrate.core.arithmetic import CHANGE, open_question, optimizer_changes
from migrate.core.declare import ModelMapping
from migrate.core.entries import Plan, plan_error
from migrate.core.moments import lift
from migrate.core.ops import numpy_dtype, run_ops
from migrate.core.paths import Path, key, show
from migrate.core.per_tensor import transformation_of
from migrate.core.plan import make_plan
from migrate.core.report import Finding, MigrateError, refuse
from migrate.core.training import TrainingState, is_bare, is_nnx, split_linen, with_value
from migrate.core.translate import read, translate
from migrate.core.tree import NOTHING, spec_of
from migrate.workflows.manifest import Summed
from migrate.workflows.mapping import load_mapping
from migrate.workflows.random_leaves import dropped_keys, linen_keys

if TYPE_CHECKING:
  from migrate.workflows.live import Live


@dataclasses.dataclass(frozen=True)
class Work:
  """A conversion that is planned: its plans, and how its leaves are read and named."""

  model: Plan
  optimizer: Plan | None
  step: int | None
  notes: tuple[str, ...]
  state: TrainingState
  layout: dict[str, Any]
  mapping: Any
  numbers: frozenset[Path] = frozenset()
  live: Live | None = None
  random: Mapping[Path, np.ndarray] = dataclasses.field(default_factory=dict)
  processes: Processes = ALONE
  linked: bool = False

  def leaves(self, form: str, sums: dict[str, str], linked: bool = False) -> Iterator[tuple[Path, Any]]:
    """Yields the destination's leaves; `sums` gets the checksum of every leaf that is read.

    Where `linked`, a leaf that is only renamed is given as a `Reference` instead of being read. Of several processes each
    gets its own leaves, and the first also those of the others, as `Elsewhere`.
    """
    end = ("value",) if form == "orbax" else ()
    for path, value in self.translated(self.model, self.sources("", self.state.variables, sums, self.model, linked)):
      yield ("model", *map(str, path), *end), value
    if self.live is not None and self.processes.index == 0:
      variables = set(self.live.variables)
      for path, value in self.live.values().items():
        yield ("model", *map(str, path), *(end if path in variables else ())), value
    for path, value in self.random.items() if self.processes.index == 0 else ():
      yield ("model", *map(str, path), *end), value
    if self.optimizer is None or self.state.opt_state is None:
      return
    model = {key(t.path) for e in self.model.entries for t in e.targets}
    moments = self.sources("opt_state", self.state.opt_state, sums, self.optimizer, linked)
    for path, value in self.translated(self.optimizer, moments):
      name = key(path)
      yield ("optimizer", "opt_state", *(with_value(name, model) if end else name)), None if value is NOTHING else value
    if self.processes.index:
      return
    for leaf in (t for e in self.optimizer.entries if e.fate == "fresh" and self.live is not None for t in e.targets):
      name = key(leaf.path)
      value = None if leaf.spec == NOTHING else np.zeros(leaf.spec.shape, numpy_dtype(leaf.spec.dtype))
      yield ("optimizer", "opt_state", *(with_value(name, model) if end else name)), value
    if self.state.step is not None:
      Summed(self.state.step, "step", sums).read()
    yield ("optimizer", "step", *end), np.asarray(self.step, dtype=np.uint32)

  def translated(self, plan: Plan, leaves: Mapping[Path, Any]) -> Iterator[tuple[Path, Any]]:
    """The plan applied to the leaves, as far as this process does it."""
    if self.processes.count == 1:
      yield from translate(plan, leaves)
      return
    flat = {key(path): leaf for path, leaf in leaves.items()}
    tied = {t.path for e in plan.entries if e.fate == "tie" for t in (*e.targets, *e.sources)}
    sources = [[flat.get(key(s.path)) for s in e.sources] for e in plan.entries]
    sizes = [
      0
      if tied & {t.path for t in e.targets} or e.fate not in ("same", "move") or (self.linked and is_reference(found))
      else sum(getattr(leaf, "nbytes", 0) for leaf in found)
      for e, found in zip(plan.entries, sources, strict=True)
    ]
    owners = self.processes.owners(sizes)
    mine = tuple(e for e, owner in zip(plan.entries, owners, strict=True) if owner == self.processes.index)
    yield from translate(dataclasses.replace(plan, entries=mine), leaves)
    for entry, owner, found in zip(plan.entries, owners, sources, strict=True) if self.processes.index == 0 else ():
      if owner:
        made = run_ops(entry.ops, found) if is_reference(found) else [numpy_dtype(t.spec.dtype) for t in entry.targets]
        yield from ((t.path, Elsewhere(one)) for t, one in zip(entry.targets, made, strict=True))

  def shared_bytes(self) -> int:
    """The size in memory of the leaves that need not be read."""
    parts: list[tuple[Path, dict[Path, Any], Plan]] = [((), self.state.variables, self.model)]
    if self.optimizer is not None and self.state.opt_state is not None:
      parts.append((("opt_state",), self.state.opt_state, self.optimizer))
    return sum(leaf.nbytes for part in parts for leaf in self._shared(*part).values())

  def sources(
    self, prefix: str, leaves: dict[Path, Any], sums: dict[str, str], plan: Plan, linked: bool
  ) -> dict[Path, Any]:
    """The leaves to translate: references where they may be, else such as note their checksums when they are read."""
    head = (prefix,) if prefix else ()
    shared = self._shared(head, leaves, plan) if linked else {}
    out: dict[Path, Any] = {}
    for path, leaf in leaves.items():
      if leaf is NOTHING:
        out[path] = leaf
      elif path in shared:
        out[path] = shared[path]
      else:
        out[path] = Summed(leaf, show(self.state.place((*head, *path))), sums)
    return out

  def _shared(self, head: Path, leaves: dict[Path, Any], plan: Plan) -> dict[Path, Reference]:
    """The leaves that need not be read: only renamed, or what is done to them moves whole chunks."""
    ties = {t.path for e in plan.entries if e.fate == "tie" for t in e.targets}
    paths = {key(path): path for path in leaves}
    found: list[tuple[list[Path], dict[Path, Reference]]] = []
    for entry in plan.entries:
      if not entry.targets:
        continue
      mine = [path for path in (paths.get(key(s.path)) for s in entry.sources) if path is not None]
      made: dict[Path, Reference] = {}
      for path in mine:
        leaf, place = leaves[path], self.state.place((*head, *path))
        if isinstance(leaf, StoredLeaf) and place not in self.numbers:
          made[path] = reference(show(place), leaf)
      try:
        if entry.fate == "tie" or len(made) < len(entry.sources) or any(t.path in ties for t in entry.targets):
          made = {}
        elif entry.ops:
          run_ops(entry.ops, list(made.values()))
      except NotStoredSoError:
        made = {}
      found.append((mine, made))
    must: set[Path] = (
      set()
    )  # of a leaf that is copied, and of those that are joined with it, either all are read or none
    while (more := {p for mine, made in found if not made or not must.isdisjoint(mine) for p in mine}) != must:
      must = more
    return {path: one for _, made in found for path, one in made.items() if path not in must}


def plan_forward(
  stored: Stored,
  mapping: Any,
  model: Any,
  optimizer: Any,
  form: str,
  *,
  partial: bool,
  build: Callable[[], Any] | None = None,
  allow_change: bool = False,
  rng: str | None = None,
  seed: int = 0,
) -> Work:
  """Plans the way from a Linen training state. Raises MigrateError with all findings."""
  if is_nnx(stored.leaves):
    found = "holds model and optimizer: it is an NNX state already"
    raise refuse(str(stored.place), found, "a Linen training state", "restore it with Orbax, or convert it --to linen")
  mapping = None if mapping is None else load_mapping(mapping)
  state = split_linen(stored.leaves, stored.empty)
  keys = linen_keys(state.variables, [p for p in state.variables if state.place(p) in stored.keys])
  rules = mapping if rng is None else (mapping or ModelMapping(), dropped_keys(keys, rng))
  try:
    plan, optimizer_plan, changes = plan_state(
      state, rules, model, optimizer, partial=partial, build=build, allow_change=allow_change
    )
  except MigrateError as error:
    names = {show(p) for p in keys}
    do = "say what becomes of random state: --rng carry, reseed or drop"
    raise plan_error([dataclasses.replace(f, do=do) if f.where in names else f for f in error.findings]) from error
  step, notes = saved_step(state, stored.step)
  bare = ("the checkpoint holds parameters alone: they are read as params/...",) if is_bare(stored.leaves) else ()
  notes = (*bare, *notes, *changes)
  live = None
  if build is not None and not partial:
    from migrate.workflows.live import live_leaves, live_notes

    live = live_leaves(build, [t.path for e in plan.entries if e.fate == "fresh" for t in e.targets])
    notes = (*notes, *live_notes(live, optimizer_plan))
  random, said = _random(rng, seed, {p: state.variables[p] for p in keys}, model, build)
  notes = (*notes, *said)
  if mapping is None and model is None and build is None:
    notes = (*notes, "no mapping and no model: every leaf keeps its path below its collection, and nothing was checked")
  if form != "orbax":
    notes = (*notes, f"{form} holds pure dicts: use nnx.replace_by_pure_dict to restore them")
  origin = [[list(a), list(b)] for a, b in state.origin.items()]
  numbers = [list(p) for p in sorted(stored.numbers, key=str)]
  kind = {"path": ["step"], **_leaf_kind(stored, ("step",))} if state.step is not None else None
  layout = {
    "format": stored.format,
    "origin": origin,
    "empty": [list(p) for p in stored.empty],
    "numbers": numbers,
    "step": kind,
  }
  return Work(plan, optimizer_plan, step, notes, state, layout, mapping, stored.numbers, live, random)


def _random(
  rng: str | None, seed: int, keys: Mapping[Path, Any], model: Any, build: Callable[[], Any] | None
) -> tuple[Mapping[Path, np.ndarray], tuple[str, ...]]:
  """Keys and counts of the destination's streams, where they are to be written, and notes."""
  if rng in (None, "drop"):
    return {}, ()
  if model is None and build is None:
    raise refuse("rng", f"{rng!r} without the NNX model", "the model, which has the streams", "give --model")
  import jax

  from migrate.workflows.live import abstract
  from migrate.workflows.randomness import roots_of, seeded, stored

  model = abstract(build) if model is None and build is not None else model
  roots = roots_of(keys, model) if rng == "carry" else {"default": jax.random.key(seed)}
  random = stored(seeded(model, roots))
  whence = ", ".join(map(show, keys)) if rng == "carry" else f"seed {seed}"
  note = (
    f"{len(random)} leaves of random state are written, from {whence}: restore them into the whole nnx.state(model)"
  )
  return random, (note,) if random else ()


def _leaf_kind(stored: Stored, path: Path) -> dict[str, Any]:
  return {"dtype": spec_of(stored.leaves[path]).dtype, "number": path in stored.numbers}


def plan_state(
  state: TrainingState,
  mapping: Any,
  model: Any,
  optimizer: Any,
  *,
  partial: bool = False,
  fresh: bool = False,
  build: Callable[[], Any] | None = None,
  allow_change: bool = False,
) -> tuple[Plan, Plan | None, tuple[str, ...]]:
  """The plans of the variables and of the optimizer state, and notes. Raises MigrateError with all findings.

  Args:
    state: a Linen training state.
    mapping: a ModelMapping or None.
    model: the NNX model or None.
    optimizer: the nnx.Optimizer, the Optax transformation alone, or None.
    partial: leave unfilled what no source fills.
    fresh: allow `fresh` targets, where there is something to leave as it is.
    build: makes the live model, whose values `fresh` targets get; their moments are planned as zeros.
    allow_change: note where the plan changes the optimizer's arithmetic, instead of refusing it.
  """
  model_specs = optimizer_specs = new = None
  notes: tuple[str, ...] = ()
  if model is None and build is not None:
    from migrate.workflows.live import abstract

    model = abstract(build)
  transformation = transformation_of(optimizer)
  if optimizer is transformation is not None:
    from migrate.workflows.state import abstract_optimizer

    optimizer = None if model is None else abstract_optimizer(model, transformation)
  if model is not None or optimizer is not None:
    from migrate.workflows.state import is_param, specs, variable_leaves

    if build is not None:
      new = frozenset(key(p) for p, v in variable_leaves(model).items() if is_param(v))
    model_specs = None if model is None else specs(variable_leaves(model))
    if optimizer is not None:
      optimizer_specs = {p[1:]: s for p, s in specs(variable_leaves(optimizer)).items() if p[0] == "opt_state"}
  plan = make_plan(state.variables, model_specs, mapping, strict=False)
  findings = list(plan.findings)
  for entry in plan.entries if not fresh and build is None else ():
    if entry.fate == "fresh":
      found, do = "is fresh: a checkpoint has no value for it", "use migrate.restore, which fills a live model"
      findings.append(Finding(show(entry.targets[0].path), found, "a source for every target", do, rule="L2N221"))
  optimizer_plan = None
  if state.opt_state is not None:
    optimizer_plan = lift(plan, state.opt_state, optimizer_specs, strict=False, new=new)
    # a parameter without a place leaves its moments without one: told once, of the parameter
    findings += () if findings else optimizer_plan.findings
    changes = optimizer_changes(plan, state.opt_state, transformation)
    findings += [f for f in changes if f.rule != CHANGE or not allow_change]
    notes = tuple(f"allowed: {f.where}: {f.found}" for f in changes)
    question = open_question(plan, state.opt_state, transformation)
    notes = (question,) if question and not notes and not allow_change else notes
  if partial:
    findings = [f for f in findings if f.rule not in ("L2N204", "L2N206", "L2N215")]
  if findings:
    raise plan_error(findings)
  return plan, optimizer_plan, notes


def saved_step(state: TrainingState, folder_step: int | None) -> tuple[int | None, tuple[str, ...]]:
  """The step of the state, of the folder, or the largest count of the optimizer, in this order."""
  if state.step is not None:
    value = np.asarray(read(state.step))
    if value.ndim or value.dtype.kind not in "iu" or int(value) < 0:
      raise refuse(
        "step", str(spec_of(value)), "one whole number", "drop it from the checkpoint, or save it as a number"
      )
    if state.opt_state is None:
      return None, ("the step is left out: without optimizer state there is nothing to hold it",)
    return int(value), ()
  if state.opt_state is None:
    return None, ()
  if folder_step is not None:
    return folder_step, (f"the step {folder_step} is that of the folder",)
  opt = {p: v for p, v in state.opt_state.items() if p and p[-1] == "count" and v is not NOTHING}
  counts = [int(np.asarray(read(v))) for v in opt.values() if spec_of(v).shape == ()]
  if not counts:
    found, do = "the checkpoint has an optimizer state and no step", "save the step beside the optimizer state"
    raise refuse("step", found, "a step for nnx.Optimizer", do)
  return max(counts), (f"the step {max(counts)} is the optimizer's count: the checkpoint has none",)
