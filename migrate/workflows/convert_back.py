"""The way back: an NNX checkpoint into the Linen training state that it came from, or that a mapping derives."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from migrate.checkpoint.references import Reference
from migrate.checkpoint.stored import Stored
from migrate.core.arithmetic import CHANGE, optimizer_changes
from migrate.core.derive import derive_source
from migrate.core.entries import Plan, plan_error
from migrate.core.moments import lift
from migrate.core.ops import numpy_dtype
from migrate.core.paths import Path, key, show
from migrate.core.per_tensor import transformation_of
from migrate.core.plan import make_plan
from migrate.core.report import Finding, refuse
from migrate.core.training import TrainingState, is_nnx, split_nnx
from migrate.core.translate import read
from migrate.core.tree import NOTHING, Spec, spec_of
from migrate.workflows.convert_forward import Work
from migrate.workflows.manifest import plans_of, read_manifest
from migrate.workflows.mapping import load_mapping
from migrate.workflows.random_leaves import nnx_streams


@dataclasses.dataclass(frozen=True)
class BackWork(Work):
  """A planned conversion to Linen."""

  def leaves(self, form: str, sums: dict[str, str], linked: bool = False) -> Iterator[tuple[Path, Any]]:
    """Yields the leaves of the Linen training state under the names and kinds that its layout notes."""
    origin = {key(a): tuple(b) for a, b in self.layout.get("origin", [])}
    numbers = {key(p) for p in self.layout.get("numbers", [])}
    done: set[Path] = set()
    for path, value in self.standard(sums, linked):
      place = origin.get(key(path), path)
      done.add(place)
      if key(place) in numbers:
        value = np.asarray(self.read_reference(value) if isinstance(value, Reference) else value).item()
      yield place, value
    for path in self.layout.get("empty", []) if self.processes.index == 0 else ():
      if tuple(path) not in done:
        yield tuple(path), None

  def standard(self, sums: dict[str, str], linked: bool = False) -> Iterator[tuple[Path, Any]]:
    """Yields the leaves as `params/...`, `opt_state/...`, `step`; `sums` gets the checksum of every leaf read."""
    yield from self.translated(self.model, self.sources("model", self.state.variables, sums, self.model, linked))
    if self.optimizer is None or self.state.opt_state is None:
      return
    moments = self.sources("optimizer/opt_state", self.state.opt_state, sums, self.optimizer, linked)
    for path, value in self.translated(self.optimizer, moments):
      if value is not NOTHING:
        yield ("opt_state", *(path if "origin" in self.layout else self._positions(path))), value
    kind = self.layout.get("step")
    if kind is not None and self.step is not None and self.processes.index == 0:
      yield ("step",), np.asarray(self.step).astype(numpy_dtype(kind["dtype"]))

  def read_reference(self, reference: Reference) -> Any:
    """The array of one number that a reference names."""
    every = (*self.state.variables.values(), *(self.state.opt_state or {}).values())
    name = reference.name or reference.chunks()[0][0].rpartition("/")[0]
    return next(leaf.read() for leaf in every if getattr(leaf, "name", None) == name)

  def _positions(self, path: Path) -> Path:
    """The path with numbers before the parameter's own part as positions of a tuple."""
    params = {key(t.path[1:]) for e in self.model.entries for t in e.targets}
    start = next((i for i in range(len(path)) if key(path[i:]) in params), len(path))
    return tuple(int(s) if i < start and str(s).isdecimal() else s for i, s in enumerate(path))


