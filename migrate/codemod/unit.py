"""One Linen class being rewritten: what is known of it, and the choices made so far."""

from __future__ import annotations

import ast
import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from flax import linen as nn

from migrate.codemod.abroad import Abroad
from migrate.codemod.assignments import Assignments
from migrate.codemod.calls import Calls
from migrate.codemod.compound import Compound, Loop
from migrate.codemod.comprehensions import Comprehensions
from migrate.codemod.factories import Factories, Factory
from migrate.codemod.host_arrays import host_attributes
from migrate.codemod.imports import Names
from migrate.codemod.inline import Helper, Inlining
from migrate.codemod.lookups import Lookups
from migrate.codemod.loop_starts import LoopStarts
from migrate.codemod.matches import Matches
from migrate.codemod.names import nnx_name, snake, spell
from migrate.codemod.paragraphs import Paragraph
from migrate.codemod.partials import Partials
from migrate.codemod.pipelines import Pipelines
from migrate.codemod.project import ClassInfo, Event, Project
from migrate.codemod.results import ClassResult
from migrate.codemod.rounds import Rounds
from migrate.codemod.scope import Block, Building, Dims, Local, Stmt
from migrate.codemod.services import Services
from migrate.codemod.setup_locals import SetupLocals
from migrate.codemod.site import InstanceKey, Site, SizeArg, linen_behind
from migrate.codemod.site_layers import SiteLayers
from migrate.codemod.site_sizes import SiteSizes
from migrate.codemod.sites import Sites
from migrate.codemod.sizes import Sizes
from migrate.codemod.source import aliased_in, dotted, key, names_in
from migrate.codemod.statements import Statements
from migrate.codemod.static import NotStatic, Statics
from migrate.codemod.stock_subclasses import layer_names
from migrate.codemod.transforms import TRANSFORMS
from migrate.codemod.trial import Trial
from migrate.codemod.variables import Flag, Variables, VariableSite
from migrate.core.report import Finding, MigrateError
from migrate.trace.facts import Activation, ArraySpec
from migrate.trace.instrument import Position
from migrate.trace.recorder import origin_of

_PASSED_THROUGH = ("<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>", "<lambda>")
RESERVED = {"train", "eval", "sow", "perturb", "rngs", "set_attributes", "iter_modules", "self"}


