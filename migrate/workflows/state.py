"""Linen variables and optimizer states into live NNX objects, and back; all is checked before any is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from migrate.core.arithmetic import CHANGE, optimizer_changes
from migrate.core.declare import ModelMapping
from migrate.core.derive import derive_source
from migrate.core.entries import Plan, plan_error
from migrate.core.moments import lift
from migrate.core.paths import Path, key, show
from migrate.core.plan import make_plan
from migrate.core.report import Finding, refuse
from migrate.core.translate import translate
from migrate.core.tree import NOTHING, Spec, flatten, nest, spec_of
from migrate.workflows.mapping import load_mapping


def variable_leaves(model: Any) -> dict[Path, Any]:
  """`{attribute path: Variable}` of a module, optimizer or State; RngState and Variables without an array left out.

  A shared Variable appears once, under its alphabetically first path.
  """
  state = model if isinstance(model, nnx.State) else nnx.state(model)
  out: dict[Path, Any] = {}
  for path, leaf in nnx.to_flat_state(state):
    if not isinstance(leaf, nnx.Variable) or isinstance(leaf, nnx.RngState):
      continue
    name = tuple(s if type(s) is int else str(s) for s in path)
    value = leaf.get_value()
    if hasattr(value, "shape"):
      out[name] = leaf
    elif isinstance(value, list | nnx.State):  # a list comes out of nnx.jit as a State with numbers for keys
      items = enumerate(value) if isinstance(value, list) else value.items()
      out |= {(*name, int(i)): Item(leaf, int(i)) for i, one in items if hasattr(one, "shape")}
  return out


@dataclasses.dataclass(frozen=True)
class Item:
  """One array of a Variable that holds a list of them (SM3 keeps one for each axis of a parameter)."""

  variable: Any
  index: int

  def get_value(self) -> Any:
    """The array."""
    return self.variable.get_value()[self.index]

  def set_value(self, value: Any) -> None:
    """Replaces the array."""
    held = self.variable.get_value()
    items = [held[i] for i in range(len(held))]
    items[self.index] = value
    self.variable.set_value(items)


def abstract_optimizer(model: Any, transformation: Any) -> Any:
  """`nnx.Optimizer(model, transformation, wrt=nnx.Param)` by shapes alone; None for what is only a State.

  Raises:
    MigrateError: where nnx.Optimizer does not take the transformation.
  """
  if isinstance(model, nnx.State):
    return None
  try:
    graphdef, state = nnx.split(model)  # an argument is traced: a transformation may compute with the parameters
    return nnx.eval_shape(lambda s: nnx.Optimizer(nnx.merge(graphdef, s), transformation, wrt=nnx.Param), state)
  except Exception as error:
    said = f"nnx.Optimizer does not take it: {type(error).__name__}: {' '.join(str(error).split())[:160]}"
    do = "NNX wants masks and labels as an nnx.State: give a function of the parameters that returns one"
    raise refuse("optimizer", said, "an Optax transformation", do) from error


def is_param(leaf: Any) -> bool:
  """Whether an optimizer over nnx.Param trains it."""
  return isinstance(leaf.variable if isinstance(leaf, Item) else leaf, nnx.Param)


def specs(leaves: Mapping[Path, Any]) -> dict[Path, Spec]:
  """Shape and dtype of each Variable or array."""
  return {p: spec_of(v.get_value() if isinstance(v, nnx.Variable | Item) else v) for p, v in leaves.items()}


def linen_leaves(variables: Any) -> dict[Path, Any]:
  """`{path: array}` of Linen variables (dict or FrozenDict), partitioning boxes taken off.

  What holds no array, as the names of axes in `params_axes`, is no variable.
  """
  found = {path: unbox(leaf) for path, leaf in flatten(variables).items()}
  return {path: leaf for path, leaf in found.items() if leaf is None or jax.tree.leaves(leaf)}


def unbox(leaf: Any) -> Any:
  """The array inside nn.Partitioned, LogicallyPartitioned and their kin."""
  while hasattr(leaf, "unbox") and hasattr(leaf, "replace_boxed"):
    leaf = leaf.value if hasattr(leaf, "value") else leaf.unbox()
  return leaf


def to_nnx(
  variables: Any,
  model: Any,
  mapping: Any = None,
  *,
  rngs: Mapping[str, Any] | None = None,
  partitioning: bool = False,
) -> Any:
  """Fills an NNX model with Linen variables, every collection, and returns it.

  Args:
    variables: what Linen's `init` and `apply` use: `{"params": ..., "batch_stats": ...}`.
    model: an nnx.Module (live, or abstract from `nnx.eval_shape`).
    mapping: a ModelMapping, or what `migrate.load_mapping` takes; None where all names are kept.
    rngs: root keys by stream, as `apply` takes them: every stream of the model gets a key derived from its own, and a
      count of zero. None leaves the random state alone. For Linen's very numbers see `migrate.keep_rng`.
    partitioning: write the axis names of Linen's boxes into the metadata of the Variables, moved as the mapping moves
      the axes. NNX wants a mesh (`jax.set_mesh`) wherever annotated Variables are made. Else boxes are only taken off.

  Raises:
    MigrateError: naming every leaf that does not fit. The model is then unchanged.
  """
  leaves, targets = linen_leaves(variables), variable_leaves(model)
  tops = sorted({str(p[0]) for p in leaves})
  if "params" not in tops and any(isinstance(v, nnx.Param) for v in targets.values()):
    do = "pass {'params': params}, with the other collections beside it"
    raise refuse("variables", f"{', '.join(tops[:6]) or 'nothing'} at the top, no params", "collections", do)
  plan = make_plan(leaves, specs(targets), _mapping(mapping))
  check_types(plan, targets)
  values = list(translate(plan, leaves))
  if partitioning:
    from migrate.workflows.partitioning import annotate

    annotate(plan, flatten(variables), targets)
  if rngs is not None:
    from migrate.workflows.randomness import rng_variables, seeded

    write_values(rng_variables(model), list(seeded(model, rngs).items()))
  write_values(targets, values)
  return model


def to_linen(model: Any, mapping: Any = None, *, partitioning: bool = False) -> dict[str, Any]:
  """The Linen variables of an NNX model, one dict a collection: the inverse of `to_nnx`, to the bit.

  What no rule names goes to the collection of its Variable's type: Param to `params`, BatchStat to `batch_stats`...

  Args:
    model: the NNX model.
    mapping: a ModelMapping, or what `migrate.load_mapping` takes; None where all names are kept.
    partitioning: put what has names for its axes into Linen's boxes: those that `to_nnx` found, `nn.Partitioned`, or
      `nn.LogicallyPartitioned` where the Variable has rules.

  Raises:
    MigrateError: where the mapping cannot be read from right to left (dropped leaves, operations without an inverse).
  """
  targets = variable_leaves(model)
  plan = plan_back(targets, _mapping(mapping))
  values = {path: v.get_value() for path, v in targets.items()}
  linen = dict(translate(plan.inverse(), values))
  if partitioning:
    from migrate.workflows.partitioning import boxed

    linen = boxed(plan, linen, targets)
  return nest(linen)


def plan_back(targets: Mapping[Path, Any], mapping: ModelMapping) -> Plan:
  """The forward plan to these Variables from the Linen leaves that the mapping derives; its inverse leads back."""
  collections = {path: collection_name(type(v)) for path, v in targets.items()}
  return make_plan(derive_source(specs(targets), mapping, collections), specs(targets), mapping)


def collection_name(kind: type) -> str:
  """The Linen collection of a Variable type."""
  for base in kind.__mro__:
    try:
      return nnx.variable_name_from_type(base)
    except ValueError:
      continue
  return kind.__name__


def optimizer_to_nnx(
  opt_state: Any, optimizer: Any, mapping: Any = None, *, step: Any = None, allow_optimizer_change: bool = False
) -> Any:
  """Fills an nnx.Optimizer with the Optax state of a Linen training run, and returns it.

  Args:
    opt_state: the state that the same transformation made for the Linen parameters.
    optimizer: nnx.Optimizer over the NNX model, live or abstract.
    mapping: the mapping of the model.
    step: the step of the Linen TrainState; the optimizer keeps its own where it is None.
    allow_optimizer_change: go on where the mapping joins or turns what the optimizer looks at as a whole (LAMB,
      LARS, Muon...): the state is carried, and further updates are other ones.

  Raises:
    MigrateError: naming every leaf that does not fit. The optimizer is then unchanged.
  """
  source, runs = optax_leaves(opt_state)
  targets = variable_leaves(optimizer)
  below = {path[1:]: v for path, v in targets.items() if path[0] == "opt_state"}
  params = _params_plan(source, runs, below, _mapping(mapping))
  changes = optimizer_changes(params, source, optimizer.tx)
  refused = [f for f in changes if f.rule != CHANGE or not allow_optimizer_change]
  if refused:
    raise plan_error(refused)
  plan = lift(params, source, specs(below))
  values = [(("opt_state", *path), value) for path, value in translate(plan, source)]
  if step is not None:
    current = targets[("step",)].get_value()
    if np.ndim(step) != 0:
      raise refuse("step", f"shape {np.shape(step)}", "one number", "give the TrainState's step")
    values.append((("step",), jnp.asarray(step, dtype=current.dtype)))
  write_values(targets, values)
  return optimizer


def optimizer_to_linen(optimizer: Any, opt_state: Any, mapping: Any = None) -> Any:
  """The Optax state for Linen parameters that an nnx.Optimizer holds: the inverse of `optimizer_to_nnx`.

  Args:
    optimizer: nnx.Optimizer over the NNX model.
    opt_state: what the transformation's `init` gives for the Linen parameters, arrays or shapes (`jax.eval_shape`).
    mapping: the mapping of the model.
  """
  source, runs = optax_leaves(opt_state)
  below = {path[1:]: v for path, v in variable_leaves(optimizer).items() if path[0] == "opt_state"}
  plan = lift(_params_plan(source, runs, below, _mapping(mapping)), source, specs(below))
  found = {key(p): v for p, v in translate(plan.inverse(), {p: v.get_value() for p, v in below.items()})}
  leaves, treedef = jax.tree_util.tree_flatten_with_path(opt_state)
  return treedef.unflatten([found[key(segments(path))] for path, _ in leaves])


def optax_leaves(opt_state: Any) -> tuple[dict[Path, Any], dict[Path, int]]:
  """`{path: leaf}` of an Optax state, and where the keys of a dict that ends each path begin."""
  leaves: dict[Path, Any] = {}
  runs: dict[Path, int] = {}
  for keys, leaf in jax.tree_util.tree_flatten_with_path(opt_state, is_leaf=lambda x: unbox(x) is not x)[0]:
    path = segments(keys)
    leaves[path] = unbox(leaf)
    start = len(keys)
    while start and not isinstance(keys[start - 1], jax.tree_util.DictKey):
      start -= 1  # a list for each parameter
    while start and isinstance(keys[start - 1], jax.tree_util.DictKey):
      start -= 1
    runs[path] = start
  return leaves, runs


def segments(keys: Iterable[Any]) -> Path:
  out: list[str | int] = []
  for k in keys:
    if isinstance(k, jax.tree_util.GetAttrKey):
      out.append(k.name)
    elif isinstance(k, jax.tree_util.SequenceKey):
      out.append(k.idx)
    else:
      out.append(k.key if type(k.key) is int else str(k.key))
  return tuple(out)


def _params_plan(
  source: Mapping[Path, Any], runs: Mapping[Path, int], below: Mapping[Path, Any], mapping: ModelMapping
) -> Plan:
  """The plan of the parameters, which are read off the state's own mirrors of them."""
  found: dict[Path, Spec] = {}
  plain = {key(p) for p, v in below.items() if not isinstance(v, nnx.optimizer.OptVariable | Item)}
  for path, leaf in source.items():
    tail = path[runs[path] :]
    if key(path) in plain or not tail or not isinstance(tail[-1], str):
      continue
    name = tail if tail[0] == "params" else ("params", *tail)
    spec = spec_of(leaf)
    if name not in found or len(found[name].shape) < len(spec.shape):
      found[name] = spec
  plan = make_plan(found, None, mapping, strict=False)
  # a masked state does not mirror every parameter, so rules may match nothing here
  serious = [f for f in plan.findings if f.rule not in ("L2N204",)]
  if serious:
    raise plan_error(serious)
  return plan


