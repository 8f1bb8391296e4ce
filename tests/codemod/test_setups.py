"""`setup` as the body of `__init__`."""

from __future__ import annotations

from tests.codemod.support import port_and_check


def test_setup_becomes_init(tmp_path):
  ported = port_and_check(
    tmp_path,
    '''
    class Model(nn.Module):
      """A classifier."""

      hidden: int = 7
      classes: int = 3  # how many

      def setup(self):
        # two layers
        self.first = nn.Dense(self.hidden)
        self.second = nn.Dense(self.classes, use_bias=False)  # no bias

      def __call__(self, x):
        """Runs it."""
        return self.second(nn.relu(self.first(x)))
    ''',
    "Model(), x(2, 5)",
    held_out=["Model(11, 2), x(3, 13)"],
  )
  assert "self.second = nnx.Linear(self.hidden, self.classes, use_bias=False, rngs=rngs)  # no bias" in ported.text
  assert ported.moves["params/first/kernel"] == "first/kernel"


def test_setup_with_a_list_of_layers(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      features: Sequence[int] = (7, 5)

      def setup(self):
        self.layers = [nn.Dense(f) for f in self.features]

      def __call__(self, x):
        for i, layer in enumerate(self.layers):
          x = layer(x)
          if i < len(self.layers) - 1:
            x = nn.relu(x)
        return x
    """,
    "Model(), x(2, 3)",
    held_out=["Model((2, 11, 13)), x(2, 5)"],
  )
  assert ported.moves["params/layers_1/kernel"] == "layers/1/kernel"
  assert ported.hoisted == []


def test_setup_with_blocks_of_one_size(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Block(nn.Module):
      width: int

      def setup(self):
        self.norm = nn.LayerNorm()
        self.dense = nn.Dense(self.width)

      def __call__(self, x):
        return x + self.dense(self.norm(x))

    class Model(nn.Module):
      width: int = 5
      depth: int = 2

      def setup(self):
        self.embed = nn.Dense(self.width)
        self.blocks = [Block(self.width) for _ in range(self.depth)]
        self.head = nn.Dense(3)

      def __call__(self, x):
        x = self.embed(x)
        for block in self.blocks:
          x = block(x)
        return self.head(x)
    """,
    "Model(), x(2, 7)",
    held_out=["Model(11, 3), x(2, 2)"],
  )
  assert ported.hoisted == []


def test_setup_with_conditionals_and_sequential(tmp_path):
  source = """
    class Model(nn.Module):
      norm: bool = True

      def setup(self):
        self.body = nn.Sequential([nn.Dense(7), nn.relu, nn.Dense(5)])
        if self.norm:
          self.last = nn.LayerNorm()
        else:
          self.last = nn.Dense(5)

      def __call__(self, x):
        return self.last(self.body(x))
    """
  port_and_check(tmp_path, source, "Model(), x(2, 3)", "Model(False), x(2, 3)")


def test_setup_with_dictionaries_of_layers(tmp_path):
  port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      def setup(self):
        self.heads = {"a": nn.Dense(3), "b": nn.Dense(2)}

      def __call__(self, x):
        return {name: head(x) for name, head in self.heads.items()}
    """,
    "Model(), x(2, 5)",
  )


def test_setup_with_parameters(tmp_path):
  port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      width: int = 5

      def setup(self):
        self.scale = self.param("scale", nn.initializers.ones, (self.width,))
        self.shift = self.param("bias", nn.initializers.zeros, (self.width,), jnp.float32)

      def __call__(self, x):
        return x * self.scale + self.shift
    """,
    "Model(), x(2, 5)",
    held_out=["Model(7), x(2, 7)"],
  )


def test_setup_with_a_sequential_takes_its_size_from_the_call(tmp_path):
  source = """
    class Model(nn.Module):
      def setup(self):
        self.body = nn.Sequential([nn.Dense(7), nn.relu, nn.Dense(5)])

      def __call__(self, x):
        return self.body(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 11)")
  assert ported.hoisted == []


def test_setup_with_a_list_of_cells_inside_layers(tmp_path):
  source = """
    class Model(nn.Module):
      hidden: int = 7

      def setup(self):
        self.layers = [nn.RNN(nn.GRUCell(self.hidden)) for _ in range(2)]

      def __call__(self, x):
        for layer in self.layers:
          x = layer(x)
        return x
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3, 5)", held_out=["Model(4), x(2, 3, 6)"])
  assert ported.hoisted == []


