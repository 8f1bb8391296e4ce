"""Methods decorated with lifted transforms."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check, rewrite

SCAN = '@functools.partial(nn.scan, variable_broadcast="params", in_axes={axes}, out_axes={axes}, split_rngs={{"params": False}})'


def test_scanned_cell_with_its_carry(tmp_path):
  source = f'''
    class Scanned(nn.Module):
      width: int

      {SCAN.format(axes=0)}
      @nn.compact
      def __call__(self, carry, x):
        """One step, from nothing where an episode ended."""
        inputs, resets = x
        carry = jnp.where(resets[:, None], self.initialize_carry(inputs.shape[0], self.width), carry)
        return nn.GRUCell(features=self.width)(carry, inputs)

      @staticmethod
      def initialize_carry(batch_size, width):
        # the key does not matter
        cell = nn.GRUCell(features=width)
        return cell.initialize_carry(jax.random.PRNGKey(0), (batch_size, width))

    class Model(nn.Module):
      width: int = 6

      @nn.compact
      def __call__(self, carry, obs, dones):
        x = nn.relu(nn.Dense(5)(obs))
        carry, x = Scanned(self.width)(carry, (x, dones))
        return carry, nn.Dense(2)(x)
    '''
  ported = port_and_check(
    tmp_path, source, "Model(), x(3, 6), x(4, 3, 7), x(4, 3)", held_out=["Model(8), x(2, 8), x(5, 2, 6), x(5, 2)"]
  )
  assert "@functools.partial(nnx.scan, in_axes=(None, nnx.Carry, 0), out_axes=(nnx.Carry, 0))" in ported.text
  assert "    return jnp.zeros((batch_size, width))\n" in ported.text
  assert "    cell = " not in ported.text


def test_scanned_method_of_a_module_with_setup(tmp_path):
  source = """
    class Model(nn.Module):
      def setup(self):
        self.cell = nn.SimpleCell(6)
        self.drop = nn.Dropout(0.5)

      def __call__(self, xs, train=False):
        carry = nn.SimpleCell(6, parent=None).initialize_carry(jax.random.key(0), xs[:, 0].shape)
        return self.steps(carry, xs, jnp.broadcast_to(jnp.bool_(train), xs.shape[:2]))[1]

      @functools.partial(nn.transforms.scan, variable_broadcast="params", in_axes=1, out_axes=1, length=4,
                         split_rngs={"params": False, "dropout": True})
      def steps(self, carry, x, train):
        carry, y = self.cell(carry, x)
        return carry, self.drop(y, deterministic=True)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(3, 4, 7)", held_out=["Model(), x(2, 4, 5)"])
  assert "@nnx.split_rngs(splits=4)\n  @functools.partial(\n" in ported.text
  assert "(nnx.StateAxes({nnx.RngState: 0, ...: None}), nnx.Carry, 1, 1)" in ported.text
  assert "carry = jnp.zeros((*xs[:, 0].shape[:-1], 6))" in ported.text


def test_mapped_method(tmp_path):
  source = """
    class Model(nn.Module):
      def setup(self):
        self.head = nn.Dense(3)

      def __call__(self, x, bias):
        return self.each(x, bias)

      @functools.partial(nn.vmap, variable_axes={"params": None}, split_rngs={"params": False}, in_axes=(0, None), out_axes=1)
      def each(self, x, bias):
        return self.head(x) + bias
    """
  ported = port_and_check(tmp_path, source, "Model(), x(4, 2, 5), x(3)", held_out=["Model(), x(6, 2, 4), x(3)"])
  assert "@functools.partial(nnx.vmap, in_axes=(None, 0, None), out_axes=1)" in ported.text


