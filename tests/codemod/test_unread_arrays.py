"""Arrays that only construction needed."""

from __future__ import annotations

import ast

from migrate.codemod.unread_arrays import spelled, unread_arrays
from tests.codemod.support import port_and_check

SOURCE = """
    def get_weight(rng, shape, bias):
      w = jax.random.normal(rng, shape)
      if bias:
        return [w, jnp.zeros(shape[1:])]
      return w

    class Layer(nn.Module):
      n_in: int
      n: int
      use_bias: bool = True
      rng: Any = None
      @nn.compact
      def __call__(self, x):
        shape = [self.n_in, self.n]
        params = get_weight(self.rng, shape, self.use_bias)
        if self.use_bias:
          w, b = params
        else:
          w = params
        w = self.param("weight", lambda *_: w)
        x = x @ (w * 2)
        if self.use_bias:
          b = self.param("bias", lambda *_: b)
          x += b
        return x
    class M(nn.Module):
      rng: Any = None
      @nn.compact
      def __call__(self, x):
        init_rng = self.rng
        init_rng, key = jax.random.split(init_rng)
        x = Layer(x.shape[-1], 5, rng=key)(x)
        for i in range(2):
          init_rng, key = jax.random.split(init_rng)
          x = Layer(5, 5, i == 0, rng=key, name=f"fc{i}")(x)
        return x
    """


def test_parameters_made_before_the_call_of_param(tmp_path):
  ported = port_and_check(tmp_path, SOURCE, "Example(M(jax.random.PRNGKey(0)), (x(2, 4),))")
  layer, model = ported.text.split("class Layer")[1].split("class M(")
  assert "w, b = params" in layer.partition("def __call__")[0]
  assert "self.weight = nnx.Param(w)" in layer
  assert "get_weight" not in layer.partition("def __call__")[2]
  assert "self.layer = Layer(in_features, 5, rng=key, rngs=rngs)" in model
  assert "split" not in model.partition("def __call__")[2]


def first(body: str, *known: str) -> str | None:
  tree = ast.parse("def f():\n" + "\n".join(f"  {line}" for line in body.split("\n")))
  found = unread_arrays(tree, {spelled(k) for k in known})
  return ast.unparse(found) if found is not None else None


def test_value_that_is_written_over_before_it_is_read():
  assert first("w = make()\nw = self.w\nreturn w", "w = make()") == "w = make()"


def test_value_that_one_branch_reads_stays():
  assert first("w = make()\nif a:\n  w = self.w\nreturn w", "w = make()") is None


def test_value_that_the_next_round_reads_stays():
  assert first("k = make()\nfor i in x:\n  use(k)\n  k = make()", "k = make()") is None


def test_chain_that_ends_nowhere_goes_from_its_end():
  body = "a = make()\na, b = split(a)\nreturn 1"
  assert first(body, "a = make()", "a, b = split(a)") == "a, b = split(a)"


def test_what_construction_does_not_have_stays():
  assert first("w = make()\nreturn 1", "v = make()") is None


def test_statements_in_what_may_break_off_stay():
  assert first("w = make()\ntry:\n  pass\nfinally:\n  pass\nreturn 1", "w = make()") is None


def test_sizes_of_such_parameters_are_those_of_the_attribute(tmp_path):
  """The second layer's `n_in` is known in the call; `__init__` needs it all the same."""
  source = (
    SOURCE
    + """
    class Pair(nn.Module):
      rng: Any = None
      other: int = 0
      @nn.compact
      def __call__(self, x):
        rng = self.rng
        if self.other:
          for i in range(self.other):
            rng, key = jax.random.split(rng)
            x = Layer(7, 7, rng=key, name=f"other{i}")(x)
        x = Layer(x.shape[-1], 5, rng=rng)(x)
        x = jnp.sort(jnp.concatenate([x, x, x[:, :1]], -1), -1)
        rng, key = jax.random.split(rng)
        return Layer(x.shape[-1], 6, rng=key)(x)
    """
  )
  ported = port_and_check(tmp_path, source, "Example(Pair(jax.random.PRNGKey(0)), (x(2, 4),))")
  layer, pair = ported.text.split("class Layer")[1].split("class Pair(")
  call = layer.split("def __call__")[1]
  assert "get_weight" not in call
  assert "pass" not in call
  init = pair.split("def __call__")[0]
  assert "rng, key = jax.random.split(rng)" in init.partition("for i in range(self.other):")[2].partition("Layer")[0]


def test_value_of_a_branch_that_never_ran_is_no_remainder(tmp_path):
  source = (
    SOURCE
    + """
    class One(nn.Module):
      rng: Any = None
      @nn.compact
      def __call__(self, x):
        return Layer(4, 5, rng=self.rng)(x)
    """
  )
  ported = port_and_check(tmp_path, source, "Example(One(jax.random.PRNGKey(0)), (x(2, 4),))")
  assert "w = params" not in ported.text.split("class Layer")[1].split("def __call__")[1]
