"""Modules paired by the leaves below them."""

from migrate.verify.modules import pair_modules


def one(linen, nnx):
  return ((tuple(linen.split("/")),), (tuple(nnx.split("/")),))


def test_same_structure_under_other_names():
  up, down = one("enc/Dense_0/kernel", "encoder/up/kernel"), one("enc/Dense_1/kernel", "encoder/down/kernel")
  pairs = pair_modules([up, down])
  assert pairs["enc", "Dense_0"] == ("encoder", "up")
  assert pairs["enc",] == ("encoder",)


def test_chain_of_single_children_is_aligned_from_the_inside():
  pairs = pair_modules([one("a/b/kernel", "x/y/kernel"), one("c/kernel", "z/kernel")])
  assert pairs["a", "b"] == ("x", "y")
  assert pairs["a",] == ("x",)


def test_module_with_a_part_of_a_fused_leaf_is_not_paired():
  fused = ((("cell", "ii", "kernel"), ("cell", "if", "kernel")), (("cell", "dense_i", "kernel"),))
  pairs = pair_modules([fused])
  assert ("cell", "ii") not in pairs
  # dense_i and cell hold the same leaf: only the innermost can be told
  assert pairs["cell",] in (("cell",), ("cell", "dense_i"))


def test_ledger_wins():
  pairs = pair_modules([one("a/kernel", "x/kernel")], {"Dropout_0": "drop"})
  assert pairs["Dropout_0",] == ("drop",)
