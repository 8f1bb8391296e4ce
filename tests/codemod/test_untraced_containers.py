"""Lists and dicts of layers that setup makes where no example comes."""

from __future__ import annotations

from tests.codemod.support import port_and_check

MODEL = '''
  def get_layers(widths, out=None):
    """Layers of widths."""
    found = []
    for width in widths:
      found.append(nn.Dense(width))
    if out is not None:
      found.append(nn.Dense(out))
    return found


  def run(layers, x):
    for layer in layers:
      x = nn.relu(layer(x))
    return x


  class Net(nn.Module):
    widths: tuple[int, ...]
    both: bool = False
    parts: bool = False
    table: bool = False

    def setup(self):
      self.first = get_layers(self.widths)
      self.mean = get_layers(self.widths, 3)
      if self.both:
        self.var = get_layers(self.widths, 3)
      if self.parts:
        self.some = [nn.Dense(3), nn.Dense(3)]
      if self.table:
        self.named = {k: [nn.Dense(3)] for k in ("a", "b")}

    def __call__(self, x):
      x = run(self.first, x)
      mean = run(self.mean, x)
      if self.both:
        mean = mean + run(self.var, x)
      if self.parts:
        mean = run(self.some, mean)
      if self.table:
        mean = run(self.named["a"], mean) + run(self.named["b"], mean)
      return mean
'''


def test_functions_that_make_lists_are_constructions_where_no_example_comes(tmp_path):
  examples = ["Net((7, 11)), x(2, 5)", "Net((5, 13)), x(2, 4)"]
  ported = port_and_check(tmp_path, MODEL, *examples, clean=False)
  assert "self.var = nnx.List(get_layers(self.widths, 3, in_features=self.widths[-1], rngs=rngs))" in ported.text
  assert "self.some = nnx.List([nnx.Linear(" in ported.text
  assert "self.named = nnx.Dict({k: nnx.List([nnx.Linear(" in ported.text


def test_a_list_of_numbers_where_no_example_comes_stays_a_list(tmp_path):
  model = MODEL.replace("self.some = [nn.Dense(3), nn.Dense(3)]", "self.some = [3, 4]").replace(
    "mean = run(self.some, mean)", "mean = mean * self.some[0]"
  )
  held_out = ["Net((7, 11, 5), parts=True), x(3, 9)"]
  ported = port_and_check(tmp_path, model, "Net((7, 11)), x(2, 5)", held_out=held_out, clean=False)
  assert "self.some = [3, 4]" in ported.text


def test_layers_in_the_dict_of_a_branch_that_no_example_takes(tmp_path):
  source = """
    class Model(nn.Module):
      shared: bool = True

      def setup(self):
        make = lambda: nn.Dense(4)
        self.sizes = {"first": 1, "second": 2}
        if self.shared:
          layer = make()
          self.ways = {"first": layer, "second": layer}
        else:
          self.ways = {"first": make(), "second": make()}
          self.sizes = {"first": 1, "second": 1}

      def __call__(self, x):
        return self.ways["first"](x) + self.ways["second"](x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 3)", held_out=["Model(), x(2, 5)", "Model(False), x(2, 5)"])
  assert ported.text.count("self.ways = nnx.Dict({") == 2
  assert ported.text.count("self.sizes = {") == 2
