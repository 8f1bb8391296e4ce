"""What is known of one construction site."""

from __future__ import annotations

import pytest

from migrate.codemod.site import evaluate


@pytest.mark.parametrize(
  ("text", "value"), [("self.width * 2 + n", 13), ("self.width // 2", 2), ("7", 7), ("unknown", None), ("f(3)", None)]
)
def test_evaluate_reads_fields_and_sizes_only(text, value):
  class Owner:
    width = 5

  assert evaluate(text, Owner(), {"n": 3}) == value
