"""Statistics that a call changed, and what becomes of them."""

import pytest

from tests.codemod.training.programs import left, rewritten
from tests.codemod.training.running import DATA, check_same

CALL = '_, updates = model.apply({"params": params, "batch_stats": stats}, x, train=True, mutable=["batch_stats"])'
NEW = '{"params": params, "batch_stats": updates["batch_stats"]}'
PROGRAM = """
def evaluate(params, stats, x):
  model = Net(features=3)
  {body}


def main():
  model = Net(features=3)
  variables = model.init(jax.random.key(0), data()[0])
  params, stats = variables["params"], variables["batch_stats"]
  {main}
"""


@pytest.mark.parametrize(
  "body",
  [
    f"{CALL}\n  return model.apply({NEW}, x)",
    f"{CALL}\n  variables = {NEW}\n  return model.apply(variables, x)",
    f'{CALL}\n  stats = updates["batch_stats"]\n  return model.apply({{"params": params, "batch_stats": stats}}, x)',
    f"{CALL}\n  return model.apply({NEW}, x), params",
  ],
)
def test_statistics_that_are_used_and_thrown_away_are_left(body):
  result = rewritten(DATA + PROGRAM.format(body=body, main="return [evaluate(params, stats, x) for x in data()]"))
  assert "statistics that a call changes are thrown away" in " ".join(left(result))
  assert "train" not in result.texts


@pytest.mark.parametrize(
  ("body", "main"),
  [
    (f"{CALL}\n  return model.apply({NEW}, x), {NEW}", "y, variables = evaluate(params, stats, data()[0])\n  return y"),
    (
      f'for x in x:\n    {CALL}\n    stats = updates["batch_stats"]\n  return stats',
      'stats = evaluate(params, stats, data())\n  return model.apply({"params": params, "batch_stats": stats}, data()[0])',
    ),
  ],
)
def test_statistics_that_come_back_stay(body, main):
  check_same(PROGRAM.format(body=body, main=main))


@pytest.mark.parametrize(
  "old",
  [
    '{"params": params, "batch_stats": stats}',
    "variables",
    '{"params": params, "batch_stats": variables["batch_stats"]}',
  ],
)
def test_statistics_from_before_are_old(old):
  call = CALL.replace("x, train", "data()[0], train")
  main = f"{call}\n  y = model.apply({NEW}, data()[0])\n  return y, model.apply({old}, data()[0])"
  result = rewritten(DATA + PROGRAM.format(body="pass", main=main))
  assert any("used after it was updated" in f or "from before another call" in f for f in left(result)), left(result)
  assert "train" not in result.texts


def test_parameters_beside_old_statistics_are_not_old():
  call = CALL.replace("x, train", "data()[0], train")
  new = '{"params": variables["params"], "batch_stats": updates["batch_stats"]}'
  main = f"{call}\n  return [model.apply({new}, x) for x in data()]"
  check_same(PROGRAM.format(body="pass", main=main))


OBJECT = """
class State(NamedTuple):
  params: Any
  batch_stats: Any
  opt_state: Any


tx = optax.sgd(0.1)


def {name}(state, x):
  _, updates = Net(features=3).apply(
    {{"params": state.params, "batch_stats": state.batch_stats}}, x, train=True, mutable=["batch_stats"]
  )
  state = state._replace(batch_stats=updates["batch_stats"])
  out = Net(features=3).apply({{"params": state.params, "batch_stats": state.batch_stats}}, x)
  return {result}


def main():
  variables = Net(features=3).init(jax.random.key(0), data()[0])
  state = State(variables["params"], variables["batch_stats"], tx.init(variables["params"]))
  {main}
"""


def test_statistics_of_an_object_come_back_with_it():
  code = OBJECT.format(
    name="calibrate", result="state, out", main="state, out = calibrate(state, data()[0])\n  return out"
  )
  check_same("from typing import NamedTuple\n" + code)


def test_statistics_of_an_object_that_is_thrown_away_are_left():
  code = OBJECT.format(name="evaluate", result="out", main="return [evaluate(state, x) for x in data()]")
  result = rewritten("from typing import NamedTuple\n" + DATA + code)
  assert "statistics that a call changes are thrown away" in " ".join(left(result))
  assert "train" not in result.texts
