"""Class decorators that read dataclass fields."""

from __future__ import annotations

from tests.codemod.support import port_and_check, rewrite

RECORDING = '''
import dataclasses

def recorded(cls):
  """Keeps what the constructor was given."""
  construct = cls.__init__

  @functools.wraps(construct)
  def init(self, *args, **kwargs):
    names = [f.name for f in dataclasses.fields(self) if f.name not in ("parent", "name")]
    config = {n: getattr(self, n) for n in names} | dict(zip(names, args)) | kwargs
    config = {n: v for n, v in config.items() if n not in ("parent", "name")}
    self.config = tuple(sorted(config.items()))
    construct(self, *args, **kwargs)

  cls.__init__ = init
  return cls
'''


def test_class_stays_a_dataclass_for_its_decorator(tmp_path):
  source = (
    RECORDING
    + '''
@recorded
class Model(nn.Module):
  """A model."""
  # how wide
  features: int = 7
  depth: int = 2  # how deep

  @nn.compact
  def __call__(self, x):
    for i in range(dict(self.config)["depth"]):
      x = nn.Dense(self.features)(x)
    return x * len(self.config)
'''
  )
  ported = port_and_check(tmp_path, source, "Model(depth=3), x(2, 5)", held_out=["Model(4, 2), x(2, 3)"])
  assert "@fields_only(recorded)\n@dataclasses.dataclass(eq=False, repr=False)\nclass Model(nnx.Module):" in ported.text
  assert "  # how wide\n  features: int = 7\n  depth: int = 2  # how deep\n  _: dataclasses.KW_ONLY\n" in ported.text
  assert "def __post_init__(self, in_features: int, rngs: nnx.Rngs):" in ported.text
  assert "self.depth = depth" not in ported.text


def test_setup_reads_what_the_decorator_made(tmp_path):
  source = (
    RECORDING
    + """
class Layer(nn.Module):
  features: int

  @nn.compact
  def __call__(self, x):
    return nn.Dense(self.features)(x)

@recorded
class Model(nn.Module):
  features: int = 7

  def setup(self):
    self.layer = Layer(dict(self.config)["features"])

  def __call__(self, x):
    return self.layer(x)
"""
  )
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)", held_out=["Model(4), x(2, 3)"])
  assert 'dict(self.config)["features"]' in ported.text


def test_decorator_for_any_class_stays_as_it_is(tmp_path):
  source = """
    MODELS = {}

    def registered(cls):
      MODELS[cls.__name__] = cls
      return cls

    @registered
    class Model(nn.Module):
      features: int = 7

      @nn.compact
      def __call__(self, x):
        return nn.Dense(self.features)(x)
    """
  ported = port_and_check(tmp_path, source, "Model(), x(2, 5)")
  assert "@registered\nclass Model(nnx.Module):" in ported.text
  assert "dataclass" not in ported.text


def test_decorator_of_a_class_with_inherited_fields_is_left_out_with_a_finding(tmp_path):
  source = (
    RECORDING
    + """
class Base(nn.Module):
  features: int = 7

@recorded
class Model(Base):
  depth: int = 2

  @nn.compact
  def __call__(self, x):
    return nn.Dense(self.features)(x)
"""
  )
  ported = rewrite(tmp_path, source, "Model(), x(2, 5)")
  assert [f.rule for f in ported.findings if f.severity == "eye"] == ["L2N105"]
  assert "@recorded" not in ported.text
