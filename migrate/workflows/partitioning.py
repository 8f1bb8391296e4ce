"""Partitioning metadata: Linen's boxes (`nn.Partitioned`, `nn.LogicallyPartitioned`) and that of NNX Variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flax import nnx
from flax.core import meta
from flax.linen import spmd

from migrate.core.axis_names import names_after
from migrate.core.entries import Plan, plan_error
from migrate.core.paths import Path, key, show
from migrate.core.report import Finding

_KEYS = ("out_sharding", "sharding_rules", "mesh", "linen_meta_type")


def box_metadata(box: Any) -> dict[str, Any] | None:
  """The metadata of the NNX Variable that a Linen box makes; None for what is no box with names."""
  names = getattr(box, "names", None)
  if not isinstance(box, meta.AxisMetadata) or names is None:
    return None
  found = {"out_sharding": tuple(names), "linen_meta_type": type(box)}
  found |= {
    k: v for k, v in (("mesh", getattr(box, "mesh", None)), ("sharding_rules", getattr(box, "rules", None))) if v
  }
  return found


def metadata_box(value: Any, metadata: Mapping[str, Any]) -> Any:
  """The value in the Linen box that the metadata of its Variable describes; alone where there are no names."""
  names = metadata.get("out_sharding")
  if names is None:
    return value
  logical = spmd.LogicallyPartitioned if metadata.get("sharding_rules") else meta.Partitioned
  kind = metadata.get("linen_meta_type", logical)
  options = {"rules": metadata["sharding_rules"]} if metadata.get("sharding_rules") is not None else {}
  return kind(value, names=tuple(names), mesh=metadata.get("mesh"), **options)


def annotate(plan: Plan, boxes: Mapping[Path, Any], targets: Mapping[Path, nnx.Variable]) -> None:
  """Writes what Linen's boxes say into the metadata of the Variables that the plan fills from them.

  Raises:
    MigrateError: where a Variable says something else already. Nothing is written then.
  """
  found = {key(p): box_metadata(box) for p, box in boxes.items()}
  written: list[tuple[Any, dict[str, Any]]] = []
  findings: list[Finding] = []
  for entry in plan.entries:
    metadata = [found.get(key(s.path)) for s in entry.sources]
    first = next((m for m in metadata if m), None)
    if first is None or not entry.targets or entry.fate == "tie":
      continue
    names = names_after(
      entry.ops, [m["out_sharding"] if m else None for m in metadata], [s.spec.shape for s in entry.sources]
    )
    for leaf, one in zip(entry.targets, names, strict=True):
      variable = targets[leaf.path]
      own = variable.get_metadata().get("out_sharding")
      if one is not None and own is not None and tuple(own) != one:
        said = f"is annotated {tuple(own)} in the model, and {show(entry.sources[0].path)} says {one}"
        do = "annotate the model alike, or leave partitioning out: the model's own annotation then stays"
        findings.append(Finding(show(leaf.path), said, "one annotation", do, rule="L2N231"))
      elif one is not None:
        written.append((variable, {**first, "out_sharding": one}))
  if findings:
    raise plan_error(findings)
  for variable, metadata in written:
    variable.set_metadata(**{**variable.get_metadata(), **metadata})


def boxed(plan: Plan, values: Mapping[Path, Any], targets: Mapping[Path, nnx.Variable]) -> dict[Path, Any]:
  """The Linen leaves in boxes, where the Variables that they come from have names for their axes.

  Args:
    plan: the forward plan.
    values: Linen leaves by path.
    targets: the model's Variables.
  """
  out = dict(values)
  by_key = {key(p): p for p in values}
  for entry in plan.inverse().entries:
    if not entry.sources or not entry.targets or entry.fate == "tie":
      continue
    metadata = [targets[s.path].get_metadata() for s in entry.sources]
    known = [m.get("out_sharding") for m in metadata]
    names = names_after(
      entry.ops, [None if n is None else tuple(n) for n in known], [s.spec.shape for s in entry.sources]
    )
    for leaf, one in zip(entry.targets, names, strict=True):
      path = by_key.get(key(leaf.path))
      if one is not None and path is not None:
        kept = {k: metadata[0][k] for k in _KEYS if k in metadata[0]}
        out[path] = metadata_box(values[path], {**kept, "out_sharding": one})
  return out
