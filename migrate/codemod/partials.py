"""Partials of layers, and what they leave to the call."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
import dataclasses
import functools
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from flax import linen as nn

from migrate.codemod.choices import named_under_same_test
from migrate.codemod.mixed_partials import EVERY
from migrate.codemod.remarks import Remark, layout_call, remarks_of
from migrate.codemod.site import Site, follow_name, positional_fields
from migrate.codemod.sizes_pool import wrap
from migrate.codemod.source import dotted
from migrate.codemod.transforms import TRANSFORMS

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


_SIZED = (ast.Name, ast.Attribute, ast.Constant, ast.BinOp, ast.Tuple, ast.List)  # what numbers are written as


@dataclasses.dataclass(frozen=True)
class Given:
  """A call that gives a partial: arguments as `__init__` writes them, and what the layers' calls must give."""

  fixed: dict[ast.expr, str]
  residue: dict[str, str]


def _is_partial(value: Any) -> bool:
  return isinstance(value, functools.partial)


class Partials:
  """Handling of partials, mixed into `Unit`."""

  def residue_of(self: Unit, node: ast.AST) -> dict[str, str]:
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
      order = base.positional if base is not None else ()
      given = [*zip(order, node.args[1:], strict=False), *((k.arg, k.value) for k in node.keywords)]
      for name, value in given:
        if name is not None and self.try_static(value) is None and (base is None or name in base.call_fields):
          left[name] = self.text(value)
      return left
    if isinstance(node, ast.IfExp):
      return self.residue_of(node.body) | self.residue_of(node.orelse)
    given = self.given_partial(node)
    return given.residue if given is not None else {}

  def given_partial(self: Unit, node: ast.AST) -> Given | None:
    """A call of a function of the project that gives a partial of a layer, some of it known only in the call.

    `norm = norm_layer(train=train)`: `__init__` calls it with what the example gave first, and what depends on that goes to
    the calls of the layers.
    """
    function = self._function_called(node)
    made = [e.value for e in self.events(node)] if function is not None else []
    if not isinstance(node, ast.Call) or function is None or not made or not all(map(_is_partial, made)):
      return None
    order = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
    given = dict(zip(order, node.args, strict=False)) | {k.arg: k.value for k in node.keywords if k.arg is not None}
    if len(given) != len(node.args) + len(node.keywords) or any(isinstance(a, ast.Starred) for a in node.args):
      return None
    late = {n: v for n, v in given.items() if self.try_static(v) is None}
    fixed: dict[ast.expr, str] = {}
    for value in late.values():
      seen = [e.value for e in self.events(value)]
      if not seen or type(seen[0]) not in (bool, str, int, float, type(None)):
        return None
      fixed[value] = repr(seen[0])
    residue: dict[str, str] = {}
    reads = {
      id(n) for n in ast.walk(function) if isinstance(n, ast.Name) and n.id in late and isinstance(n.ctx, ast.Load)
    }
    for keyword in [k for n in ast.walk(function) if isinstance(n, ast.Call) for k in n.keywords if k.arg is not None]:
      inside = [n for n in ast.walk(keyword.value) if isinstance(n, ast.Name)]
      if not {id(n) for n in inside} & reads or not {n.id for n in inside} <= set(late):
        continue
      if not all(self._leaves(value, str(keyword.arg)) for value in made if keyword.arg in value.keywords):
        return None
      reads -= {id(n) for n in inside}
      if all(keyword.arg in value.keywords for value in made):
        text = ast.unparse(keyword.value)
        for name in {n.id for n in inside}:
          mine = wrap(self.text(late[name]))
          text = re.sub(rf"\b{name}\b", lambda _, t=mine: t, text)
        residue[str(keyword.arg)] = text
    return Given(fixed, residue) if late and not reads else None

  def _leaves(self: Unit, value: Any, keyword: str) -> bool:
    """Whether calls of a partial's layers may give a field."""
    while _is_partial(value):
      value = value.func
    record = self.project.record(value) if isinstance(value, type) and issubclass(value, nn.Module) else None
    return record is not None and keyword in record.call_fields

  def _function_called(self: Unit, node: ast.AST) -> ast.FunctionDef | None:
    """The function at the top of a file of the project that a call names."""
    if not isinstance(node, ast.Call) or self.resolve(node.func) is None:
      return None
    found = self.project.called_function(self.source, node)
    return found[1] if found is not None else None

  def pass_residues_of_dict(self: Unit, site: Site, value: ast.AST) -> None:
    """`Block(**arguments)`: what the partials in a local dict leave out."""
    local = self.env.get(value.id) if isinstance(value, ast.Name) else None
    node = local.node if local is not None else None
    pairs: list[tuple[str, ast.expr]] = []
    if isinstance(node, ast.Dict):
      pairs = [(str(k.value), v) for k, v in zip(node.keys, node.values, strict=True) if isinstance(k, ast.Constant)]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
      pairs = [(k.arg, k.value) for k in node.keywords if k.arg is not None]
    for name, inner in pairs:
      if left := self.residue_of(inner):
        self.pass_residue(site, name, left)

  def untraced_callee(self: Unit, function: ast.AST) -> str | None:
    """The full name of what a call that no example reaches calls: itself, or what a local partial is of."""
    if isinstance(function, ast.Call) and function.args and self.resolve(function.func) in TRANSFORMS:
      return self.untraced_callee(function.args[0])  # `nn.remat(Block)(...)`
    local = self.env.get(function.id) if isinstance(function, ast.Name) else None
    made = local.node if local is not None else None
    if isinstance(function, ast.Name) and (chosen := named_under_same_test(self, function)):
      return chosen
    if isinstance(made, ast.Call) and made.args and self.resolve(made.func) == "functools.partial":
      return self.resolve(made.args[0])
    if local is not None and local.kind == "static" and made is not None:
      held = {self.project.plain(e.value) if isinstance(e.value, type) else None for e in self.events(made)}
      if (cls := held.pop() if len(held) == 1 else None) is not None and issubclass(cls, nn.Module):
        return self._full_name(cls)  # `block = nn.remat(Block)`
      if isinstance(made, ast.Name | ast.Attribute) and not self.events(made):
        return self.resolve(made)
    if isinstance(function, ast.Attribute) and dotted(function.value) == self.self_name:
      return self._class_in_field(function.attr)
    full = self.resolve(function)
    held = follow_name(full) if full is not None and local is None else None
    while isinstance(held, functools.partial):  # `Dense = partial(nn.Dense, use_bias=False)` at the top of a file
      full, held = None, held.func
      if isinstance(held, type) and issubclass(held, nn.Module):
        return self._full_name(held)
    return full

  def _class_in_field(self: Unit, name: str) -> str | None:
    """The full name of the class that a field holds, or a partial of it, in every instance; None where they differ."""
    if name not in self.field_names:
      return None
    modules = {
      id(c.module): c.module for f in self.project.facts for c in f.calls if isinstance(c.module, self.info.cls)
    }
    found: set[type] = set()
    for module in modules.values():
      value = getattr(module, name, None)
      while isinstance(value, functools.partial):
        value = value.func
      if not isinstance(value, type):
        return None  # a module that the field is given, or a function
      found.add(value)
    cls = found.pop() if len(found) == 1 else None
    return self._full_name(cls) if cls is not None and issubclass(cls, nn.Module) else None

  def _full_name(self: Unit, cls: type) -> str:
    stock = self.project.record(cls) is not None
    return f"flax.linen.{cls.__name__}" if stock else f"{cls.__module__}.{cls.__qualname__}"

  def _partial_base(self: Unit, node: ast.Call) -> Any:
    for event in self.events(node.args[0]):
      value = event.value
      while hasattr(value, "func") and not isinstance(value, type):
        value = value.func
      if isinstance(value, type) and issubclass(value, nn.Module):
        return self.project.record(value)
    full = self.resolve(node.args[0])
    return self.project.layers.get(full) if full else None

  def partial_arguments(self: Unit, node: ast.AST) -> dict[str, str]:
    """What a local partial of a stock layer gives, by Linen's names."""
    local = self.env.get(node.id) if isinstance(node, ast.Name) else None
    made = local.node if local is not None else None
    if not isinstance(made, ast.Call) or self.resolve(made.func) != "functools.partial" or not made.args:
      return {}
    base = self._partial_base(made)
    order = list(base.positional) if base is not None else []
    given = [*zip(order, made.args[1:], strict=False), *((k.arg, k.value) for k in made.keywords if k.arg)]
    texts = {name: self.try_static(value) for name, value in given if isinstance(value, _SIZED)}
    return {name: text for name, text in texts.items() if text is not None}

  def static_partial(self: Unit, node: ast.Call, bound: frozenset[str]) -> str:
    """`partial(nn.Conv, ...)` with NNX's names, without what the call gives."""
    return self._written_partial(node, lambda part: self.static(part, bound), self.residue_of(node))

  def partial_of_function(self: Unit, node: ast.Call) -> str | None:
    """A partial of a class of layers in a function at the top of a file; None for another call."""
    if self.self_name or self.resolve(node.func) != "functools.partial" or not node.args:
      return None
    known = self._partial_base(node) is not None or bool(self._class_of_partial(node))
    return self._written_partial(node, self.text, {}) if known else None

  def _written_partial(self: Unit, node: ast.Call, write: Callable[[ast.AST], str], left: Mapping[str, str]) -> str:
    base = self._partial_base(node)
    pieces = [write(node.args[0])]
    order = list(base.positional) if base is not None else self._fields_of_partial(node)
    fates = {a.linen: a for a in base.args if a.linen is not None} if base is not None else {}
    given: list[tuple[str | None, str]] = []
    written, last = remarks_of(self.source, node)
    remarks, pending = [written[node.args[0]]], Remark()
    placed = [(order[i] if i < len(order) else None, v) for i, v in enumerate(node.args[1:])]
    placed = [(name, value) for name, value in placed if name is None or name not in left]
    nodes = [*(v for _, v in placed), *(k for k in node.keywords if k.arg not in left)]
    given += [(name, write(value)) for name, value in placed]
    for keyword in node.keywords:
      if keyword.arg in left:
        continue
      given.append((keyword.arg, write(keyword.value) if keyword.arg else f"**{write(keyword.value)}"))
    of_ours = self._class_of_partial(node) is not None
    for part, (name, text) in zip(nodes, given, strict=True):
      remark = Remark([*pending.every, *written[part].above], written[part].trailing)
      arg = fates.get(name) if name is not None else None
      if name in ("name", "parent") and of_ours:
        pending = remark
        continue
      if arg is not None and (arg.fate == "ignore" or (arg.fate == "refuse" and text in arg.allow)):
        pending = remark
        continue
      remarks.append(remark)
      pending = Remark()
      if name is None:
        pieces.append(text)
        continue
      if arg is not None:
        if arg.fate == "convert":
          text = self.template(arg.code.replace("{value}", text))
        name = arg.nnx or name
      pieces.append(f"{name}={text}")
    if base is not None and base.exact is not None and self._partial_half(node):
      for name, code in base.exact.args:
        pieces.append(f"{name}={self.template(code)}")
    if left and len(pieces) == 1 and not any(remarks) and not [*pending.every, *last]:
      return pieces[0]  # all that it gave goes to the calls
    function = write(node.func)
    indent = self.source.indent(node) if self.in_setup or not self.self_name else ""  # these move as a whole
    return layout_call(function, pieces, indent, 100, remarks, [*pending.every, *last])

  def _fields_of_partial(self: Unit, node: ast.Call) -> list[str]:
    """Fields of the rewritten class that a partial is of, in order: sizes come before them, so they are given by name."""
    cls = self._class_of_partial(node)
    return positional_fields(cls) if cls is not None else []

  def _class_of_partial(self: Unit, node: ast.Call) -> type[nn.Module] | None:
    """The rewritten class that a partial is of."""
    classes = {self.project.plain(e.value) for e in self.events(node.args[0]) if isinstance(e.value, type)}
    cls = classes.pop() if len(classes) == 1 else None
    return cls if cls is not None and self.project.info(cls) is not None else None

  def _partial_half(self: Unit, node: ast.Call) -> bool:
    for event in self.events(node):
      dtype = getattr(event.value, "keywords", {}).get("dtype")
      if dtype is not None and getattr(dtype, "__name__", str(dtype)) in ("bfloat16", "float16"):
        return True
    return False

  def partial_positional(self: Unit, node: ast.AST) -> int:
    """How many positional arguments the called partial has already."""
    for event in self.events(node):
      count, value = 0, event.value
      while hasattr(value, "func") and not isinstance(value, type):
        count += len(getattr(value, "args", ()))
        value = value.func
      return count
    return 0

  def pass_residue(self: Unit, site: Site, field: str, inner: dict[str, str]) -> None:
    """A partial handed to another class: that class's calls must give what the partial left out."""
    for name, text in inner.items():
      site.residue[name] = text
      for cls in {b for _, _, m in site.made for b in self.project.owners_of(type(m), field)}:
        self.field_residues.setdefault((cls, field), set()).add(name)
        self.residues.setdefault(cls, set()).add(name)

  def named_site(self: Unit, node: ast.Name, site: Site) -> str:
    """What a local that holds a layer is in the method: handed to a function, it goes with what its calls must give."""
    above = self.source.parents.get(node)
    handed = isinstance(above, ast.keyword) or (isinstance(above, ast.Call) and node is not above.func)
    return self.site_reference(site) if handed else site.reference

  def site_reference(self: Unit, site: Site) -> str:
    """What to write for a layer that is handed on: with what its calls must give, where only this method knows it."""
    if not site.residue:
      return site.reference
    short = self.names.resolve("partial") == "functools.partial" and "partial" not in self.env
    self.need_import("from functools import partial" if short else "import functools")
    names = dict(site.record.call_args) if site.record is not None else {}
    left = [(names.get(field, field), text) for field, text in site.residue.items()]
    given = [f"**{text}" if name == EVERY else f"{name}={text}" for name, text in left if name]
    return f"{'' if short else 'functools.'}partial({', '.join([site.reference, *given])})"