class Unit(
  Statics,
  Sizes,
  Sites,
  SiteSizes,
  SiteLayers,
  Calls,
  Services,
  Statements,
  Assignments,
  Compound,
  LoopStarts,
  Matches,
  Comprehensions,
  Rounds,
  Variables,
  Inlining,
  Partials,
  Pipelines,
  Trial,
  Lookups,
  Factories,
  Abroad,
  SetupLocals,
):
  """The state that rewriting of one class shares between its parts."""

  def __init__(self, project: Project, info: ClassInfo, names: Names, results: dict[type, ClassResult],
               residues: dict[type, set[str]], field_residues: dict[tuple[type, str], set[str]], exact: bool = False,
               factories: dict[tuple[str, Position], Factory | None] | None = None):  # fmt: skip
    self.project, self.info, self.source, self.names = project, info, info.source, names
    self.own_source = info.source
    self.results, self.residues, self.field_residues, self.exact = results, residues, field_residues, exact
    self.factories = {} if factories is None else factories
    self.in_factory: Factory | None = None
    self.hooks: dict[str, list[str]] = {}  # methods that subclasses' stand for -> sizes that these take
    self.makers: Any = None  # a `Makers`, which in turn knows this class
    self.env: dict[str, Local] = {}
    self.env_later: dict[str, Local] = {}
    self._dims: dict[ast.AST, Dims] = {}
    self.block: list[Stmt | Block] = []
    self.parameters: set[str] = set()
    self.self_name = "self"
    self.field_names = [n for n in info.cls.__dataclass_fields__ if n not in ("parent", "name")]
    self.call_fields: set[str] = set(residues.get(info.cls, set()))
    self.readable: set[str] = {f for f in self.field_names if f not in self.call_fields}
    self.loops: list[Loop] = []
    self.conditions, self.outer_blocks = list[bool](), list[Any]()  # of those outside loops, what is around them
    self.guards: list[str] = []  # the same conditions as `__init__` evaluates them
    self.sites: dict[ast.AST, Site] = {}
    self.inner_sites: list[Site] = []
    self.setup_sites: list[Site] = []
    self.choices: list[tuple[str, type, str]] = []  # names of classes
    self.setup_locals: dict[str, tuple[int, str | None]] = {}  # name -> (line, over fields alone)
    self.deferred: list[Site] = []
    self.produced: list[tuple[Site, str]] = []
    self.hoists: dict[str, SizeArg] = {}
    self.handed: dict[tuple[str, str], list[Dims]] = {}
    self.inherited: set[str] = set()  # sizes that a base takes
    self.tokens, self.item_dims = dict[tuple[str, int], str](), dict[tuple[str, str], Dims]()
    self.token_values: dict[str, dict[InstanceKey, Any]] = {}
    self.counting: set[str] = set()  # sizes of integer arrays, which have no features
    self.token_rank: dict[str, int] = {}
    self.used_arguments, self.bound_names = set[str](), set[str]()
    self.used = set(self.field_names) | set(vars(info.cls)) - {"setup"} | RESERVED
    for base in info.cls.__mro__:
      if base is nn.Module:
        break
      self.used |= {n for n in vars(base) if not n.startswith("__")}
    self.assigned: Counter[str] = Counter()
    self.variable_attrs: dict[str, str] = {}
    self.variable_attr = ""  # of the parameter or variable that is being read
    self.variable_nodes: set[ast.AST] = set()
    self.variable_sites: list[VariableSite] = []
    self.flags: dict[str, Flag] = {}
    self.accessors: set[str] = set()
    self.maker_fields: set[str] = set()  # fields that take a function that makes a module, one for every step
    self.method_guards: dict[str, set[str]] = {}  # methods -> conditions on fields under which others call them
    self.array_attributes, self.array_dims = set[str](), dict[str, Dims]()  # parameters of `setup`
    self.host_attributes = host_attributes(self)
    self.attribute_residue: dict[str, dict[str, str]] = {}
    self.dead_lists, self.hoisted_locals = set[str](), set[str]()
    self.super_sizes: dict[str, str] = {}  # sizes that the base's `__init__` is given, by its names
    self.static_arrays, self.hidden, self.bound_in_tests = set[str](), set[str](), set[ast.NamedExpr]()
    self.array_statements: set[str] = set()  # what makes these, as `spelled` gives it
    self.imports, self.templates, self.findings = set[str](), set[str](), list[Finding]()
    self.outputs: dict[str, Dims] = {}
    self.pending_comments: list[str] | None = []
    self.paragraphs: list[Paragraph] = []
    self.returned: Dims | None = None
    self.moved = self.needs_rngs = False
    self.late = self.in_setup = self.counting_arrays = False
    self.open_conditions, self.setup_loops = set[ast.AST](), 0  # conditions that only a call knows
    self.comprehension_texts: dict[ast.AST, str] = {}
    self.layer_lists: dict[ast.AST, str] = {}  # lists of layers without a name of their own
    self.names_in_comprehension: list[tuple[str, str]] | None = None
    self.pipelines: dict[str, str] = {}
    self.carried: dict[str, str] = {}
    self.opened: dict[ast.AST, bool] = {}  # a `Sequential` -> whether each call puts it together
    self.pipeline = ""
    self.method, self.rngs_argument = "", "rngs"
    self.inlined: dict[str, ast.expr] = {}  # a layer of a loop that is only an argument -> what makes it
    self.inlined_at: dict[ast.AST, ast.AST] = {}  # what makes it -> where it is an argument
    self.first_value = False  # whether what is written is the first value of a variable
    self.instances: set[InstanceKey] = {
      (id(f), c.path) for f in project.facts for c in f.calls if isinstance(c.module, info.cls) and c.method != "setup"
    }
    self.untraced = not any(isinstance(a.module, info.cls) for a in project.activations_in(info.file))
    self.no_sites = False
    self.reads_params = False  # whether `param` gives a layer's parameters another value
    self.todo, self.param_locals = list[str](), set[str]()
    self.derived, self.collections = dict[str, str](), dict[str, str]()
    self.computed: Any = None  # the `Computed` of `setup`
    self.bound: list[Any] = []  # functions of `setup` that are methods now: `BoundFunction`
    self.building = Building()
    self.computed_used: set[str] = set()
    self.parameter_attrs: dict[ast.AST, str] = {}  # a call of `self.param` in `setup` -> the attribute
    self.outdent = ""  # what the lines of a statement lose that `__init__` takes over
    self.size_iterators, self.after_setup = list[str](), list[str]()
    self.open_variables: list[VariableSite] = []
    self.comprehensions: list[tuple[Site, str, str, str]] = []
    self.helpers: dict[str, Helper] = {}
    self.helper_calls: dict[ast.AST, str] = {}  # calls of these that have been read
    self.event_filter: list[Position] = []
    self.escaping: dict[Position, str] = {}  # a call -> how functions are called that it may return
    self.hands_over = False  # whether arguments of the call may become the constructor's
    self.iterator = self.layer_hint = self.handed_layers = ""
    self.method_iterators, self.counted_lists = set[str](), set[str]()
    self.joined_names: dict[str, ast.AST] = {}  # sizes of what is joined to something in every round of a loop -> loop
    self.function_depth = 0
    self.output_call = None
    self.local_names: set[str] = set()  # every name that the method gives a value
    self.stock_parameters: set[ast.AST] = set()  # calls of `self.param` that make what the layer makes
    base = project.stock_base(info.cls)
    self.layer_names = layer_names(project.record(base)) if base is not None else {}
    self.step = self._step()

  def _step(self) -> str:
    body = self.info.node.body
    inner, outer = self.source.indent(body[0] if isinstance(body, list) else body), self.source.indent(self.info.node)
    return inner[len(outer) :] or "    "

  @property
  def init_indent(self) -> str:
    """Indentation of statements of `__init__`, for deciding what fits on a line."""
    return self.source.indent(self.info.node) + self.step * (2 + len(self.loops) + len(self.conditions))

  @contextlib.contextmanager
  def reading(self, info: ClassInfo) -> Iterator[None]:
    """While active, text comes from another class's file."""
    names = self.names_of(info.source) if info.source is not self.source else self.names
    with self.reading_in(info.source, names):
      yield

  def events(self, node: ast.AST) -> list[Event]:
    """The values of an expression; inside a layer-making function, those of the call being read."""
    events = self.project.events(self.source, node)
    if not self.event_filter:
      return events
    return [e for e in events if self.in_call(e.activation)]

  def in_call(self, activation: Activation) -> bool:
    """Whether an activation belongs to the call of a layer-making function that is being read."""
    wanted = list(self.event_filter)
    current: Activation | None = activation
    while current is not None and wanted:
      escaped = self.escaping.get(wanted[-1])
      if current.call_position == wanted[-1] or (escaped is not None and current.qualname.startswith(escaped)):
        wanted.pop()
      elif current.qualname.rpartition(".")[2] not in _PASSED_THROUGH:
        return False
      current = current.parent
    return not wanted

  def position(self, node: ast.AST) -> Position:
    """The position by which the trace knows a node."""
    return key(node)

  def where(self, node: ast.AST) -> str:
    """`file:line` for findings."""
    return f"{self.source.path}:{getattr(node, 'lineno', 0)}"

  def note(self, finding: Finding) -> None:
    """Keeps a finding, once."""
    if finding not in self.findings:
      self.findings.append(finding)

  def refusal(self, node: ast.AST, found: str, wanted: str, do: str) -> MigrateError:
    """The error for what can't be rewritten."""
    return MigrateError(Finding(self.where(node), found, wanted, do, "error", "L2N101"))

  def leave(self, node: ast.AST, why: str) -> None:
    """Notes something that stays as it was, for the report and for a comment above the statement."""
    self.todo.append(why)
    if self.events(node):
      self.note(
        Finding(
          self.where(node),
          f"left as it was: {why}",
          "a construct with a rewriting",
          "rewrite it by hand",
          "error",
          "L2N100",
        )
      )
    else:
      self.note(Finding(self.where(node), f"left as it was, where no example comes: {why}", "a construct with a rewriting",
                        "rewrite it by hand, or give an example that reaches it", "eye", "L2N103"))  # fmt: skip

  def resolve(self, node: ast.AST) -> str | None:
    """The full name an expression refers to at module level."""
    text = dotted(node)
    if text is None:
      return None
    root = text.partition(".")[0]
    if root in self.env or root in self.parameters or root == self.self_name:
      return None
    full = self.names.resolve(text)
    return linen_behind(full, self.names.module_name) if full is not None else None

  def global_name(self, node: ast.AST) -> str:
    """A module-level name as it is spelled without Linen."""
    full = self.resolve(node)
    text = self.source.code(node)
    if full is None or not (full == "flax.linen" or full.startswith("flax.linen.")):
      return text
    if full in TRANSFORMS:
      return self.template(TRANSFORMS[full])
    record = self.project.layers.get(f"flax.linen.{full.rpartition('.')[2]}")
    if record is not None and full.count(".") == 2:
      if record.nnx.startswith("template:"):
        return self.template(record.nnx)
      name, statement = spell(record.nnx)
      self.need_import(statement)
      return name
    target = nnx_name(full)
    if full == "flax.linen":
      self.need_import("from flax import nnx")
      return "nnx"
    if target is None:
      self.leave(node, f"{full} has no NNX counterpart")
    if target is None or (self.source is self.own_source and aliased_in(self.source, text)):
      return text  # `default_init = nn.initializers.xavier_uniform` keeps its name
    name, statement = spell(target)
    self.need_import(statement)
    return name

  def has_counterpart(self, node: ast.AST) -> bool:
    """Whether a module-level name means something without Linen."""
    full = self.resolve(node)
    if full is None or not full.startswith("flax.linen."):
      return True
    return full in self.project.layers or full in TRANSFORMS or nnx_name(full) is not None

  def need_import(self, statement: str) -> None:
    """Remembers an import for the file."""
    self.imports.add(statement)

  def template(self, code: str) -> str:
    """Code of a record; `template:file.name` becomes the name, imported from the copied template."""
    while "template:" in code:
      before, _, rest = code.partition("template:")
      end = next((i for i, c in enumerate(rest) if not (c.isalnum() or c in "._")), len(rest))
      file, _, name = rest[:end].rstrip(".").partition(".")
      self.templates.add(file)
      spelled = f"{name}_" if self._hides(name) else name
      self.need_import(f"from __templates__.{file} import {name}" + (f" as {spelled}" if spelled != name else ""))
      code = before + spelled + rest[end:]
    if "jnp." in code:
      self.need_import("import jax.numpy as jnp")
    return code

  def _hides(self, name: str) -> bool:
    """Whether a field's argument, a local or another import of the file would hide an imported name."""
    full = self.names.resolve(name)
    other = full is not None and not full.startswith("flax.linen.")
    return other or name in self.field_names or name in self.source.bound

  def available(self, text: str, bound: frozenset[str] = frozenset()) -> bool:
    """Whether an expression can be evaluated in `__init__` at this point."""
    for name in names_in(text):
      if name == "self" or name.startswith("SIZE__") or name in bound or name in self.bound_names:
        continue
      local = self.env.get(name)
      if local is not None and local.kind not in ("static", "arrays"):
        return False
      if local is None and name in self.parameters:
        return False
    return True

  def cls_attribute(self, name: str) -> bool:
    """Whether a name is a method, property or class variable."""
    own = any(name in vars(b) for b in self.info.cls.__mro__ if b in self.project.classes)  # it may be None
    return (own or getattr(self.info.cls, name, None) is not None) and name not in self.field_names

  def inherits(self, name: str) -> bool:
    """Whether a rewritten base has a method."""
    return any(name in vars(b) for b in self.info.cls.__mro__[1:] if b in self.project.classes)

  def same_origin(self, module: Any, modules: Sequence[Any]) -> bool:
    """Whether one of the modules is this one or a clone of it."""
    origin = origin_of(module)
    return origin is not None and any(origin_of(m) is origin for m in modules)

  def instance_key(self, activation: Activation, module: Any) -> InstanceKey:
    """What tells one instance from another: trace and path."""
    own = tuple(module.scope.path) if getattr(module, "scope", None) is not None else ()
    called = (c.path for c in self.project.calls_of(module) if c.path)  # lifted layers run `setup` at the root as well
    return (id(self.project.fact_of(activation)), next(called, own))

  def owner_key(self, activation: Activation) -> InstanceKey:
    """The instance whose method ran."""
    return (id(self.project.fact_of(activation)), activation.path)

  def project_sizes(self, cls: type) -> list[SizeArg]:
    """Constructor arguments that a rewritten class has and Linen had not."""
    result = self.results.get(cls)
    return result.sizes if result is not None else []

  def project_residues(self, cls: type | None) -> set[str]:
    """Names that calls of a rewritten class must give."""
    found: set[str] = set()
    for base in cls.__mro__ if cls is not None else ():
      found |= self.residues.get(base, set())
    return found

  def attribute(self, hint: str, prefer: bool = False) -> str:
    """A free attribute name."""
    base = "".join(c if c.isalnum() or c == "_" else "_" for c in hint) or "layer"
    if base[0].isdigit():
      base = f"layer_{base}"
    if base in ("if", "in", "is", "for", "or", "and", "not", "as", "def", "del", "class", "return", "lambda", "with"):
      base += "_"
    name, i = base, 0
    while name in self.used or (prefer and name in ("T",)):
      i += 1
      name = f"{base}_{i}"
    self.used.add(name)
    return name


__all__ = ["ArraySpec", "ClassResult", "NotStatic", "Unit", "snake"]
