"""Names in the fields of format strings."""

from __future__ import annotations

import pytest

from migrate.codemod.format_strings import with_names
from tests.codemod.support import port_and_check


@pytest.mark.parametrize(
  ("code", "texts", "wanted"),
  [
    ("f'conv{n}_{i + 1}'", {"n": "3", "i": "i"}, "f'conv{3}_{i + 1}'"),
    ("f'{{n}}{n}'", {"n": "self.n"}, "f'{{n}}{self.n}'"),
    ("f'{x.n:n}'", {"n": "3"}, "f'{x.n:n}'"),
    ("f'n'", {"n": "3"}, "f'n'"),
    ("f'{n}'", {"n": "n"}, "f'{n}'"),
  ],
)
def test_names(code, texts, wanted):
  assert with_names(code, texts, KeyError) == wanted


def test_expression_with_quotes_is_refused():
  with pytest.raises(KeyError):
    with_names("f'{n}'", {"n": "sizes['n']"}, KeyError)


def test_format_string_of_a_method_that_layers_are_made_in(tmp_path):
  source = """
    class Model(nn.Module):
      kernels: Any = None

      @nn.compact
      def __call__(self, x):
        x = self.block(x, 3, 1)
        return self.block(x, 5, 2)

      def block(self, x, features, number):
        for i in range(2):
          name = f"dense{number}_{i + 1}"
          init = nn.initializers.ones if self.kernels is None else lambda *_: jnp.array(self.kernels[name])
          x = nn.Dense(features, kernel_init=init, name=name)(x)
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 7)")
  assert 'name = f"dense{1}_{i + 1}"' in ported.text