def _mapping(mapping: Any) -> ModelMapping:
  return ModelMapping() if mapping is None else load_mapping(mapping)


def check_types(plan: Plan, targets: Mapping[Path, Any]) -> None:
  """Refuses parameters that would fill what is no nnx.Param, and the other way round. Raises MigrateError."""
  findings = []
  for entry in plan.entries:
    for leaf in entry.targets if entry.sources else ():
      kind, collection = type(targets[leaf.path]), str(entry.sources[0].path[0])
      if entry.variable:
        good = entry.variable in [t.__name__ for t in kind.__mro__]
      else:
        good = issubclass(kind, nnx.Param) == (collection == "params")
      if not good:
        wanted = entry.variable or (
          "nnx.Param" if collection == "params" else f"the type of collection {collection}, not a Param"
        )
        do = f"make the attribute that type, or say variable={kind.__name__!r} in a rule"
        findings.append(
          Finding(
            show(leaf.path),
            f"nnx.{kind.__name__}, filled from {show(entry.sources[0].path)}",
            wanted,
            do,
            rule="L2N207",
          )
        )
  if findings:
    raise plan_error(findings)


def write_values(targets: Mapping[Path, Any], values: list[tuple[Path, Any]]) -> None:
  """Sets Variables, as jax arrays with the sharding of what they held."""
  by_key = {key(p): v for p, v in targets.items()}
  for path, value in values:
    variable = by_key[key(path)]
    variable.set_value(_placed(value, variable.get_value()))


def _placed(value: Any, current: Any) -> Any:
  """The value as a jax array, where the target is sharded over a mesh with its sharding; keys typed as there."""
  typed = [jnp.issubdtype(x.dtype, jax.dtypes.prng_key) for x in (value, current)]
  if typed == [False, True]:
    value = jax.random.wrap_key_data(jnp.asarray(value), impl=current.dtype._impl.name)
  elif typed == [True, False]:
    value = jax.random.key_data(value)
  sharding = getattr(current, "sharding", None)
  if isinstance(sharding, jax.sharding.NamedSharding):
    if getattr(value, "sharding", None) == sharding:
      return value
    return jax.device_put(value, sharding)
  return jnp.asarray(value)


__all__ = [
  "NOTHING",
  "linen_leaves",
  "optimizer_to_linen",
  "optimizer_to_nnx",
  "plan_back",
  "specs",
  "to_linen",
  "to_nnx",
  "variable_leaves",
]
