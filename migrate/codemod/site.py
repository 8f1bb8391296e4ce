"""What is known of one construction site."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import operator
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flax import linen as nn

from migrate.core.declare import LayerMapping
from migrate.trace.facts import Activation, ArraySpec, CallRecord

if TYPE_CHECKING:
  from migrate.codemod.imports import Names
  from migrate.codemod.source import Source


InstanceKey = tuple[int, tuple[str, ...]]


@dataclasses.dataclass
class SizeArg:
  """A constructor argument that Linen did not have.

  Attributes:
    name: the argument.
    parameter: the call argument whose axis it is, or None where it is hoisted.
    axis: counted from the last, 1.
    method: the method with that call argument.
    values: what it was in every instance.
    optional: whether there are instances that do without.
    default: of a value that a call hands over, its default there.
    hint: its annotation there.
  """

  name: str
  parameter: str | None
  axis: int
  method: str
  values: dict[InstanceKey, Any]
  optional: bool = False
  default: str = ""
  hint: str = ""

  @property
  def by_name(self) -> bool:
    """Whether it is given by name: what has a default or some instances do without, and a flag."""
    told = [v for v in self.values.values() if v is not None]
    flag = self.parameter is not None and self.axis == 0 and bool(told) and all(isinstance(v, bool) for v in told)
    return self.optional or flag or bool(self.default)


@dataclasses.dataclass
class Need:
  """A size that a site must be told: `values[i]` for the i-th module made there."""

  parameter: str
  values: list[Any]
  call_parameter: str | None = None
  axis: int | None = None
  method: str = "__call__"
  default: str = ""


@dataclasses.dataclass
class Chain:
  """A size that each layer of a list takes from the one before.

  Attributes:
    name: the local of `__init__` that carries it.
    first: what it is at first.
    step: what it is after each layer.
    values: what it was for every layer.
    row: for layers of one comprehension, the local that lists all sizes, which `first` is the text of.
  """

  name: str
  first: str
  step: str
  values: list[Any]
  row: str = ""

  @property
  def next_line(self) -> str:
    """The statement that has it as it is after a layer."""
    added = self.step.removeprefix(f"{self.name} + ")
    return f"{self.name} = {self.step}" if added == self.step else f"{self.name} += {added}"


@dataclasses.dataclass(eq=False)
class Site:
  """One construction site.

  Attributes:
    attr: the attribute it becomes; empty while it is an argument of another constructor.
    node: the Linen call.
    made: (activation, index, module), in order.
    needs: sizes.
    texts: parameter -> expression, as far as settled.
    residue: fields that the call gives now: field -> text in the call.
    callee: what `__init__` calls, where the method's text names it by a parameter.
    names: static names that could be read where it is made.
    outside: names of the method that `setup` calls to make it -> over fields alone.
    looped: whether it is made in a loop, so that the attribute is a list.
    factory: the function that makes it, where the expression calls one.
    given: of a factory, the arguments as written.
    reference: what to write for it in the call.
    pipeline: the local that carries the size through the list handed to this `nn.Sequential`.
    maker: the function of the method that makes it, where the expression calls one.
    around: in a list that `setup` makes, the layer of the list that this one is an argument of.
    partial: what a `functools.partial` that is called here gives, as far as it is known at construction.
    home: the file and the names of the file that has the expression.
    stack: where a lifted function maps over it, how many are made side by side and the axes of their Variables.
    statement: of `__init__`, that makes the layer.
    template: the field that makes it, where a copy of the field's module is made.
    handed_on: fields of its class that get a function of this class's.
    wished: parameter -> what an argument for it would be called after.
    joins: the list of another site, which another branch of the loop makes.
    starts: of layers in a list, size -> what tells that of the first.
    guards: the conditions it is made under, as `__init__` evaluates them; None where they are not known.
    elsewhere: whether another method uses it too.
  """

  attr: str
  node: ast.Call
  made: list[tuple[Activation, int, Any]]
  record: LayerMapping | None
  needs: list[Need] = dataclasses.field(default_factory=list)
  texts: dict[str, str] = dataclasses.field(default_factory=dict)
  residue: dict[str, str] = dataclasses.field(default_factory=dict)
  callee: str | None = None
  names: set[str] = dataclasses.field(default_factory=set)
  outside: dict[str, str | None] = dataclasses.field(default_factory=dict)
  looped: bool = False
  reference: str = ""
  arguments: dict[str, str] = dataclasses.field(default_factory=dict)
  flow: dict[str, list[str]] = dataclasses.field(default_factory=dict)
  starts: dict[str, list[str]] = dataclasses.field(default_factory=dict)
  chain: Chain | None = None
  listed: bool = False
  factory: Any = None
  given: list[str] = dataclasses.field(default_factory=list)
  pipeline: str = ""
  maker: Any = None
  around: Site | None = None
  partial: dict[str, str] = dataclasses.field(default_factory=dict)
  home: tuple[Source, Names] | None = None
  stack: tuple[str, str] | None = None
  statement: Any = None
  wished: dict[str, str] = dataclasses.field(default_factory=dict)
  template: str = ""
  handed_on: set[str] = dataclasses.field(default_factory=set)
  joins: str = ""
  guards: tuple[str, ...] | None = None
  elsewhere: bool = False


REQUIRED_SIZES = {"in_features", "num_features"}  # without these no layer can be made


def follow_name(full: str) -> Any:
  """The object of a full name in a loaded module, re-exports followed."""
  module, _, name = full.rpartition(".")
  return getattr(sys.modules.get(module), name, None)


def linen_behind(full: str, module: str) -> str:
  """`flax.linen.Dense` for a name by which another module of the project hands it on; else the name itself."""
  if full.startswith(("flax.", "jax.", f"{module}.")):
    return full
  found = follow_name(full)
  name = getattr(found, "__name__", "")
  home = getattr(found, "__module__", None) or ""
  return f"flax.linen.{name}" if home.startswith("flax.linen") and getattr(nn, name, None) is found else full


def evaluate(text: str, module: Any, sizes: Mapping[str, Any]) -> Any:
  """The value of an expression over `self.field`, sizes and integers, or None where it is not that simple."""

  def walk(node: ast.AST) -> Any:
    if isinstance(node, ast.Constant):
      return node.value
    if isinstance(node, ast.Name):
      return module if node.id == "self" else sizes.get(node.id)
    if isinstance(node, ast.Attribute):
      return getattr(walk(node.value), node.attr, None)
    if isinstance(node, ast.Subscript):
      items, index = walk(node.value), ast.literal_eval(node.slice)
      return items[index] if isinstance(items, tuple | list | dict) else None
    if isinstance(node, ast.BinOp):
      left, right = walk(node.left), walk(node.right)
      work = _OPERATORS.get(type(node.op))
      return work(left, right) if work and type(left) is int and type(right) is int and right else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
      given = [walk(a) for a in node.args]
      return NUMBERS[node.func.id](*given) if node.func.id in NUMBERS and all(type(g) is int for g in given) else None
    return None

  try:
    return walk(ast.parse(text, mode="eval").body)
  except (SyntaxError, TypeError, ValueError, IndexError, KeyError):
    return None


# Python's own functions that sizes are worked out with
NUMBERS: dict[str, Any] = {f.__name__: f for f in (abs, int, len, max, min, round, sum)}
_OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.FloorDiv: operator.floordiv}


def parameters_of(cls: type, method: str) -> list[str]:
  """Names of a method's parameters, without `self`."""
  try:
    return list(inspect.signature(getattr(cls, method)).parameters)[1:]
  except (TypeError, ValueError, AttributeError):
    return []


