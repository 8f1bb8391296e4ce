"""Leaves of an NNX state that only the live model has: fresh Variables, and arrays that `__init__` makes.

They are computed by jitting a function that builds the model and returns nothing else, so that XLA drops every
other parameter before it is made.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.core import Tracer

from migrate.core.entries import Plan
from migrate.core.paths import Path, key, show
from migrate.core.report import MigrateError, refuse
from migrate.core.tree import NOTHING

SHOWN = 3


@dataclasses.dataclass(frozen=True)
class Live:
  """What a checkpoint takes from the model that `build` makes.

  Attributes:
    build: makes the model.
    variables: paths of Variables that no source fills.
    constants: paths of arrays that are held outside Variables.
  """

  build: Callable[[], Any]
  variables: tuple[Path, ...] = ()
  constants: tuple[Path, ...] = ()

  def values(self) -> dict[Path, np.ndarray]:
    """The values of exactly these leaves. Raises MigrateError where the model cannot be built."""
    wanted = {key(p) for p in (*self.variables, *self.constants)}
    if not wanted:
      return {}
    of_these = lambda path, leaf: key(path) in wanted and not isinstance(leaf, nnx.RngState)
    return {p: np.asarray(v) for p, v in computed(jax.jit, self.build, of_these).items()}


def live_leaves(build: Callable[[], Any], fresh: Collection[Path]) -> Live:
  """Finds what only the live model has; nothing is computed. Raises MigrateError where the model cannot be built."""
  found: list[Path] = []

  def looked(function: Callable[[], Any]) -> Callable[[], Any]:
    def shapes() -> Any:
      with uncounted():
        return jax.eval_shape(function)

    return shapes

  for path, leaf in computed(looked, build, lambda _, leaf: not isinstance(leaf, nnx.Variable)).items():
    if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
      do = "hold it in a Variable of type nnx.RngKey, or in nnx.Rngs"
      raise refuse(show(path), "a PRNG key outside Variables", "random state that NNX knows as such", do)
    found.append(path)
  return Live(build, tuple(fresh), tuple(found))


def computed(
  transform: Callable[..., Any], build: Callable[[], Any], wanted: Callable[[Path, Any], bool]
) -> dict[Path, Any]:
  """The values of the wanted leaves of a model's state, found by `transform` (`jax.jit`) of building it and no more.

  Args:
    transform: makes a function without arguments another one.
    build: makes the model.
    wanted: of a path and a Variable, or an array outside Variables.

  Raises:
    MigrateError: where the model cannot be built so.
  """
  paths: list[Path] = []
  hosts: dict[Path, np.ndarray] = {}

  def chosen() -> list[Any]:
    paths.clear()
    out: list[Any] = []
    for path, leaf in flat_state(with_data(build())).items():
      value = leaf.get_value() if isinstance(leaf, nnx.Variable) else leaf
      if not wanted(path, leaf):
        continue
      if isinstance(value, np.ndarray | np.generic):
        hosts[path] = np.asarray(value)  # as it is: jit would narrow it to 32 bits
      else:
        paths.append(path)
        out.append(value)
    return out

  try:
    values = transform(chosen)()
  except MigrateError:
    raise
  except Exception as error:
    said = f"building the model raised {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    raise refuse("build", said, "a function that jax.jit can run", "call it by itself under jax.jit") from error
  return hosts | dict(zip(paths, values, strict=True))


def abstract(build: Callable[[], Any]) -> Any:
  """The abstract model, as `nnx.eval_shape` gives it, its arrays outside Variables included."""
  with uncounted():
    return nnx.eval_shape(lambda: with_data(build()))


@contextlib.contextmanager
def uncounted() -> Iterator[None]:
  """Streams give their keys without counting, which is enough for shapes.

  Counting them under a trace takes time with the square of their number: minutes for a thousand layers.
  """
  counted = nnx.RngStream.__call__
  nnx.RngStream.__call__ = lambda self: self.key[...]
  try:
    yield
  finally:
    nnx.RngStream.__call__ = counted


def with_data(model: Any) -> Any:
  """The model, its traced arrays outside Variables told as data, as they are where nothing is traced.

  NNX tells arrays by their type, and takes tracers for static; such a model leaks them, and cannot be compared.
  """
  for _, node in list(nnx.iter_graph(model)):
    if isinstance(node, nnx.Pytree) and not isinstance(node, nnx.Variable):
      for name, value in list(vars(node).items()):
        if isinstance(value, Tracer):
          setattr(node, name, nnx.data(value))
  return model


def flat_state(model: Any) -> dict[Path, Any]:
  """`nnx.state(model)`, flat."""
  flat = nnx.to_flat_state(nnx.state(model))
  return {tuple(s if type(s) is int else str(s) for s in path): leaf for path, leaf in flat}


def live_notes(live: Live, optimizer: Plan | None) -> tuple[str, ...]:
  """What the user should know of these leaves."""
  notes = []
  if live.variables:
    notes.append(f"no example ran {_some(live.variables)}: their values are those that the model's constructor makes")
  if live.constants:
    notes.append(f"{_some(live.constants)}: arrays that the model's constructor makes, written as it makes them")
  entries = [e for e in optimizer.entries if e.fate == "fresh"] if optimizer else []
  new = [t.path for e in entries for t in e.targets if t.spec != NOTHING]
  if new:
    notes.append(f"the optimizer had no {_some(new)}: they start at zero, the counts go on")
  return tuple(notes)


def _some(paths: Sequence[Path]) -> str:
  more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
  return ", ".join(map(show, paths[:SHOWN])) + more
