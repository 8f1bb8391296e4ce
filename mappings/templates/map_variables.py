"""A class that sees its variables through a function, as `nn.map_variables` gives it."""

from collections.abc import Callable, Sequence
from typing import Any

from flax import nnx

_TYPES: dict[str, Any] = {
  "params": nnx.Param,
  "batch_stats": nnx.BatchStat,
  "cache": nnx.Cache,
}


def map_variables(
  target: type,
  mapped_collections: str | Sequence[str],
  trans_in_fn: Callable[[Any], Any] = lambda variables: variables,
  init: bool = False,
  **_: Any,
) -> type:
  """A subclass whose `__call__` computes with `trans_in_fn` of its variables; they themselves stay as they are.

  Args:
    target: the NNX class.
    mapped_collections: the collections that the function is given.
    trans_in_fn: from `{collection: nested dict of arrays}`, named as the module's attributes, to the same with other
      values.
    init: whether the first values are what the function makes of those that the class draws, as Linen stores them.
  """
  collections = (mapped_collections,) if isinstance(mapped_collections, str) else tuple(mapped_collections)
  kinds = [_TYPES[c] for c in collections]

  def views(mapped: Sequence[Any]) -> list[Any]:
    seen = trans_in_fn({c: nnx.to_pure_dict(state) for c, state in zip(collections, mapped)})
    found = [nnx.clone(state) for state in mapped]
    for collection, view in zip(collections, found):
      nnx.replace_by_pure_dict(view, seen[collection])
    return found

  def start(module: Any, *args: Any, **kwargs: Any) -> None:
    target.__init__(module, *args, **kwargs)  # type: ignore[misc]
    if init:
      nnx.update(module, *views(nnx.split(module, *kinds, ...)[1:-1]))

  def call(module: Any, *args: Any, **kwargs: Any) -> Any:
    graph, *mapped, rest = nnx.split(module, *kinds, ...)
    other = nnx.merge(graph, *views(mapped), rest)
    output = target.__call__(other, *args, **kwargs)  # type: ignore[operator]
    nnx.update(module, nnx.split(other, *kinds, ...)[-1])  # streams and statistics move on
    return output

  return type(target.__name__, (target,), {"__init__": start, "__call__": call, "__module__": target.__module__})