def plan_back(
  stored: Stored, mapping: Any, model: Any, optimizer: Any = None, *, allow_change: bool = False
) -> BackWork:
  """Plans the way from an NNX checkpoint. Raises MigrateError.

  The manifest that a conversion left leads back exactly; else the mapping does, with the model to tell collections.
  """
  if not is_nnx(stored.leaves):
    do = "save {'model': nnx.state(model, nnx.Not(nnx.RngState)), 'optimizer': nnx.state(optimizer)}"
    raise refuse(str(stored.place), "has no model at its top", "an NNX checkpoint", do)
  manifest = read_manifest(stored.place)
  known = manifest is not None and manifest.get("direction") == "linen->nnx"
  ends = manifest.get("destination_format") == "orbax" if manifest is not None and known else None
  state = split_nnx(stored.leaves, stored.empty, ends)
  streams = nnx_streams(state.variables)
  state = dataclasses.replace(state, variables={p: v for p, v in state.variables.items() if p not in streams})
  left = (f"{len(streams)} leaves of random state are left out: Linen holds none",) if streams else ()
  step = None if state.step is None else int(np.asarray(read(state.step)))
  if manifest is not None and mapping is None and known:
    forward, optimizer = plans_of(manifest)
    notes = tuple(
      f"{show(s.path)} was dropped ({e.because}) and is not in the result"
      for e in forward.entries
      if e.fate == "drop"
      for s in e.sources
    )
    back = None if optimizer is None or state.opt_state is None else optimizer.inverse()
    return BackWork(forward.inverse(), back, step, (*notes, *left), state, _layout(stored, manifest), None)
  forward, back, mapping = _derived(stored, state, mapping, model)
  notes = ("made without a manifest: entries of EmptyState are left out", *left)
  if back is not None and state.opt_state is not None:
    linen = {t.path: t.spec for e in back.entries for t in e.targets}
    changes = optimizer_changes(forward, linen, transformation_of(optimizer))
    refused = [f for f in changes if f.rule != CHANGE or not allow_change]
    if refused:
      raise plan_error(refused)
    notes = (*notes, *(f"allowed: {f.where}: {f.found}" for f in changes))
  layout = {"step": {"dtype": "int64", "number": True}, "numbers": [["step"]]}
  return BackWork(
    forward.inverse(),
    back,
    step,
    notes,
    state,
    layout,
    mapping,
  )


def _layout(stored: Stored, manifest: dict[str, Any]) -> dict[str, Any]:
  """How the leaves were named and kept, as the manifest notes it. Raises MigrateError where it cannot be so."""
  layout = manifest.get("layout", {})
  step = layout.get("step") if isinstance(layout, dict) else 0
  if step is not None and not (isinstance(step, dict) and isinstance(step.get("dtype"), str)):
    do = "remove the manifest, and give --mapping"
    raise refuse(f"{stored.place}: manifest", f"layout {layout!r:.80}", "the layout of a training state", do)
  return layout


def _derived(stored: Stored, state: TrainingState, mapping: Any, model: Any) -> tuple[Plan, Plan | None, Any]:
  if mapping is None and model is None:
    do = "give --mapping, and --model to tell the collections"
    raise refuse(str(stored.place), "has no manifest of a conversion", "a mapping", do)
  mapping = None if mapping is None else load_mapping(mapping)
  specs = {p: spec_of(leaf) for p, leaf in state.variables.items()}
  collections = {}
  if model is not None:
    from migrate.workflows.state import collection_name, variable_leaves
    from migrate.workflows.state import specs as specs_of

    variables = variable_leaves(model)
    _check_model(specs, specs_of(variables))
    collections = {p: collection_name(type(v)) for p, v in variables.items()}
  known = {key(p) for p in collections}
  source = derive_source(specs, mapping, collections)
  plan = make_plan(source, specs, mapping)
  for entry in plan.entries:
    if entry.fate == "same" and key(entry.targets[0].path) not in known:
      where = show(entry.targets[0].path)
      raise refuse(
        where,
        "no rule names it, so its collection is unknown",
        "a collection",
        "give --model, or add a move to the mapping",
      )
  if state.opt_state is None:
    return plan, None, mapping
  return plan, _optimizer_back(plan, state.opt_state), mapping


def _check_model(found: Mapping[Path, Spec], wanted: Mapping[Path, Spec]) -> None:
  """Refuses a model of other sizes than the checkpoint's."""
  by_key = {key(p): spec for p, spec in wanted.items()}
  do = "build the model with the sizes of the checkpoint, or use the right checkpoint"
  findings = [
    Finding(show(p), str(spec), f"{by_key[key(p)]}, as in the model", do)
    for p, spec in found.items()
    if key(p) in by_key and by_key[key(p)] != spec
  ]
  if findings:
    raise plan_error(findings)


def _optimizer_back(plan: Plan, opt_state: dict[Path, Any]) -> Plan:
  """The optimizer's plan, NNX to Linen: the parameters' plan turned round and lifted over the NNX state."""
  back = plan.inverse()
  params = [e for e in back.entries if e.fate == "drop" or any(t.path[0] == "params" for t in e.targets)]
  short = [dataclasses.replace(e, targets=tuple(t._replace(path=t.path[1:]) for t in e.targets)) for e in params]
  return lift(Plan(tuple(short), "nnx->linen"), opt_state, None, collection="")
