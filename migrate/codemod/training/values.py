"""What an expression of a training program stands for."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator, Mapping, Set
from typing import Any

from migrate.codemod.training.model_class import ModelClass
from migrate.core.report import Finding


@dataclasses.dataclass(eq=False)
class Token:
  """One model: its module, its variables and its optimizer, which NNX has as two objects.

  Attributes:
    cls: the module's class.
    made: the call that constructs the module.
    owner: where that is: a function or a file.
    names: names that hold it, in order, for naming the model.
    streams: RNG streams that calls of the model are given.
    fields: what else its training state has; True for a tree like the parameters.
    first: the model that the module was initialised as before, where this is another one.
    meaning: what the module is made with.
    bound: what the arguments of the factories that made it were.
    members: of models that are trained as one, the model under each name or number; None for an array.
  """

  cls: ModelClass
  made: ast.Call
  owner: Any
  names: list[str] = dataclasses.field(default_factory=list)
  streams: set[str] = dataclasses.field(default_factory=set)
  initialised: bool = False
  optimized: bool = False
  fields: dict[str, bool] = dataclasses.field(default_factory=dict)
  first: Token | None = None
  meaning: Any = ()
  bound: dict[Any, Any] = dataclasses.field(default_factory=dict)
  members: dict[Any, Token | None] = dataclasses.field(default_factory=dict)

  def inside(self) -> list[Token]:
    """The models in it, where several are trained as one."""
    return [m for m in self.members.values() if m is not None]


class Value:
  """Base of what an expression stands for."""


@dataclasses.dataclass(frozen=True)
class Plain(Value):
  """Anything that Linen and NNX write alike; `full` is what a library's object was made by, `keys` those of a dict."""

  full: str = ""
  keys: frozenset[str] = frozenset()


PLAIN = Plain()
NOTHING = Plain("None")


@dataclasses.dataclass(frozen=True)
class Held(Value):
  """Base of what belongs to a model."""

  token: Token
  epoch: int = 0


@dataclasses.dataclass(frozen=True)
class Recipe(Held):
  """A Linen module: no variables in it."""


@dataclasses.dataclass(frozen=True)
class Variables(Held):
  """Collections, all of them where `collections` is None. `inner` as for a Part; `old` where the statistics are."""

  inner: bool = False
  collections: frozenset[str] | None = None
  old: bool = False


@dataclasses.dataclass(frozen=True)
class Mixed(Value):
  """Part of a model on one way through the program, something else on another."""


@dataclasses.dataclass(frozen=True)
class Part(Held):
  """One collection. `inner` is True for the parameters that a differentiated function is given; `whole` where it stands
  for all variables of a model that has no other collection: `model.init(...)`, used as parameters."""

  collection: str = "params"
  inner: bool = False
  whole: bool = False


@dataclasses.dataclass(frozen=True)
class Changed(Held):
  """The collections that a call changed; `collection` for one of them; `when` names the argument that says whether it did."""

  collection: str = ""
  when: str = ""


@dataclasses.dataclass(frozen=True)
class Captured(Held):
  """What modules sowed, an `nnx.State` now: `path` has the names of Linen that were asked for below the collection, None
  for all collections, of which the model keeps `more`; `sown` where the last name is one that was sown."""

  path: tuple[str, ...] | None = None
  more: bool = False
  sown: bool = False


@dataclasses.dataclass(frozen=True)
class Unchanged(Held):
  """What a call would have changed, had it been in training."""


@dataclasses.dataclass(frozen=True)
class Train(Held):
  """A TrainState; `whole` where its `params` are all variables of the model."""

  whole: bool = False


@dataclasses.dataclass(frozen=True)
class OptState(Held):
  """Optax state, by hand."""


@dataclasses.dataclass(frozen=True)
class OptUpdates(Held):
  """What `tx.update` returned, with the text of the gradients."""

  grads: str = ""


@dataclasses.dataclass(frozen=True)
class Apply(Held):
  """`model.apply`, `model.init` or `state.apply_fn`."""

  method: str = "apply"


@dataclasses.dataclass(frozen=True)
class Grads(Held):
  """Gradients of the parameters: an `nnx.State`."""


@dataclasses.dataclass(frozen=True)
class Bound(Held):
  """A module with its variables: `model.bind(variables)`, `functools.partial(model.apply, variables)` with `texts` given."""

  variables: Value = dataclasses.field(default_factory=Value)
  texts: tuple[str, ...] = ()
  called: bool = False


@dataclasses.dataclass(frozen=True)
class Weight(Held):
  """What lies below some names of the parameters, or of their gradients."""

  path: tuple[str, ...] = ()
  gradient: bool = False


@dataclasses.dataclass(frozen=True)
class Tree(Held):
  """A tree of arrays like the model's parameters, an `nnx.State` of its own; `whole` as for a Part."""

  whole: bool = False


@dataclasses.dataclass(frozen=True)
class Live(Held):
  """What a field of the training state holds now, a Tree where `tree` says so."""

  tree: bool = False
  whole: bool = False


@dataclasses.dataclass(frozen=True)
class Others(Held):
  """Variables whose parameters are a Tree: `text` gives it."""

  text: str = ""


@dataclasses.dataclass(frozen=True)
class Stats(Held):
  """New statistics that are computed from a model's own: `text` gives them."""

  collection: str = ""
  text: str = ""


@dataclasses.dataclass(frozen=True)
class Copied(Held):
  """A training state as a function of all its arrays gives it: what is written into a checkpoint. `text` has `{}` for it."""

  text: str = "{}"


@dataclasses.dataclass(frozen=True)
class Restoring(Held):
  """Arguments of a checkpoint library that name what is to be restored; `whole` as for a Train."""

  whole: bool = False


