"""One Linen class being rewritten: what is known of it, and the choices made so far."""

from __future__ import annotations

import ast
import builtins
import contextlib
import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from flax import linen as nn

from migrate.codemod.calls import Calls, snake
from migrate.codemod.imports import Names
from migrate.codemod.inline import Helper, Inlining
from migrate.codemod.names import nnx_name, spell
from migrate.codemod.project import ClassInfo, Event, Project, is_array
from migrate.codemod.scope import Block, Dims, Local, Stmt
from migrate.codemod.sites import InstanceKey, Site, SizeArg, Sites
from migrate.codemod.sizes import Sizes
from migrate.codemod.source import dotted, key, names_in
from migrate.codemod.statements import Loop, Statements
from migrate.codemod.static import NotStatic, Statics
from migrate.codemod.variables import Variables, VariableSite
from migrate.core.report import Finding, MigrateError
from migrate.trace.facts import Activation, ArraySpec
from migrate.trace.instrument import Position
from migrate.trace.recorder import origin_of

# transforms of classes, as templates with the same arguments
TRANSFORMS = {
  "flax.linen.remat": "template:remat.remat",
  "flax.linen.checkpoint": "template:remat.remat",
  "flax.linen.partitioning.remat": "template:remat.remat",
  "flax.linen.transforms.remat": "template:remat.remat",
  "flax.linen.dot_product_attention": "template:linen_attention.dot_product_attention",
  "flax.linen.attention.dot_product_attention": "template:linen_attention.dot_product_attention",
  "flax.linen.vmap": "template:vmap.vmap",
  "flax.linen.transforms.vmap": "template:vmap.vmap",
  "flax.linen.with_logical_constraint": "template:sharding.with_logical_constraint",
  "flax.linen.spmd.with_logical_constraint": "template:sharding.with_logical_constraint",
  "flax.linen.partitioning.with_sharding_constraint": "template:sharding.with_logical_constraint",
  "flax.linen.with_logical_partitioning": "template:sharding.with_logical_partitioning",
  "flax.linen.with_partitioning": "template:sharding.with_logical_partitioning",
  "flax.linen.scan": "template:scan.scan",
  "flax.linen.transforms.scan": "template:scan.scan",
}

for _home in ("dtypes", "linear", "normalization", "attention", "recurrent"):
  TRANSFORMS[f"flax.linen.{_home}.promote_dtype"] = "template:dtypes.promote_dtype"

RESERVED = {"train", "eval", "sow", "perturb", "rngs", "set_attributes", "iter_modules", "self"}


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
    compact_sites: whether compact methods make layers, which a subclass's own would not.
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


