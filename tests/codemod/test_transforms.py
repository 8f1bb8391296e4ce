"""Transforms of classes, as templates of ours."""

from __future__ import annotations

import pytest

from tests.codemod.support import port_and_check, rewrite


def test_remat_of_a_class(tmp_path):
  source = """
    class Block(nn.Module):
      features: int

      @nn.compact
      def __call__(self, x, train: bool):
        return x + nn.Dropout(0.5, deterministic=not train)(nn.Dense(self.features)(x))

    class Model(nn.Module):
      remat: bool = True

      @nn.compact
      def __call__(self, x, train: bool = False):
        block = nn.remat(Block, static_argnums=(2,)) if self.remat else Block
        for _ in range(2):
          x = block(5)(x, train)
        return x
    """
  port_and_check(tmp_path, source, "Model(), x(2, 5)", "Model(False), x(2, 5)")


def test_vmap_of_a_class(tmp_path):
  source = """
    class Critic(nn.Module):
      hidden: int = 7

      @nn.compact
      def __call__(self, x):
        return nn.Dense(1)(nn.relu(nn.Dense(self.hidden)(x)))

    class Model(nn.Module):
      heads: int = 2

      @nn.compact
      def __call__(self, x):
        many = nn.vmap(
          Critic,
          variable_axes={"params": 0},
          split_rngs={"params": True},
          in_axes=None,
          out_axes=0,
          axis_size=self.heads,
        )
        return many()(x)
    """
  port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(3), x(2, 3)"])


def test_scan_whose_axes_depend_on_whether_parameters_are_made(tmp_path):
  source = """
    from flax.linen.partitioning import ScanIn


    class Layer(nn.Module):
      width: int

      @nn.compact
      def __call__(self, x, mask):
        return x + nn.Dense(self.width)(x) * mask, None


    class Model(nn.Module):
      width: int = 5
      depth: int = 3
      axis: int = 0

      @nn.compact
      def __call__(self, x, mask):
        layer = Layer
        layer = nn.remat(layer)
        initializing = self.is_mutable_collection("params")
        params_spec = self.axis if initializing else ScanIn(self.axis)
        x, _ = nn.scan(
          layer,
          variable_axes={"params": params_spec},
          split_rngs={"params": True},
          in_axes=(nn.broadcast,),
          length=self.depth,
        )(width=self.width, name="layers")(x, mask)
        return x
    """
  ported = port_and_check(
    tmp_path,
    source,
    "Model(), x(2, 5), x(2, 1)",
    held_out=["Model(7, 2), x(3, 7), x(3, 1)", "Model(axis=1), x(2, 5), x(2, 1)"],
  )
  assert "    params_spec = self.axis\n" in ported.text
  assert "self.layers = scan(\n      layer,\n" in ported.text
  assert "  def __call__(self, x, mask):\n    x, _ = self.layers(x, mask)\n    return x\n" in ported.text


def test_jit_of_a_class(tmp_path):
  source = """
    class Block(nn.Module):
      width: int = 5

      @nn.compact
      def __call__(self, x, train: bool):
        return nn.Dropout(0.5, deterministic=not train)(nn.Dense(self.width)(x))


    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, train: bool = False):
        x = nn.jit(Block, static_argnums=(2,))(6)(x, train)
        block = nn.jit(Block, static_argnums=2)
        return block()(x, train)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(4, 5)")
  assert "jit(Block, static_argnums=(2,))(in_features, 6, rngs=rngs)" in ported.text


def test_branches_of_a_switch(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, i):
        heads = [nn.Dense(3) for _ in range(2)]

        def head_fn(k):
          return lambda mdl, y: heads[k](y)

        branches = [head_fn(k) for k in range(2)]
        if self.is_mutable_collection("params"):
          for branch in branches:
            _ = branch(self, x)
        return nn.switch(i, branches, self, x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(4, 5), x(dtype=jnp.int32)")
  assert ported.text.count("branches = [") == 1


def test_vmap_with_methods(tmp_path):
  source = """
    class Critic(nn.Module):
      features: int

      def setup(self):
        self.dense, self.out = nn.Dense(self.features), nn.Dense(1)

      def __call__(self, x):
        return self.out(self.embed(x))

      def embed(self, x):
        return nn.relu(self.dense(x))

    class Model(nn.Module):
      number: int = 3

      def setup(self):
        critics = nn.vmap(
          Critic,
          variable_axes={"params": 0},
          split_rngs={"params": True},
          in_axes=None,
          out_axes=0,
          axis_size=self.number,
          methods=["__call__", "embed"],
        )
        self.critics = critics(4)

      def __call__(self, x):
        return self.critics(x), self.critics.embed(x)
    """
  port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(2), x(3, 4)"])


BLOCK = """
class Block(nn.Module):
  features: int

  @nn.compact
  def __call__(self, x):
    return x + nn.Dense(self.features)(nn.LayerNorm()(x))

