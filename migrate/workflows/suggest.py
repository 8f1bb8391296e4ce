"""The mapping from a Linen checkpoint to a hand-written NNX model, found by names, order, shapes and layer kinds."""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any, Literal

from flax import nnx

from migrate.checkpoint.detect import open_checkpoint
from migrate.core.declare import ModelMapping
from migrate.core.paths import Path, key, show
from migrate.core.plan import make_plan
from migrate.core.report import Finding, MigrateError, refuse
from migrate.core.training import is_nnx, split_linen
from migrate.core.tree import Spec, spec_of
from migrate.example import Example, ExampleSpec
from migrate.match.bind import GUESS, NAMED
from migrate.match.matching import Matching, match
from migrate.match.rules import Draft, mapping_of
from migrate.match.units import Model
from migrate.workflows.suggest_model import layer_records, model_of
from migrate.workflows.suggest_questions import Question, questions, tied_rules

Verdict = Literal["proven", "settled", "named", "ambiguous", "incomplete"]


@dataclasses.dataclass(frozen=True)
class Suggestion:
  """A mapping that was found, and how far it can be relied on.

  Attributes:
    mapping: as few rules as say it.
    verdict: `proven` (both models ran and agree, and every pair mattered), `settled` (shapes and kinds allow nothing
      else), `named` (other pairs fit by shape, names decide), `ambiguous` (`questions` are open), `incomplete` (a leaf
      has no counterpart).
    questions: what is not known for sure, with the evidence; those that are `open` are guesses.
    unmapped: Linen leaves without a place.
    unfilled: NNX leaves that nothing fills.
    findings: what the user must decide or mend.
    notes: what the user should know.
    drafts: the rules with the leaves that each moves.
    source: the checkpoint, for the file's head.
  """

  mapping: ModelMapping
  verdict: Verdict
  questions: tuple[Question, ...] = ()
  unmapped: tuple[Path, ...] = ()
  unfilled: tuple[Path, ...] = ()
  findings: tuple[Finding, ...] = ()
  notes: tuple[str, ...] = ()
  drafts: tuple[Draft, ...] = dataclasses.field(default=(), repr=False)
  source: str = ""

  @property
  def certain(self) -> bool:
    """Whether no other mapping would do: both models ran, or nothing else fits."""
    return self.verdict in ("proven", "settled")

  @property
  def ambiguous(self) -> tuple[Question, ...]:
    """The questions whose answer is a guess."""
    return tuple(q for q in self.questions if q.open)

  def to_json(self) -> dict[str, Any]:
    """A plain dict, for reports."""
    from migrate.workflows.mapping import mapping_to_json

    return {
      "verdict": self.verdict,
      "certain": self.certain,
      "mapping": mapping_to_json(self.mapping),
      "questions": [q.to_json() for q in self.questions],
      "unmapped": [show(p) for p in self.unmapped],
      "unfilled": [show(p) for p in self.unfilled],
      "findings": [f.to_json() for f in self.findings],
      "notes": list(self.notes),
    }

  def save(self, path: str | os.PathLike[str]) -> None:
    """Writes the mapping: JSON, or a Python module with the evidence as comments, by the path's suffix."""
    from migrate.workflows.suggest_text import save

    save(self, path)


def suggest(
  source: Any,
  model: Any,
  example: Example | Callable[[], Example] | str | None = None,
  *,
  item: str | None = None,
) -> Suggestion:
  """Finds the mapping from Linen variables to a hand-written NNX model.

  Args:
    source: a checkpoint of any format that `convert` reads, or Linen variables (arrays or shapes, collection first).
    model: a function that makes the NNX model (of an `nnx.Rngs`, or of nothing), `package.module:function`, or the
      model itself. A function is better: it also tells the order of construction.
    example: the Linen model and how it is called. Both models then run on the same perturbed variables: pairs that
      names cannot settle are told apart by their gradients, and the mapping found is verified as `migrate.verify` does.
    item: the item of a composite checkpoint.

  Returns:
    A suggestion. It is `certain` where both models ran and agree or where nothing else fits; else its `questions`
    say what rests on names, and what is a guess.

  Raises:
    MigrateError: where the checkpoint, the model or the example cannot be used.
  """
  place, leaves = _source(source, item)
  build = build_of(model)
  target = _target(model, build)
  found = match({p: spec_of(v) for p, v in leaves.items()}, target, layer_records())
  proof: tuple[Finding, ...] = ()
  apart: frozenset[int] | None = None
  notes: list[str] = []
  if example is not None:
    from migrate.workflows.suggest_settle import settle

    if build is None:
      raise refuse("model", "an example needs a function that makes it", "package.module:function", "give its factory")
    settled = settle(found, example, build)
    found, apart, proof = settled.matching, settled.apart, settled.findings
    notes += settled.notes
  return _suggestion(found, leaves, place, apart, proof, tuple(notes))


