"""Starting mapping files: from nothing, from a checkpoint, from a model, or from both."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

from migrate.core.declare import ModelMapping, Rule, copy, drop, fresh, move, tie
from migrate.core.ops import Concatenate, Stack, Transpose, Unstack
from migrate.core.paths import Key, Path, escape, key, natural
from migrate.core.report import refuse
from migrate.match.names import number
from migrate.match.rules import segment

SHOWN = """\
# A rule moves the leaves that its left pattern matches; what no rule names keeps its path below its collection.
# {name} captures one name, or a part of it, ** the rest; the numbers of {i:02} are written with zeros before them.
#   move("params/encoderblock_{i}/**", "blocks/{i}/**"),
#   move("batch_stats/BatchNorm_0/**", "norm/**"),
#   move("params/layer_{i}/**", "layers/**", Stack()),            # layers of their own become one stack, 10 after 9
#   move("params/layers/**", "layers/{i}/**", Unstack()),         # and back
#   move(["params/q/kernel", "params/k/kernel"], "qk/kernel", Concatenate(2)),
#   move("params/table", "embed/embedding", Transpose()),
#   drop("params/old_head/**", because="the task has another head"),
#   fresh("adapter/**", because="the checkpoint has none"),
#   tie("params/lm_head/table", "embed/embedding"),               # must equal what a move puts there
#   copy("params/embed/table", "head/kernel", Transpose()),       # a second place for what a move puts elsewhere"""

EVERY = (
  move("a", "b", Concatenate(2), Stack(), Transpose(), Unstack()),
  drop("a", because="for its import"),
  fresh("b", because="for its import"),
  tie("a", "b"),
  copy("a", "b"),
)


def new_mapping(
  path: str | os.PathLike[str], checkpoint: Any = None, model: Any = None, *, name: str = "", item: str | None = None
) -> ModelMapping:
  """Writes a mapping file to start from, whole or not at all.

  Args:
    path: `.py` or `.json`.
    checkpoint: a Linen checkpoint: its modules are listed, each keeping its name.
    model: a function that makes the NNX model, or `package.module:function`: likewise the model's modules. With both,
      the rules are those of `migrate.suggest`, its guesses marked.
    name: by which the mapping is found once its package is registered.
    item: the item of a composite checkpoint.

  Returns:
    The mapping that was written.
  """
  from migrate.workflows.mapping import save_mapping
  from migrate.workflows.suggest_text import module_text, rule_text, write_text

  target = FilePath(path)
  if target.suffix not in (".py", ".json"):
    raise refuse(str(target), f"suffix {target.suffix!r}", "a name that ends in .py or .json", "name it mapping.py")
  if checkpoint is not None and model is not None:
    import dataclasses

    from migrate.workflows.suggest import suggest

    found = suggest(checkpoint, model, item=item)
    found = dataclasses.replace(found, mapping=dataclasses.replace(found.mapping, name=name))
    found.save(target)
    return found.mapping
  about = "" if checkpoint is None else os.fspath(checkpoint)
  mapping = ModelMapping(rules=tuple(_rules(checkpoint, model, item)), name=name, source=about)
  if target.suffix == ".json":
    save_mapping(mapping, target)
    return mapping
  says = ["A start: give each right side the path that the model has." if mapping.rules else "A start without rules."]
  body = [*SHOWN.splitlines(), *(rule_text(rule) for rule in mapping.rules)]
  write_text(target, module_text(mapping, body, says, EVERY))
  return mapping


def _rules(checkpoint: Any, model: Any, item: str | None) -> list[Rule]:
  if checkpoint is not None:
    from migrate.workflows.surgery import _variables

    return [move(p, p[1:]) for p in module_patterns([key(p) for p in _variables(checkpoint, item)])]
  if model is not None:
    from migrate.workflows.suggest import model_leaves

    paths = [(collection, *key(p)) for p, (_, collection) in model_leaves(model).items()]
    return [move(p, p[1:]) for p in module_patterns(paths)]
  return []


def module_patterns(paths: Sequence[Key]) -> list[Path]:
  """The modules of these leaves as patterns, one for each series of numbered ones; loose leaves as they are."""
  siblings: dict[tuple[Key, str], set[str]] = {}
  for path in paths:
    for at, one in enumerate(path):
      if found := number(one):
        siblings.setdefault((path[:at], found[0]), set()).add(found[1])
  out: dict[Path, None] = {}
  for path in sorted(paths, key=lambda p: [natural(s) for s in p]):
    if len(path) > 2:
      out[(*_pattern(path[:-1], siblings), "**")] = None
    else:
      out[escape(path)] = None
  return list(out)


def _pattern(path: Key, siblings: Mapping[tuple[Key, str], set[str]]) -> Path:
  letters = iter("ijkmnpqrstuvwxyz")
  out: list[str] = []
  for at, one in enumerate(path):
    found = number(one)
    digits = sorted(siblings.get((path[:at], found[0]), ())) if found else []
    out.append(segment(found[0], digits, next(letters)) if found and len(digits) > 1 and at else str(escape((one,))[0]))
  return tuple(out)
