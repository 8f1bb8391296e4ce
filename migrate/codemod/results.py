"""What came of rewriting a class."""

from __future__ import annotations

import dataclasses

from migrate.codemod.project import ClassInfo
from migrate.codemod.scope import Dims
from migrate.codemod.site import SizeArg
from migrate.codemod.variables import Flag, VariableSite


@dataclasses.dataclass
class FunctionResult:
  """A top-level function that makes layers for its caller.

  Attributes:
    file: where it is.
    name: what it is called.
    text: its new source.
    imports: import statements that the text needs.
    templates: template files that the text needs.
  """

  file: str
  name: str
  text: str
  imports: set[str]
  templates: set[str]


@dataclasses.dataclass
class ClassResult:
  """What the rest of the project must know of a rewritten class.

  Attributes:
    info: the class.
    text: its new source.
    sizes: constructor arguments that Linen did not have, in order.
    residues: fields and names that calls give now.
    variables: parameters and variables with their attributes.
    outputs: method -> for every axis of what it returns, closed expressions.
    imports: import statements that the text needs.
    templates: template files that the text needs.
    hoisted: names of hoisted arguments.
    functions: top-level functions that make layers for it, of any file.
    compact_sites: whether compact methods make layers, which a subclass's own would not.
    flags: attributes that say whether a collection may change.
    maker_fields: fields that take a function that makes a module of `nnx.Rngs`.
    handed: (method, parameter) -> the axes of what each call of an own method gives for it.
  """

  info: ClassInfo
  text: str
  sizes: list[SizeArg]
  residues: list[str]
  variables: list[VariableSite]
  outputs: dict[str, Dims]
  imports: set[str]
  templates: set[str]
  hoisted: list[str]
  compact_sites: bool = False
  functions: list[FunctionResult] = dataclasses.field(default_factory=list)
  flags: list[Flag] = dataclasses.field(default_factory=list)
  maker_fields: frozenset[str] = frozenset()
  handed: dict[tuple[str, str], list[Dims]] = dataclasses.field(default_factory=dict)