def test_scanned_function_over_a_cell(tmp_path):
  source = """
    class Model(nn.Module):
      width: int = 6

      @nn.compact
      def __call__(self, x):
        cell = nn.OptimizedLSTMCell(self.width)
        carry = cell.initialize_carry(jax.random.key(0), x[:, 0].shape)

        def body(cell, carry, x):
          return cell(carry, x)

        scan = nn.scan(body, variable_broadcast="params", split_rngs={"params": False}, in_axes=1, out_axes=1)
        carry, y = scan(cell, carry, x)
        _, y = nn.scan(
          lambda cell, carry, x: cell(carry, x),
          variable_broadcast="params",
          split_rngs={"params": False},
          in_axes=1,
          out_axes=1,
          reverse=True,
        )(nn.GRUCell(4), jnp.zeros((x.shape[0], 4)), y)
        return nn.Dense(3)(y)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 4, 5)", held_out=["Model(7), x(3, 5, 4)"])
  assert "scan = nnx.scan(body, in_axes=(None, nnx.Carry, 1), out_axes=(nnx.Carry, 1))" in ported.text
  assert "reverse=True," in ported.text


def test_scanned_function_over_the_module_itself(tmp_path):
  source = """
    class Model(nn.Module):
      width: int = 6

      def setup(self):
        self.cell = nn.SimpleCell(self.width)
        self.head = nn.Dense(4)

      def __call__(self, x):
        def body(self, carry, x):
          carry, y = self.cell(carry, x)
          return carry, self.head(y)

        scan = nn.scan(body, variable_broadcast="params", split_rngs={"params": False}, in_axes=1, out_axes=1)
        return scan(self, jnp.zeros((x.shape[0], self.width)), x)[1]
    """
  port_and_check(tmp_path, source, "Model(), x(2, 4, 5)", held_out=["Model(7), x(3, 5, 4)"])


def test_mapped_function(tmp_path):
  source = """
    class Model(nn.Module):
      def setup(self):
        self.head = nn.Dense(3)

      def __call__(self, x):
        each = nn.vmap(
          lambda head, x: head(x), variable_axes={"params": None}, split_rngs={"params": False}, in_axes=1, out_axes=1
        )
        return each(self.head, x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(4, 2, 5)", held_out=["Model(), x(6, 2, 4)"])
  assert "each = nnx.vmap(lambda head, x: head(x), in_axes=(None, 1), out_axes=1)" in ported.text


def test_arguments_of_a_scan_that_fields_give(tmp_path):
  source = """
    class Unrolled(nn.Module):
      cell: nn.RNNCellBase
      unroll: int = 1
      variable_broadcast: Any = "params"
      split_rngs: Any = dataclasses.field(default_factory=lambda: {"params": False})

      @nn.compact
      def __call__(self, x):
        def step(cell, carry, x):
          return cell(carry, x)

        scan = nn.transforms.scan(
          step,
          in_axes=1,
          out_axes=1,
          unroll=self.unroll,
          variable_broadcast=self.variable_broadcast,
          split_rngs=self.split_rngs,
        )
        return scan(self.cell, self.cell.initialize_carry(jax.random.key(0), x[:, 0].shape), x)[1]
    """
  source = "    import dataclasses\n" + source
  ported = port_and_check(
    tmp_path, source, "Unrolled(nn.GRUCell(6)), x(2, 4, 5)", held_out=["Unrolled(nn.GRUCell(7)), x(3, 5, 4)"]
  )
  assert "unroll=self.unroll)" in ported.text
  assert [f.rule for f in ported.findings] == ["L2N114", "L2N114"]


STEPS = """
class Model(nn.Module):
  def setup(self):
    self.cell = nn.SimpleCell(6)
    self.drop = nn.Dropout(0.5, deterministic=False)

  def step(self, carry, inputs):
    x, scale = inputs
    carry, y = self.cell(carry, x)
    return carry, self.drop(y) * scale

  def __call__(self, xs, scale):
    carry = jnp.zeros((xs.shape[0], 6))
    scan = nn.scan(Model.step, variable_broadcast="params", split_rngs={split}, in_axes=1, out_axes=1)
    return scan(self, carry, (xs, scale))[1]
"""


@pytest.mark.parametrize(
  ("split", "kept"),
  [
    ('{"params": False, "dropout": True}', "scan = nnx.split_rngs(splits=xs.shape[1])(nnx.scan("),
    ('{"params": False, "dropout": False}', "nnx.RngState: nnx.Carry"),
  ],
)
def test_streams_are_split_where_every_step_has_its_own(tmp_path, split, kept):
  example = 'Example(Model(), (x(2, 4, 5), x(2, 4, 1)), rngs=("dropout",))'
  ported = rewrite(tmp_path, STEPS.replace("{split}", split), example)
  assert kept in ported.text


def test_a_scanned_class_draws_as_linen_does(tmp_path):
  """By the proof of `port`, whose streams are Linen's: see tests/mappings/templates/test_split_steps.py for the numbers."""
  source = """
    class Cell(nn.Module):
      @functools.partial(nn.scan, variable_broadcast="params", split_rngs={"params": False, "dropout": True}, in_axes=1, out_axes=1)
      @nn.compact
      def __call__(self, carry, x):
        carry, y = nn.SimpleCell(6)(carry, x)
        return carry, nn.Dropout(0.5, deterministic=False)(y)

    class Model(nn.Module):
      @nn.compact
      def __call__(self, xs):
        return Cell()(jnp.zeros((xs.shape[0], 6)), xs)[1]
    """
  ported = rewrite(tmp_path, source, 'Example(Model(), (x(2, 4, 5),), rngs=("dropout",))')
  assert "@split_steps(1)\n  @functools.partial(\n" in ported.text


def test_mapped_method_with_variables_for_every_step_is_refused(tmp_path):
  ported = rewrite(
    tmp_path,
    """
    class Heads(nn.Module):
      @functools.partial(nn.vmap, variable_axes={"params": 0}, split_rngs={"params": True}, in_axes=None, axis_size=3)
      @nn.compact
      def __call__(self, x):
        return nn.Dense(1)(nn.tanh(nn.Dense(7)(x)))
    """,
    "Heads(), x(2, 5)",
  )
  assert any("`nn.vmap` of the method `__call__`" in str(f) for f in ported.findings)
