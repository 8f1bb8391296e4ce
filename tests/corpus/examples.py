"""Every case as an example: `linen2nnx port tests/corpus/examples.py:<case id>`."""

from __future__ import annotations

from collections.abc import Callable

import cases

from migrate import Example


def as_example(case: cases.Case) -> Example:
  """The case in the words of the example contract."""
  module, args, kwargs, opts = case.build()
  return Example(
    module,
    opts.get("apply_args", args),
    {**kwargs, **opts.get("apply_kwargs", {})},
    init_args=args,
    init_kwargs={**kwargs, **opts.get("init_kwargs", {})},
    init_rngs=tuple(opts.get("init_rngs", ("params",))),
    rngs=tuple(opts.get("apply_rngs", ())),
    mutable=opts.get("mutable"),
    method=opts.get("method"),
    init_method=opts.get("init_method"),
  )


def _function(case: cases.Case) -> Callable[[], Example]:
  def build() -> Example:
    return as_example(case)

  build.__name__ = build.__qualname__ = case.id
  build.__doc__ = f"{case.path}. {case.notes}".strip()
  return build


for _case in cases.CASES:
  globals()[_case.id] = _function(_case)
