"""Whole classes: `setup`, fields, inheritance, signatures, docstrings and comments."""

from __future__ import annotations

import pytest

from migrate.core.report import MigrateError
from tests.codemod.support import port_and_check

TRAIN = "Example({model}, ({args}, False), calls=(Call(({args}, True), rngs=('dropout',), mutable=['batch_stats']),))"


def test_class_made_by_a_function_is_refused_by_its_name(tmp_path):
  source = """
    def make(width):
      class Model(nn.Module):
        features: int = 7

        @nn.compact
        def __call__(self, x):
          return nn.Dense(self.features)(x) * width

      return Model

    Model = make(2)
    """
  with pytest.raises(MigrateError, match="locals"):
    port_and_check(tmp_path, source, "Model(), x(2, 5)")
