"""Layers come in hundreds and their forms do not: what is tried grows with the forms."""

from __future__ import annotations

import pytest

import migrate.match.join
import migrate.match.solve
from migrate.core.tree import Spec
from migrate.match.matching import match
from migrate.match.units import Model
from migrate.workflows.suggest_model import layer_records


def network(layers, fused):
  """(Linen specs, NNX model) of a transformer of that many layers."""
  source, leaves, modules = {}, {}, {(): "net.Net"}

  def dense(linen, nnx, inside, out):
    for name, shape in (("kernel", (inside, out)), ("bias", (out,))):
      if linen:
        source["params", *linen, name] = Spec(shape, "float32")
      if nnx:
        leaves[*nnx, name] = (Spec(shape, "float32"), "params")
        modules[tuple(map(str, nnx))] = "flax.nnx.nn.linear.Linear"

  for i in range(layers):
    for name in ("query", "key", "value"):
      dense((f"layer_{i}", "attention", name), () if fused else ("blocks", i, f"{name}_proj"), 8, 8)
    if fused:
      dense((), ("blocks", i, "qkv"), 8, 24)
    dense((f"layer_{i}", "up"), ("blocks", i, "fc1"), 8, 32)
  return source, Model(leaves, modules)


@pytest.mark.parametrize("fused", [False, True])
def test_as_many_tries_for_many_layers_as_for_few(monkeypatch, fused):
  tried = []
  for module, name in ((migrate.match.solve, "bind"), (migrate.match.join, "_binding")):
    old = getattr(module, name)
    monkeypatch.setattr(module, name, lambda *a, old=old: (tried.append(a), old(*a))[1])
  counts = []
  for layers in (3, 40):
    tried.clear()
    found = match(*network(layers, fused), layer_records())
    counts.append(len(tried))
    assert not found.unmapped
    assert not found.unfilled
    for pair in found.pairs:
      assert pair.source[0].path[0] == f"layer_{pair.target[0].path[1]}"
      names = [u.path[-1] for u in pair.source]
      assert (
        sorted(names) == ["key", "query", "value"]
        if len(names) > 1
        else pair.target[0].path[-1][:2] in ("fc", names[0][:2])
      )
  assert counts[0] == counts[1]
