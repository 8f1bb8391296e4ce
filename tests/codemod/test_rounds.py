"""Comprehensions that make layers, and loops whose number of rounds only a call knows."""

from __future__ import annotations

from tests.codemod.support import port_and_check, rewrite


def test_layers_called_where_a_comprehension_makes_them(tmp_path):
  source = """
    class Model(nn.Module):
      sizes: tuple

      @nn.compact
      def __call__(self, x):
        x = nn.relu(nn.Dense(7)(x))
        return jnp.concatenate([nn.Dense(n, name=f"head_{i}")(x) for i, n in enumerate(self.sizes)], -1)
    """
  ported = port_and_check(tmp_path, source, "Model((3, 4)), x(2, 5)", held_out=["Model((2, 6, 9)), x(2, 8)"])
  assert "[head(x) for head in self.head]" in ported.text
  assert ported.hoisted == []


def test_what_the_comprehension_runs_over_stays_where_it_is_read(tmp_path):
  source = """
    class Model(nn.Module):
      sizes: tuple

      @nn.compact
      def __call__(self, x):
        return sum((nn.Dense(3)(x) * n for n in self.sizes), 0.0)
    """
  port_and_check(tmp_path, source, "Model((3, 4)), x(2, 5)", held_out=["Model((2, 6, 9)), x(2, 8)"])


def test_two_layers_in_one_element(tmp_path):
  source = """
    class Model(nn.Module):
      heads: int

      @nn.compact
      def __call__(self, x):
        return sum(nn.Dense(3)(nn.relu(nn.Dense(5)(x))) for _ in range(self.heads))
    """
  ported = port_and_check(tmp_path, source, "Model(2), x(2, 7)", held_out=["Model(3), x(2, 8)"])
  assert "for dense, dense_1 in zip(self.dense, self.dense_1)" in ported.text


def test_comprehension_inside_a_loop(tmp_path):
  source = """
    class Model(nn.Module):
      rounds: int
      heads: int

      @nn.compact
      def __call__(self, x):
        for _ in range(self.rounds):
          x = sum([nn.Dense(6)(x) for _ in range(self.heads)])
        return x
    """
  port_and_check(tmp_path, source, "Model(2, 3), x(2, 6)", held_out=["Model(3, 2), x(2, 6)"])


def test_nested_comprehensions(tmp_path):
  source = """
    class Model(nn.Module):
      rows: int
      columns: int

      @nn.compact
      def __call__(self, x):
        table = [[nn.Dense(i + j + 1)(x).sum() for j in range(self.columns)] for i in range(self.rows)]
        return jnp.array(table)
    """
  port_and_check(tmp_path, source, "Model(2, 3), x(2, 5)", held_out=["Model(3, 2), x(2, 6)"])


def test_dict_of_inputs_of_several_widths(tmp_path):
  source = """
    class Model(nn.Module):
      width: int

      @nn.compact
      def __call__(self, inputs):
        found = {k: nn.relu(nn.Dense(self.width)(v)) for k, v in sorted(inputs.items())}
        return nn.Dense(3)(sum(found.values()))
    """
  ported = port_and_check(tmp_path, source, 'Model(6), {"a": x(2, 5), "b": x(2, 7)}')
  assert ported.hoisted == ["dense_in_features"]
  assert "for size in dense_in_features:" in ported.text


def test_loop_over_the_inputs_makes_one_layer_each(tmp_path):
  source = """
    class Encoder(nn.Module):
      width: int

      @nn.compact
      def __call__(self, inputs):
        found = []
        for key in sorted(inputs):
          y = nn.Dense(self.width, name=f"encode_{key}")(inputs[key])
          found.append(nn.LayerNorm()(y))
        return sum(found)

    class Model(nn.Module):
      @nn.compact
      def __call__(self, inputs):
        return nn.Dense(3)(Encoder(6)(inputs))
    """
  port_and_check(
    tmp_path,
    source,
    'Model(), {"a": x(2, 5), "b": x(2, 7)}',
    held_out=['Model(), {"a": x(2, 4), "b": x(2, 8), "c": x(2, 9)}'],
  )


def test_number_of_rounds_is_an_argument_where_sizes_do_not_tell_it(tmp_path):
  source = """
    class Model(nn.Module):
      width: int

      @nn.compact
      def __call__(self, inputs):
        return sum([nn.Dense(self.width)(value) for value in inputs])
    """
  ported = port_and_check(tmp_path, source, "Model(6), [x(2, 6), x(2, 6)]", held_out=["Model(4), [x(2, 4)] * 3"])
  assert "num_dense" in ported.text


