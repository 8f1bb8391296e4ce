"""What a Linen model sows: values that a call leaves beside its output, not state that it starts from."""

from __future__ import annotations

import contextlib
import dataclasses
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from unittest import mock

from flax import linen as nn

Path = tuple[str, ...]
FOR_SOWING = ("intermediates", "perturbations")


@dataclasses.dataclass
class Sown:
  """Names under which modules sowed.

  Attributes:
    paths: collection, module path and name of each.
  """

  paths: set[Path] = dataclasses.field(default_factory=set)

  def __contains__(self, path: Iterable[Any]) -> bool:
    """Whether a leaf, by its path, was sown, or lies in a collection that is only for that."""
    names = tuple(map(str, path))
    return names[0] in FOR_SOWING or any(names[:n] in self.paths for n in range(2, len(names) + 1))

  def left_out_of(self, variables: Mapping[str, Any], above: Path = ()) -> dict[str, Any]:
    """Variables without what was sown."""
    kept = {}
    for name, value in variables.items():
      path = (*above, str(name))
      if path not in self:
        kept[name] = self.left_out_of(value, path) if isinstance(value, Mapping) else value
    return kept


@contextlib.contextmanager
def sowing() -> Iterator[Sown]:
  """While active, `Module.sow` of Linen notes under which names it writes."""
  found = Sown()
  sow = nn.Module.sow

  def noting(self: nn.Module, col: str, name: str, *args: Any, **kwargs: Any) -> bool:
    wrote = sow(self, col, name, *args, **kwargs)
    if wrote and self.scope is not None:
      found.paths.add((col, *self.scope.path, name))
    return wrote

  with mock.patch.object(nn.Module, "sow", noting):
    yield found


@contextlib.contextmanager
def sowing_in_nnx() -> Iterator[None]:
  """While active, NNX does not warn of `Module.sow` outside `nnx.capture` (flax 0.12.6 and newer): it is meant here."""
  with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "Using 'Module.sow", DeprecationWarning)
    yield
