"""Templates as files of the ported package."""

from __future__ import annotations

import ast
import importlib.resources

import pytest

from migrate.codemod.templates import template_sources
from migrate.core.report import MigrateError
from tests.codemod.support import port_and_check

NAMES = sorted(
  p.name.removesuffix(".py")
  for p in importlib.resources.files("mappings.templates").iterdir()
  if p.name.endswith(".py") and p.name != "__init__.py"
)


@pytest.mark.parametrize("name", NAMES)
def test_template_imports_neither_linen_nor_this_tool(name):
  for text in template_sources({name}).values():
    for node in ast.walk(ast.parse(text)):
      names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
      names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
      assert not [n for n in names if n.startswith(("flax.linen", "migrate", "mappings"))]


@pytest.mark.parametrize("name", NAMES)
def test_templates_come_with_those_that_they_import(name):
  found = template_sources({name})
  assert name in found
  for text in found.values():
    wanted = [n.module for n in ast.walk(ast.parse(text)) if isinstance(n, ast.ImportFrom) and n.level == 1]
    assert set(wanted) <= set(found)


def test_nothing_asked_nothing_given():
  assert template_sources(set()) == {}


def test_unknown_template_is_refused():
  with pytest.raises(MigrateError, match="no_such"):
    template_sources({"no_such"})


def test_template_has_another_name_where_a_local_or_an_import_has_it(tmp_path):
  source = """
    from jax import vmap

    class Cell(nn.Module):
      @nn.compact
      def __call__(self, carry, x):
        carry = nn.tanh(nn.Dense(3)(carry) + x)
        return carry, carry

    class Head(nn.Module):
      @nn.compact
      def __call__(self, x):
        return nn.Dense(3)(x)

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        scan = nn.scan(Cell, variable_broadcast="params", split_rngs={"params": False})
        y = nn.vmap(Head, variable_axes={"params": 0}, split_rngs={"params": True}, axis_size=2)()(x)
        _, z = scan()(x[0], y)
        return vmap(jnp.sin)(z)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)")
  assert "import scan as scan_" in ported.text
  assert "import vmap as vmap_" in ported.text


def test_methods_beside_the_call_of_a_scanned_class_stay(tmp_path):
  source = """
    class Cell(nn.Module):
      width: int

      @nn.compact
      def __call__(self, carry, x):
        carry = nn.tanh(nn.Dense(self.width)(jnp.concatenate([carry, x], -1)))
        return carry, carry

      def initial_state(self, batch_size):
        return jnp.zeros((batch_size, self.width))

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        cell = nn.scan(Cell, variable_broadcast="params", split_rngs={"params": False}, in_axes=1, out_axes=1)(5)
        return cell(cell.initial_state(x.shape[0]), x)[1]
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 4, 3)", held_out=["Model(), x(3, 2, 7)"])
  assert "self.cell(self.cell.initial_state(x.shape[0]), x)" in ported.text
