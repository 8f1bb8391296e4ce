"""Which attribute of a ported module holds which of Linen's variables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from flax import nnx

from migrate.codemod.site import InstanceKey
from migrate.codemod.variables import VariableSite


def places(
  sites: Sequence[VariableSite], owner: InstanceKey, module: Any
) -> Iterator[tuple[str, str, tuple[Any, ...]]]:
  """The variables of one instance.

  Several sites share a list where a function that makes several variables runs several times. `__init__` fills it in the
  order in which Linen made them, beside the layers that the function makes.

  Args:
    sites: those of its class.
    owner: which instance it is.
    module: the ported one.

  Yields:
    (collection, Linen's name, path of attributes and indices in the module).
  """
  lists: dict[str, list[VariableSite]] = {}
  for site in sites:
    attribute = site.attr.split(".") if site.attr else []  # that of a layer, where the parameter is the layer's
    if not site.looped:
      for name in site.names.get(owner, ()):
        yield site.collection, name, tuple(attribute or [name])
      continue
    lists.setdefault(site.attr, []).append(site)
  for attr, shared in lists.items():
    items = getattr(module, attr, ())
    if isinstance(items, nnx.Dict) and len(shared) == 1:  # a comprehension: its keys are in the order of the parameters
      for key, name in zip(items, shared[0].names.get(owner, ()), strict=False):
        yield shared[0].collection, name, (attr, key)
      continue
    if len(shared) == 1 or any(s.first for s in shared):
      for site in shared:
        for index, name in enumerate(site.names.get(owner, ())):
          yield site.collection, name, (*attr.split("."), site.first + index)
      continue
    made = [m for s in shared for m in zip(s.orders.get(owner, ()), s.names.get(owner, ()), strict=True)]
    collections = {n: s.collection for s in shared for n in s.names.get(owner, ())}
    free = [i for i, item in enumerate(items) if isinstance(item, nnx.Variable)] or range(len(made))
    for index, (_, name) in zip(free, sorted(made), strict=False):
      yield collections[name], name, (attr, index)
