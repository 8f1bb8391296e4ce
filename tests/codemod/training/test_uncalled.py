"""Functions that make models and that nothing calls; constructions that nobody gave their sizes."""

import ast
import textwrap

import pytest

from migrate.codemod.training.model_class import ModelClass
from migrate.codemod.training.uncalled import with_sizes
from migrate.core.report import Finding

NET = ModelClass(
  "nets.Net",
  ("in_features", "classes", "width", "rngs"),
  frozenset({"rngs"}),
  frozenset({"in_features", "classes", "rngs"}),
  {"in_features": ("x", 1, (7,))},
  ("x",),
)
LATE = ModelClass(
  "nets.Late",
  ("classes", "in_features", "rngs"),
  frozenset({"rngs"}),
  frozenset({"in_features", "classes", "rngs"}),
  {"in_features": ("x", 1, (7,))},
  ("x",),
)
CLASSES = {c.full: c for c in (NET, LATE)}


def run(text, other="", **options):
  files = [("zoo.py", "zoo", textwrap.dedent(text)), ("other.py", "other", textwrap.dedent(other))]
  texts, findings = with_sizes(files, CLASSES, **options)
  for new in texts.values():
    ast.parse(new)
  return texts.get("zoo", ""), findings


def test_function_takes_the_sizes_and_rngs():
  text, findings = run(
    """
    import nets

    def small(classes: int = 3, *, width: int = 5) -> nets.Net:
      '''A small one.'''
      model = nets.Net(classes, width=width)  # of one layer
      return model
    """
  )
  assert text == textwrap.dedent(
    """
    from flax import nnx
    import nets

    def small(in_features: int, classes: int = 3, *, width: int = 5, rngs: nnx.Rngs) -> nets.Net:
      '''A small one.'''
      model = nets.Net(in_features, classes, width=width, rngs=rngs)  # of one layer
      return model
    """
  )
  assert [(f.where, f.rule, f.severity) for f in findings] == [("zoo.py:4", "L2N116", "note")]
  assert findings[0].found == "small takes in_features, rngs now, as nets.Net does"


def test_what_it_writes_runs():
  made = []

  def net(in_features, classes, width=1, *, rngs):
    made.append((in_features, classes, width, rngs))
    return made[-1]

  text, _ = run(
    """
    from nets import Net

    def either(big, classes):
      return Net(classes, 64) if big else Net(
          classes=classes,
          width=2,
      )
    """
  )
  scope = {}
  exec(text.replace("from nets import Net", "").replace("from flax import nnx", ""), {"Net": net}, scope)
  scope["either"](7, True, 3, rngs="r")
  scope["either"](7, False, 3, rngs="r")
  assert made == [(7, 3, 64, "r"), (7, 3, 2, "r")]


def test_sizes_that_do_not_come_first_are_given_by_name():
  text, _ = run("from nets import Late\ndef make(n):\n  return Late(n)\n")
  assert "def make(in_features, n, *, rngs):\n  return Late(classes=n, in_features=in_features, rngs=rngs)\n" in text


def test_long_signatures_get_lines():
  text, _ = run(
    """
    from nets import Net
    def make(number_of_classes: int = 1000, width_of_the_layers: int = 64, unused_name: str = "a"):
      return Net(number_of_classes, width_of_the_layers)
    """
  )
  assert (
    "def make(\n    in_features: int,\n    number_of_classes: int = 1000,\n    width_of_the_layers: int = 64,\n"
    '    unused_name: str = "a",\n    *,\n    rngs: nnx.Rngs,\n):\n' in text
  )


@pytest.mark.parametrize(
  "body",
  [
    "def f(n, **kwargs):\n  return Net(n, **kwargs)\n",  # its callers give them by name
    "def f(n, rngs):\n  return Net(7, n, rngs=rngs)\n",
    "def f(Net, n):\n  return Net(n)\n",
    "import migrate\ndef f():\n  return migrate.Example(Net(3), ())\n",
    "make = __import__('functools').partial(Net, 3)\n",
  ],
)
def test_what_lacks_nothing_is_left_without_a_word(body):
  assert run("from nets import Net\n" + body) == ("", [])


@pytest.mark.parametrize(
  ("body", "other"),
  [
    ("def f(n):\n  return Net(n)\n\ndef g():\n  return f(3)\n", ""),  # somebody calls it
    ("def f(n):\n  return Net(n)\n", "import zoo\ndef g():\n  return zoo.f(3)\n"),
    ("def f(n):\n  return Net(n)\n", "from zoo import f\ndef g(run):\n  return run(f)\n"),
    ("def f(n):\n  net = Net(n)\n  return net(n)\n", ""),  # it does something else with it
    ("def f(n):\n  net = Net(n)\n  return net.init(n)\n", ""),
    ("def f(*n):\n  return Net(n)\n", ""),
    ("def f(in_features):\n  return Net(in_features)\n", ""),  # the name means something else
    ("def f(n):\n  return Net(*n)\n", ""),
    ("def f():\n  return Net()\n", ""),
    ("def f(\n  n,  # classes\n):\n  return Net(n)\n", ""),
    ("from flax import linen as nn\ndef f(n):\n  return Net(n, nn.Dense)\n", ""),
    ("def f():\n  yield Net(3)\n", ""),
    ("net = Net(3)\n", ""),
    ("class A:\n  def f(self, n):\n    return Net(n)\n", ""),
  ],
)
def test_what_is_not_certain_stays_with_a_finding(body, other):
  text, findings = run("from nets import Net\n" + body, other)
  assert text == ""
  assert [(f.rule, f.severity) for f in findings] == [("L2N116", "eye")]
  assert "Net is made as Linen's was, without in_features, rngs" in findings[0].found


def test_definition_that_another_finding_speaks_of_is_not_told_of_again():
  text = "from nets import Net\ndef f(n):\n  return Net(n).init(n)\n"
  known = [Finding("zoo.py:3", "left", "", "", "error", "L2N401")]
  assert run(text, before={"zoo.py": text}, known=known) == ("", [])
  assert len(run(text, before={"zoo.py": text}, known=[Finding("zoo.py:9", "", "", "", "error", "L2N401")])[1]) == 1


def test_table_at_the_top_calls_nothing_and_skipped_lines_stay():
  text = "from nets import Net\ndef f(n):\n  return Net(n)\n\nMODELS = {'f': f}\n"
  assert "def f(in_features, n, *, rngs):" in run(text)[0]
  assert run(text, skipped={"zoo": frozenset({2})}) == ("", [])
  assert run(text, skipped={"zoo": frozenset({0})}) == ("", [])
