"""A law: any small Linen module ports, and computes what it computed."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import hypothesis
from hypothesis import given, note
from hypothesis import strategies as st

from migrate.core.report import MigrateError
from tests.codemod.support import port_and_check

PROGRAMS = 1000 if os.environ.get("HYPOTHESIS_PROFILE") == "fuzz" else 40
WIDTHS = (3, 6, 10, 14)
# primes that are no width and no sum of some, so that none matches by chance
INPUT, BATCH = 5, 97

# what keeps the number of features
SAME = [
  "x = nn.relu(x)",
  "x = nn.LayerNorm()(x)",
  "x = nn.RMSNorm(epsilon=1e-3)(x)",
  "x = nn.BatchNorm(use_running_average=not train)(x)",
  "x = norm()(x)",
  "x = nn.Dropout(0.5, deterministic=not train)(x)",
  "x = nn.Dropout(self.rate)(x, deterministic=not train)",
  "x = x * self.param('scale_{n}', nn.initializers.ones, (x.shape[-1],))",
  "x = x + self.param('shift_{n}', nn.initializers.normal(0.1), x.shape[1:])",
  "x = x + nn.Dense(x.shape[-1])(x)",
  "x = x + nn.Dense(x.shape[-1])(nn.gelu(nn.Dense({w})(x)))",
  "x = self.act(x)",
  "x = Residual()(x)",
  "x = nn.PReLU()(x)",
]
# what changes it
CHANGE = [
  "x = nn.Dense({w})(x)",
  "x = nn.Dense({w}, use_bias=False, name='named_{n}')(x)",
  "x = nn.Dense(features=self.width)(x)",
  "x = dense({w})(x)",
  "x = nn.relu(dense({w})(x))",
  "x = jnp.concatenate([x, nn.Dense({w})(x)], axis=-1)",
  "x = Block({w})(x, train)",
  "x = Block(features=self.width, name='block_{n}')(x, train=train)",
  "x = nn.Sequential([nn.Dense({w}), nn.tanh, nn.Dense(self.width)])(x)",
  "layer_{n} = nn.Dense({w})\nx = layer_{n}(x)",
  "y = nn.Dense({w})(x)\nz = nn.Dense({w})(x)\nx = y * nn.sigmoid(z)",
  "x = nn.Conv({w}, (1,))(x[:, None])[:, 0]",
  "x = Wide(self.width)(x)",
]
# statements around others: {0} is a body that keeps the number of features, {1} one that changes it
AROUND = [
  "if self.flag:\n{0}",
  "if not self.flag:\n{0}\nelse:\n{2}",
  "for i in range(self.depth):\n{0}",
  "for i in range(self.depth):\n{1}",
  "for f in self.features:\n  x = nn.Dense(f)(x)\n{0}",
  "for i, f in enumerate(self.features):\n  x = nn.relu(nn.Dense(f, name=f'loop{n}_{{i}}')(x))",
  "if train:\n  x = x * 2",
]
HEAD = """
class Residual(nn.Module):
  @nn.compact
  def __call__(self, x):
    return x + nn.Dense(x.shape[-1])(nn.LayerNorm()(x))


class Block(nn.Module):
  features: int
  rate: float = 0.25

  @nn.compact
  def __call__(self, x, train: bool):
    x = nn.Dense(self.features)(x)
    x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
    return nn.Dropout(self.rate)(nn.silu(x), deterministic=not train)


class Wide(nn.Module):
  width: int

  def setup(self):
    self.up = nn.Dense(2 * self.width)
    self.down = nn.Dense(self.width)

  def __call__(self, x):
    return self.down(nn.relu(self.up(x)))


class Model(nn.Module):
  width: int = 6
  depth: int = 2
  rate: float = 0.5
  flag: bool = True
  features: Sequence[int] = (10, 3)
  act: Callable = nn.tanh

  @nn.compact
  def __call__(self, x, train: bool = False):
"""
PARTIALS = {
  "dense": "dense = functools.partial(nn.Dense, kernel_init=nn.initializers.xavier_uniform())",
  "norm": "norm = functools.partial(nn.BatchNorm, use_running_average=not train)",
}


def indent(text: str, by: str = "  ") -> str:
  return "\n".join(by + line for line in text.splitlines())


@st.composite
def programs(draw: st.DrawFn) -> str:
  """The source of a model: a few statements, some inside loops and conditionals."""
  count = iter(range(1000))

  def simple(pool: list[str]) -> str:
    return draw(st.sampled_from(pool)).format(w=draw(st.sampled_from(WIDTHS)), n=next(count))

  def inside(pool: list[str]) -> str:
    # a parameter with a fixed name can't be made twice
    allowed = [s for s in pool if "{n}" not in s]
    return indent("\n".join(simple(allowed) for _ in range(draw(st.integers(1, 2)))))

  lines = []
  for _ in range(draw(st.integers(1, 4))):
    kind = draw(st.sampled_from(["same", "change", "change", "around"]))
    if kind == "around":
      shape = draw(st.sampled_from(AROUND))
      bodies = [inside(SAME), inside(SAME + CHANGE), inside(SAME)]
      lines.append(shape.format(*bodies, n=next(count)))
    else:
      lines.append(simple(SAME if kind == "same" else CHANGE))
  lines.append("return " + draw(st.sampled_from(["x", "nn.Dense(3)(x)", "(x, x.mean())", "{'out': x}"])))
  body = "\n".join(lines)
  partials = [text for name, text in PARTIALS.items() if re.search(rf"(?<![\w.]){name}\(", body)]
  return HEAD + indent("\n".join([*partials, body]), "    ") + "\n"


EXAMPLE = "Example(Model(), (x({b}, {i}), False), calls=(Call((x({b}, {i}), True), rngs=('dropout',), mutable=['batch_stats']),))"


@hypothesis.settings(
  max_examples=PROGRAMS, deadline=None, suppress_health_check=list(hypothesis.HealthCheck), print_blob=True
)
@given(programs())
def test_law_a_port_computes_what_the_program_computed(source):
  note(source)
  with tempfile.TemporaryDirectory() as folder:
    try:
      port_and_check(Path(folder), source, EXAMPLE.format(b=BATCH, i=INPUT), held_out=["Model(7, 3), x(2, 13)"])
    except MigrateError as error:
      raise AssertionError(f"{error}\n{source}") from error
