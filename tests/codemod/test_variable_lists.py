"""Parameters of functions that run several times: a list of them, in the order in which Linen made them."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check

_LINEAR = """
  w = {owner}.param(f"{{name}}_w", nn.initializers.lecun_normal(), (x.shape[-1], features))
  b = {owner}.param(f"{{name}}_b", nn.initializers.normal(), (features,))
  return x @ w + b
"""


def _indented(text: str, by: str) -> str:
  return "\n".join(by + line if line else "" for line in text.strip("\n").split("\n"))


def test_method_with_two_parameters_that_runs_twice(tmp_path):
  source = f"""
class Model(nn.Module):
  width: int = 5

  def linear(self, x, name, features):
{_indented(_LINEAR.format(owner="self"), "  ")}

  @nn.compact
  def __call__(self, x):
    x = nn.relu(self.linear(x, "z_first", self.width))
    return self.linear(x, "second", 2)
"""
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model(7), x(2, 4)"])
  assert "self.linear_layers.append(nnx.Param(nnx.initializers.normal()(rngs.params(), (self.width,))))" in ported.text


@pytest.mark.parametrize("loop", [False, True])
def test_function_that_is_given_the_module(tmp_path, loop):
  calls = """
    for i, features in enumerate(self.widths):
      x = nn.relu(linear(self, x, f"l{i}", features))
    return x""" if loop else """
    x = nn.relu(linear(self, x, "z", self.widths[0]))
    return linear(self, x, "a", self.widths[1])"""  # fmt: skip
  source = f"""
def linear(module, x, name, features):
{_indented(_LINEAR.format(owner="module"), "")}


class Model(nn.Module):
  widths: Sequence[int] = (5, 7)

  @nn.compact
  def __call__(self, x):{calls}
"""
  port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model((3, 4)), x(2, 4)"])


def test_layers_stand_in_the_same_list(tmp_path):
  source = """
  class Model(nn.Module):
    width: int = 5

    def block(self, x, name):
      x = nn.Dense(self.width, name=f"{name}_dense")(x)
      return x * self.param(f"{name}_scale", nn.initializers.normal(), (self.width,))

    @nn.compact
    def __call__(self, x):
      return self.block(self.block(x, "first"), "second")
  """
  port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model(7), x(2, 4)"])


def test_parameters_of_a_loop_are_found_as_before(tmp_path):
  source = """
  class Model(nn.Module):
    number: int = 3

    @nn.compact
    def __call__(self, x):
      for i in range(self.number):
        x = x * self.param(f"scale_{i}", nn.initializers.normal(), (x.shape[-1],))
      return x
  """
  port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model(2), x(2, 4)"])


def test_dict_of_parameters(tmp_path):
  source = """
  class Model(nn.Module):
    shapes: Sequence[tuple[str, tuple[int, int]]] = (("z", (3, 4)), ("a", (4, 2)))

    def setup(self):
      self.weights = {n: self.param(n, nn.initializers.lecun_normal(), s) for n, s in self.shapes}

    def __call__(self, x):
      for name, _ in self.shapes:
        x = jnp.tanh(x @ self.weights[name])
      return x
  """
  port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model((('z', (3, 3)), ('y', (3, 3)))), x(2, 3)"])
