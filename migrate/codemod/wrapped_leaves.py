"""Variables that a layer keeps for the parameters of the layer that it wraps, under keys that spell their paths."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from migrate.core.declare import LayerMapping, Rule

Names = tuple[str, ...]


def wrapped_rules(
  record: LayerMapping, scope: Names, path: Sequence[Any], variables: set[Names], rules: Sequence[Rule]
) -> tuple[list[Rule], set[Names]]:
  """Rules for `batch_stats/SpectralNorm_0/{Dense_0/kernel/u}`, by where the parameter itself went.

  Args:
    record: of the layer that wraps another, `SpectralNorm` or `WeightNorm`.
    scope: where its Linen variables lie.
    path: its attribute path in the ported model.
    variables: all paths of Linen's variables.
    rules: of the parameters.

  Returns:
    The rules and the variables that they place.
  """
  moved: Mapping[Names, Names] = {
    tuple(map(str, r.source[0])): tuple(map(str, r.target[0]))
    for r in rules
    if r.kind == "move" and len(r.source) == 1 == len(r.target)
  }
  found: list[Rule] = []
  placed: set[Names] = set()
  for leaf in record.leaves:
    if len(leaf.linen) != 1 or "{path}" not in leaf.linen[0][-1]:
      continue
    collection, key = leaf.linen[0]
    pattern = re.compile(
      r"(?P<layer>[^/]+)"
      + re.escape(key.partition("/")[2]).replace(re.escape("{path}"), "(?P<path>.+)").join(("/", "$"))
    )
    for variable in sorted(v for v in variables if v[:-1] == (collection, *scope)):
      match = pattern.match(variable[-1])
      if match is None:
        continue
      inner = (match["layer"], *match["path"].split("/"))
      target = next(
        (moved[p] for p in (("params", *scope[:-1], *inner), ("params", *scope, *inner)) if p in moved), None
      )
      if target is None:
        continue
      name = "/".join(target[len(path) + 1 :])
      place = (*path, *(p.replace("{path}", name) for p in leaf.nnx[0]))
      found.append(Rule("move", (variable,), (place,), leaf.ops))
      placed.add(variable)
  return found, placed
