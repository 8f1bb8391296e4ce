"""Where a plan changes what an optimizer computes, though every number of its state is carried.

Adam treats each number by itself, so its parameters may be joined, split and turned. LAMB, LARS, Muon and others look
at whole tensors: over fused gates they make other updates. What draws noise or keeps one flat vector depends on the
order of the parameters besides.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from migrate.core.entries import Entry, Plan
from migrate.core.moments import params_like
from migrate.core.ops import product
from migrate.core.paths import Key, Path, key, natural, show
from migrate.core.per_tensor import changed_by_axes, changed_by_joining, changed_by_order
from migrate.core.registry import load_optimizers
from migrate.core.report import Finding
from migrate.core.tree import NOTHING, Spec, leaves_of

CHANGE, FLAT = "L2N222", "L2N223"
_JOINS = frozenset({"Concatenate", "Split", "Stack", "Unstack"})
_DO = "keep these parameters apart in the model, or accept other updates with --allow-optimizer-change"
_SHOWN = 3


def optimizer_changes(
  plan: Plan, opt_state: Mapping[Path, Any], transformation: Any = None, *, collection: str = "params"
) -> list[Finding]:
  """What the plan changes in the optimizer's arithmetic.

  Args:
    plan: the plan of the variables, `linen->nnx`.
    opt_state: the Optax state that goes with them, flat; `NOTHING` for masked leaves.
    transformation: the Optax transformation; where None, what the fields of the state tell.
    collection: the collection that was trained.

  Returns:
    Findings of the rule L2N222, which a user may accept, and L2N223, which nobody can: the state would be wrong.
  """
  entries = [e for e in plan.entries if e.sources and e.targets and str(e.sources[0].path[0]) == collection]
  copies = [e for e in entries if e.fate == "copy"]
  entries = [e for e in entries if e.fate != "copy"]
  params = {f for e in entries for s in e.sources for f in (key(s.path), key(s.path[1:]))}
  specs = {k: leaf.spec for k, leaf in leaves_of(opt_state, "optimizer state").items()}
  mirrored = params_like(list(specs), params)
  trained = [e for e in entries if not _frozen(e, mirrored, specs)]
  if transformation is None:
    joining, axes, order = _told_by_state(specs)
  else:
    joining, axes, order = (f(transformation) for f in (changed_by_joining, changed_by_axes, changed_by_order))
  out: list[Finding] = []
  copied = [e for e in copies if not _frozen(e, mirrored, specs)]
  if copied and mirrored:
    found = f"{show(copied[0].targets[0].path)} is a copy of it, and will be trained apart from it{_more(copied)}"
    do = "share one Variable in the model (migrate.tie_weights), or accept it with --allow-optimizer-change"
    out.append(Finding(show(copied[0].sources[0].path), found, "one parameter, as in the Linen run", do, rule=CHANGE))
  moved = _reordered(trained)
  flat = _flat(entries, specs, mirrored)
  if flat and (moved or any(e.ops for e in entries)):
    found = "one vector of all parameters in their order (optax.flatten), and the order or the shapes change"
    do = "train on without optax.flatten, or keep names and shapes of the parameters in the NNX model"
    out.append(Finding(f"optimizer state: {show(flat)}", found, "moments by parameter", do, rule=FLAT))
  elif order and (moved or any(type(op).__name__ in _JOINS for e in trained for op in e.ops)):
    found = f"{', '.join(order)} depends on the order of the parameters: {moved or 'some are joined'}"
    do = "keep the order of the names, or accept other updates with --allow-optimizer-change"
    out.append(Finding("optimizer", found, "the same order on both sides", do, rule=CHANGE))
  for names, kinds, what in (
    (joining, _JOINS, "looks at whole tensors"),
    (axes, None, "looks at the axes of a tensor"),
  ):
    hit = [e for e in trained if names and any(kinds is None or type(op).__name__ in kinds for op in e.ops)]
    if hit:
      steps = ", ".join(map(str, hit[0].ops))
      found = f"{', '.join(names)} {what}, and {hit[0].rule or 'a rule'} changes that: {steps}{_more(hit)}"
      where = " + ".join(show(s.path) for s in hit[0].sources[:_SHOWN])
      out.append(Finding(where, found, "updates as in the Linen run", _DO, rule=CHANGE))
      break
  return out


def open_question(plan: Plan, opt_state: Mapping[Path, Any], transformation: Any = None) -> str:
  """What a state cannot tell: whether updates that leave no trace in it (LAMB's, LARS's) meet joined parameters."""
  joined = [e for e in plan.entries if e.ops and e.sources and e.targets and str(e.sources[0].path[0]) == "params"]
  if transformation is not None or not joined or not opt_state:
    return ""
  return (
    f"{show(joined[0].targets[0].path)} is joined or turned{_more(joined)}: right for Adam and its kin, and other "
    "updates under LAMB, LARS or clipping by block, which their state does not tell; give --optimizer to have it checked"
  )


def _more(entries: list[Entry]) -> str:
  return f", and {len(entries) - 1} more like it" if len(entries) > 1 else ""


def _frozen(entry: Entry, mirrored: Mapping[Key, tuple[Key, Key, Key]], specs: Mapping[Key, Spec]) -> bool:
  """Whether every moment of a parameter is masked away, so that it is not trained."""
  own = {f for s in entry.sources for f in (key(s.path), key(s.path[1:]))}
  moments = [specs[k] for k, (_, param, _) in mirrored.items() if param in own]
  return bool(moments) and all(m == NOTHING for m in moments)


def _reordered(entries: list[Entry]) -> str:
  """The first two parameters that change places, in words; empty where all keep their order."""
  pairs = [(s.path[1:], t.path) for e in entries for s, t in zip(e.sources, e.targets)]
  linen = sorted(pairs, key=lambda pair: key(pair[0]))
  for (_, one), (_, other) in itertools.pairwise(linen):
    if _by_name(one) > _by_name(other):
      return f"{show(other)} comes before {show(one)}"
  return ""


def _by_name(path: Path) -> list[Any]:
  """How NNX sorts: numbers by value, names as text."""
  return [(0, natural(str(s)), "") if str(s).isdecimal() else (1, (), str(s)) for s in path]


def _flat(entries: list[Entry], specs: Mapping[Key, Spec], mirrored: Iterable[Key]) -> Path:
  """The path of a vector as long as all parameters together."""
  size = sum(product(s.spec.shape) for e in entries for s in e.sources)
  alone = len([s for e in entries for s in e.sources]) == 1
  known = set(mirrored)
  return next((k for k, s in specs.items() if k not in known and s.shape == (size,) and size > 1 and not alone), ())


def _told_by_state(specs: Mapping[Key, Spec]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
  """Makers of the states among these paths that look at whole tensors, at axes, at the order."""
  records = load_optimizers().values()
  children: dict[Key, set[str]] = {}
  for path in specs:
    for end in range(len(path)):
      children.setdefault(path[:end], set()).add(path[end])
  fields = {frozenset((*r.like_params, *r.scalars, *r.inner)): [] for r in records}
  for record in records:
    fields[frozenset((*record.like_params, *record.scalars, *record.inner))].append(record)
  found = {id(r[0]): r[0] for names in children.values() if len(r := fields.get(frozenset(names), [])) == 1}
  return tuple(  # type: ignore[return-value]
    tuple(sorted({r.made_by[0] for r in found.values() if getattr(r, flag) and r.made_by}))
    for flag in ("per_tensor", "by_axes", "by_order")
  )
