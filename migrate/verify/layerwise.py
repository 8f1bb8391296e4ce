"""Which module is wrong: the NNX model runs with every matched module fed, and answering, what Linen's did.

Done only where two models differ. Each NNX module gets Linen's own input, its output is compared with Linen's and then
replaced by it. So a difference belongs to the module that made it, all wrong modules are found and not just the
first, and a module that passes a wrong input on is found too. It runs without jit, so that the values between modules
are numbers; modules inside a scan, a vmap or a remat see tracers and are left out, the module around them is not.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.core import Tracer

from migrate.core.report import Finding
from migrate.core.verdict import LeafDiff
from migrate.verify import arrays as A
from migrate.verify.compare import compare_arrays
from migrate.verify.draws import Casting, rewind
from migrate.verify.linen_side import brief
from migrate.verify.records import SEED, CallPlan

Path_ = tuple[str, ...]

_ULPS = 64.0  # of the largest value: what one module's roundings may add up to, for want of a measurement of its own
_MOST = 400  # module calls that are recorded


@dataclasses.dataclass
class ModuleCall:
  """One call of one Linen module: where, what it is, and what went in and came out."""

  path: Path_
  kind: str
  method: str
  args: tuple[Any, ...]
  kwargs: dict[str, Any]
  outputs: dict[str, Any]


def record_modules(module: Any, variables: A.Flat, plan: CallPlan) -> list[ModuleCall]:
  """Runs one call of the Linen model without jit and records the calls of its modules, innermost first."""
  from flax import linen as nn

  calls: list[ModuleCall] = []

  def spy(run: Any, args: Any, kwargs: Any, context: Any) -> Any:
    out = run(*args, **kwargs)
    name, scope = context.method_name, context.module.scope
    public = name == "__call__" or not name.startswith("_")
    if not public or name in ("setup", "make_rng") or scope is None or len(calls) >= _MOST:
      return out
    leaves = jax.tree_util.tree_leaves((args, kwargs, out), is_leaf=lambda x: isinstance(x, nn.Module))
    if not any(isinstance(x, (Tracer, nn.Module)) for x in leaves):
      outputs, _, _ = A.named_leaves(out)
      kind = type(context.module).__name__
      calls.append(ModuleCall(tuple(map(str, scope.path)), kind, name, tuple(args), dict(kwargs), outputs))
    return out

  args, kwargs = jax.tree_util.tree_map(lambda x: jnp.asarray(x) if A.is_array(x) else x, (plan.args, plan.kwargs))
  mutable = False if plan.mutable is None else plan.mutable
  options: dict[str, Any] = {"method": plan.method} if plan.method else {}
  rngs = A.stream_keys(plan.rngs, SEED + 1)
  with nn.intercept_methods(spy):
    module.apply(A.unflatten(variables), *args, rngs=rngs, mutable=mutable, **options, **kwargs)
  return calls


def save_modules(path: Path, calls: Iterable[ModuleCall]) -> None:
  """Writes recorded calls; those whose arguments do not pickle are left out. `store` says why pickle is safe here."""
  blobs = []
  for call in calls:
    plain = jax.tree_util.tree_map(
      lambda x: np.asarray(x) if A.is_array(x) and not A.is_key(x) else x, (call.args, call.kwargs, call.outputs)
    )
    try:
      blobs.append(pickle.dumps((call.path, call.kind, call.method, *plain)))
    except Exception:  # whatever pickle raises for a static value: the module is not compared
      continue
  path.write_bytes(pickle.dumps(blobs))


def load_modules(path: Path) -> list[ModuleCall]:
  """Reads recorded calls; those whose values can't be unpickled in this import space are left out."""
  calls = []
  for blob in pickle.loads(path.read_bytes()):
    try:
      calls.append(ModuleCall(*pickle.loads(blob)))
    except Exception:  # a class that the ported package does not have: the module is not compared
      continue
  return calls


@dataclasses.dataclass(frozen=True)
class ModuleDiff:
  """How one call of one module compares, given Linen's own input.

  Attributes:
    linen: path of the Linen module, `(model)` for the root; with `.method` where it is not `__call__`.
    nnx: attribute path of the NNX module.
    kind: class of the Linen module.
    nnx_kind: class of the NNX module.
    state: `identical`, `equal` (roundings) or `different`.
    what: `output`, or `input` where the module around it passes something else on.
  """

  linen: str
  nnx: str
  kind: str
  nnx_kind: str
  state: str
  what: str = "output"
  max_abs: float = 0.0
  scale: float = 0.0
  why: str = ""

  def to_json(self) -> dict[str, Any]:
    """A plain dict of all fields; infinity is a word."""
    plain = dataclasses.asdict(self)
    return {k: str(v) if isinstance(v, float) and not np.isfinite(v) else v for k, v in plain.items()}


