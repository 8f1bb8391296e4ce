"""The vocabulary of mapping modules: frozen values, nothing happens on import.

One record per Linen layer drives all three engines: the codemod (constructor
arguments), the translator (leaves), the verifier (what must agree).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

from migrate.core.ops import Op
from migrate.core.samples import Given as Given
from migrate.core.samples import Sample as Sample
from migrate.core.samples import bools as bools
from migrate.core.samples import floats as floats
from migrate.core.samples import ints as ints
from migrate.core.samples import key as key

Fate = Literal["same", "rename", "infer", "add", "convert", "ignore", "refuse"]
Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Arg:
  """The fate of one constructor argument.

  Attributes:
    fate: what happens to it.
    linen: the Linen field, or None where NNX alone has it.
    nnx: the NNX parameter, or None where it has no place. A name that begins with `*` is
      written without `name=` (`nnx.Sequential(*layers)`).
    code: for `add`, the source to write; for `convert`, a template over `{value}`.
      Templates may name jnp, jax and nnx, and `template:file.name`, which stands for that
      name of `mappings/templates/file.py`, copied into the ported package and imported.
    because: why, for `add`, `convert`, `ignore` and `refuse`.
    absent: for `convert`, the source to write where the Linen call does not give the field; empty writes nothing.
    allow: for `refuse`, source texts that are harmless (usually the default).
  """

  fate: Fate
  linen: str | None = None
  nnx: str | None = None
  code: str = ""
  because: str = ""
  allow: tuple[str, ...] = ()
  absent: str = ""


def same(*names: str, because: str = "") -> tuple[Arg, ...]:
  """Same name, same meaning, same default; where the default differs, `because` says why that is harmless."""
  return tuple(Arg("same", n, n, "", because) for n in names)


def rename(linen: str, nnx: str) -> tuple[Arg, ...]:
  """Another name for the same thing."""
  return (Arg("rename", linen, nnx),)


def infer(*names: str) -> tuple[Arg, ...]:
  """NNX must be told what Linen reads from the input; names are axes of `inputs`."""
  return tuple(Arg("infer", None, n) for n in names)


def add(nnx: str, code: str, *, because: str) -> tuple[Arg, ...]:
  """Written at every call site that does not give it: defaults differ."""
  return (Arg("add", None, nnx, code, because),)


def convert(linen: str, nnx: str, code: str, *, because: str, absent: str = "") -> tuple[Arg, ...]:
  """The value takes another form: `code` is a template over `{value}`. Two for one parameter clash: refuse."""
  return (Arg("convert", linen, nnx, code, because, (), absent),)


def ignore(*names: str, because: str) -> tuple[Arg, ...]:
  """Linen fields that NNX does not need."""
  return tuple(Arg("ignore", n, None, "", because) for n in names)


def refuse(*names: str, because: str, allow: tuple[str, ...] = ()) -> tuple[Arg, ...]:
  """Linen fields that stop the rewriting of the call where they are given."""
  return tuple(Arg("refuse", n, None, "", because, allow) for n in names)


def unused(*names: str, because: str = "Linen has no such option") -> tuple[Arg, ...]:
  """NNX parameters that keep their default: fate `ignore` with `linen=None`."""
  return tuple(Arg("ignore", None, n, "", because) for n in names)


@dataclasses.dataclass(frozen=True)
class Leaf:
  """`linen` leaves become `nnx` leaves under `ops`.

  Attributes:
    linen: paths such as `params/kernel`, collection first. A path is a tuple; the
      string form splits on `/`.
    nnx: attribute paths such as `dense_i/kernel`.
    axes: the named shape of the NNX leaf, e.g. `in_features out_features`.
    ops: applied left to right from Linen to NNX.
    optional: may be absent (a bias with `use_bias=False`).
  """

  linen: tuple[tuple[str, ...], ...]
  nnx: tuple[tuple[str, ...], ...]
  axes: str
  ops: tuple[Op, ...] = ()
  optional: bool = False


def leaf(linen: str | tuple[str, ...], nnx: str | tuple[str, ...], axes: str, *ops: Op, optional: bool = False) -> Leaf:
  """Declares a `Leaf`; a string is one path, a tuple several."""

  def paths(t: str | tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(p.split("/")) for p in ((t,) if isinstance(t, str) else t))

  return Leaf(paths(linen), paths(nnx), axes, tuple(ops), optional)


@dataclasses.dataclass(frozen=True)
class Infer:
  """How constructor arguments follow from the traced call, where the last axis of `inputs` is not the whole story.

  Attributes:
    compute: `(fields, call) -> {nnx parameter: value}`, pure. `fields` has every Linen field of the
      instance, defaults included; `call` the arguments that were passed, by Linen's parameter names,
      arrays as their shapes and everything else as it is. What it returns beats the axes of `inputs`.
    because: why the axes alone do not tell.
  """

  compute: Callable[[Mapping[str, Any], Mapping[str, Any]], Mapping[str, Any]]
  because: str


@dataclasses.dataclass(frozen=True)
class Exact:
  """Arguments that make the stock NNX layer bitwise equal to Linen.

  Attributes:
    args: ((nnx parameter, code), ...), added where the call does not give the parameter already.
      `code` as in `Arg.code`.
    when: `half`: stock is bitwise or within noise in float32, so write them by default only where the
      computation is in lower precision (a `dtype` that is not None or float32, or inputs and parameters of such a
      type), and everywhere under `--exact`.
      `always`: write them at every site.
    because: what stock does otherwise, with the measured distance.
  """

  args: tuple[tuple[str, str], ...]
  because: str
  when: Literal["half", "always"] = "half"


@dataclasses.dataclass(frozen=True)
class Setup:
  """A statement that the constructor needs after it has made the layer.

  Attributes:
    when: the Linen field that, when true, asks for it (`decode`).
    code: a template over `{layer}` (the attribute), `{shape}` (shape of the first call argument when the Linen
      model was initialised, hoisted where it is not static) and `{dtype}` (the layer's computation dtype).
    because: why.
  """

  when: str
  code: str
  because: str


@dataclasses.dataclass(frozen=True)
class Variant:
  """Another record for the same Linen class, for the field values that the usual NNX layer cannot serve.

  Attributes:
    when: `fields -> bool`, pure, over every Linen field of an instance, defaults included.
    mapping: the record to use then.
    because: what the usual record gets wrong.
  """

  when: Callable[[Mapping[str, Any]], bool]
  mapping: LayerMapping
  because: str


@dataclasses.dataclass(frozen=True)
class LayerMapping:
  """A Linen layer class and what NNX calls the same.

  Attributes:
    linen: its full name, `flax.linen.Dense`.
    nnx: `flax.nnx.Linear`, or `template:gru.GRUCell`: class `GRUCell` of the file
      `mappings/templates/gru.py`, whose source is copied into the ported package.
    source: where the facts were read.
    inputs: named axes of the first call argument (or of `input`), `* in_features`; empty if nothing is inferred.
    output: named axes of the result.
    args: a fate for every constructor argument on either side.
    leaves: every variable. `**` in a path means whatever lies below (wrappers).
    call_fields: constructor fields that NNX also takes at call time, and that the codemod
      therefore moves to the call when they are not known at construction
      (`use_running_average`, `deterministic`).
    call_args: call arguments that change name: ((linen, nnx), ...); nnx None drops it.
    positional: Linen's field order, for call sites that pass fields by position.
    methods: other public methods with the same meaning on both sides (`attend`).
    rngs: streams the NNX layer draws from at call time.
    children: module-typed fields: ((linen field, nnx attribute), ...), e.g. RNN's cell.
    note: shown in the support table.
    input: the call argument that `inputs` describes, where it is not the first (`inputs` of a cell).
    infer: values for the constructor that the axes alone do not tell.
    exact: arguments that make stock bitwise.
    variants: records for field values that this one cannot serve; see `choose`.
    setup: statements after construction.
    call_positional: Linen's call parameters that may be passed by position, in order.
    call_keywords: those of them that NNX takes only by keyword, or at another position.
    call_code: ((linen call argument, template over `{value}`), ...) where the value changes form too.
    method_code: ((method, template), ...) for methods whose call changes, over `{layer}` and Linen's parameter names:
      `("initialize_carry", "{layer}.initialize_carry({input_shape}, nnx.Rngs({rng}))")`.
    carry: for a recurrent cell, its initial carry over `{zeros}`, an array of the hidden size: what a cell that is made
      for nothing but `initialize_carry` gives.
    takes_rngs: False where the NNX constructor wants no `rngs` for its parameters.
    example: makes the `Sample`s for `migrate.verify.conformance`.
  """

  linen: str
  nnx: str
  source: str
  inputs: str
  output: str
  args: tuple[Arg, ...]
  leaves: tuple[Leaf, ...]
  call_fields: tuple[str, ...] = ()
  call_args: tuple[tuple[str, str | None], ...] = ()
  positional: tuple[str, ...] = ()
  methods: tuple[str, ...] = ()
  rngs: tuple[str, ...] = ()
  children: tuple[tuple[str, str], ...] = ()
  note: str = ""
  example: Callable[[], tuple[Sample, ...]] | None = dataclasses.field(default=None, repr=False, compare=False)
  input: str = ""
  infer: Infer | None = None
  exact: Exact | None = None
  variants: tuple[Variant, ...] = ()
  setup: tuple[Setup, ...] = ()
  call_positional: tuple[str, ...] = ()
  call_keywords: tuple[str, ...] = ()
  call_code: tuple[tuple[str, str], ...] = ()
  method_code: tuple[tuple[str, str], ...] = ()
  carry: str = ""
  takes_rngs: bool = True

  def choose(self, fields: Mapping[str, Any]) -> LayerMapping:
    """The record that serves an instance with these Linen fields: the first variant that fits, or this one."""
    return next((v.mapping for v in self.variants if v.when(fields)), self)


@dataclasses.dataclass(frozen=True)
class Unsupported:
  """A Linen class that no record can carry, and why."""

  linen: str
  because: str


@dataclasses.dataclass(frozen=True)
class TransformMapping:
  """A lifted transform of Linen and its NNX idiom.

  Attributes:
    linen: its full name, `flax.linen.scan`.
    nnx: what NNX calls the same, `flax.nnx.scan`; empty where there is none.
    because: how they differ, or why there is none.
    prefix: what Linen puts before the class name when the transform takes a class (`Scan` of `ScanBlock_0`).
    axes: the argument that says which axis a collection is stacked on, or empty.
    call: a template for the call over `{layer}` and `{args}`, inside the method.
    init: a template for the constructor over `{make}`, source of a function of rngs that makes one layer.
    args: a fate for every argument of Linen's transform.
    positional: Linen's order of arguments.
    source: where the facts were read.
  """

  linen: str
  nnx: str
  because: str
  prefix: str = ""
  axes: str = ""
  call: str = ""
  init: str = ""
  args: tuple[Arg, ...] = ()
  positional: tuple[str, ...] = ()
  source: str = ""


@dataclasses.dataclass(frozen=True)
class OptimizerMapping:
  """Which fields of an Optax state mirror the parameters, and which are scalars.

  Attributes:
    state: the state's full name, `optax.ScaleByAdamState`.
    like_params: fields that hold a tree like the parameters, whatever the shape of its leaves.
    scalars: fields with one array that belongs to no parameter (counts, keys, measurements).
    inner: fields with the state of what is wrapped, or a structure of their own.
    made_by: functions of Optax whose update this describes, where the state does not tell (`EmptyState`).
    per_tensor: the update of one number depends on the others of its tensor (norms, factors, orthogonalisation),
      so that joining or splitting parameters changes it.
    by_axes: it also depends on the axes of the tensor, so that reshaping or transposing changes it.
    by_order: the update depends on the order of the parameters (random draws, one flat vector), so that renaming
      may change it.
    source: where the facts were read.
    note: shown in the support table.
  """

  state: str
  like_params: tuple[str, ...] = ()
  scalars: tuple[str, ...] = ()
  inner: tuple[str, ...] = ()
  made_by: tuple[str, ...] = ()
  per_tensor: bool = False
  by_axes: bool = False
  by_order: bool = False
  source: str = ""
  note: str = ""


@dataclasses.dataclass(frozen=True)
class Rule:
  """One rule of a `ModelMapping`.

  Attributes:
    kind: `move` (with or without ops), `drop`, `fresh`, `tie`, `copy`.
    source: Linen path patterns, collection first (tuples; `{name}` one segment captured,
      `*` one segment, `**` the rest).
    target: NNX path patterns.
    ops: applied left to right from Linen to NNX.
    because: required for `drop`.
    variable: the NNX Variable type of the target, where it is not the collection's own.
  """

  kind: Literal["move", "drop", "fresh", "tie", "copy"]
  source: tuple[tuple[str | int, ...], ...] = ()
  target: tuple[tuple[str | int, ...], ...] = ()
  ops: tuple[Op, ...] = ()
  because: str = ""
  variable: str = ""


PathLike = str | tuple[str | int, ...]


def _paths(t: PathLike | list[PathLike]) -> tuple[tuple[str | int, ...], ...]:
  many = t if isinstance(t, list) else [t]
  return tuple(tuple(p.split("/")) if isinstance(p, str) else tuple(p) for p in many)


def move(source: PathLike | list[PathLike], target: PathLike | list[PathLike], *ops: Op, variable: str = "") -> Rule:
  """Linen leaves at `source` become NNX leaves at `target`; a list means several paths."""
  return Rule("move", _paths(source), _paths(target), tuple(ops), "", variable)


def drop(source: PathLike, *, because: str) -> Rule:
  """Leaves that the NNX model has no use for."""
  return Rule("drop", _paths(source), (), (), because)


def fresh(target: PathLike, *, because: str) -> Rule:
  """Targets that keep the value their own initializer gave."""
  return Rule("fresh", (), _paths(target), (), because)


def tie(source: PathLike, target: PathLike, *ops: Op) -> Rule:
  """A second Linen leaf, which under `ops` must equal the one already at `target`."""
  return Rule("tie", _paths(source), _paths(target), tuple(ops))


def copy(source: PathLike, target: PathLike | list[PathLike], *ops: Op, variable: str = "") -> Rule:
  """A Linen leaf that goes somewhere by another rule becomes `target` too; on the way back both must be equal."""
  return Rule("copy", _paths(source), _paths(target), tuple(ops), "", variable)


@dataclasses.dataclass(frozen=True)
class ModelMapping:
  """Path rules of one model or family, Linen on the left. Two matches of equal precedence are an error."""

  rules: tuple[Rule, ...] = ()
  name: str = ""
  source: str = ""
  metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict, compare=False)