def test_attribute_that_is_none_before_it_is_a_layer(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      norm: bool = True
      plain: bool = True

      def setup(self):
        self.post = None
        if self.norm:
          self.post = nn.LayerNorm()
        if self.plain:
          self.head = None
        else:
          self.head = nn.Dense(5)
        self.scale = None
        self.count = 3

      def __call__(self, x):
        if self.post is not None:
          x = self.post(x)
        return x if self.head is None else self.head(x)
    """,
    "Model(), x(2, 5)",
    "Model(False), x(2, 5)",
    "Model(False, False), x(2, 5)",
    held_out=["Model(True, False), x(2, 3)"],
  )
  assert "self.post = nnx.data(None)" in ported.text
  for left in ("self.head = None", "self.scale = None", "self.count = 3"):
    assert left in ported.text


def test_one_parameter_made_in_either_branch_is_one_attribute(tmp_path):
  source = """
    class Model(nn.Module):
      wide: bool
      shared: bool = True

      def setup(self):
        if self.wide:
          M = self.param("M", nn.initializers.normal(), (5, 7))
          self.kernels = M
        else:
          if self.shared:
            M = self.param("M", nn.initializers.normal(), (5, 3))
            self.kernels = M

      def __call__(self, x):
        return x @ self.kernels
    """
  ported = port_and_check(tmp_path, source, "Model(True), x(2, 5)", "Model(False), x(2, 5)")
  assert "M_1" not in ported.text


def test_layers_inside_a_sequential_stand_at_their_own_depth(tmp_path):
  ported = port_and_check(
    tmp_path,
    """
    class Model(nn.Module):
      dim: int

      def setup(self):
        self.mlp = nn.Sequential([
            nn.Dense(features=self.dim * 4, dtype=jnp.float32, kernel_init=nn.initializers.lecun_normal()),
            nn.gelu,  # or silu
            nn.Dense(features=self.dim),
        ])

      def __call__(self, x):
        return self.mlp(x)
    """,
    "Model(3), x(2, 5)",
    held_out=["Model(4), x(2, 3)"],
  )
  wanted = """
    self.mlp = nnx.Sequential(
        nnx.Linear(
            in_features,
            out_features=self.dim * 4,
            dtype=jnp.float32,
            kernel_init=nnx.initializers.lecun_normal(),
            rngs=rngs,
        ),
        nnx.gelu,  # or silu
        nnx.Linear(self.dim * 4, out_features=self.dim, rngs=rngs),
    )
"""
  assert wanted in ported.text


def test_what_a_maker_tries(tmp_path):
  source = """
    KINDS = {"wide": nn.Dense, "none": None}

    def create(config, kinds):
      def find(name):
        if name in kinds:
          return kinds[name]
        raise ValueError(name)

      kind = find(config["kind"])
      try:
        width = int(config["width"])
      except (TypeError, ValueError) as error:
        raise ValueError("no width") from error
      if kind is None:
        raise ValueError("no kind")
      else:
        # the only one
        layer = kind(width)
      return layer

    class Model(nn.Module):
      config: dict

      @nn.compact
      def __call__(self, x):
        return create(self.config, KINDS)(nn.Dense(7)(x))
    """
  ported = port_and_check(tmp_path, source, 'Model({"kind": "wide", "width": "5"}), x(2, 3)')
  assert "except (TypeError, ValueError) as error:" in ported.text
  assert "# the only one" in ported.text
  assert "rngs=rngs)" in ported.text.partition("def create")[2].partition("class")[0]


def test_suites_behind_their_colon(tmp_path):
  source = """
    class Model(nn.Module):
      deep: bool = True

      def setup(self):
        if self.deep: self.first = nn.Dense(7); self.second = nn.Dense(5)
        else: self.first = nn.Dense(5)
        for i in range(2): setattr(self, f"extra_{i}", nn.Dense(5))

      def __call__(self, x):
        x = self.first(x)
        if self.deep: x = self.second(x)
        return self.extra_1(self.extra_0(x))
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", "Model(False), x(2, 3)")
  assert "else: self.first = nnx.Linear(" in ported.text
  assert "if self.deep: x = self.second(x)" in ported.text


def test_a_list_in_post_init_of_a_class_without_setup(tmp_path):
  source = """
    class Model(nn.Module):
      heads: Sequence[int] | int = 7

      def __post_init__(self):
        super().__post_init__()
        if isinstance(self.heads, int):
          self.heads = [self.heads]

      @nn.compact
      def __call__(self, x):
        for size in self.heads:
          x = nn.Dense(size)(x)
        return x
    """
  ported = port_and_check(tmp_path, source, "Model((7, 3)), x(2, 5)", held_out=["Model((3, 4, 2)), x(2, 3)"])
  assert "if isinstance(self.heads, int):\n      self.heads = [self.heads]\n" in ported.text


def test_what_setup_says_stands_above_the_sizes_of_its_layers(tmp_path):
  source = """
    class Model(nn.Module):
      names: Sequence[str] = ("a", "b")

      def setup(self):
        \"\"\"Makes a head for every name.\"\"\"
        self.heads = {name: nn.Dense(7) for name in self.names}

      def __call__(self, inputs):
        return sum(head(inputs[name]) for name, head in self.heads.items())
    """
  ported = port_and_check(tmp_path, source, "Model(), {'a': x(2, 5), 'b': x(2, 3)}")
  assert '    """Makes a head for every name."""\n    self.names = names\n' in ported.text
  assert "_iter = iter(" in ported.text
