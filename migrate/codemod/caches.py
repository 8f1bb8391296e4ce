"""Decode caches of NNX layers, which a method makes where Linen makes them when it is initialized."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from flax import nnx

from migrate.codemod.project import Project
from migrate.codemod.site import bound_call, fields_of
from migrate.core.report import refuse
from migrate.trace.facts import Facts


def cached_inputs(project: Project, fact: Facts) -> tuple[int, ...]:
  """Shape of the inputs, without the last axis, with which Linen made caches in `init`; empty where it made none.

  Raises:
    MigrateError: where layers were initialized with inputs of several lengths.
  """
  leading: dict[tuple[int, ...], None] = {}
  for call in fact.calls:
    record = project.record(project.plain(call.cls))
    if record is None or call.run or not record.setup or call.method == "setup":
      continue
    if any(fields_of(call.module).get(s.when) is True for s in record.setup):
      shape = next((v for v in bound_call(call).values() if isinstance(v, tuple)), ())
      leading.setdefault(shape[:-1])
  if len(leading) > 1:
    raise refuse(
      fact.name,
      f"decode caches of several shapes: {', '.join(map(str, leading))}",
      "one shape for all layers",
      "give `init` inputs of one length, or split the example",
    )
  return next(iter(leading), ())


@contextlib.contextmanager
def whole_sequences(model: Any, initializing: bool) -> Iterator[None]:
  """While active, layers with a cache take whole sequences and leave the cache alone, as Linen's do in `init`."""
  layers = [m for _, m in nnx.iter_modules(model) if isinstance(m, nnx.MultiHeadAttention) and m.decode]
  for layer in layers if initializing else ():
    layer.decode = False
  try:
    yield
  finally:
    for layer in layers:
      layer.decode = True
