"""Assignments of a method that is split."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING

from migrate.codemod.accessors import accessor_store
from migrate.codemod.array_lists import item_stored, list_of_each, list_written_out
from migrate.codemod.closures import lambda_closure
from migrate.codemod.first_keys import draws_first_key
from migrate.codemod.inlined import inline_layer
from migrate.codemod.layer_lists import LayerLists, layers_in_row
from migrate.codemod.mixed_partials import EVERY, arguments_of_branch
from migrate.codemod.project import all_modules, has_array
from migrate.codemod.scope import Local, Stmt
from migrate.codemod.settled import settled_local
from migrate.codemod.source import names_in
from migrate.codemod.static import alone
from migrate.codemod.told_sizes import told_size
from migrate.codemod.unread_arrays import spelled

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


class Assignments(LayerLists):
  """Handling of assignments, mixed into `Unit`."""

  def _assign(self: Unit, node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> str | None:
    if isinstance(node, ast.AugAssign):
      return self._augmented(node)
    if node.value is None:
      return self.own_lines(node, self.source.code(node))
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    target = targets[0]
    if draws_first_key(self, targets, node.value):
      return None
    variable = self._variable_store(node, target)
    if variable is not None:
      return variable
    told = accessor_store(self, target, node.value) if len(targets) == 1 else None
    if told is not None:
      return self.own_lines(node, told)
    if len(targets) == 1 and isinstance(target, ast.Name):
      kept = self._assign_name(node, target, node.value)
      if kept is not None:
        return kept or None
    if len(targets) == 1 and isinstance(target, ast.Name) and self._says_nothing(target, node.value):
      return None
    if len(targets) > 1 and self._assign_names(targets, node.value):
      return self.own_lines(node, self.source.code(node))
    text = self.text(node.value)
    for place in targets:
      self._store_into(place, node.value, "=")
    self.bind(target, node.value)
    for other in targets[1:]:
      self.bind(other, node.value)
    start, _ = self.source.span(node)
    at = self.source.span(node.value)[0]
    head = self.source.between(start, at)
    if isinstance(node, ast.AnnAssign) or any(not isinstance(t, ast.Name | ast.Tuple) for t in targets):
      head = self._heads(node, start, at)
    if isinstance(target, ast.Tuple) and {n.id for n in target.elts if isinstance(n, ast.Name)} <= self.static_arrays:
      self.array_statements.add(spelled(head + text + self.around(node, node.value)[1]))
    return self.own_lines(node, head + text + self.around(node, node.value)[1])

  def _says_nothing(self: Unit, target: ast.Name, value: ast.expr) -> bool:
    """Whether `train = nn.merge_param("train", self.train, train)` is left with the argument alone."""
    merges = isinstance(value, ast.Call) and self.resolve(value.func) == "flax.linen.merge_param"
    return merges and self.text(value) == target.id

  def _assign_names(self: Unit, targets: Sequence[ast.expr], value: ast.expr) -> bool:
    """`a = b = "conv"`, where construction knows the value."""
    names = [t.id for t in targets if isinstance(t, ast.Name)]
    if len(names) < len(targets) or not isinstance(value, ast.Constant | ast.Attribute | ast.Name | ast.BinOp):
      return False
    static = self.try_static(value)
    if static is None or any(has_array(e.value) for e in self.events(value)):
      return False
    for name in names:
      self.rebinding(name)
      self.env[name] = Local("static", value)
      self.block.append(Stmt(lambda name=name: f"{name} = {static}", frozenset({name})))
    return True

  def _heads(self: Unit, node: ast.AST, start: int, stop: int) -> str:
    text, at = "", start
    targets = node.targets if isinstance(node, ast.Assign) else [node.target, node.annotation]  # type: ignore[attr-defined]
    for target in targets:
      a, b = self.source.span(target)
      text += self.source.between(at, a) + (self.text(target) if not isinstance(target, ast.Name) else target.id)
      at = b
    return text + self.source.between(at, stop)

  def _variable_store(self: Unit, node: ast.stmt, target: ast.AST) -> str | None:
    if isinstance(target, ast.Attribute) and target.attr == "value" and self.is_variable_expression(target.value):
      value = node.value  # type: ignore[attr-defined]
      return self.own_lines(node, f"{self.text(target.value)}.set_value({self.text(value)})")
    return None

  def is_variable_expression(self: Unit, node: ast.AST) -> bool:
    """Whether an expression gives a Linen Variable."""
    return self._is_variable(node)

  def _moved(self: Unit, node: ast.stmt, text: str) -> str:
    """Text around a statement's value without the statement's indentation."""
    return text.replace("\n" + self.source.indent(node), "\n")

  def _assign_name(self: Unit, node: ast.stmt, target: ast.Name, value: ast.expr) -> str | None:
    """Assignments that `__init__` takes over. An empty text: nothing stays; None: not of this kind."""
    name = target.id
    events = self.events(value)
    if isinstance(value, ast.Lambda) and self.assigned[name] == 1 and self._local_factory(name, value):
      return ""
    if settled_local(self, name, value):
      return ""
    closure = lambda_closure(self, node, name, value) if isinstance(value, ast.Lambda) else None
    if closure is not None:
      return closure
    if self.creates(value):
      assert isinstance(value, ast.Call)
      if inline_layer(self, name, value):
        return ""
      site = self.make(value, self.suggest(value) if any(k.arg == "name" for k in value.keywords) else name)
      if self.assigned[name] == 1 and not site.looped and name not in self.parameters:
        self.env[name] = Local("site", value, target=site)
        return ""
      local = Local("site", value, target=site)
      text = self.own_lines(node, f"{name} = {site.reference}")
      site.reference = name if site.looped or self.assigned[name] > 1 else site.reference
      self.env[name] = local
      return text
    if self.pipeline_begins(node, name, value):
      return ""
    if (
      isinstance(value, ast.ListComp)
      and len(value.generators) == 1
      and not value.generators[0].ifs
      and all(self.creates(e) for e in layers_in_row(value.elt))
    ):
      if not self.loops and self.try_static(value.generators[0].iter) is not None:
        self.list_of_layers(name, value)
        return ""
    given = self.given_by(value) if isinstance(value, ast.Call) else [e.value for e in events]
    if given and all(map(all_modules, given)) and not isinstance(value, ast.Name | ast.Attribute | ast.Subscript):
      static = self.try_static(value)
      if static is not None and not self.loops:
        attr = self.attribute(name)
        self.readable.add(attr)
        text = self.module_container(static, value)
        if text == static:
          text = static.join(self._moved(node, a) for a in self.around(node, value))
        self.block.append(Stmt(lambda: f"self.{attr} = {text}", keep=True))
        self.env[name] = Local("modules", value, target=f"self.{attr}")
        return ""
    if isinstance(value, ast.Call) and self.source.code(value.func) in (f"{self.self_name}.variable",):
      text = self.text(value)
      self.env[name] = Local("variable", value)
      return self.own_lines(node, f"{name} = {text}")
    arrays = events and any(has_array(e.value) for e in events)
    opening, closing = self.around(node, value)
    if isinstance(value, ast.List) and value.elts and all(self.array_events(e) for e in value.elts):
      return self._list_of_arrays(node, name, value)
    if not arrays:
      static = self.try_static(value) or told_size(self, name, value)
      measured = self.measured_axes(value)
      self.rebinding(name)
      if static is None and measured is not None:  # `shape = x.shape`, of which only `shape[-1]` is known
        self.env[name] = Local("dynamic", value, measured)
        return self.own_lines(node, f"{self._target_text(node)} = {opening}{self.text(value)}{closing}")
      if static is not None:
        text = f"{opening}{self.text(value)}{closing}"
        static = f"{self._moved(node, opening)}{static}{self._moved(node, closing)}"
        residue = self.residue_of(value)
        if residue and names_in(static) <= names_in(text) | {"nnx"}:
          text = static  # what it leaves is given to the layers: the call reads only whether there is one
        mixed = arguments_of_branch(self, node, name, value)
        if mixed is not None:
          residue = {EVERY: mixed[0]}
        self.block.append(Stmt(lambda: f"{name} = {static}", frozenset({name})))
        self.env[name] = Local("static", value, measured, residue=residue)
        if not events and names_in(self.source.code(value)) & self.static_arrays:  # in a branch that never ran
          self.array_statements.add(spelled(f"{name} = {text}"))
        line = self.own_lines(node, f"{self._target_text(node)} = {text}")
        return f"{line}{self.source.indent(node)}{mixed[0]} = {mixed[1]}\n" if mixed is not None else line
    elif events and (static := self.try_static(value)) is None and not all(hasattr(e.value, "shape") for e in events):
      return None
    elif events:
      text = f"{opening}{self.text(value)}{closing}"
      dims = self.dims(value)
      self.rebinding(name)
      dims = self._dims.get(value, dims)
      self.env[name] = Local("array", value, dims)
      self.static_arrays.discard(name)
      if static is not None:
        static = f"{self._moved(node, opening)}{static}{self._moved(node, closing)}"
        self.block.append(Stmt(lambda: f"{name} = {static}", frozenset({name})))
        self.static_arrays.add(name)
        self.array_statements.add(spelled(f"{name} = {text}"))
      return self.own_lines(node, f"{self._target_text(node)} = {text}")
    return None

  def _list_of_arrays(self: Unit, node: ast.stmt, name: str, value: ast.List) -> str | None:
    """`skips = [x]`: `__init__` keeps a list of the arrays' last axes under the same name."""
    text = self.text(value)
    list_written_out(self, name, value)
    opening, closing = self.around(node, value)
    return self.own_lines(node, f"{self._target_text(node)} = {opening}{text}{closing}")

  def _target_text(self: Unit, node: ast.stmt) -> str:
    if isinstance(node, ast.AnnAssign):
      return f"{self.source.code(node.target)}: {self.text(node.annotation)}"
    return " = ".join(self.source.code(t) for t in node.targets)  # type: ignore[attr-defined]

  def rebinding(self: Unit, name: str) -> None:
    """Sizes that mention a name lose it when the name gets another value; what depends on it alone is saved first."""
    for other, local in self.env.items():
      if local.dims is None:
        continue
      fresh = []
      for axis, candidates in enumerate(local.dims):
        keep = [c for c in candidates if name not in names_in(c)]
        if candidates and not keep and other != name:
          saved = self.size_name(other, axis, len(local.dims))
          old = candidates[0]
          self.block.append(Stmt(lambda saved=saved, old=old: f"{saved} = {alone(old, '')}", frozenset({saved})))
          self.env_later[saved] = Local("static", None)
          keep = [saved]
        fresh.append(keep)
      local.dims = fresh
    self.env.update(self.env_later)
    self.env_later.clear()
    self._dims = {n: d for n, d in self._dims.items() if not any(name in names_in(c) for axis in d for c in axis)}

  def _augmented(self: Unit, node: ast.AugAssign) -> str | None:
    if isinstance(node.target, ast.Name) and node.target.id in self.pipelines:
      self.pipeline_grows(node.target.id, node.value, "+=")
      return None
    text = self.text(node.value)
    target = node.target
    if isinstance(target, ast.Attribute) and target.attr == "value" and self._is_variable(target.value):
      base = self.text(target.value)
      return self.own_lines(node, f"{base}[...] {_operator(node)}= {text}")
    if isinstance(target, ast.Name):
      name = target.id
      local = self.env.get(name)
      if local is not None and local.kind == "static":
        static = self.try_static(node.value)
        if static is not None:
          self.rebinding(name)
          self.block.append(Stmt(lambda: f"{name} {_operator(node)}= {static}", frozenset(), mutates=name))
        elif self.array_events(node.value):  # `total = 0.0`, then `total += y`
          self.env[name] = Local("array", None, self.dims(node.value))
        else:
          self.env[name] = Local("dynamic")
      elif local is not None and local.kind == "array":
        static = self.try_static(node.value) if name in self.static_arrays else None
        if static is not None:
          self.block.append(Stmt(lambda: f"{name} {_operator(node)}= {static}", frozenset(), mutates=name))
        else:
          self.static_arrays.discard(name)
        other = self.dims(node.value)
        if other is not None and local.dims is not None and len(other) > len(local.dims):
          local.dims = other
    self._store_into(target, node.value, f"{_operator(node)}=")
    start, _ = self.source.span(node)
    closing = self.around(node, node.value)[1]
    return self.own_lines(node, self.source.between(start, self.source.span(node.value)[0]) + text + closing)

  def _store_into(self: Unit, target: ast.AST, value: ast.expr, operator: str) -> None:
    """`config.stride = 1`, `sizes[i] += 2`: `__init__` changes its own copy of the local too."""
    root = target
    while isinstance(root, ast.Attribute | ast.Subscript):
      root = root.value
    local = self.env.get(root.id) if isinstance(root, ast.Name) and root is not target else None
    if local is not None and local.kind == "arrays":
      item_stored(self, target, value)
    if local is None or local.kind != "static":
      return
    place, static = self.try_static(target), self.try_static(value)
    if place is not None and static is not None:
      owner = root.id  # pyright: ignore[reportAttributeAccessIssue]
      self.block.append(Stmt(lambda: f"{place} {operator} {static}", mutates=owner))

  def bind(self: Unit, target: ast.AST, value: ast.AST) -> None:
    """Notes what names hold after an assignment that stays in the method."""
    if isinstance(target, ast.Name):
      if list_of_each(self, target.id, value):
        return
      events = self.array_events(value)
      dims = self.dims(value) if events or not self.events(value) else None  # in a branch that never ran, too
      self.rebinding(target.id)
      self.static_arrays.discard(target.id)
      if dims is not None:
        self._dims.setdefault(value, dims)
      if events or dims:
        self.env[target.id] = Local("array", value, self.dims(value) if events else dims)
      elif isinstance(value, ast.Call) and value in self.variable_nodes:
        self.env[target.id] = Local("variable", value)
      else:
        self.env[target.id] = Local("dynamic", value)
      return
    if isinstance(target, ast.Starred):
      self.bind(target.value, target.value)
      return
    if isinstance(target, ast.Tuple | ast.List):
      self._unpack(target, value)

  def _unpack(self: Unit, target: ast.Tuple | ast.List, value: ast.AST) -> None:
    names = [e.id if isinstance(e, ast.Name) else None for e in target.elts]
    static = self.try_static(value) if not isinstance(value, ast.Tuple | ast.List) else None
    for name in names:
      if name is not None:
        self.rebinding(name)
        self.static_arrays.discard(name)
    if isinstance(value, ast.Attribute) and value.attr == "shape":
      dims = self.dims(value.value)
      if dims is not None:
        star = next((i for i, e in enumerate(target.elts) if isinstance(e, ast.Starred)), None)
        for i, name in enumerate(names):
          if star is not None and i == star:
            inner = target.elts[i].value  # type: ignore[attr-defined]
            if isinstance(inner, ast.Name):
              self.env[inner.id] = Local("dynamic")
            continue
          ends = star is not None and i > star
          if star is None and self.array_events(value.value) is None:
            ends = True  # of what no example makes, the last axes may be all that is known
          axis = len(dims) - (len(names) - i) if ends else i
          if name is not None:
            known = 0 <= axis < len(dims)
            self.env[name] = Local("size", value, target=list(dims[axis])) if known else Local("dynamic")
        return
    if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts):
      self._unpack_row(target, value, {n for n in names if n is not None})
      return
    values = self.events(value)
    bare = [e.value if isinstance(e, ast.Starred) else e for e in target.elts]
    given = {e.id for e in bare if isinstance(e, ast.Name)}  # `*rest, last` names two
    if static is not None and values and not any(has_array(e.value) for e in values) and len(given) == len(bare):
      text = self.source.code(target)
      for name in given - {*names}:
        self.rebinding(str(name))
      self.block.append(Stmt(lambda: f"{text} = {static}", frozenset(given)))
      self.env.update({name: Local("static", None) for name in given})
      return
    if static is not None and all(names):  # where no example comes, too
      text = self.source.code(target)
      self.block.append(Stmt(lambda: f"{text} = {static}", frozenset(n for n in names if n)))
      self.static_arrays.update(str(n) for n in names)
    arrays = self.array_events(value)
    rows = self.dims(value) if arrays and all(e.value.shape for e in arrays) else None
    for i, name in enumerate(names):
      if name is None:
        continue
      if rows is not None:
        self.env[name] = Local("array", None, [list(d) for d in rows[1:]])  # one row each
        continue
      shapes = [e.value[i] for e in values if isinstance(e.value, tuple | list) and len(e.value) == len(names)]
      if values and len(shapes) == len(values) and all(hasattr(s, "shape") for s in shapes):
        self.env[name] = Local("array", None, self.element_dims(value, i, values))
      elif name in self.static_arrays and (
        not values or self.array_events(value)
      ):  # the rows of an array: keys of `split`
        self.env[name] = Local("array", None, (self.dims(value) or [])[1:] or None)
      else:
        self.env[name] = Local("dynamic")

  def _unpack_row(self: Unit, target: ast.Tuple | ast.List, value: ast.Tuple | ast.List, names: set[str]) -> None:
    """`a, b = b, a + b`: every value is the one from before."""
    given = [p for p in value.elts if not isinstance(p, ast.Starred)]
    before = {p: (self.try_static(p), self.dims(p) if self.array_events(p) else None) for p in given}
    self._dims |= {p: dims for p, (_, dims) in before.items() if dims is not None}
    settled: list[tuple[str, str]] = []
    for element, part in zip(target.elts, value.elts, strict=True):
      static = before[part][0] if part in before else None
      if isinstance(element, ast.Name) and static is not None and not self.array_events(part):
        settled.append((element.id, static))
        self.env[element.id] = Local("static", part)
      elif isinstance(element, ast.Name):
        self.bind(element, part)
    swapped = any(names_in(text) & names for _, text in settled) and len(settled) > 1
    rows = [(", ".join(n for n, _ in settled), ", ".join(t for _, t in settled))] if swapped else settled
    for left, right in rows:
      bound = frozenset(n for n, _ in settled) if swapped else frozenset({left})
      self.block.append(Stmt(lambda e=left, s=right: f"{e} = {s}", bound))


def _operator(node: ast.AugAssign) -> str:
  return {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
          ast.MatMult: "@", ast.BitOr: "|", ast.BitAnd: "&"}.get(type(node.op), "+")  # fmt: skip