def bound_call(record: CallRecord) -> dict[str, Any]:
  """The arguments of a recorded call by Linen's parameter names, arrays as their shapes."""

  def plain(value: Any) -> Any:
    if isinstance(value, ArraySpec):
      return value.shape
    if isinstance(value, tuple | list):
      return type(value)(plain(v) for v in value)
    return value

  names = parameters_of(record.cls, record.method)
  given = dict(zip(names, record.args, strict=False)) | record.kwargs
  return {k: plain(v) for k, v in given.items() if v is not None}


def positional_fields(cls: type) -> list[str]:
  """Fields that a Linen class takes by position, in order."""
  fields = getattr(cls, "__dataclass_fields__", {}).values()
  return [f.name for f in fields if f.init and not f.kw_only and f.name not in ("parent", "name")]


def fields_of(module: Any) -> dict[str, Any]:
  """Every field of a Linen module, defaults included."""
  return {n: getattr(module, n, None) for n in type(module).__dataclass_fields__ if n not in ("parent", "name")}


def atoms(need: Need) -> list[tuple[str, list[Any]]]:
  """The single numbers that a size consists of: (suffix, values)."""
  whole = next((v for v in need.values if v is not None), None)
  if isinstance(whole, dict):
    return [(f"_{i}", [v[k] if v else None for v in need.values]) for i, k in enumerate(whole)]
  if isinstance(whole, tuple) and need.axis is None and len({len(v) for v in need.values if v is not None}) == 1:
    return [(f"_{i}", [v[i] if v else None for v in need.values]) for i in range(len(whole))]
  return [("", need.values)]
