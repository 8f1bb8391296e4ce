"""Functions written as source."""

import jax.numpy as jnp
from flax import linen as nn

from migrate.codemod.values import ValueWriter
from tests.codemod import values_samples as samples
from tests.codemod.values_support import back, program, run, text


def test_lambdas_and_local_functions():
  scale, offset = 3, samples.Config(width=2)
  assert text(lambda x: x + 1) == "lambda x: x + 1"
  assert text(lambda x: jnp.tanh(x)) == "lambda x: jnp.tanh(x)"
  pair = (lambda x: x + 1, lambda x: x * 2)
  assert [f(5) for f in back(pair)] == [6, 10]
  assert back(lambda x: x * scale + offset.width)(2) == 8
  assert [back(lambda x, i=i: x + i)(1) for i in range(3)] == [1, 2, 3]
  assert back(lambda x, s=scale: x + s)(1) == 4

  def local(x, *, power=2):
    """A docstring."""
    # a comment
    return samples.plain(x) ** power * scale

  source = ValueWriter().write([local, local])
  assert "# a comment" in program(source)
  assert program(source).count("return samples_plain") <= 1
  assert [f(3) for f in run(source)] == [27, 27]


def test_local_function_whose_docstring_has_several_lines():
  scale = 3

  def local(x):
    """
    A docstring.

    Of several lines.
    """
    return x * scale

  source = ValueWriter().write([local])
  assert "docstring" not in program(source)
  assert [f(2) for f in run(source)] == [6]


def test_function_that_takes_from_linen_what_nnx_has():
  def local(x):
    return nn.relu(x) - 1

  source = ValueWriter().write([local, lambda x: nn.tanh(x)])
  assert "linen" not in program(source)
  assert [float(f(-2.0)) for f in run(source)] == [-1.0, float(jnp.tanh(-2.0))]
