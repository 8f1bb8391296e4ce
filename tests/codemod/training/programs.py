"""Linen training programs and their models, for tests of the rules."""

import textwrap
from collections.abc import Mapping

from migrate.codemod.training.model_class import ModelClass
from migrate.codemod.training.reader import Rewritten, rewrite_training

HEADER = """
import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax.training import checkpoints, train_state
from models import Net, Plain


class TrainState(train_state.TrainState):
  batch_stats: Any

"""


def model(name: str, *fields: str, collections: tuple[str, ...] = ("params",)) -> ModelClass:
  """A rewritten class with one size."""
  parameters = ("in_features", *fields, "rngs")
  return ModelClass(
    f"models.{name}",
    parameters,
    frozenset({"rngs"}),
    frozenset(parameters),
    {"in_features": ("x", 1, (7,))},
    ("x", "train"),
    frozenset(collections),
    paths=PATHS,
  )


PATHS = tuple(
  ((module, leaf), (module, leaf)) for module in ("hidden", "norm", "out") for leaf in ("bias", "kernel", "scale")
)


CLASSES = {
  "models.Net": model("Net", "features", collections=("params", "batch_stats")),
  "models.Plain": model("Plain", "features"),
}


def rewritten(
  code: str, header: str = HEADER, classes: Mapping[str, ModelClass] | None = None, **more: str
) -> Rewritten:
  """Rewrites a program of one file, and of `more` by module name, around classes that are NNX."""
  files = [("train.py", "train", header + textwrap.dedent(code))]
  files += [(f"{name}.py", name, textwrap.dedent(text)) for name, text in more.items()]
  return rewrite_training(files, CLASSES if classes is None else classes)


def body(result: Rewritten, module: str = "train") -> str:
  """The new text below the imports."""
  text = result.texts[module]
  return text[text.index("\n\n\n") :].strip() if "\n\n\n" in text else text


def left(result: Rewritten) -> list[str]:
  """What was left, as said."""
  return [f.found for f in result.findings if f.severity == "error"]
