"""Classes that `setup` chooses among by name."""

from __future__ import annotations

from tests.codemod.support import port_and_check, rewrite

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


# the two classes alone, for other models
CLASSES = BLOCKS.partition("  class Model(")[0]


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


def test_class_that_a_branch_that_no_example_takes_chooses(tmp_path):
  source = """
    class Plain(nn.Module):
      widths: Sequence[int]

      @nn.compact
      def __call__(self, x):
        for width in self.widths:
          x = nn.Dense(width)(x)
        return x


    class Deep(nn.Module):
      depth: int
      widths: Sequence[int]

      @nn.compact
      def __call__(self, x):
        for _ in range(self.depth):
          x = nn.Dense(self.widths[0])(x)
        return nn.Dense(self.widths[-1])(x)


    def several(cls, n):
      return nn.vmap(cls, variable_axes={"params": 0}, split_rngs={"params": True}, in_axes=None, axis_size=n)


    class Model(nn.Module):
      kind: str = "plain"
      widths: Sequence[int] = (7, 3)

      def setup(self):
        if self.kind == "plain":
          net = Plain
        elif self.kind == "deep":
          net = Deep
        net = several(net, 2)
        if self.kind == "plain":
          value = net((*self.widths, 1))
        elif self.kind == "deep":
          value = net(2, (*self.widths, 1))
        self.value = value

      def __call__(self, x):
        return self.value(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model('deep'), x(2, 4)"])
  assert "net(in_features, 2, (*self.widths, 1), rngs=rngs)" in ported.text


def test_class_whose_calls_need_other_sizes_is_not_given_those_of_one_call(tmp_path):
  source = (
    CLASSES
    + """
  class Model(nn.Module):
    cross: bool = True

    def setup(self):
      if self.cross:
        block = Cross
      else:
        block = Plain
      self.first = block(width=7)
      self.second = block(width=7)

    def __call__(self, x, context):
      if not self.cross:
        return self.second(self.first(x))
      return self.second(self.first(x, x), context)
  """
  )
  found = [str(f) for f in rewrite(tmp_path, source, "Model(), x(2, 7), x(2, 7)").findings]
  # one width for both: the program would run with either
  assert any("block, which is Cross or a class without context_features" in f for f in found)


def test_call_that_no_example_takes_is_told_and_takes_the_sizes_of_the_others(tmp_path):
  source = (
    CLASSES
    + """
  class Model(nn.Module):
    cross: bool = True
    alone: bool = True

    def setup(self):
      if self.cross:
        block = Cross
      else:
        block = Plain
      self.first = block(width=7)
      self.second = block(width=7)

    def __call__(self, x, context):
      if self.alone:
        return self.second(x, context) if self.cross else self.second(x)
      return self.second(self.first(x), context)
  """
  )
  ported = port_and_check(
    tmp_path, source, "Model(), x(2, 7), x(2, 5)", held_out=["Model(), x(2, 5), x(2, 3)"], clean=False
  )
  assert [f.severity for f in ported.findings if "no example calls this block" in str(f)] == ["eye"]
  assert "block = functools.partial(Cross, context_features=" in ported.text