"""


def test_remat_scan_of_a_class(tmp_path):
  source = (
    BLOCK
    + """
class Model(nn.Module):
  depth: int = 2

  @nn.compact
  def __call__(self, x):
    x = nn.remat_scan(Block, lengths=(self.depth, 3))(x.shape[-1], name="layers")(x)
    blocks = nn.remat_scan(Block, lengths=(2,), policy=jax.checkpoint_policies.nothing_saveable)
    return blocks(x.shape[-1])(x)
"""
  )
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(3), x(2, 4)"])
  assert "remat_scan(Block, lengths=(self.depth, 3))(in_features, in_features, rngs=rngs)" in ported.text


def test_map_variables_of_a_class(tmp_path):
  source = """
    def standardize(variables):
      if not variables["params"]:
        return variables
      kernel = variables["params"]["kernel"]
      return {"params": {**variables["params"], "kernel": (kernel - kernel.mean(0)) / (kernel.std(0) + 1e-5)}}

    class Model(nn.Module):
      features: int = 4

      @nn.compact
      def __call__(self, x):
        Standard = nn.map_variables(nn.Dense, "params", trans_in_fn=standardize, init=True)
        x = nn.relu(Standard(self.features, name="first")(x))
        return nn.map_variables(nn.Dense, "params", lambda v: jax.tree.map(jnp.sign, v), init=True)(2)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(3), x(2, 4)"])
  assert "Standard = map_variables(nnx.Linear, " in ported.text
  assert "self.first = Standard(in_features, self.features, rngs=rngs)" in ported.text


def test_map_variables_that_goes_both_ways_is_left(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        return nn.map_variables(nn.Dense, "params", lambda v: v, lambda v: v, init=True)(2)(x)
    """
  other = source.replace("lambda v: v, lambda v: v, init", "lambda v: v, trans_out_fn=lambda v: v, init")
  for text in (source, other):
    ported = rewrite(tmp_path, text, "Model(), x(2, 5)")
    assert any("map_variables with" in str(f) and f.severity == "error" for f in ported.findings)


def test_map_variables_of_a_function_is_left(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        def body(module, x):
          return nn.Dense(2)(x)

        return nn.map_variables(body, "params", lambda v: v, init=True)(self, x)
    """
  ported = rewrite(tmp_path, source, "Model(), x(2, 5)")
  assert any("map_variables of a function" in str(f) and f.severity == "error" for f in ported.findings)


@pytest.mark.parametrize(
  ("cell", "given"),
  [
    ("OptimizedLSTMCell", "jax.random.key(0), x[:, 0].shape"),
    ("GRUCell", "rng=jax.random.key(0), input_shape=x[:, 0].shape"),
  ],
)
def test_a_scanned_cell_makes_its_carry(tmp_path, cell, given):
  source = f"""
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        Scanned = nn.scan(
          nn.{cell}, variable_broadcast="params", split_rngs={{"params": False}}, in_axes=1, out_axes=1
        )
        cell = Scanned(6, name="cell")
        carry = cell.initialize_carry({given})
        return cell(carry, x)[1]
    """
  port_and_check(tmp_path, source, "Model(), x(2, 3, 5)", held_out=["Model(), x(2, 4, 6)"])


def test_scan_of_all_collections_and_a_class_lifted_in_a_branch_that_no_example_takes(tmp_path):
  source = """
    class Embedder(nn.Module):
      size: int

      def setup(self):
        self.table = self.param("table", nn.initializers.normal(), (self.size, 4))

      def encode(self, x):
        return self.table[x]

    class Block(nn.Module):
      hidden: int

      @nn.compact
      def __call__(self, x):
        return x + nn.Dense(x.shape[-1])(nn.tanh(nn.Dense(self.hidden)(x))), None

    class Model(nn.Module):
      remat: bool = False

      @nn.compact
      def __call__(self, x):
        if self.remat:
          embedder = nn.remat(Embedder, prevent_cse=False)(7)
        else:
          embedder = Embedder(7)
        x = embedder.encode(x)
        x, _ = nn.scan(Block, variable_axes={True: 0}, split_rngs={True: True}, length=3)(5)(x)
        return x
    """
  tokens = "Model(), jnp.arange(6).reshape(2, 3)"
  ported = port_and_check(tmp_path, source, tokens, held_out=["Model(True), jnp.arange(4).reshape(2, 2)"])
  call = ported.text.rpartition("def __call__(self, x):")[2]
  assert "prevent_cse" not in call, "it is made in `__init__`"
  assert "      embedder = self.embedder\n" in call
