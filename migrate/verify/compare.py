"""Two records compared: array by array, against the noise that the Linen side measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from migrate.core.report import Finding
from migrate.core.verdict import Comparison, ExampleReport, LeafDiff, Verdict, worst
from migrate.verify.arrays import to_numpy
from migrate.verify.perturb import FACTOR, FACTOR_LOW
from migrate.verify.programs import compare_programs, findings_of
from migrate.verify.records import CallRecord, LinenRecord, NnxRecord

_SHOWN = 8  # differing arrays that get a finding of their own


def ulps(a: np.ndarray, b: np.ndarray) -> float:
  """The largest distance of two float arrays in units in the last place."""
  if a.dtype.kind == "c":
    a, b = (np.stack((np.real(x), np.imag(x))) for x in (a, b))
  bits = {2: np.int16, 4: np.int32, 8: np.int64}.get(a.dtype.itemsize)
  if bits is None:
    return 0.0
  wide = []
  for x in (a, b):
    i = np.ascontiguousarray(x).view(bits).astype(np.int64)
    wide.append(np.where(i < 0, int(np.iinfo(bits).min) - i, i).astype(np.longdouble))
  good = np.isfinite(np.asarray(a, np.float64)) & np.isfinite(np.asarray(b, np.float64))
  distance = np.abs(wide[0] - wide[1])[good]
  return float(distance.max()) if distance.size else 0.0


def tolerance(dtype: Any, noise: float, scale: float) -> float:
  """The largest difference that counts as noise.

  `FACTOR` times the measured noise, and never less than one unit in the last place of the largest value; for
  16-bit floats a smaller factor and no such floor, because one unit there is already 0.8%.
  """
  info = jnp.finfo(dtype)
  if info.bits < 32:
    return FACTOR_LOW * noise
  return max(FACTOR * noise, float(info.eps) * scale)


def compare_arrays(name: str, ours: Any, theirs: Any, noise: float = 0.0) -> LeafDiff:
  """Compares one array of the Linen side with its counterpart."""
  a, b = to_numpy(ours), to_numpy(theirs)
  if a.shape != b.shape:
    return LeafDiff(name, "different", np.inf, None, noise, why=f"shape {b.shape} where Linen gives {a.shape}")
  if a.dtype != b.dtype:
    return LeafDiff(name, "different", np.inf, None, noise, why=f"dtype {b.dtype} where Linen gives {a.dtype}")
  if a.tobytes() == b.tobytes():
    return LeafDiff(name, "identical", noise=noise, scale=_largest(a))
  if not jnp.issubdtype(a.dtype, jnp.inexact):
    wrong = int((a != b).sum())
    return LeafDiff(name, "different", float(wrong), None, noise, why=f"{wrong} of {a.size} values differ")
  wide = np.complex128 if jnp.issubdtype(a.dtype, jnp.complexfloating) else np.float64
  x, y = np.atleast_1d(a.astype(wide)), np.atleast_1d(b.astype(wide))
  one_sided = int((np.isnan(x) != np.isnan(y)).sum())
  if one_sided:
    return LeafDiff(name, "different", np.inf, None, noise, _largest(a), f"{one_sided} values are NaN on one side only")
  with np.errstate(invalid="ignore"):
    gap = np.abs(x - y)
  gap[np.isnan(x) | (x == y)] = 0.0
  most, scale = float(gap.max(initial=0.0)), _largest(a)
  if most == 0.0:  # only the signs of zeros or the payloads of NaNs differ
    return LeafDiff(name, "equal", 0.0, 0.0, noise, scale)
  state = "equal" if most <= tolerance(a.dtype, noise, scale) else "different"
  return LeafDiff(name, state, most, ulps(a, b), noise, scale)


def _largest(a: np.ndarray) -> float:
  if not a.size or not (jnp.issubdtype(a.dtype, jnp.inexact) or a.dtype.kind in "iub"):
    return 0.0
  size = np.abs(a.astype(np.complex128))
  size = size[np.isfinite(size)]
  return float(size.max()) if size.size else 0.0


def compare_named(
  prefix: str, ours: Mapping[Any, Any], theirs: Mapping[Any, Any], noise: Mapping[Any, float]
) -> list[LeafDiff]:
  """Compares two sets of named arrays; one that only Linen has, or only NNX, is a difference."""
  diffs = []
  for key, value in ours.items():
    name = f"{prefix}/{'/'.join(key) if isinstance(key, tuple) else key}"
    if key in theirs:
      diffs.append(compare_arrays(name, value, theirs[key], noise.get(key, 0.0)))
    else:
      diffs.append(LeafDiff(name, "different", np.inf, None, why="only the Linen model gives it"))
  for key in theirs:
    if key not in ours:
      name = f"{prefix}/{'/'.join(key) if isinstance(key, tuple) else key}"
      diffs.append(LeafDiff(name, "different", np.inf, None, why="only the NNX model gives it"))
  return diffs


def _plain(where: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[LeafDiff]:
  """Python values among the outputs, where they differ."""
  absent = object()
  diffs = []
  for key in sorted(ours.keys() | theirs.keys()):
    a, b = ours.get(key, absent), theirs.get(key, absent)
    if a != b and not (a != a and b != b):  # both NaN
      said = ["nothing" if x is absent else repr(x) for x in (b, a)]
      why = f"{said[0]:.80} where Linen gives {said[1]:.80}"
      diffs.append(LeafDiff(f"{where}/{key}", "different", np.inf, None, why=why))
  return diffs


def compare(name: str, linen: LinenRecord, nnx: NnxRecord, seconds: float = 0.0) -> ExampleReport:
  """The verdict on one example from the records of both sides."""
  forward: list[LeafDiff] = []
  gradients: list[LeafDiff] = []
  collections: dict[str, list[LeafDiff]] = {}
  findings = [*linen.findings, *nnx.findings]
  missing: list[Finding] = []
  unmapped = set(nnx.unmapped)
  for i, (ours, theirs) in enumerate(zip(linen.calls, nnx.calls)):
    where = f"call{i}"
    outputs = compare_named(where, ours.outputs, theirs.outputs, ours.noise.get("outputs", {}))
    forward += [*outputs, *_plain(where, ours.plain, theirs.plain)]
    grads = {k: v for k, v in ours.grads.items() if "/".join(k) not in unmapped or k in theirs.grads}
    if not theirs.no_gradient:
      gradients += compare_named(where, grads, _known(theirs.grads, grads), ours.noise.get("grads", {}))
    for diff, collection in _state(where, ours, theirs, unmapped):
      collections.setdefault(collection, []).append(diff)
    findings += _call_findings(name, i, ours, theirs)
    missing += _missing(name, i, ours, theirs)
  missing += _unplaced(name, nnx)
  parts = {
    "the output": Comparison(tuple(forward)),
    **{f"collection {k}": Comparison(tuple(v)) for k, v in sorted(collections.items())},
    "the gradient": Comparison(tuple(gradients)),
  }
  verdict = _verdict(list(parts.values()), bool(missing))
  programs = compare_programs(linen.calls, nnx.calls)
  findings += missing + _differences(name, parts) + findings_of(name, programs)
  return ExampleReport(
    name, verdict, parts["the output"], {k: Comparison(tuple(v)) for k, v in collections.items()},
    parts["the gradient"], nnx.leaves, nnx.unmapped, nnx.unfilled, calls=len(nnx.calls), seconds=seconds,
    findings=tuple(findings), programs=programs,
  )  # fmt: skip


def _verdict(parts: Sequence[Comparison], missing: bool) -> Verdict:
  outcome = worst(p.verdict for p in parts if p.compared)
  return worst([outcome, "incomplete"]) if missing else outcome


def _known(theirs: Mapping[Any, Any], ours: Mapping[Any, Any]) -> dict[Any, Any]:
  """Gradients that NNX alone has belong to parameters that Linen does not have: named as unfilled already."""
  return {k: v for k, v in theirs.items() if k in ours}


def _state(where: str, ours: CallRecord, theirs: CallRecord, unmapped: set[str]) -> list[tuple[LeafDiff, str]]:
  """Every variable after the call; what was never carried, and what `sow` left, is told elsewhere."""
  noise = ours.noise.get("after", {})
  diffs = []
  for path, value in ours.after.items():
    name = "/".join((where, *path))
    if path in theirs.after:
      diffs.append((compare_arrays(name, value, theirs.after[path], noise.get(path, 0.0)), path[0]))
    elif path[0] != "intermediates" and "/".join(path) not in unmapped:
      diffs.append((LeafDiff(name, "different", np.inf, None, why="NNX does not keep it"), path[0]))
  return diffs


def _call_findings(name: str, i: int, ours: CallRecord, theirs: CallRecord) -> list[Finding]:
  where = f"{name}, call {i}"
  do = "look for a Dropout or make_rng that one side lacks"
  findings = [Finding(where, note, "the same random draws on both sides", do, "eye") for note in theirs.notes]
  if ours.no_gradient and ours.no_gradient != "no parameter of floating point":
    findings.append(Finding(where, f"the Linen model can't be differentiated: {ours.no_gradient}", severity="note"))
  if any(p[0] == "intermediates" and p not in theirs.after for p in ours.after):
    findings.append(Finding(where, "some sown intermediates were not compared", severity="note"))
  if ours.opaque:
    findings.append(Finding(where, f"{ours.opaque} outputs hold no arrays and were not compared", severity="note"))
  return findings


def _missing(name: str, i: int, ours: CallRecord, theirs: CallRecord) -> list[Finding]:
  where = f"{name}, call {i}"
  missing = []
  if not ours.outputs:
    found, do = "the call returns no array, so nothing was compared", "give an example call that returns one"
    missing.append(Finding(where, found, "at least one array", do))
  if theirs.no_gradient and not ours.no_gradient:
    found = f"the NNX model can't be differentiated: {theirs.no_gradient}"
    missing.append(Finding(where, found, "the gradient that Linen has", "look for state that leaks out of the call"))
  return missing


def _unplaced(name: str, nnx: NnxRecord) -> list[Finding]:
  lost, empty = "this Linen variable has no place in the NNX model", "no Linen variable fills this NNX variable"
  missing = [
    Finding(f"{name}: {path}", lost, "a rule for it", "add a `move` or `drop` rule to the mapping")
    for path in nnx.unmapped[:_SHOWN]
  ]
  missing += [
    Finding(f"{name}: {path}", empty, "a rule for it", "add a `move` or `fresh` rule to the mapping")
    for path in nnx.unfilled[:_SHOWN]
  ]
  return missing


def _differences(name: str, parts: Mapping[str, Comparison]) -> list[Finding]:
  """One finding for each part that differs, naming the first array and counting the rest."""
  findings = []
  for part, comparison in parts.items():
    bad = list(comparison.different)
    if not bad:
      continue
    more = f"; also {', '.join(d.name for d in bad[1:_SHOWN])}" if len(bad) > 1 else ""
    more += f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
    findings.append(
      Finding(
        f"{name}: {bad[0].name}",
        f"{part} differs in {len(bad)} of {comparison.compared} arrays, first {bad[0]}{more}",
        f"at most {FACTOR:g} times the noise",
        "see `modules` in the report for the first module that differs",
      )
    )
  return findings
