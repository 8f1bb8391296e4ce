"""Surgery on states: leaves edited by path with their moments, parts loaded, parameters frozen, weights tied."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from migrate.checkpoint.detect import open_checkpoint
from migrate.core.entries import plan_error
from migrate.core.moments import params_like
from migrate.core.paths import Key, Path, key, pattern, show
from migrate.core.plan import make_plan
from migrate.core.report import Finding, MigrateError, refuse
from migrate.core.training import is_nnx, split_linen, split_nnx
from migrate.core.translate import read, translate
from migrate.core.tree import nest
from migrate.workflows.mapping import load_mapping
from migrate.workflows.state import segments, variable_leaves

Edit = Callable[[Any], Any]


class Frozen(nnx.Variable):
  """A parameter that is not trained: no `nnx.Param`, so neither gradients nor optimizers over Param see it."""


def edit_state(state: Any, edits: Mapping[str, Edit], *, moments: str | Edit = "same") -> Any:
  """Edits leaves of a Linen training state by path, and the moments that mirror them.

  Args:
    state: a TrainState, or any tree with the parameters and, below `opt_state`, the Optax state.
    edits: `{pattern: function of an array}`; patterns are paths of the tree, such as `params/head/kernel` or
      `params/layers_{i}/**`. Each must match, and no two the same leaf.
    moments: `same` gives the moments to the same function, which is right for all that moves values (slices,
      transpositions, padding with zeros); `zeros` starts them at zero in the new shape; a function edits them instead.

  Returns:
    The state with new leaves; the one that was given is unchanged.

  Raises:
    MigrateError: where a pattern matches nothing, two match one leaf, or a moment is not of its parameter's shape.
  """
  flat, treedef = jax.tree_util.tree_flatten_with_path(state)
  paths = [key(segments(path)) for path, _ in flat]
  leaves = dict(zip(paths, (leaf for _, leaf in flat), strict=True))
  params = {p: v for p, v in leaves.items() if p[:1] != ("opt_state",)}
  states = {p[1:]: v for p, v in leaves.items() if p[:1] == ("opt_state",)}
  new, mirrored = _edited(params, states, edits, moments)
  new |= {("opt_state", *p): v for p, v in mirrored.items()}
  return treedef.unflatten([new.get(p, leaves[p]) for p in paths])


def edit_model(model: Any, edits: Mapping[str, Edit], optimizer: Any = None, *, moments: str | Edit = "same") -> Any:
  """Edits Variables of an NNX model by attribute path, and the moments that mirror them, in place.

  Args:
    model: an nnx.Module.
    edits: as for `edit_state`; patterns are attribute paths, `layers/{i}/kernel`.
    optimizer: its nnx.Optimizer.
    moments: as for `edit_state`.

  Returns:
    The model.

  Raises:
    MigrateError: as `edit_state`; nothing is changed then.
  """
  variables = {key(p): v for p, v in variable_leaves(model).items()}
  below = {} if optimizer is None else {key(p): v for p, v in variable_leaves(optimizer).items()}
  values = {p: v.get_value() for p, v in variables.items()}
  states = {p[1:]: v.get_value() for p, v in below.items() if p[:1] == ("opt_state",)}
  new, mirrored = _edited(values, states, edits, moments)
  for path, value in new.items():
    variables[path].set_value(value)
  for path, value in mirrored.items():
    below[("opt_state", *path)].set_value(value)
  return model


def _edited(
  params: Mapping[Key, Any], states: Mapping[Key, Any], edits: Mapping[str, Edit], moments: str | Edit
) -> tuple[dict[Key, Any], dict[Key, Any]]:
  if not callable(moments) and moments not in ("same", "zeros"):
    raise refuse("moments", repr(moments), "same, zeros or a function", "choose one")
  chosen: dict[Key, tuple[str, Edit]] = {}
  findings = []
  for text, edit in edits.items():
    hits = [p for p in params if pattern(text).match(p) is not None]
    if not hits:
      findings.append(_no_match(text, params))
    for path in hits:
      if path in chosen:
        findings.append(Finding(show(path), f"{chosen[path][0]} and {text} both match", "one edit", "narrow one"))
      chosen[path] = (text, edit)
  forms = {form: p for p in params for form in (p, p[1:]) if form}
  mirrors: list[tuple[Key, Key]] = []
  for path, (_, param, rest) in params_like(list(states), set(forms)).items():
    owner = forms[param]
    if owner not in chosen:
      continue
    if rest or np.shape(states[path]) != np.shape(params[owner]):
      found = f"{np.shape(states[path])} for a parameter of {np.shape(params[owner])}: it does not mirror it"
      do = "edit the parameters alone, and make the optimizer state anew with tx.init(params)"
      findings.append(Finding(f"opt_state/{show(path)}", found, "a moment of the parameter's shape", do))
    mirrors.append((path, owner))
  if findings:
    raise MigrateError(*findings)
  new = {p: edit(params[p]) for p, (_, edit) in chosen.items()}
  mirrored: dict[Key, Any] = {}
  for path, owner in mirrors:
    if callable(moments):
      mirrored[path] = moments(states[path])
    else:
      zeros = moments == "zeros"
      mirrored[path] = jnp.zeros(new[owner].shape, states[path].dtype) if zeros else chosen[owner][1](states[path])
    if np.shape(mirrored[path]) != np.shape(new[owner]):
      found = f"{np.shape(mirrored[path])} beside a parameter of {np.shape(new[owner])}"
      raise refuse(f"opt_state/{show(path)}", found, "one shape", "correct the function for moments")
  return new, mirrored


def _no_match(text: str, paths: Any) -> Finding:
  import difflib

  close = difflib.get_close_matches(text, [show(p) for p in paths], 3, 0.3)
  return Finding(text, "matches nothing", "a pattern of a leaf", f"nearest: {', '.join(close)}" if close else "")


def load_variables(
  path: str | os.PathLike[str], only: Sequence[str] = (), mapping: Any = None, *, item: str | None = None
) -> dict[Any, Any]:
  """Reads variables of a checkpoint, or some of them, as nested dicts of NumPy arrays; the others are not read.

  Args:
    path: a checkpoint of any format, of a Linen training state, of variables, or of an NNX state.
    only: patterns of the leaves to read, collection first (`params/encoder/**`); attribute paths of an NNX state.
    mapping: what `migrate.load_mapping` takes: the leaves then come by the paths and in the shapes of the NNX model
      (stacked, joined...). Rules about leaves that are not read are passed over.
    item: the item of a composite checkpoint.

  Raises:
    MigrateError: where a pattern matches nothing or a rule does not fit.
  """
  leaves = _variables(path, item)
  chosen = some_leaves(leaves, only)
  if mapping is None:
    return nest({p: np.asarray(read(v)) for p, v in chosen.items()})
  plan = make_plan(chosen, None, load_mapping(mapping), strict=False)
  findings = [f for f in plan.findings if not (only and f.rule == "L2N204")]
  if findings:
    raise plan_error(findings)
  return nest(dict(translate(plan, chosen)))


def _variables(path: str | os.PathLike[str], item: str | None) -> dict[Path, Any]:
  stored = open_checkpoint(path, item)
  split = split_nnx if is_nnx(stored.leaves) else split_linen
  return dict(split(stored.leaves, stored.empty).variables)


def some_leaves(leaves: Mapping[Path, Any], only: Sequence[str]) -> dict[Path, Any]:
  """The leaves that one of the patterns matches; all where there is none. Raises MigrateError for idle patterns."""
  if not only:
    return dict(leaves)
  idle = [text for text in only if not any(pattern(text).match(key(p)) is not None for p in leaves)]
  if idle:
    raise MigrateError(*(_no_match(text, leaves) for text in idle))
  return {p: v for p, v in leaves.items() if any(pattern(text).match(key(p)) is not None for text in only)}


def freeze(module: Any, only: str = "**", kind: type = Frozen) -> Any:
  """Makes parameters of a module ones that are not trained, in place, and returns the module.

  Optimizers and gradients over `nnx.Param` no longer see them; checkpoints keep their paths. Make the optimizer after.

  Args:
    module: an nnx.Module.
    only: pattern of the attribute paths to freeze.
    kind: the Variable type they get.

  Raises:
    MigrateError: where the pattern matches no parameter.
  """
  made: dict[int, Any] = {}
  wanted = pattern(only)
  for path, node in list(nnx.iter_graph(module)):
    if not isinstance(node, nnx.Pytree) or isinstance(node, nnx.Variable):
      continue
    for name, value in list(vars(node).items()):
      if isinstance(value, nnx.Param) and wanted.match((*map(str, path), name)) is not None:
        fresh = made.setdefault(id(value), kind(value.get_value(), **value.get_metadata()))
        _put(node, name, fresh)
  if not made:
    raise refuse(only, "matches no nnx.Param of the module", "a pattern of a parameter's path", "see nnx.state(module)")
  return module


def _put(node: Any, name: str | int, value: Any) -> None:
  if isinstance(node, nnx.List):
    node[int(name)] = value
  elif isinstance(node, nnx.Dict):
    node[name] = value
  else:
    setattr(node, str(name), value)


def at_path(model: Any, path: Path) -> Any:
  """What a model holds at an attribute path. Raises MigrateError where there is nothing."""
  node = model
  for at, segment in enumerate(path):
    try:
      node = node[int(segment)] if isinstance(node, nnx.List | list | tuple) else _named(node, str(segment))
    except (AttributeError, KeyError, IndexError, ValueError):
      where = show(path[: at + 1])
      raise refuse(show(path), f"the model has no {where}", "an attribute path", "see nnx.state(model)") from None
  return node


def _named(node: Any, name: str) -> Any:
  return node[name] if isinstance(node, nnx.Dict | dict) else getattr(node, name)


def tie_weights(model: Any, keep: str, other: str) -> Any:
  """Makes two attribute paths hold one Variable, in place, and returns the model.

  Args:
    model: an nnx.Module. Make its optimizer after.
    keep: the path whose Variable stays, `embed/embedding`.
    other: the path that gets it too.

  Raises:
    MigrateError: where the two differ in shape or in value: then nothing is changed.
  """
  first, second = tuple(keep.split("/")), tuple(other.split("/"))
  one, two = at_path(model, first), at_path(model, second)
  for path, value in ((keep, one), (other, two)):
    if not isinstance(value, nnx.Variable):
      raise refuse(path, f"is a {type(value).__name__}", "a Variable", "give the path of a parameter")
  a, b = one.get_value(), two.get_value()
  if a.shape != b.shape or a.dtype != b.dtype:
    do = "tie them in the model's call, where the second is the transposed first (`x @ embedding.T`)"
    raise refuse(other, f"{b.dtype}{list(b.shape)}", f"{a.dtype}{list(a.shape)} as at {keep}", do)
  abstract = isinstance(a, jax.ShapeDtypeStruct) or isinstance(b, jax.ShapeDtypeStruct)
  if not abstract and np.asarray(a).tobytes() != np.asarray(b).tobytes():
    raise refuse(other, f"holds other values than {keep}", "equal values", f"decide: copy {keep} there first")
  _put(at_path(model, second[:-1]), second[-1], one)
  return model
