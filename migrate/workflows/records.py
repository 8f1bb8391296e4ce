"""The registered records as one list: layers, transforms, optimizer states, models; shown, and held to what they say."""

from __future__ import annotations

import dataclasses
from pathlib import Path as FilePath
from typing import Any, Literal

from migrate.core.declare import LayerMapping, ModelMapping, OptimizerMapping, TransformMapping, Unsupported
from migrate.core.registry import load_layers, load_optimizers, load_transforms, load_unsupported, models
from migrate.core.report import Finding, MigrateError, refuse
from migrate.core.rules import compile_rules

Kind = Literal["layer", "transform", "optimizer", "model", "unsupported"]


@dataclasses.dataclass(frozen=True)
class Record:
  """A registered record.

  Attributes:
    kind: `layer`, `transform`, `optimizer`, `model`, or `unsupported`.
    name: of the Linen class or transform, of the Optax state, of the model mapping.
    nnx: what it becomes, in few words.
    note: what a user should know.
    value: the declaration.
  """

  kind: Kind
  name: str
  nnx: str
  note: str
  value: Any = dataclasses.field(repr=False)

  def to_json(self) -> dict[str, str]:
    """A plain dict, without the declaration."""
    return {"kind": self.kind, "name": self.name, "nnx": self.nnx, "note": self.note}

  def details(self) -> list[tuple[str, str]]:
    """(field, text) of every field of the declaration that says something; a line for each record or rule of a tuple."""
    out = []
    for field in dataclasses.fields(self.value):
      value = getattr(self.value, field.name)
      if not value or callable(value):
        continue
      if field.name == "rules":
        out += [(field.name, str(rule)) for rule in compile_rules([self.value])[0]]
      elif isinstance(value, tuple) and all(isinstance(item, str) for item in value):
        out.append((field.name, ", ".join(value)))
      elif isinstance(value, tuple):
        out += [(field.name, _said(item)) for item in value]
      else:
        out.append((field.name, _said(value)))
    return out


def records() -> list[Record]:
  """Every registered record, by kind and name."""
  found = [Record("layer", n, r.nnx, r.note, r) for n, r in load_layers().items()]
  found += [Record("transform", n, r.nnx or "none", r.because, r) for n, r in load_transforms().items()]
  found += [Record("optimizer", n, ", ".join(r.like_params), r.note, r) for n, r in load_optimizers().items()]
  found += [Record("model", n, f"{len(r.rules)} rules", r.source, r) for n, r in models().items()]
  found += [Record("unsupported", n, "none", r.because, r) for n, r in load_unsupported().items()]
  order = ("layer", "transform", "optimizer", "model", "unsupported")
  return sorted(found, key=lambda r: (order.index(r.kind), r.name))


def find_records(name: str) -> list[Record]:
  """The records of a full name (`flax.linen.Dense`) or of its end (`Dense`). Raises MigrateError where none is."""
  every = records()
  found = [r for r in every if r.name == name] or [r for r in every if r.name.endswith(f".{name}")]
  if found:
    return found
  import difflib

  ends = {n: None for r in every for n in (r.name, r.name.rpartition(".")[2])}
  close = difflib.get_close_matches(name, ends, 3)
  do = f"nearest: {', '.join(close)}" if close else "see `linen2nnx mappings list`"
  raise refuse(name, "no record has this name", "a registered record", do)


def check_record(record: Record) -> tuple[Finding, ...]:
  """Holds a record to the installed flax and jax: a layer by running it on both sides, a model mapping by its form."""
  if isinstance(record.value, LayerMapping):
    from migrate.verify.conformance import check

    try:
      result = check(record.value)
    except MigrateError as error:
      return error.findings
    if not result.findings and not result.distances:
      do = "give the record an `example`"
      return (Finding(record.name, "has no sample: nothing was compared", "a sample", do, severity="note"),)
    return result.findings
  if isinstance(record.value, ModelMapping):
    return tuple(compile_rules([record.value])[1])
  return ()


def check_mapping(source: str) -> Record:
  """The mapping of a file, module or registered name, as a record. Raises MigrateError where it is wrong."""
  from migrate.workflows.mapping import load_mapping

  value = load_mapping(source)
  return Record("model", value.name or FilePath(source).name, f"{len(value.rules)} rules", value.source, value)


def _said(value: Any) -> str:
  if isinstance(value, tuple) and value and all(isinstance(v, str | int | None) for v in value):
    return " -> ".join(map(str, value))
  if not dataclasses.is_dataclass(value) or isinstance(value, LayerMapping | OptimizerMapping | TransformMapping):
    return str(getattr(value, "linen", value))
  if isinstance(value, Unsupported):
    return value.because
  fields = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
  return ", ".join(f"{name}={_short(v)}" for name, v in fields if v not in (None, "", (), False) and not callable(v))


def _short(value: Any) -> str:
  if isinstance(value, LayerMapping):
    return value.nnx
  if isinstance(value, tuple) and all(isinstance(v, tuple) and all(isinstance(s, str) for s in v) for v in value):
    return " + ".join("/".join(v) for v in value)
  if isinstance(value, tuple):
    return ", ".join(map(str, value))
  return str(value)
