"""The mapping that follows from a rewriting."""

from __future__ import annotations

import jax
import pytest
from flax import nnx

from migrate.codemod.ledger import Visit, compress, pair
from migrate.core.declare import ModelMapping, Rule, move
from migrate.core.report import MigrateError
from tests.codemod.support import draft, importable, port_and_check, rewrite


def visits(*kinds: str) -> list[Visit]:
  return [Visit((i,), kind) for i, kind in enumerate(kinds)]


def test_same_order_pairs():
  assert [(a.path, b.path) for a, b in pair(visits("A", "B"), visits("A", "B"), "m")] == [((0,), (0,)), ((1,), (1,))]


@pytest.mark.parametrize(("ours", "theirs"), [(("A", "B"), ("B", "A")), (("A",), ("A", "B")), (("A", "B"), ("A",))])
def test_another_order_is_refused(ours, theirs):
  with pytest.raises(MigrateError, match="call"):
    pair(visits(*ours), visits(*theirs), "m")


def test_rules_of_a_subtree_are_joined():
  rules = (move("params/Dense_0/kernel", "dense/kernel"), move("params/Dense_0/bias", "dense/bias"))
  assert compress(ModelMapping(rules)).rules == (Rule("move", (("params", "Dense_0", "**"),), (("dense", "**"),)),)


@pytest.mark.parametrize(
  "rules",
  [
    (move("params/Dense_0/kernel", "dense/weight"),),
    (move("params/a/kernel", "x/kernel"), move("params/a/bias", "y/bias")),
    (move("params/kernel", "kernel"),),
  ],
)
def test_rules_that_do_more_are_kept(rules):
  assert set(compress(ModelMapping(rules)).rules) == set(rules)


def test_joining_changes_no_leaf(tmp_path):
  source = """
    class Block(nn.Module):
      @nn.compact
      def __call__(self, x):
        return nn.LayerNorm()(x + nn.Dense(x.shape[-1])(x))

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        for _ in range(2):
          x = Block()(x)
        return nn.Dense(3, name="head")(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  joined = compress(ported.mapping)
  assert {"/".join(map(str, r.source[0])) for r in joined.rules} == {
    "params/Block_0/**",
    "params/Block_1/**",
    "params/head/**",
  } or len(joined.rules) < len(ported.mapping.rules)


def test_every_leaf_of_the_model_is_told(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        x = nn.BatchNorm(use_running_average=True)(nn.Dense(7)(x))
        return x * self.param("scale", nn.initializers.ones, (7,))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert len(ported.moves) == len(jax.tree.leaves(ported.facts[0].variables))
  assert len(set(ported.moves.values())) == len(ported.moves)


def test_tied_layer_is_told_once(tmp_path):
  source = """
    class Model(nn.Module):
      def setup(self):
        self.embed = nn.Embed(11, 5)

      def __call__(self, ids):
        return self.embed.attend(self.embed(ids))
    """
  ported = port_and_check(tmp_path, source, "Model(), ids(2, 3)")
  assert ported.moves == {"params/embed/embedding": "embed/embedding"}


def test_paths_of_random_streams_are_kept(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x, train=False):
        return nn.Dropout(0.5, name="drop")(nn.Dense(3)(x), deterministic=not train)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert ported.mapping.metadata["rng_paths"]["drop"] == "drop"


def test_layer_that_no_example_runs_is_fresh(tmp_path):
  source = """
    class Model(nn.Module):
      extra: bool = False

      @nn.compact
      def __call__(self, x):
        x = nn.Dense(7)(x)
        if self.extra:
          x = nn.Dense(7, name="extra_dense")(x)
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", clean=False)
  assert isinstance(ported.mapping, ModelMapping)
  assert set(ported.moves.values()) == {"dense/kernel", "dense/bias"}


