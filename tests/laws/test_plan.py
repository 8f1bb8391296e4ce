"""Laws of plans: a tree goes there and back to the bit, and is derived from its result, whatever the mapping."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from migrate.core.declare import ModelMapping, Rule, move
from migrate.core.derive import derive_source
from migrate.core.entries import Plan
from migrate.core.moments import lift
from migrate.core.ops import Concatenate, ExpandDims, Op, Reshape, Split, Stack, Transpose, Unstack
from migrate.core.plan import make_plan
from migrate.core.translate import translate
from migrate.core.tree import spec_of

shapes = st.lists(st.integers(1, 3), min_size=2, max_size=3).map(tuple)


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict, tuple[Rule, ...]]:
  """A flat Linen tree and rules for some of its parts."""
  rng = np.random.default_rng(draw(st.integers(0, 1000)))
  source: dict[tuple[str | int, ...], np.ndarray] = {}
  rules: list[Rule] = []

  def leaf(*path: str | int, shape: tuple[int, ...]) -> None:
    source[path] = rng.standard_normal(shape).astype(draw(st.sampled_from([np.float32, np.float16])))

  for n in range(draw(st.integers(1, 5))):
    shape, count = draw(shapes), draw(st.integers(1, 12))
    kind = draw(st.sampled_from(["same", "list", "stack", "unstack", "join", "split", "one"]))
    rest = [("k",), ("deep", "b")][: draw(st.integers(1, 2))]
    if kind == "same":
      leaf("params", f"p{n}", "k", shape=shape)
      leaf("batch_stats", f"p{n}", "m", shape=shape)
    elif kind in ("list", "stack"):
      width = draw(st.sampled_from(["", ":02"]))
      for path in rest:
        dtype = draw(st.sampled_from([np.float32, np.float16]))
        for i in range(count):
          name = f"l{n}_{i:02}" if width else f"l{n}_{i}"
          source[("params", name, *path)] = rng.standard_normal(shape).astype(dtype)
      axis = draw(st.integers(0, len(shape)))
      if kind == "list":
        rules.append(move(f"params/l{n}_{{i{width}}}/**", f"list{n}/{{i}}/**"))
      else:
        rules.append(move(f"params/l{n}_{{i{width}}}/**", f"stack{n}/**", Stack(axis=axis)))
    elif kind == "unstack":
      axis = draw(st.integers(0, len(shape)))
      for path in rest:
        leaf("params", f"s{n}", *path, shape=(*shape[:axis], count, *shape[axis:]))
      rules.append(move(f"params/s{n}/**", f"u{n}/{{i}}/**", Unstack(axis=axis)))
    elif kind == "join":
      for i in range(count):
        source[("params", f"j{n}", str(i))] = rng.standard_normal(shape).astype(np.float32)
      rules.append(move([f"params/j{n}/{i}" for i in range(count)], f"j{n}", Concatenate(count, axis=0)))
    elif kind == "split":
      leaf("params", f"c{n}", shape=(*shape, count * 2))
      rules.append(move(f"params/c{n}", [f"c{n}/{i}" for i in range(count)], Split(count)))
    else:
      leaf("params", f"o{n}", shape=shape)
      flat = int(np.prod(shape))
      ops: list[Op] = draw(
        st.sampled_from([[Transpose()], [ExpandDims(1)], [Reshape((flat,), shape)], [Transpose(), ExpandDims(-1)]])
      )
      rules.append(move(f"params/o{n}", f"q{n}", *ops))
  return source, tuple(draw(st.permutations(rules)))


def bits(leaves):
  return {tuple(map(str, p)): (a.shape, a.dtype, np.ascontiguousarray(a).tobytes()) for p, a in leaves.items()}


@given(cases())
def test_there_and_back_to_the_bit(case):
  source, rules = case
  plan = make_plan(source, None, ModelMapping(rules))
  there = dict(translate(plan, source))
  assert bits(dict(translate(plan.inverse(), there))) == bits(source)


@given(cases())
def test_order_of_rules_and_of_leaves_does_not_matter(case):
  source, rules = case
  backwards = dict(reversed(source.items()))
  one = dict(translate(make_plan(source, None, ModelMapping(rules)), source))
  other = dict(translate(make_plan(backwards, None, ModelMapping(rules[::-1])), backwards))
  assert bits(one) == bits(other)


@given(cases())
def test_plan_against_its_own_result_is_the_same(case):
  source, rules = case
  plan = make_plan(source, None, ModelMapping(rules))
  there = dict(translate(plan, source))
  checked = make_plan(source, there, ModelMapping(rules))
  assert bits(dict(translate(checked, source))) == bits(there)


@given(cases())
def test_source_is_derived_from_the_result(case):
  source, rules = case
  mapping = ModelMapping(rules)
  plan = make_plan(source, None, mapping)
  there = dict(translate(plan, source))
  stats = {e.targets[0].path: "batch_stats" for e in plan.entries if e.sources[0].path[0] == "batch_stats"}
  found = derive_source(there, mapping, stats)
  assert {tuple(map(str, p)): s for p, s in found.items()} == {
    tuple(map(str, p)): spec_of(a) for p, a in source.items()
  }


@given(cases())
def test_json_carries_the_plan(case):
  source, rules = case
  plan = make_plan(source, None, ModelMapping(rules))
  assert Plan.from_json(json.dumps(plan.to_json())) == plan


@given(cases(), st.sampled_from([(0, "mu"), ("inner", "x", 1, "trace"), ("acc_grads",)]))
def test_moments_go_where_the_parameters_go(case, prefix):
  source, rules = case
  plan = make_plan(source, None, ModelMapping(rules))
  params = {p: a for p, a in source.items() if p[0] == "params"}
  state = {(*prefix, *p[1:]): a * 2 for p, a in params.items()} | {("count",): np.array(3)}
  lifted = dict(translate(lift(plan, state), state))
  assert bits({p: a for p, a in lifted.items() if p != ("count",)}) == bits(
    {
      (*prefix, *p): a * 2
      for p, a in dict(translate(plan, source)).items()
      if any(p == t.path for e in plan.entries if e.sources[0].path[0] == "params" for t in e.targets)
    }
  )
