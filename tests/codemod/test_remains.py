"""What is left of Linen beside its modules gets its other name, where everything in the file has one."""

import pytest

from migrate.codemod.remains import without_linen


def rewritten(text):
  """The new text."""
  return without_linen(text, "losses.py", "losses")


def test_activations_initializers_and_annotations():
  text = rewritten(
    "import jax.numpy as jnp\nfrom flax import linen as nn\n\n\n"
    "def loss(model: nn.Module, x, init=nn.initializers.xavier_uniform()):\n"
    "  # what nn.log_softmax gives\n"
    "  return -jnp.sum(nn.log_softmax(model(x)))\n"
  )
  assert text == (
    "import jax.numpy as jnp\nfrom flax import nnx\n\n\n"
    "def loss(model: nnx.Module, x, init=nnx.initializers.xavier_uniform()):\n"
    "  # what nn.log_softmax gives\n"
    "  return -jnp.sum(nnx.log_softmax(model(x)))\n"
  )
  assert rewritten(text) == text


def test_names_imported_one_by_one():
  text = rewritten(
    "from flax.linen import relu\nfrom flax.linen.initializers import normal\n\nA, B = relu, normal(0.1)\n"
  )
  assert text == "from flax import nnx\n\nA, B = nnx.relu, nnx.initializers.normal(0.1)\n"


@pytest.mark.parametrize(
  "text",
  [
    "import flax.linen as nn\nclass Net(nn.Module):\n  def setup(self):\n    self.act = nn.relu\n",
    "import flax.linen as nn\ndef f(x):\n  return nn.relu(nn.Dense(3)(x))\n",
    "import flax.linen as nn\ndef f(x):\n  return nn.cond(x, nn.relu, nn.gelu, x)\n",
    "import flax.linen as nn\nnnx = 3\ndef f(x):\n  return nn.relu(x) + nnx\n",
    "from flax import nnx\ndef f(x):\n  return nnx.relu(x)  # of linen\n",
    "import flax.linen as nn\ndef f(:\n",
  ],
)
def test_other_files_stay(text):
  assert rewritten(text) == text
