"""Classes that Linen made of others: how, from what the class itself remembers."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from typing import Any

import jax

_NONE = (lambda: None).__code__


@dataclasses.dataclass(frozen=True)
class LiftedClass:
  """How a class came of another: `transform(target, **given)`."""

  transform: str
  target: type
  given: dict[str, Any]


def lifted_by(cls: type) -> LiftedClass | None:
  """How `nn.vmap` made a class; None for any other class."""
  method = vars(cls).get("__call__") if cls.__module__ == "flax.linen.transforms" else None
  if not isinstance(method, types.FunctionType):
    return None
  cells = dict(zip(method.__code__.co_freevars, method.__closure__ or (), strict=True))
  if not {"transform", "module_class", "trafo_args", "trafo_kwargs"} <= set(cells):
    return None
  transform, target = cells["transform"].cell_contents, cells["module_class"].cell_contents
  args, kwargs = cells["trafo_args"].cell_contents, cells["trafo_kwargs"].cell_contents
  others = [
    n for n, m in vars(cls).items() if n != "__call__" and "trafo_kwargs" in getattr(m, "__code__", _NONE).co_freevars
  ]
  if getattr(transform, "__name__", "") != "vmap" or cls.__bases__ != (target,) or others:
    return None
  given = dict(zip(("variable_axes", "split_rngs"), args, strict=False)) | kwargs
  defaults = {"in_axes": 0, "out_axes": 0, "axis_size": None}
  kept = {
    k: v for k, v in given.items() if k in ("variable_axes", "split_rngs") or (k in defaults and v != defaults[k])
  }
  return LiftedClass("vmap", target, {k: dict(v) if isinstance(v, Mapping) else v for k, v in kept.items()})


def stacked_sizes(variables: Any, path: tuple[str, ...], axis: int) -> set[int]:
  """Lengths of an axis of all variables below a path."""
  for part in path:
    variables = variables.get(part, {}) if isinstance(variables, Mapping) else {}
  shapes = [leaf.shape for leaf in jax.tree.leaves(variables)]
  return {shape[axis] for shape in shapes if -len(shape) <= axis < len(shape)}
