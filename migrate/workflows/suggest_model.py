"""What the matcher needs to know of an NNX model: leaves, classes, order of construction; and the layer records."""

from __future__ import annotations

from typing import Any

from flax import nnx

from migrate.core.declare import LayerMapping
from migrate.core.paths import Path, key
from migrate.core.registry import load_alternatives, load_layers
from migrate.match.units import Model
from migrate.workflows.state import collection_name, specs, variable_leaves


def model_of(model: Any) -> Model:
  """Leaves and classes of a model, in the order of construction where the model still knows it."""
  leaves = variable_leaves(model)
  places = specs(leaves)
  modules: dict[tuple[str, ...], str] = {}
  first: dict[int, int] = {}
  _walk(model, (), modules, first, frozenset())
  rank = {p: first.get(id(v), len(first)) for p, v in leaves.items()}
  every = sorted(leaves, key=lambda p: rank[p])
  return Model({p: (places[p], collection_name(type(leaves[p]))) for p in every}, modules)


def _walk(
  node: Any, path: Path, modules: dict[tuple[str, ...], str], first: dict[int, int], seen: frozenset[int]
) -> None:
  if isinstance(node, nnx.Variable):
    first.setdefault(id(node), len(first))
    return
  if id(node) in seen:  # a cycle; a module that is shared has its class under every path
    return
  seen = seen | {id(node)}
  if isinstance(node, nnx.Pytree):
    if isinstance(node, nnx.Module) and not isinstance(node, nnx.List | nnx.Dict):
      modules[key(path)] = f"{type(node).__module__}.{type(node).__qualname__}"
    children = [(k, v) for k, v in vars(node).items() if not k.startswith("_pytree__")]
  elif isinstance(node, dict):
    children = list(node.items())
  elif isinstance(node, list | tuple):
    children = list(enumerate(node))
  else:
    return
  for name, child in children:
    _walk(child, (*path, name), modules, first, seen)


def layer_records() -> dict[str, list[LayerMapping]]:
  """Layer records by the full name of the NNX class that they lead to."""
  out: dict[str, list[LayerMapping]] = {}
  every = [*load_layers().values(), *(r for rows in load_alternatives().values() for r in rows)]
  every += [v.mapping for r in every for v in r.variants]
  for record in every:
    kind = getattr(nnx, record.nnx.removeprefix("flax.nnx."), None) if record.nnx.startswith("flax.nnx.") else None
    if isinstance(kind, type) and record.leaves:
      rows = out.setdefault(f"{kind.__module__}.{kind.__qualname__}", [])
      if record.leaves not in [r.leaves for r in rows]:
        rows.append(record)
  return out
