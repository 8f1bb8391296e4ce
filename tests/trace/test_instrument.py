"""Instrumented copies of code: the same values, the same positions, and everything put back."""

from __future__ import annotations

import ast
import builtins
import importlib.util
import textwrap
from pathlib import Path

import pytest

from migrate.trace.instrument import HOOK, compile_instrumented, instrumented, position


@pytest.fixture
def load(tmp_path):
  """Writes a source and imports it."""

  def do(text):
    path = tmp_path / "code.py"
    path.write_text(textwrap.dedent(text))
    spec = importlib.util.spec_from_file_location("code_under_test", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, str(path)

  return do


class Log(list):
  def __call__(self, key, value, made=False):
    self.append((key, value, made))
    return value


BODIES = {
  "expressions": "return [i * a for i in range(3) if i] + [a if a > 2 else -a, not a, (a, *(1, 2))]",
  "closures": "b = 2\n  def inner(c):\n    return a + b + c\n  return inner(3) + (lambda d: d + b)(4)",
  "attributes and items": "c = {'k': [a]}\n  c['k'][0] += 1\n  return c['k'][0:1]",
  "formatted strings": "return f'{a!r:>5} {a + 1}' + f\"{'x'}\"",
  "matching": "match a:\n    case 3:\n      return 'three'\n    case _:\n      return a",
  "generators": "def g():\n    yield a\n    yield from (a, 2)\n  return list(g())",
  "exceptions": "try:\n    raise ValueError(a)\n  except ValueError as e:\n    return e.args",
  "walrus and starred": "def f(*p, **q):\n    return p, q\n  return f(*[a, (b := a)], **{'k': b})",
  "deletion and globals": "c = [a, 2]\n  del c[0]\n  return c, __name__ == 'x'",
  "with": "import contextlib\n  with contextlib.nullcontext(a) as b:\n    return b",
  "super": "class P:\n    def m(self): return 1\n  class Q(P):\n    def m(self): return super().m() + a\n  return Q().m()",
  "decorators and defaults": "def d(f): return f\n  @d\n  def g(x=a + 1): return x\n  return g()",
  "annotations": "b: int = a\n  c: str\n  return b",
  "comprehensions of every sort": "return {i for i in (a,)}, {i: a for i in (a,)}, sum(i for i in (a, 1))",
  "locals": "b = 1\n  return sorted(locals())",
}


@pytest.mark.parametrize("name", BODIES)
def test_values_are_the_same(load, name):
  module, path = load(f"def f(a):\n  {BODIES[name]}\n")
  plain = module.f(3)
  log = Log()
  with instrumented([path], log):
    assert module.f(3) == plain
  assert module.f(3) == plain


def test_every_expression_is_recorded_where_it_stands(load):
  module, path = load("""
    def f(a):
      b = a + 1  # ü
      return max(b, 2)
  """)
  log = Log()
  with instrumented([path], log):
    module.f(3)
  lines = Path(path).read_text(encoding="utf-8").splitlines()
  seen = {lines[k[0] - 1].encode()[k[1] : k[3]].decode(): v for k, v, _ in log}
  assert seen == {"a": 3, "a + 1": 4, "max": max, "b": 4, "max(b, 2)": 4}
  assert {made for k, _, made in log if k[3] - k[1] == len("max(b, 2)")} == {True}


def test_code_is_put_back_after_an_error(load):
  module, path = load("def f(a):\n  return 1 / a\n")
  before = module.f.__code__
  with pytest.raises(ZeroDivisionError), instrumented([path], Log()):
    module.f(0)
  assert module.f.__code__ is before
  assert not hasattr(builtins, HOOK)


def test_closures_that_are_alive_are_exchanged(load):
  module, path = load("""
    def outer(n):
      def inner(a):
        return a + n
      return inner
    made = outer(5)
  """)
  log = Log()
  with instrumented([path], log):
    assert module.made(1) == 6
  assert [v for _, v, _ in log][-1] == 6


def test_two_lambdas_on_one_line_are_left_alone(load):
  module, path = load("pair = (lambda a: a + 1, lambda a: a - 1)\n")
  log = Log()
  with instrumented([path], log):
    assert [f(1) for f in module.pair] == [2, 0]
  assert log == []


def test_files_that_are_not_named_are_left_alone(load):
  module, _ = load("def f(a):\n  return a\n")
  before = module.f.__code__
  with instrumented([], Log()):
    assert module.f.__code__ is before


def test_future_imports_are_kept(tmp_path):
  text = "from __future__ import annotations\ndef f(x: nothing_of_that_name) -> int:\n  return x\n"
  namespace: dict = {}
  exec(compile_instrumented("f.py", text), namespace)
  assert namespace["f"].__annotations__ == {"x": "nothing_of_that_name", "return": "int"}


def test_position_is_that_of_the_syntax_tree():
  node = ast.parse("x = (1,\n  2)").body[0].value  # type: ignore[attr-defined]
  assert position(node) == (1, 4, 2, 4)