def compare_modules(
  model: nnx.Module, calls: Sequence[ModuleCall], pairs: Mapping[Path_, Path_], plan: CallPlan, casting: Casting
) -> list[ModuleDiff]:
  """Runs the call on the NNX model under Linen's guidance.

  Args:
    model: filled with the Linen variables, its streams adopted.
    calls: what the Linen modules did in this call.
    pairs: Linen module path -> NNX attribute path.
    plan: the call.
    casting: which stream plays which of Linen's draws.

  Returns:
    One entry for each compared call of a module, in NNX call order, innermost first. If the run breaks off, what was
    compared until then and an entry of state `different` for the model.
  """
  rewind(model, A.stream_keys(plan.rngs, SEED + 1), casting.tables)
  guide = _Guide(calls)
  modules: dict[int, tuple[Path_, Path_]] = {}
  for linen, attribute in (*pairs.items(), *_dropouts(model, casting)):
    with contextlib.suppress(AttributeError, KeyError, IndexError, TypeError, ValueError):
      modules[id(_find(model, attribute))] = (linen, attribute)
  args, kwargs = _as_arrays((plan.args, plan.kwargs))
  with _guided(model, guide, modules, {c.method for c in calls}):
    try:
      getattr(model, plan.method or "__call__")(*args, **kwargs)
    except Exception as error:  # the guided run broke: say so beside what was found
      why = f"the run broke off: {brief(error)[:200]}"
      guide.diffs.append(ModuleDiff("(model)", "(model)", "", type(model).__name__, "different", why=why))
  return guide.diffs


def _dropouts(model: nnx.Module, casting: Casting) -> Iterator[tuple[Path_, Path_]]:
  """Dropout has no leaves, but its draws tell which Linen module it is."""
  for owner, linen in casting.scopes.items():
    attribute = tuple(owner.split("/"))[:-1]
    with contextlib.suppress(AttributeError, KeyError, IndexError, TypeError, ValueError):
      if isinstance(_find(model, attribute), nnx.Dropout):
        yield tuple(p for p in linen.split("/") if p), attribute


def _find(model: Any, path: Path_) -> Any:
  for part in path:
    if isinstance(model, (nnx.List, list, tuple)):
      model = model[int(part)]
    else:
      model = getattr(model, part) if hasattr(model, part) else model[part]
  return model


def _as_arrays(tree: Any) -> Any:
  return jax.tree_util.tree_map(lambda x: jnp.asarray(x) if A.is_array(x) else x, tree)


@contextlib.contextmanager
def _guided(
  model: nnx.Module, guide: _Guide, modules: Mapping[int, tuple[Path_, Path_]], methods: Iterable[str]
) -> Iterator[None]:
  """Wraps the methods of the matched modules' classes, for the time of one run."""
  kinds = {type(node) for _, node in nnx.iter_graph(model) if id(node) in modules}
  undo: list[tuple[type, str, Any]] = []

  def wrap(kind: type, name: str, original: Any) -> None:
    @functools.wraps(original)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> Any:
      known = modules.get(id(self))
      if known is None:
        return original(self, *args, **kwargs)
      return guide.answer(functools.partial(original, self), name, type(self).__name__, *known, args, kwargs)

    undo.append((kind, name, kind.__dict__.get(name)))
    setattr(kind, name, wrapped)

  for kind in kinds:
    for name in methods:
      original = getattr(kind, name, None)
      if callable(original):
        wrap(kind, name, original)
  try:
    yield
  finally:
    for kind, name, own in reversed(undo):
      if own is None:
        delattr(kind, name)
      else:
        setattr(kind, name, own)


