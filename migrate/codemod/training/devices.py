"""Programs of several devices: `jax.pmap` over steps, training states that are replicated.

`nnx.pmap` maps over the first axis of a model's arrays as `jax.pmap` does over a training state's, so a replicated
model is the same model with one more axis in all of its arrays.
"""

from __future__ import annotations

import ast

from migrate.codemod.remarks import layout_call
from migrate.codemod.training.analysis import Analysis, Result
from migrate.codemod.training.base import Base
from migrate.codemod.training.functions import positional
from migrate.codemod.training.values import (
  PLAINLY,
  Changed,
  Copied,
  Function,
  Part,
  Recipe,
  Stats,
  Token,
  Train,
  Tup,
  Value,
  Wrap,
  lower,
  special,
  tokens,
)
from migrate.codemod.training.wraps import constant, keyword_value

REPLICATE = {"flax.jax_utils.replicate"}
UNREPLICATE = {"flax.jax_utils.unreplicate"}
MAPS = {"jax.tree.map", "jax.tree_util.tree_map", "jax.tree_map"}
MEANS = {"jax.lax.pmean", "jax.lax.psum"}
KINDS = {"batch_stats": "BatchStat"}
DO = "train with jax.jit and a batch that is sharded over a mesh, then run the codemod"


class Devices(Base):
  """`jax_utils.replicate(state)`, `jax.pmap(train_step, axis_name="batch")(state, batch)`."""

  def device_call(self, node: ast.Call, full: str | None) -> Result | None:
    """A function that copies a training state to the devices or back, or means statistics over them."""
    if full in MEANS and node.args:
      return self._meant(node)
    single = full in UNREPLICATE or (full in MAPS and self._takes_first(node)) or full == "jax.device_get"
    if not node.args or not (full in REPLICATE or single or full in MAPS):
      return None
    value, form = self.eval(node.args[1 if full in MAPS and len(node.args) == 2 else 0])
    if isinstance(value, Copied):
      return Copied(value.token, value.epoch, text=self._around(node, value.text)), None
    if not isinstance(value, Train) or form is not None:
      return None
    if full in REPLICATE:
      return self._moved(node, value, True)
    if not (single or isinstance(self.eval(node.args[0])[0], type(None))):
      return None
    source = node.args[-1]
    target = self.statement.targets[0] if isinstance(self.statement, ast.Assign) and self.statement.value is node else None  # fmt: skip
    if full in UNREPLICATE and target is not None and ast.unparse(target) == ast.unparse(source):
      return self._moved(node, value, False)
    return Copied(value.token, self.epoch(value.token), text=self._around(node, "{}")), None

  def _takes_first(self, node: ast.Call) -> bool:
    """`jax.tree.map(lambda x: x[0], state)`."""
    function = node.args[0] if node.args else None
    if not isinstance(function, ast.Lambda) or len(function.args.args) != 1 or len(node.args) != 2:
      return False
    return ast.unparse(function.body) == f"{function.args.args[0].arg}[0]"

  def _around(self, node: ast.Call, inside: str) -> str:
    """The text of a call with a place for its last argument."""
    texts = [self.file.text(a).replace("{", "{{").replace("}", "}}") for a in node.args[:-1]]
    return f"{self.file.text(node.func)}({', '.join([*texts, inside])})"

  def _moved(self, node: ast.Call, state: Train, on: bool) -> Result:
    """All arrays of model and optimizer get one more axis, or lose it."""
    token = state.token
    if (token in self.spread) == on:
      raise self.left(node, f"a training state that is {'already' if on else 'not'} on several devices", DO, "L2N416")
    if token.fields:
      raise self.left(node, f"a training state with {', '.join(token.fields)} on several devices", DO, "L2N416")
    if token in self.pending:
      raise self.left(node, "a training state without the statistics that a call changed", "put them into the state first", "L2N404")  # fmt: skip
    both = f"({self.model(token, node)}, {self.optimizer(token, node)})"
    nnx = self.nnx()
    self.put_before(node, f"{nnx}.update({both}, {self.file.text(node.func)}({nnx}.state({both})))")
    self.spread = self.spread | {token} if on else self.spread - {token}
    return Train(token, self.advance(token), state.whole), None

  def _meant(self, node: ast.Call) -> Result | None:
    """`lax.pmean(new["batch_stats"], "batch")`: statistics of which all devices have the mean."""
    value, form = self.eval(node.args[0])
    if not isinstance(value, Changed) or form is not None or value.collection not in KINDS:
      return None
    for argument in [*node.args[1:], *(k.value for k in node.keywords)]:
      self.plain(argument)
    state = f"{self.nnx()}.state({self.model(value.token, node)}, nnx.{KINDS[value.collection]})"
    texts = [state, *(self.file.text(a) for a in node.args[1:]), *(f"{k.arg}={self.file.text(k.value)}" for k in node.keywords)]  # fmt: skip
    text = f"{self.file.text(node.func)}({', '.join(texts)})"
    return Stats(value.token, value.epoch, value.collection, text), None

  # ---- pmap

  def mean_over_devices(self, function: Function, node: ast.Call) -> Result | None:
    """`jax.pmap(lambda x: lax.pmean(x, "x"), "x")(state.batch_stats)`."""
    names, body = [a.arg for a in function.node.args.args], function.node.body
    if [w.kind for w in function.wraps] != ["pmap"] or len(names) != 1 or len(node.args) != 1 or node.keywords:
      return None
    last = body if isinstance(body, ast.expr) else body[-1].value if isinstance(body[-1], ast.Return) else None
    if not isinstance(last, ast.Call) or self.program.full(function.outer, last.func) not in MEANS or ast.unparse(last.args[0]) != names[0]:  # fmt: skip
      return None
    value, form = self.eval(node.args[0])
    if not isinstance(value, Part) or form is not None or value.collection not in KINDS or value.inner:
      return None
    if value.token not in self.spread:
      raise self.left(node, "statistics of one device given to jax.pmap", DO, "L2N416")
    state = f"{self.nnx()}.state({self.model(value.token, node)}, nnx.{KINDS[value.collection]})"
    return Stats(value.token, value.epoch, value.collection, f"{self.file.text(node.func)}({state})"), None

  def not_spread(self, token: Token, node: ast.AST) -> None:
    """Refuses what does not mean the same for arrays with one more axis."""
    if token in self.spread:
      raise self.left(node, "a model on several devices is used outside of jax.pmap", DO, "L2N416")

  def enter_devices(self, wrap: Wrap, function: Function, given: dict[str, Value], node: ast.Call) -> set[Token]:
    """Checks how models are given to a pmapped function. Returns which are on several devices."""
    if [w.kind for w in function.wraps if w.kind != "partial"] != ["pmap"] or function.wraps[-1] is not wrap:
      raise self.left(node, "jax.pmap with another transform around or in it", DO, "L2N416")
    for name, axis in self._axes(wrap, function, node).items():
      value = given.get(name)
      if value is None or not special(value) or isinstance(value, Recipe) or type(value).__name__ == "Apply":
        continue
      for token in tokens(value):
        if axis not in (0, None) or (token in self.spread) != (axis == 0):
          raise self.left(node, f"`{name}`, which is mapped over {axis} and {'' if token in self.spread else 'not '}replicated", DO, "L2N416")  # fmt: skip
    before = set(self.spread)
    self.spread = self.spread - {t for v in given.values() for t in tokens(v)}
    return before

  def _axes(self, wrap: Wrap, function: Function, node: ast.Call) -> dict[str, object]:
    """The axis of every argument that a call gives."""
    axes = constant(keyword_value(wrap.call, "in_axes"), 0) if keyword_value(wrap.call, "in_axes") is not None else 0
    names = positional(function)[: len(node.args)]
    if isinstance(axes, tuple) and len(axes) != len(names):
      raise self.left(node, "in_axes of jax.pmap that are not one for each argument", DO, "L2N416")
    found = dict(zip(names, axes if isinstance(axes, tuple) else (axes,) * len(names), strict=True))
    return {**found, **{str(k.arg): 0 for k in node.keywords}}

  def on_devices(self, wrap: Wrap, function: Function, analysis: Analysis, value: Value, node: ast.Call) -> None:
    """Writes axes and arguments of a pmapped function for what it is given now."""
    file, call = wrap.owner, wrap.call
    axes = self._axes(wrap, function, node)
    if call is not None and len(call.args) > 1:
      if len(call.args) > 2 or wrap.node is not call.func:
        raise self.left(node, "options of jax.pmap by position", "give them by name", "L2N416")
      name = file.text(call.args[1])
      file.replace(call.args[1], name if name.startswith("axis_name=") else f"axis_name={name}")
    if analysis.extra or (call is not None and keyword_value(call, "static_broadcasted_argnums") is not None and isinstance(keyword_value(call, "in_axes"), ast.Tuple)):  # fmt: skip
      raise self.left(node, "in_axes beside arguments that are no arrays", DO, "L2N416")
    written: list[str] = []
    for name, axis in axes.items():
      for form in analysis.emits.get(name, [PLAINLY]):
        held = form[1] if form != PLAINLY else None
        written.append(str(axis) if held is None else "0" if held in self.spread else "None")
    inside, outside = keyword_value(call, "in_axes"), keyword_value(call, "out_axes")
    if inside is not None and isinstance(inside, ast.Tuple):
      file.replace(inside, f"({', '.join(written)}{',' if len(written) == 1 else ''})")
    if outside is not None and call is not None:
      self._outside(call, file, outside, value, node)
    if node.keywords and any(w.kind == "partial" for w in function.wraps):
      self._by_position(function, analysis, node)

  def _outside(self, call: ast.Call, file: object, outside: ast.expr, value: Value, node: ast.Call) -> None:
    """The axes of what is returned, without the models that the caller has."""
    axes = constant(outside, 0)
    items = value.items if isinstance(value, Tup) else (value,)
    if isinstance(axes, tuple) and len(axes) == len(items):
      kept = [str(a) for a, item in zip(axes, items, strict=True) if lower(item, set())]
    elif axes == 0:
      return
    else:
      raise self.left(node, "out_axes of jax.pmap that are not one for each result", DO, "L2N416")
    if set(kept) <= {"0"}:
      self._without(file, call, "out_axes")  # pyright: ignore
    else:
      file.replace(outside, kept[0] if len(kept) == 1 else f"({', '.join(kept)})")  # pyright: ignore

  def _by_position(self, function: Function, analysis: Analysis, node: ast.Call) -> None:
    """`nnx.pmap` takes arguments by position only: a partial that gives some by name becomes a lambda that takes all."""
    partial = next(w for w in function.wraps if w.kind == "partial")
    names = positional(function)[: len(node.args)]
    texts = [n for name in names for n in analysis.names.get(name, [name])]
    more = [str(k.arg) for k in node.keywords]
    call = partial.call
    if call is None or call.args[1:] or sum(w.kind == "partial" for w in function.wraps) > 1:
      raise self.left(node, "arguments by name for jax.pmap of a partial", "give them by position", "L2N416")
    bound = [f"{k.arg}={partial.owner.text(k.value)}" for k in call.keywords if not special(partial.bound[str(k.arg)])]
    indent = partial.owner.source.indent(call) if call.end_lineno != call.lineno else ""
    arguments = [*texts, *bound, *(f"{n}={n}" for n in more)]
    inner = layout_call(partial.owner.text(call.args[0]), arguments, indent, 60 if indent else 9999)
    text = f"lambda {', '.join([*texts, *more])}: {inner}"
    if self.devices_of.setdefault(call, text) != text:
      raise self.left(node, "jax.pmap called with other arguments by name elsewhere", "give them by position", "L2N416")
    partial.owner.replace(call, text)
