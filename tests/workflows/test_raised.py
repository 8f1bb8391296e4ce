"""Advice for ported models that raise."""

from __future__ import annotations

import pytest

from migrate.workflows.raised import what_to_do


class CallCompactUnboundModuleError(Exception):
  """As Linen calls it."""


@pytest.mark.parametrize(
  ("error", "told"),
  [
    (AttributeError("'Mixed' object has no attribute 'param'"), "a mixin"),
    (AttributeError("'Model' object has no attribute 'scope'"), "no `scope`"),
    (AttributeError("'Model' object has no attribute 'dense_3'"), "look at the line"),
    (CallCompactUnboundModuleError("..."), "make it a class of modules"),
    (TypeError("'param' is no number"), "look at the line"),
  ],
)
def test_advice(error, told):
  assert told in what_to_do(error)
