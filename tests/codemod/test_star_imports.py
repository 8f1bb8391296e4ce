"""Names that star imports bring."""

from __future__ import annotations

from tests.codemod.support import port_and_check


def test_linen_through_star_imports(tmp_path):
  files = {
    "pkg/__init__.py": "",
    "pkg/common.py": """
      import jax.numpy as jnp
      from flax import linen as nn
      from flax.linen import *

      class Block(nn.Module):
        width: int

        @nn.compact
        def __call__(self, x):
          return x + Dense(self.width)(x)
      """,
    "pkg/model.py": """
      from pkg.common import *

      class Model(nn.Module):
        width: int = 5

        @nn.compact
        def __call__(self, x):
          x = relu(Dense(self.width)(x))
          return jnp.tanh(nn.LayerNorm()(Block(self.width)(x)))
      """,
  }
  ported = port_and_check(tmp_path, files, "Model(), x(2, 7)", module="pkg.model", include=["pkg"])
  assert "nnx.relu(self.dense(x))" in ported.text
  extracted = (ported.out / "pkg_nnx" / "model.py").read_text(encoding="utf-8")
  assert "import jax.numpy as jnp\n" in extracted
  assert "import *" not in extracted


def test_name_of_the_file_hides_that_of_a_star_import(tmp_path):
  files = {
    "pkg/__init__.py": "",
    "pkg/common.py": "from flax import linen as nn\nfrom flax.linen import *\n",
    "pkg/model.py": """
      from pkg.common import *

      def relu(x):
        return x * 2

      class Model(nn.Module):
        @nn.compact
        def __call__(self, x):
          return relu(Dense(3)(x))
      """,
  }
  ported = port_and_check(tmp_path, files, "Model(), x(2, 7)", module="pkg.model", include=["pkg"])
  assert "return relu(self.dense(x))" in ported.text
