"""What a comparison of a Linen model with its NNX port found, as values. Imports neither jax nor flax."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any, Literal

from migrate.core.report import Finding

Verdict = Literal["identical", "equal", "different", "incomplete", "error"]

# from the best to the worst; the verdict of several is the last of theirs
ORDER: tuple[Verdict, ...] = ("identical", "equal", "incomplete", "different", "error")
PROVEN = ("identical", "equal")


def worst(verdicts: Iterable[Verdict]) -> Verdict:
  """The worst of several verdicts; `incomplete` of none, because nothing was compared."""
  ranks = [ORDER.index(v) for v in verdicts]
  return ORDER[max(ranks)] if ranks else "incomplete"


def _number(value: float | None) -> float | str | None:
  """JSON has no NaN and no infinity: they are written as words."""
  if value is None or math.isfinite(value):
    return value
  return "nan" if math.isnan(value) else "inf"


@dataclasses.dataclass(frozen=True)
class LeafDiff:
  """How one array of one call differs between the two models.

  Attributes:
    name: `call/path`, e.g. `call0/logits` or `call1/params/Dense_0/kernel`.
    state: `identical` bitwise, `equal` within the noise, `different`.
    max_abs: largest absolute difference; infinity where shapes or NaNs disagree.
    max_ulp: largest difference in units in the last place, None for integers.
    noise: the measured noise of this array (see `migrate.verify.noise`).
    scale: largest absolute value on the Linen side.
    why: said where the arrays can't be subtracted: shape, dtype, NaN, missing.
  """

  name: str
  state: Literal["identical", "equal", "different"]
  max_abs: float = 0.0
  max_ulp: float | None = 0.0
  noise: float = 0.0
  scale: float = 0.0
  why: str = ""

  def to_json(self) -> dict[str, Any]:
    """A plain dict of all fields."""
    plain = dataclasses.asdict(self)
    return {k: _number(v) if isinstance(v, float) else v for k, v in plain.items()}

  def __str__(self) -> str:
    if self.why:
      return f"{self.name}: {self.why}"
    return f"{self.name}: max abs {self.max_abs:.3g}, noise {self.noise:.2g}, scale {self.scale:.3g}"


@dataclasses.dataclass(frozen=True)
class Comparison:
  """Several arrays compared: the outputs, one collection, or the gradients."""

  diffs: tuple[LeafDiff, ...] = ()

  @property
  def compared(self) -> int:
    """How many arrays were compared."""
    return len(self.diffs)

  @property
  def different(self) -> tuple[LeafDiff, ...]:
    """The arrays that differ, in the order of the calls."""
    return tuple(d for d in self.diffs if d.state == "different")

  @property
  def verdict(self) -> Verdict:
    """The worst of the arrays'; `incomplete` where none was compared."""
    return worst(d.state for d in self.diffs)

  def to_json(self) -> dict[str, Any]:
    """Counts and maxima, and every array that differs."""
    ulps = [d.max_ulp for d in self.diffs if d.max_ulp is not None]
    return {
      "compared": self.compared,
      "identical": sum(d.state == "identical" for d in self.diffs),
      "max_abs": _number(max((d.max_abs for d in self.diffs), default=0.0)),
      "max_ulp": _number(max(ulps, default=0.0)),
      "noise": _number(max((d.noise for d in self.diffs), default=0.0)),
      "different": [d.to_json() for d in self.different],
    }


@dataclasses.dataclass(frozen=True)
class ExampleReport:
  """The verdict on one example.

  Attributes:
    name: the example's name.
    verdict: `identical`, `equal`, `different`, `incomplete` or `error`.
    forward: the outputs of every call.
    collections: every collection after every call.
    gradients: of a scalar of the outputs, with respect to every parameter.
    leaves: how many Linen variables the mapping carried.
    unmapped: Linen variables without a place in NNX.
    unfilled: NNX variables that nothing filled.
    modules: module by module comparison, filled where outputs differ.
    training: losses and state after some optimizer steps, where asked.
    calls: how many calls were compared.
    seconds: wall clock.
    findings: what a user must know.
    programs: flops and instructions of the compiled calls, Linen's and the ported ones.
  """

  name: str
  verdict: Verdict
  forward: Comparison = Comparison()
  collections: dict[str, Comparison] = dataclasses.field(default_factory=dict)
  gradients: Comparison = Comparison()
  leaves: int = 0
  unmapped: tuple[str, ...] = ()
  unfilled: tuple[str, ...] = ()
  modules: tuple[dict[str, Any], ...] = ()
  training: dict[str, Any] | None = None
  calls: int = 0
  seconds: float = 0.0
  findings: tuple[Finding, ...] = ()
  programs: tuple[dict[str, Any], ...] = ()

  @property
  def proven(self) -> bool:
    """Whether the two models agreed in everything that was compared, and all was."""
    return self.verdict in PROVEN

  def to_json(self) -> dict[str, Any]:
    """One entry of `examples` in `report.json`."""
    return {
      "name": self.name,
      "verdict": self.verdict,
      "forward": self.forward.to_json(),
      "collections": {k: v.to_json() for k, v in sorted(self.collections.items())},
      "gradients": self.gradients.to_json(),
      "leaves": self.leaves,
      "unmapped": list(self.unmapped),
      "unfilled": list(self.unfilled),
      "modules": list(self.modules),
      "training": self.training,
      "calls": self.calls,
      "programs": list(self.programs),
      "seconds": round(self.seconds, 2),
      "findings": [f.to_json() for f in self.findings],
    }


def failed(name: str, *findings: Finding, seconds: float = 0.0) -> ExampleReport:
  """The report of an example that could not be run."""
  return ExampleReport(name, "error", findings=findings, seconds=seconds)


@dataclasses.dataclass(frozen=True)
class Report:
  """What `migrate.verify` returns: the examples and their common verdict."""

  examples: tuple[ExampleReport, ...]

  @property
  def verdict(self) -> Verdict:
    """The worst of the examples' verdicts."""
    return worst(e.verdict for e in self.examples)

  @property
  def proven(self) -> bool:
    """Whether every example is `identical` or `equal`."""
    return bool(self.examples) and all(e.proven for e in self.examples)

  @property
  def findings(self) -> tuple[Finding, ...]:
    """The findings of all examples."""
    return tuple(f for e in self.examples for f in e.findings)

  def to_json(self) -> dict[str, Any]:
    """`examples[]`, `verdict` and `findings[]`, as `report.json` holds them."""
    return {
      "verdict": self.verdict,
      "examples": [e.to_json() for e in self.examples],
      "findings": [f.to_json() for f in self.findings],
    }
