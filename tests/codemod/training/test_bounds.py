"""Modules that are bound to their variables."""

import pytest

from tests.codemod.training.programs import left, rewritten
from tests.codemod.training.running import DATA, check_same

BOUND = """
def main():
  model = Net(features=3)
  variables = model.init(jax.random.key(0), data()[0])
  f = {bound}

  @jax.jit
  def twice(x):
    return f(x) + f(x)

  return twice(data()[0]), f({call}), jax.vmap(lambda x: f(x[None]))(data()[1])
"""


@pytest.mark.parametrize(
  ("bound", "call", "written"),
  [
    ("model.bind(variables)", "data()[2], train=False", "model(data()[2], train=False)"),
    ("functools.partial(model.apply, variables)", "data()[2]", "model(data()[2])"),
    ("functools.partial(model.apply, variables, train=False)", "data()[2]", "model(data()[2], train=False)"),
    (
      "functools.partial(model.apply, variables, train=True)",
      "data()[2], train=False",
      "model(data()[2], train=False)",
    ),
  ],
)
def test_a_bound_module_is_the_model(bound, call, written):
  code = BOUND.format(bound=bound, call=call)
  if "train=True" in bound:
    code = code.replace("return f(x) + f(x)", "return f(x, train=False)").replace(
      "f(x[None])", "f(x[None], train=False)"
    )
  text = check_same(code)
  assert f"{written}, jax.vmap" in text
  assert "bind" not in text
  assert "partial" not in text


def test_methods_of_a_bound_module():
  code = BOUND.format(bound="model.bind(variables)", call="data()[0]").replace(
    "return f(x) + f(x)", "return f.encode(x)"
  )
  result = rewritten(DATA + code)
  assert left(result) == []
  assert "return model.encode(x)\n" in result.texts["train"]


@pytest.mark.parametrize(
  ("code", "found"),
  [
    (BOUND.format(bound="model.bind(variables, rngs={'dropout': jax.random.key(1)})", call="1"), "bind with rngs"),
    (BOUND.format(bound="model.bind(variables)", call="data()[0], mutable=['batch_stats']"), "an argument of apply"),
    (BOUND.format(bound="model.bind(variables)", call="f.variables"), "`.variables` of part"),
    (
      BOUND.format(bound="functools.partial(model.apply, variables, mutable=['batch_stats'])", call="1"),
      "a partial of",
    ),
    (
      BOUND.format(bound="model.bind(variables)", call="1").replace("f(1)", "print(f)"),
      "a module bound to its variables",
    ),
  ],
)
def test_other_uses_are_left(code, found):
  result = rewritten(DATA + code)
  assert found in " ".join(left(result))
  assert "train" not in result.texts


UPDATED = """
def main():
  model = Plain(features=3)
  variables = model.init(jax.random.key(0), data()[0])
  f = {bound}

  @jax.jit
  def before(x):
    return f(x)

  tx = optax.sgd(0.1)
  params, opt_state = variables, tx.init(variables)
  grads = jax.grad(lambda p: (model.apply(p, data()[0]) ** 2).sum())(params)
  updates, opt_state = tx.update(grads, opt_state, params)
  params = optax.apply_updates(params, updates)
  return {result}
"""


@pytest.mark.parametrize("bound", ["model.bind(variables)", "functools.partial(model.apply, variables)"])
@pytest.mark.parametrize("result", ["f(data()[0])", "before(data()[0])"])
def test_what_keeps_old_parameters_is_left(bound, result):
  found = rewritten(DATA + UPDATED.format(bound=bound, result=result))
  assert "`f` is used after it was updated" in " ".join(left(found))
  assert "train" not in found.texts