def _suggestion(
  found: Matching,
  leaves: Mapping[Path, Any],
  place: str,
  apart: frozenset[int] | None,
  proof: tuple[Finding, ...],
  notes: tuple[str, ...],
) -> Suggestion:
  """`apart` has the ids of the pairs that running both models told from all others; None where nothing was proven."""
  ties, unmapped = tied_rules(found, leaves)
  asked = questions(found, apart)
  drafts = found.drafts(tagged=any(q.open for q in asked))
  mapping = mapping_of(drafts, ties, source=place)
  unfilled = [m for i in found.unfilled for m in i.members]
  plan = make_plan(found.source, {p: s for p, (s, _) in found.model.leaves.items()}, mapping, strict=False)
  known = {*(key(p) for p in unmapped), *(key(p) for p in unfilled)}
  odd = [f for f in plan.findings if not _names_one_of(f, known)]
  findings = [*proof, *(_no_place(p, found) for p in unmapped), *(_no_source(p, found) for p in unfilled), *odd]
  if unmapped or unfilled or odd:
    verdict: Verdict = "incomplete"
  elif any(q.open for q in asked) or proof:
    verdict = "ambiguous"
  elif apart is not None:
    verdict = "proven"
  else:
    verdict = "named" if asked else "settled"
  return Suggestion(
    mapping, verdict, tuple(asked), tuple(unmapped), tuple(unfilled), tuple(findings), notes, tuple(drafts), place
  )


def _names_one_of(finding: Finding, paths: set) -> bool:
  return any(finding.where == show(p) for p in paths)


def _no_place(path: Path, found: Matching) -> Finding:
  spec = found.source[path]
  like = [p for p, (s, _) in found.model.leaves.items() if s.shape == spec.shape][:2]
  hint = f"of its shape are {', '.join(map(show, like))}, which others fill; " if like else ""
  do = f"{hint}add move({show(path)!r}, ...), or drop({show(path)!r}, because=...)"
  return Finding(show(path), f"{spec}: no NNX leaf is its counterpart", "a fate for every leaf", do, "eye", "L2N205")


def _no_source(path: Path, found: Matching) -> Finding:
  spec = found.model.leaves[path][0]
  shapes = (spec.shape, spec.shape[::-1])
  like = [p for p, s in found.source.items() if s.shape in shapes and len(s.shape) > 1][:2]
  hint = f"{', '.join(map(show, like))} has its shape: if both hold one array, share the Variable in the model, or add copy(...); else "
  do = f"{hint if like else ''}add a move to it, or fresh({show(path)!r}, because=...)"
  return Finding(show(path), f"{spec}: no Linen leaf fills it", "a source for every target", do, "eye", "L2N206")


def _source(source: Any, item: str | None) -> tuple[str, dict[Path, Any]]:
  if isinstance(source, str | os.PathLike):
    stored = open_checkpoint(source, item)
    if is_nnx(stored.leaves):
      raise refuse(str(stored.place), "an NNX state already", "a Linen training state", "see `linen2nnx inspect`")
    return os.fspath(source), dict(split_linen(stored.leaves, stored.empty).variables)
  from migrate.workflows.state import linen_leaves

  return "", linen_leaves(source)


def build_of(model: Any) -> Callable[..., Any] | None:
  """A function of an `nnx.Rngs` that makes the model; None for a model that is made."""
  if isinstance(model, str):
    model = ExampleSpec.parse(model).load()
  if isinstance(model, nnx.Module | nnx.State) or not callable(model):
    return None
  make: Any = model
  try:
    takes = bool(inspect.signature(model).parameters)
  except (TypeError, ValueError):
    takes = True
  return make if takes else lambda rngs: make()


def model_leaves(model: Any) -> Mapping[Path, tuple[Spec, str]]:
  """{attribute path: (spec, collection)} of a model, a function that makes it, or `package.module:function`."""
  return _target(model, build_of(model)).leaves


def _target(model: Any, build: Callable[..., Any] | None) -> Model:
  """What is known of the model, found without allocating it."""
  if build is None:
    if isinstance(model, nnx.Module):
      return model_of(model)
    raise refuse(f"{type(model).__name__}", "not an NNX model", "a function that makes one", "give its factory")
  from migrate.workflows.live import abstract

  seen: list[Model] = []

  def noted() -> Any:
    made = build(nnx.Rngs(0))
    if not isinstance(made, nnx.Module):
      raise refuse("model", f"the factory returned {type(made).__name__}", "an nnx.Module", "return the model itself")
    seen.append(model_of(made))
    return made

  try:
    abstract(noted)
  except MigrateError:
    raise
  except Exception as error:
    said = f"the factory raised {type(error).__name__}: {' '.join(str(error).split())[:200]}"
    raise refuse("model", said, "an NNX model", "call the function by itself and mend it") from error
  return seen[-1]


__all__ = ["GUESS", "NAMED", "Spec", "Suggestion", "build_of", "suggest"]