def test_unknown_number_of_rounds_inside_a_loop_is_refused(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, inputs):
        total = 0.0
        for _ in range(2):
          for value in inputs:
            total = total + nn.Dense(3)(value)
        return total
    """
  ported = rewrite(tmp_path, source, "Model(), [x(2, 6), x(2, 5)]")
  assert any("number of rounds" in str(f) for f in ported.findings)


def test_function_that_others_call_several_times_takes_a_layer_each_time(tmp_path):
  source = """
    class Model(nn.Module):
      width: int = 6

      @nn.compact
      def __call__(self, batch):
        dense = lambda y: nn.Dense(self.width)(y)  # one for every input
        hidden = jax.tree.map(dense, batch)
        return sum(jax.tree.leaves(hidden))
    """
  ported = port_and_check(tmp_path, source, 'Model(), {"a": x(4, 5), "b": x(4, 3)}')
  assert ported.hoisted == ["dense_in_features"]
  assert "for size in dense_in_features:" in ported.text
  assert "dense = lambda y: next(dense_iter)(y)  # one for every input" in ported.text


def test_partial_of_a_function_that_makes_layers(tmp_path):
  source = """
    class Model(nn.Module):
      width: int = 6

      @nn.compact
      def __call__(self, x):
        def block(x, features, *, act=nn.relu):
          return act(nn.Dense(features)(x))

        f = functools.partial(block, features=self.width)
        return f(f(x), act=jnp.tanh)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(4, 5)")
  assert "return act(next(dense)(x))" in ported.text


def test_function_that_others_call_once_keeps_its_layer(tmp_path):
  source = """
    def apply_to(fn, value):
      return fn(value)


    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        def head(y):
          return nn.Dense(3)(y)

        return apply_to(head, x)
    """
  assert "return self.dense(y)" in port_and_check(tmp_path, source, "Model(), x(4, 5)").text


def test_a_size_that_a_field_decides_is_decided_by_it(tmp_path):
  source = """
    import numpy as np

    class Model(nn.Module):
      chosen: Any = None

      @nn.compact
      def __call__(self, x):
        y = x if self.chosen is None else x[..., self.chosen]
        return nn.Dense(4)(y)
  """
  ported = port_and_check(tmp_path, source, "Model(np.array([0, 2, 5])), x(2, 7)", held_out=["Model(), x(3, 6)"])
  assert "in_features if self.chosen is None else self.chosen.shape[-1]" in ported.text
  assert ported.hoisted == []


def test_arrays_beside_fields_in_a_loop(tmp_path):
  """What `zip` runs over beside the arrays tells the layers of every round; a round that a call skips keeps its layer."""
  source = """
    class Model(nn.Module):
      sizes: tuple

      @nn.compact
      def __call__(self, xs):
        out = []
        for i, (x, size) in enumerate(zip(xs, self.sizes)):
          if x is not None:
            x = nn.Dense(size, name=f"in_{i}")(x)
            x = nn.Dense(2 * size)(x)
          out.append(x)
        return out
    """
  ported = port_and_check(
    tmp_path, source, "Model((3, 4)), [x(2, 5), x(2, 7)]", held_out=["Model((2, 6, 9)), [x(2, 8), x(2, 3), x(2, 1)]"]
  )
  assert "for i, size in enumerate(self.sizes):\n" in ported.text
  assert "self.dense[i](x)" in ported.text


def test_width_that_grows_in_every_round(tmp_path):
  source = """
    class Block(nn.Module):
      layers: int
      growth: int

      @nn.compact
      def __call__(self, x):
        for _ in range(self.layers):
          x = jnp.concatenate([x, nn.Dense(self.growth)(x)], axis=-1)
        return x

    class Model(nn.Module):
      sizes: Sequence[int]
      growth: int = 3

      @nn.compact
      def __call__(self, x):
        for size in self.sizes:
          x = Block(size, self.growth)(x)
        return nn.Dense(2)(x)
    """
  ported = port_and_check(tmp_path, source, "Model((2, 1)), x(2, 5)", held_out=["Model((3, 4), 7), x(2, 4)"])
  assert ported.hoisted == []
  assert "x_features = x_features + size * self.growth" in ported.text
