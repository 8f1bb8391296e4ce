"""Functions that give classes of layers uncalled, in a file of their own."""

from __future__ import annotations

from tests.codemod.support import port_and_check

UTILS = """
  import functools

  import jax.numpy as jnp
  from flax import linen as nn


  def norm_layer(kind, dtype=jnp.float32):
    '''The norm of a kind.'''
    if kind == "layer":
      return functools.partial(nn.LayerNorm, epsilon=1e-3, dtype=dtype)
    return functools.partial(nn.GroupNorm, num_groups=1)


  def halves(x):
    return x / 2
  """
MODEL = """
  from flax import linen as nn
  from pkg import utils


  class Model(nn.Module):
    kind: str = "layer"

    @nn.compact
    def __call__(self, x):
      norm = utils.norm_layer(self.kind)
      x = norm()(nn.Dense(6)(x))
      return norm()(utils.halves(x))
  """


def test_a_function_of_another_file_that_gives_a_partial_is_ported(tmp_path):
  files = {"pkg/__init__.py": "", "pkg/utils.py": UTILS, "pkg/model.py": MODEL}
  ported = port_and_check(tmp_path, files, "Model(), x(2, 5)", held_out=["Model('group'), x(3, 7)"], module="pkg.model")
  utils = ported.rewriting.sources["pkg.utils"]
  assert "nnx.LayerNorm" in utils
  assert "linen" not in utils
  assert ported.rewriting.keep["pkg.utils"] == {"norm_layer"}


def test_functions_that_give_no_layers_stay_where_they_are(tmp_path):
  utils = UTILS.replace("def halves(x):\n    return x / 2", "def halves(x):\n    return nn.relu(x / 2)")
  model = MODEL.replace("norm = utils.norm_layer(self.kind)", "norm = nn.LayerNorm")
  files = {"pkg/__init__.py": "", "pkg/utils.py": utils, "pkg/model.py": model}
  ported = port_and_check(tmp_path, files, "Model(), x(2, 5)", module="pkg.model")
  assert "pkg.utils" not in ported.rewriting.sources