def test_module_that_is_a_field_and_called_under_two_names(tmp_path):
  source = """
    class Twice(nn.Module):
      inner: nn.Module

      def __call__(self, x):
        return self.inner(self.inner(x))

    class Model(nn.Module):
      def setup(self):
        self.dense = nn.Dense(5)
        self.twice = Twice(self.dense)

      def __call__(self, x):
        return self.twice(x) + self.dense(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert len(ported.moves) == 2
  assert nnx is not None


def test_modules_of_one_class_that_share_a_scope(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Einsum(nn.Module):
      shape: tuple
      weight: str

      @nn.compact
      def __call__(self, equation, x):
        return jnp.einsum(equation, x, self.param(self.weight, nn.initializers.normal(), self.shape))

    class Gated(nn.Module):
      hidden: int

      def setup(self):
        self.gate = Einsum((2, self.hidden, 5), "w_gate")
        self.out = Einsum((self.hidden, 5), "w_out")
        nn.share_scope(self, self.gate)
        nn.share_scope(self, self.out)

      def __call__(self, x):
        g = self.gate("bf,nhf->nbh", x)
        return self.out("bh,hf->bf", nn.gelu(g[0]) * g[1])

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        for i in range(2):
          x = nn.LayerNorm()(Gated(7 + i)(x))
        return x
    """,
    "Model(), x(2, 5)",
  )
  assert ported.moves["params/Gated_0/w_gate"] == "gated/0/gate/weight_1"
  assert ported.moves["params/Gated_1/w_out"] == "gated/1/out/weight_1"


def test_layer_that_is_handed_over_gives_its_scope(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class LoRA(nn.Module):
      base: nn.Dense
      rank: int

      def setup(self):
        nn.share_scope(self, self.base)

      @nn.compact
      def __call__(self, x):
        a = self.param("a", nn.initializers.normal(), (x.shape[-1], self.rank))
        b = self.param("b", nn.initializers.normal(), (self.rank, self.base.features))
        return self.base(x) + x @ a @ b

    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        x = nn.relu(LoRA(nn.Dense(7), 2)(x))
        return LoRA(nn.Dense(3), 2, name="out")(x)
    """,
    "Model(), x(2, 5)",
  )
  assert ported.moves["params/Dense_0/a"] == "lo_ra/a"
  assert ported.moves["params/Dense_1/kernel"] == "out/base/kernel"
  assert "self.out = LoRA(7, nnx.Linear(7, 3, rngs=rngs), 2, rngs=rngs)" in ported.text


def test_parameters_in_boxes_with_axis_names_are_told(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        init = nn.initializers.lecun_normal()
        x = nn.Dense(7, kernel_init=nn.with_logical_partitioning(init, ("embed", "mlp")))(x)
        x = nn.Dense(3, kernel_init=nn.with_partitioning(init, (None, "model")), name="head")(x)
        return x + self.param("shift", nn.with_partitioning(nn.initializers.zeros, ("model",)), (3,))
    """
  ported = rewrite(tmp_path, source, "Model(), x(2, 5)")
  with importable(ported.folder):
    draft(ported)
  assert set(ported.moves) == {
    "params/Dense_0/kernel", "params/Dense_0/bias", "params/head/kernel", "params/head/bias", "params/shift",
  }  # fmt: skip


def test_layers_that_only_init_runs_keep_their_parameters(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        if self.is_initializing():
          nn.Dense(4, name="extra")(x)
        return nn.Dense(2)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)")
  assert ported.moves["params/extra/kernel"] == "extra/kernel"


def test_layers_that_init_and_another_method_run(tmp_path):
  source = """
    class Model(nn.Module):
      def setup(self):
        self.encoder = nn.Dense(4)
        self.decoder = nn.Dense(3)

      def __call__(self, x):
        z = self.encoder(x)
        if self.is_initializing():
          self.decode(z)
        return z

      def decode(self, z):
        return self.decoder(z)
    """
  ported = port_and_check(tmp_path, source, "Example(Model(), (x(2, 3),), calls=(Call((x(2, 4),), method='decode'),))")
  assert ported.moves["params/decoder/kernel"] == "decoder/kernel"


@pytest.mark.filterwarnings("ignore:Using 'Module.sow")
def test_what_init_sows_is_dropped_and_state_is_not(tmp_path):
  source = """
    class Model(nn.Module):
      @nn.compact
      def __call__(self, x):
        x = nn.Dense(4)(x)
        self.sow("losses", "load", x.mean(), reduce_fn=lambda a, b: a + b, init_fn=lambda: 0.0)
        count = self.variable("counts", "calls", lambda: jnp.zeros(()))
        return x + count.value
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  fates = {"/".join(map(str, r.source[0])): r.kind for r in ported.mapping.rules}
  assert fates["counts/calls"] == fates["params/Dense_0/kernel"] == "move"
  assert fates["losses/load"] == "drop"
