"""linen2nnx: Flax Linen code, weights and optimizer state to Flax NNX, with proof."""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0.dev0"

# name -> module; loaded on first use, so that `import migrate` imports neither jax nor libcst
_LAZY = {
  "Call": "migrate.example",
  "Example": "migrate.example",
  "Finding": "migrate.core.report",
  "MigrateError": "migrate.core.report",
  "Plan": "migrate.core.plan",
  "load_mapping": "migrate.workflows.mapping",
  "make_plan": "migrate.workflows.mapping",
  "to_nnx": "migrate.workflows.state",
  "to_linen": "migrate.workflows.state",
  "optimizer_to_nnx": "migrate.workflows.state",
  "optimizer_to_linen": "migrate.workflows.state",
  "save_mapping": "migrate.workflows.mapping",
  "convert": "migrate.workflows.convert",
  "convert_checkpoint": "migrate.workflows.convert",
  "plan_checkpoint": "migrate.workflows.convert",
  "inspect_checkpoint": "migrate.workflows.inspect",
  "keep_rng": "migrate.workflows.randomness",
  "set_rngs": "migrate.workflows.randomness",
  "restore": "migrate.workflows.restore",
  "save_linen": "migrate.workflows.restore",
  "suggest": "migrate.workflows.suggest",
  "edit_state": "migrate.workflows.surgery",
  "edit_model": "migrate.workflows.surgery",
  "load_variables": "migrate.workflows.surgery",
  "freeze": "migrate.workflows.surgery",
  "Frozen": "migrate.workflows.surgery",
  "tie_weights": "migrate.workflows.surgery",
  "Source": "migrate.workflows.assemble",
  "assemble": "migrate.workflows.assemble",
  "restore_nnx": "migrate.workflows.relayout",
  "verify_checkpoint": "migrate.workflows.verify_checkpoint",
  "trace": "migrate.workflows.tracing",
  "verify": "migrate.workflows.proof",
  "port": "migrate.workflows.port",
  "codemod": "migrate.workflows.codemod",
}

__all__ = ["__version__", *_LAZY]


def __getattr__(name: str) -> Any:
  if name in _LAZY:
    return getattr(importlib.import_module(_LAZY[name]), name)
  raise AttributeError(f"module 'migrate' has no attribute {name!r}")


def __dir__() -> list[str]:
  return sorted(__all__)