class _Guide:
  """Knows what Linen's modules did, call by call, and compares."""

  def __init__(self, calls: Sequence[ModuleCall]):
    self.diffs: list[ModuleDiff] = []
    self._waiting: dict[tuple[Path_, str], list[ModuleCall]] = {}
    for call in calls:
      self._waiting.setdefault((call.path, call.method), []).append(call)
    self._busy: set[tuple[Path_, str]] = set()

  def answer(self, run: Any, method: str, nnx_kind: str, linen: Path_, attribute: Path_, args: Any, kwargs: Any) -> Any:
    """Runs a module with Linen's input, compares its output, and gives Linen's output back."""
    key = (linen, method)
    waiting = self._waiting.get(key)
    if not waiting or key in self._busy:  # busy: a subclass calls its parent's method
      return run(*args, **kwargs)
    call = waiting.pop(0)
    name = "/".join(linen) or "(model)"
    who = (f"{name}.{method}" if method != "__call__" else name, "/".join(attribute) or "(model)", call.kind, nnx_kind)
    self._busy.add(key)
    try:
      args, kwargs = self._feed(who, call, args, kwargs)
      out = run(*args, **kwargs)
    finally:
      self._busy.discard(key)
    found, _, _ = A.named_leaves(out)
    lacking = [LeafDiff(n, "different", np.inf, why=f"no output {n}") for n in call.outputs if n not in found]
    pairs = [(n, v, found[n]) for n, v in call.outputs.items() if n in found]
    self.diffs.append(_worst(who, "output", lacking or [compare_arrays(*pair) for pair in pairs]))
    return _replaced(out, call.outputs)

  def _feed(self, who: tuple[str, str, str, str], call: ModuleCall, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """Linen's arrays in place of those that were passed, if they are as many and of the same shapes."""
    leaves, treedef = jax.tree_util.tree_flatten((args, kwargs))
    ours = [jnp.asarray(x) for x in jax.tree_util.tree_leaves((call.args, call.kwargs)) if A.is_array(x)]
    theirs = [x for x in leaves if A.is_array(x)]
    if [np.shape(x) for x in ours] != [np.shape(x) for x in theirs] or any(A.is_key(x) for x in theirs):
      return args, kwargs
    diff = _worst(who, "input", [compare_arrays(str(i), *p) for i, p in enumerate(zip(ours, theirs))])
    if diff.state == "different":
      self.diffs.append(diff)
    rest = iter(ours)
    return jax.tree_util.tree_unflatten(treedef, [next(rest) if A.is_array(x) else x for x in leaves])


def _replaced(out: Any, outputs: Mapping[str, Any]) -> Any:
  """The NNX result with Linen's numbers, where names, shapes and dtypes agree."""
  paths, treedef = jax.tree_util.tree_flatten_with_path(out)
  leaves = []
  for path, leaf in paths:
    value = outputs.get("/".join(A.name_of(path)) or "output")
    fits = A.is_array(leaf) and value is not None and value.shape == leaf.shape and value.dtype == leaf.dtype
    leaves.append(jnp.asarray(value) if fits else leaf)
  return jax.tree_util.tree_unflatten(treedef, leaves)


def _worst(who: tuple[str, str, str, str], what: str, diffs: Sequence[LeafDiff]) -> ModuleDiff:
  """One entry for all arrays of an input or output."""
  state, most, scale, why = "identical", 0.0, 0.0, ""
  for diff in diffs:
    if diff.state == "identical":
      continue
    wrong = bool(diff.why) or diff.max_abs > _ULPS * 2.0**-23 * diff.scale
    state = "different" if wrong or state == "different" else "equal"
    most, scale, why = max(most, diff.max_abs), max(scale, diff.scale), why or diff.why
  return ModuleDiff(*who, state, what, most, scale, why)


def findings_of(name: str, rows: Sequence[Mapping[str, Any]]) -> list[Finding]:
  """One finding for each module that is wrong by itself. Rows are what `ModuleDiff.to_json` gives."""
  findings: dict[tuple[str, str], Finding] = {}
  for row in rows:
    diff = ModuleDiff(**{**row, "max_abs": float(row["max_abs"])})
    if diff.state != "different":
      continue
    how = diff.why or f"max abs {diff.max_abs:.3g} where values reach {diff.scale:.3g}"
    found = f"given Linen's input, {diff.nnx_kind} differs from Linen's {diff.kind}: {how}"
    do = "compare its constructor arguments, its body and its rules in the mapping"
    if diff.what == "input":
      found = f"{diff.nnx_kind} is passed another input than Linen's {diff.kind}: {how}"
      do = "look in the module around it, between this call and the one before"
    where = f"{name}: {diff.linen} -> {diff.nnx}"
    findings.setdefault((where, diff.what), Finding(where, found, f"the same {diff.what}", do))
  return list(findings.values())
