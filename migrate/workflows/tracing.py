"""`migrate.trace`: an example's facts, by name or as a value."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from migrate.core.report import Finding
from migrate.example import Example, ExampleSpec
from migrate.trace.facts import Facts
from migrate.trace.run import trace as run_trace
from migrate.workflows.constants import with_constants


@with_constants
def trace(example: Example | Callable[[], Example] | str, *, include: Sequence[str] = ()) -> Facts:
  """Traces an example abstractly; no parameter is allocated.

  Args:
    example: an `Example`, a function that returns one, or `package.module:function` / `path/file.py:function`.
    include: packages whose code is recorded; by default the top-level package of the module's class.

  Returns:
    Facts: abstract variables, calls of every method with shapes, values of every expression of the traced files.

  Raises:
    MigrateError: where the example can't be made or does not run under `jax.eval_shape`.
  """
  if isinstance(example, str):
    spec = ExampleSpec.parse(example)
    return run_trace(spec.build(), name=spec.name, include=include)
  if isinstance(example, Example):
    return run_trace(example, include=include)
  return run_trace(example(), name=getattr(example, "__name__", "example"), include=include)


def nothing_ported(spec: ExampleSpec, fact: Facts) -> Finding:
  """Why no model came of an example: usually what `--include` leaves out."""
  if fact.classes:
    return Finding(fact.name, "nothing was ported", "a rewritten model class", "read the findings about the source")
  home = type(spec.build().module).__module__
  do = f"add --include {home.partition('.')[0]}: what is given takes the place of the model's own package"
  return Finding(
    fact.name, f"no included package has a class of the model, which is in {home}", "its package among them", do
  )