@dataclasses.dataclass(frozen=True)
class Stored(Value):
  """What was read from a checkpoint without a target, or the entry `key` of it."""

  key: str = ""


@dataclasses.dataclass(frozen=True)
class Tup(Value):
  """A tuple; `made` is where it is written."""

  items: tuple[Value, ...]
  made: Any = dataclasses.field(default=None, compare=False)


@dataclasses.dataclass(frozen=True)
class Dict(Value):
  """What a function returns as a dict, models in it: its callers may take what is none."""

  items: Mapping[str, Value] = dataclasses.field(hash=False)


@dataclasses.dataclass(frozen=True)
class Record(Value):
  """An object of the program's own class that has training states in its fields. It stays what it is: of a state, the
  model and the optimizer are fields of it."""

  cls: ast.ClassDef
  items: tuple[tuple[str, Value], ...]

  def __getitem__(self, name: str) -> Value | None:
    """What a field holds."""
    return dict(self.items).get(name)


@dataclasses.dataclass(frozen=True, eq=False)
class Self(Value):
  """The object whose methods are being read: `scope` has its attributes, under `self.` and their names."""

  scope: Any
  methods: dict[str, ast.FunctionDef]


@dataclasses.dataclass(frozen=True, eq=False)
class Function(Value):
  """A function of the program, maybe wrapped.

  Attributes:
    node: a definition or a lambda.
    unit: the file it is in.
    outer: the scope it was defined in.
    wraps: what is around it, innermost first.
    bound: the object that it is a method of.
  """

  node: ast.FunctionDef | ast.Lambda
  unit: Any
  outer: Any
  wraps: tuple[Wrap, ...] = ()
  bound: Self | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Wrap:
  """A transform around a function: `kind` is jit, grad, value_and_grad, pmap or partial.

  Attributes:
    bound: what a partial gives -> its value, by the name of the argument.
    first: how many of them it gives by position.
  """

  kind: str
  node: ast.expr
  call: ast.Call | None
  owner: Any
  bound: Mapping[str, Value] = dataclasses.field(default_factory=dict)
  first: int = 0


class Left(Exception):
  """The program can't be rewritten with certainty; carries the finding."""

  def __init__(self, finding: Finding):
    super().__init__(finding.found)
    self.finding = finding


# a form tells what an expression is at run time once it is rewritten: None (nothing: the model is at hand), "plain",
# ("model", token), ("optimizer", token), ("effect",) for a call that returns nothing, ("tuple", [forms])
Form = Any
PLAINLY = ("plain",)
EFFECT = ("effect",)


def leaves(value: Value) -> Iterator[Value]:
  """What a value is made of."""
  if isinstance(value, Tup):
    for item in value.items:
      yield from leaves(item)
  elif isinstance(value, Record):
    for _, item in value.items:
      yield from leaves(item)
  else:
    yield value


def parts(value: Value) -> Iterator[Value]:
  """What a value is made of, with objects that have models in them as wholes."""
  for item in value.items if isinstance(value, Tup) else ():
    yield from parts(item)
  if not isinstance(value, Tup):
    yield value


def special(value: Value) -> bool:
  """Whether anything of a model is in it."""
  return any(isinstance(v, Held) and not isinstance(v, (Grads, Tree, Live)) for v in leaves(value))


def hides(value: Value) -> bool:
  """Whether a dict with a model in it is in a value."""
  return any(isinstance(v, Dict) and any(map(special, v.items.values())) for v in leaves(value))


def tokens(value: Value) -> list[Token]:
  """The models of a value, each once, in order."""
  return list(dict.fromkeys(t for v in leaves(value) if isinstance(v, Held) for t in (v.token, *v.token.inside())))


def lower(value: Value, fresh: Set[Any]) -> list[Form]:
  """What a returned value is at run time, spliced into the tuple around it: what the caller has already is left out.

  Args:
    value: the value.
    fresh: models that are new to the caller, and `("optimizer", token)` of those whose optimizer alone is.
  """
  if isinstance(value, Record) or not special(value):
    return [PLAINLY]
  if isinstance(value, Tup):
    inner = merged([f for item in value.items for f in lower(item, fresh)])
    return [("tuple", inner)] if len(inner) > 1 else inner
  if isinstance(value, Train):
    optimizer: Form = ("optimizer", value.token)
    return [("model", value.token), optimizer] if value.token in fresh else [optimizer] if optimizer in fresh else []
  if isinstance(value, OptState):
    return [("optimizer", value.token)] if fresh & {value.token, ("optimizer", value.token)} else []
  if isinstance(value, (Recipe, Variables, Part, Changed, Apply, Bound)):
    return [("model", value.token)] if value.token in fresh else []
  if isinstance(value, (OptUpdates, Restoring, Stats, Copied, Unchanged)):
    return []
  return [PLAINLY]


def outermost(fresh: Set[Any], value: Value) -> set[Any]:
  """New models and optimizers, without those in others of them, or in an object of the value."""
  kept = {t for v in parts(value) if isinstance(v, Record) for t in tokens(v)}
  kept |= {("optimizer", t) for t in kept}
  return set(fresh) - kept - {m for t in fresh if isinstance(t, Token) for m in t.inside()}


def merged(forms: list[Form]) -> list[Form]:
  """Each model and optimizer once."""
  found: list[Form] = []
  for form in forms:
    if form == PLAINLY or form[0] == "tuple" or form not in found:
      found.append(form)
  return found


def made(form: Form) -> set[Any]:
  """Models and optimizers that an expression makes, as `lower` asks for them."""
  if form is None or form in (PLAINLY, EFFECT):
    return set()
  if form[0] in ("tuple", "elements"):
    return set().union(*map(made, form[1]))
  return {form[1] if form[0] == "model" else form}