class Unit(Statics, Sizes, Sites, Calls, Statements, Variables, Inlining):
  """The state that rewriting of one class shares between its parts."""

  def __init__(self, project: Project, info: ClassInfo, names: Names, results: dict[type, ClassResult],
               residues: dict[type, set[str]], field_residues: dict[tuple[type, str], set[str]], exact: bool = False):  # fmt: skip
    self.project, self.info, self.source, self.names = project, info, info.source, names
    self.results, self.residues, self.field_residues, self.exact = results, residues, field_residues, exact
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
    self.conditions: list[bool] = []
    self.sites: dict[ast.AST, Site] = {}
    self.inner_sites: list[Site] = []
    self.setup_sites: list[Site] = []
    self.deferred: list[Site] = []
    self.produced: list[tuple[Site, str]] = []
    self.hoists: dict[str, SizeArg] = {}
    self.tokens: dict[tuple[str, int], str] = {}
    self.token_values: dict[str, dict[InstanceKey, Any]] = {}
    self.token_rank: dict[str, int] = {}
    self.used_arguments: set[str] = set()
    self.bound_names: set[str] = set()
    self.used = set(self.field_names) | set(vars(info.cls)) - {"setup"} | RESERVED
    for base in info.cls.__mro__:
      if base is nn.Module:
        break
      self.used |= {n for n in vars(base) if not n.startswith("__")}
    self.assigned: Counter[str] = Counter()
    self.variable_attrs: dict[str, str] = {}
    self.variable_nodes: set[ast.AST] = set()
    self.variable_sites: list[VariableSite] = []
    self.array_attributes: set[str] = set()
    self.attribute_residue: dict[str, dict[str, str]] = {}
    self.dead_lists: set[str] = set()
    self.static_arrays: set[str] = set()
    self.imports: set[str] = set()
    self.templates: set[str] = set()
    self.findings: list[Finding] = []
    self.outputs: dict[str, Dims] = {}
    self.pending_comments: list[str] | None = []
    self.moved = False
    self.returned = False
    self.needs_rngs = False
    self.late = False
    self.in_setup = False
    self.method = ""
    self.rngs_argument = "rngs"
    self.collections: dict[str, str] = {}
    self.instances: set[InstanceKey] = {
      (id(f), c.path) for f in project.facts for c in f.calls if isinstance(c.module, info.cls) and c.method != "setup"
    }
    self.param_locals: set[str] = set()
    self.derived: dict[str, str] = {}
    self.open_variables: list[VariableSite] = []
    self.comprehensions: list[tuple[Site, str, str, str]] = []
    self.helpers: dict[str, Helper] = {}
    self.event_filter: list[Position] = []
    self.iterator = ""
    self.method_iterators: set[str] = set()
    self.function_depth = 0
    self.output_call = None
    self.local_functions: set[str] = set()
    self.step = self._step()

  # ---- small questions

  def _step(self) -> str:
    body = self.info.node.body[0]
    inner, outer = self.source.indent(body), self.source.indent(self.info.node)
    return inner[len(outer) :] or "    "

  @property
  def init_indent(self) -> str:
    """Indentation of statements of `__init__`, for deciding what fits on a line."""
    return self.source.indent(self.info.node) + self.step * (2 + len(self.loops) + len(self.conditions))

  @contextlib.contextmanager
  def reading(self, info: ClassInfo) -> Iterator[None]:
    """While active, text comes from another class's file."""
    saved = self.source, self.names
    if info.source is not self.source:
      self.source = info.source
      self.names = Names(info.source.text, info.module, info.source.path.endswith("__init__.py"))
    try:
      yield
    finally:
      self.source, self.names = saved

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
      if current.call_position == wanted[-1]:
        wanted.pop()
      elif current.qualname.rpartition(".")[2] not in ("<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>", "<lambda>"):
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
    """Notes something that stays as it was."""
    if self.events(node):
      self.note(Finding(self.where(node), f"left as it was: {why}", "a construct with a rewriting", "rewrite it by hand", "error", "L2N100"))
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
    return self.names.resolve(text)

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
      if full != "flax.linen":
        self.leave(node, f"{full} has no NNX counterpart")
      return text
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
      self.need_import(f"from __templates__.{file} import {name.partition('.')[0]}")
      code = before + name + rest[end:]
    if "jnp." in code:
      self.need_import("import jax.numpy as jnp")
    return code

  def available(self, text: str, bound: frozenset[str] = frozenset()) -> bool:
    """Whether an expression can be evaluated in `__init__` at this point."""
    for name in names_in(text):
      if name == "self" or name.startswith("SIZE__") or name in bound or name in self.bound_names:
        continue
      local = self.env.get(name)
      if local is not None and local.kind != "static":
        return False
      if local is None and name in self.parameters:
        return False
    return True

  def cls_attribute(self, name: str) -> bool:
    """Whether a name is a method, property or class variable."""
    found = getattr(self.info.cls, name, None)
    return found is not None and name not in self.field_names

  def same_origin(self, module: Any, modules: Sequence[Any]) -> bool:
    """Whether one of the modules is this one or a clone of it."""
    origin = origin_of(module)
    return origin is not None and any(origin_of(m) is origin for m in modules)

  def instance_key(self, activation: Activation, module: Any) -> InstanceKey:
    """What tells one instance from another: trace and path."""
    calls = self.project.calls_of(module)
    path = calls[0].path if calls else tuple(module.scope.path) if getattr(module, "scope", None) is not None else ()
    return (id(self.project.fact_of(activation)), path)

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

  # ---- names

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

  def size_name(self, local: str, axis: int, rank: int) -> str:
    """A name for an array's size: `x_features` for the last axis."""
    what = "features" if axis == rank - 1 else {1: "height", 2: "width"}.get(axis, f"dim{axis}") if rank == 4 else f"dim{axis}"
    return f"{local}_{what}"

  def fixed_part(self, node: ast.AST) -> str:
    """The constant part of a computed name."""
    if isinstance(node, ast.JoinedStr):
      text = "_".join(str(p.value).strip("_ ") for p in node.values if isinstance(p, ast.Constant)).strip("_")
      if text:
        return text
    return "weight"

  # ---- partials and what the call gives now

  def residue_of(self, node: ast.AST) -> dict[str, str]:
    """Arguments that a partial leaves to the call, because only the call knows them."""
    if isinstance(node, ast.Name):
      local = self.env.get(node.id)
      return local.residue if local is not None else {}
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == self.self_name:
      found: dict[str, str] = {}
      for base in self.info.cls.__mro__:
        for name in self.field_residues.get((base, node.attr), ()):
          found[name] = name
      return found
    if isinstance(node, ast.Call) and self.resolve(node.func) == "functools.partial" and node.args:
      base = self._partial_base(node)
      left = dict(self.residue_of(node.args[0]))
      for keyword in node.keywords:
        if keyword.arg is not None and self.try_static(keyword.value) is None and (base is None or keyword.arg in base.call_fields):
          left[keyword.arg] = self.text(keyword.value)
      return left
    if isinstance(node, ast.IfExp):
      return self.residue_of(node.body) | self.residue_of(node.orelse)
    return {}

  def _partial_base(self, node: ast.Call) -> Any:
    for event in self.events(node.args[0]):
      value = event.value
      while hasattr(value, "func") and not isinstance(value, type):
        value = value.func
      if isinstance(value, type) and issubclass(value, nn.Module):
        return self.project.record(value)
    full = self.resolve(node.args[0])
    return self.project.layers.get(full) if full else None

  def static_partial(self, node: ast.Call, bound: frozenset[str]) -> str:
    """`partial(nn.Conv, ...)` with NNX's names, without what the call gives."""
    base = self._partial_base(node)
    left = self.residue_of(node)
    pieces = [self.static(node.args[0], bound)]
    order = list(base.positional) if base is not None else []
    fates = {a.linen: a for a in base.args if a.linen is not None} if base is not None else {}
    given: list[tuple[str | None, str]] = []
    for i, value in enumerate(node.args[1:]):
      given.append((order[i] if i < len(order) else None, self.static(value, bound)))
    for keyword in node.keywords:
      if keyword.arg in left:
        continue
      given.append((keyword.arg, self.static(keyword.value, bound) if keyword.arg else f"**{self.static(keyword.value, bound)}"))
    for name, text in given:
      if name is None:
        pieces.append(text)
        continue
      arg = fates.get(name)
      if arg is not None:
        if arg.fate == "ignore" or (arg.fate == "refuse" and text in arg.allow):
          continue
        if arg.fate == "convert":
          text = self.template(arg.code.replace("{value}", text))
        name = arg.nnx or name
      pieces.append(f"{name}={text}")
    if base is not None and base.exact is not None and self._partial_half(node):
      for name, code in base.exact.args:
        pieces.append(f"{name}={self.template(code)}")
    function = self.static(node.func, bound)
    return f"{function}({', '.join(pieces)})"

  def _partial_half(self, node: ast.Call) -> bool:
    for event in self.events(node):
      dtype = getattr(event.value, "keywords", {}).get("dtype")
      if dtype is not None and getattr(dtype, "__name__", str(dtype)) in ("bfloat16", "float16"):
        return True
    return False

  def partial_positional(self, node: ast.AST) -> int:
    """How many positional arguments the called partial has already."""
    for event in self.events(node):
      count, value = 0, event.value
      while hasattr(value, "func") and not isinstance(value, type):
        count += len(getattr(value, "args", ()))
        value = value.func
      return count
    return 0

  def pass_residue(self, site: Site, field: str, inner: dict[str, str]) -> None:
    """A partial handed to another class: that class's calls must give what the partial left out."""
    for name, text in inner.items():
      site.residue[name] = text
      for cls in {type(m) for _, _, m in site.made}:
        self.field_residues.setdefault((cls, field), set()).add(name)
        self.residues.setdefault(cls, set()).add(name)

  # ---- containers of layers, arrays in tuples

  def module_container(self, text: str, value: ast.AST) -> str:
    """`nnx.List(...)` or `nnx.Dict(...)` around layers."""
    self.need_import("from flax import nnx")
    events = self.events(value)
    return f"nnx.Dict({text})" if events and isinstance(events[0].value, dict) else f"nnx.List({text})"

  def element_dims(self, value: ast.AST, index: int, events: list[Event]) -> Dims | None:
    """Axes of one array of a tuple that an expression gives."""
    picked = [Event(e.activation, e.order, e.value[index]) for e in events]
    return self._flow(value, picked) if all(is_array(e.value) for e in picked) else None

  def shape_comparison(self, test: ast.AST) -> str | None:
    """`x.shape != y.shape` by the axes whose sizes are known, and by strides; held against every recorded truth."""
    if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not isinstance(test.ops[0], ast.Eq | ast.NotEq):
      return None
    sides = [test.left, test.comparators[0]]
    if not all(isinstance(s, ast.Attribute) and s.attr == "shape" for s in sides):
      return None
    left, right = (self.dims(s.value) for s in sides)  # type: ignore[attr-defined]
    truths = self.events(test)
    shapes = [self.events(s) for s in sides]
    if left is None or right is None or not truths or len(shapes[0]) != len(truths) or len(shapes[1]) != len(truths):
      return None
    unequal = isinstance(test.ops[0], ast.NotEq)
    terms: list[str] = []
    seen = [False] * len(truths)
    for axis in range(1, min(len(left), len(right)) + 1):
      a, b = self.pick(left[-axis]), self.pick(right[-axis])
      if a is None or b is None or a == b:
        continue
      terms.append(f"{a} {'!=' if unequal else '=='} {b}")
      seen = [s or x.value[-axis] != y.value[-axis] for s, x, y in zip(seen, *shapes, strict=True)]
    for name in self.field_names:
      if "stride" not in name.lower() or name not in self.readable:
        continue
      values = [getattr(e.activation.module, name, None) for e in truths]
      if all(isinstance(v, int) for v in values):
        terms.append(f"self.{name} {'!=' if unequal else '=='} 1")
        seen = [s or v != 1 for s, v in zip(seen, values, strict=True)]
      elif all(isinstance(v, tuple | list) and v for v in values) and len({len(v) for v in values}) == 1:
        ones = "(" + ", ".join("1" for _ in values[0]) + ("," if len(values[0]) == 1 else "") + ")"
        terms.append(f"tuple(self.{name}) {'!=' if unequal else '=='} {ones}")
        seen = [s or any(i != 1 for i in v) for s, v in zip(seen, values, strict=True)]
    if not terms or [bool(e.value) for e in truths] != [s == unequal for s in seen]:
      return None
    return (" or " if unequal else " and ").join(terms)

  def note_output(self, value: ast.AST) -> None:
    """Remembers the axes of what a method returns."""
    dims = self.dims(value)
    if dims is not None and self.method not in self.outputs:
      self.outputs[self.method] = [list(d) for d in dims]

  # ---- trial runs

  def snapshot(self) -> dict[str, Any]:
    """Everything that a trial run of a loop's body may change."""
    names = ("env", "_dims", "block", "used", "sites", "hoists", "readable", "variable_attrs", "variable_nodes", "tokens",
             "attribute_residue", "helpers", "method_iterators", "templates", "imports", "outputs", "dead_lists", "static_arrays")  # fmt: skip
    state = {n: type(getattr(self, n))(getattr(self, n)) for n in names}
    for n in ("findings", "inner_sites", "produced", "variable_sites", "loops", "conditions"):
      state[n] = list(getattr(self, n))
    state["flows"] = [(site, {k: list(v) for k, v in site.flow.items()}) for site in self.setup_sites]
    state["loop_state"] = [(loop, list(loop.before), list(loop.iterators)) for loop in self.loops]
    state["env"] = {n: dataclasses.replace(v) for n, v in self.env.items()}
    return state

  def restore(self, state: dict[str, Any]) -> None:
    """Undoes a trial run."""
    for loop, before, iterators in state.pop("loop_state"):
      loop.before, loop.iterators = before, iterators
    for site, flow in state.pop("flows"):
      site.flow = flow
    for name, value in state.items():
      setattr(self, name, value)


def is_builtin(name: str) -> bool:
  """Whether a name is one of Python's own."""
  return hasattr(builtins, name)


__all__ = ["ArraySpec", "ClassResult", "NotStatic", "Unit", "snake"]
