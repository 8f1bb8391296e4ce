"""Classes that `setup` chooses among by name."""

from __future__ import annotations

from tests.codemod.support import port_and_check

BLOCKS = """
  class Cross(nn.Module):
    width: int

    @nn.compact
    def __call__(self, x, context):
      return nn.Dense(self.width)(x) + nn.Dense(self.width)(context)


  class Plain(nn.Module):
    width: int

    @nn.compact
    def __call__(self, x):
      return nn.Dense(self.width)(x)


  class Model(nn.Module):
    kinds: Sequence[str] = ("cross", "plain")
    width: int = 7

    def setup(self):
      blocks = []
      for kind in self.kinds:
        if kind == "cross":
          block = Cross
        else:
          block = {plain}
        blocks.append(block(width=self.width))
      self.blocks = blocks

    def __call__(self, x, context):
      x = jnp.pad(x, ((0, 0), (0, self.width - x.shape[-1])))
      for block in self.blocks:
        x = block(x, context) if isinstance(block, Cross) else block(x)
      return x
  """


def test_sizes_that_only_one_of_two_classes_needs(tmp_path):
  source = BLOCKS.replace("{plain}", "Plain")
  ported = port_and_check(
    tmp_path,
    source,
    "Model(), x(2, 5), x(2, 3)",
    held_out=["Model(('cross', 'plain', 'cross'), 11), x(2, 4), x(2, 5)"],
  )
  assert "block = functools.partial(Cross, context_features=" in ported.text
  assert "block = Plain\n" in ported.text


def test_classes_that_need_the_same_sizes_stay_as_they_are(tmp_path):
  source = BLOCKS.replace("{plain}", "Other").replace(
    "class Model(", "class Other(Cross):\n    pass\n\n\n  class Model("
  )
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5), x(2, 3)")
  assert "block = Cross\n" in ported.text
