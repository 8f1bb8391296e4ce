"""`jax.lax.scan` over steps that carry a model: `nnx.scan`, which carries what is in the model and its optimizer."""

from __future__ import annotations

import ast
from typing import Any

from migrate.codemod.training.analysis import Result
from migrate.codemod.training.base import Base
from migrate.codemod.training.kinds import sign, with_token
from migrate.codemod.training.values import (
  PLAIN,
  PLAINLY,
  Form,
  Function,
  Plain,
  Tup,
  Value,
  lower,
  special,
  tokens,
)

SCAN = "jax.lax.scan"
NAMES = ("f", "init", "xs", "length", "reverse", "unroll")
KEPT = ("length", "reverse", "unroll")


class Scans(Base):
  """Loops over steps."""

  def scan(self, node: ast.Call) -> Result:
    """`jax.lax.scan(step, state, batches)`."""
    given: dict[str, ast.expr] = dict(zip(NAMES, node.args, strict=False))
    given |= {k.arg: k.value for k in node.keywords if k.arg}
    function, _ = self.eval(given["f"]) if "f" in given else (PLAIN, PLAINLY)
    init, form = self.eval(given["init"]) if "init" in given else (PLAIN, PLAINLY)
    for name, argument in given.items():
      if name not in ("f", "init"):
        self.plain(argument)
    if not special(init):
      if isinstance(function, Function):
        self.read_plainly(function)
      elif special(function):
        self.plain(given["f"])
      return Plain(SCAN), PLAINLY
    names = self._step_arguments(node, function, given)
    assert isinstance(function, Function)
    self.traced.add(function.node)
    analysis, table = self.analyse(function, {names[0]: init, names[1]: PLAIN}, node)
    found = with_token(analysis.value, table, self.epochs)
    self._check_carry(node, init, found)
    if analysis.fresh:
      raise self.left(node, "a model made inside a scan", "make it before the scan")
    for owner in (function.unit.owner(function.node), *(t.owner for t in tokens(init))):
      self.link(self.here(), owner)
    for wrap in function.wraps:
      self.rewrap(wrap, analysis, found)
    self._write(node, given, analysis.emits.get(names[0], []), form, table)
    low = lower(found, set())
    return found, low[0] if len(low) == 1 else ("tuple", low)

  def _step_arguments(self, node: ast.Call, function: Value, given: dict[str, ast.expr]) -> list[str]:
    starred = any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg not in NAMES for k in node.keywords)
    if starred or not isinstance(function, Function) or any(w.kind != "jit" for w in function.wraps):
      raise self.left(node, "a scan over steps that can't be followed", "give jax.lax.scan a function of the program by its name")  # fmt: skip
    arguments = function.node.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
    if len(names) != 2 or arguments.vararg or arguments.kwonlyargs or arguments.kwarg or arguments.defaults:
      raise self.left(node, "a scan over a function of more than (carry, x)", "write the step as a function of two")
    return names

  def _check_carry(self, node: ast.Call, init: Value, found: Value) -> None:
    items = found.items if isinstance(found, Tup) and len(found.items) == 2 else (PLAIN, found)
    if special(items[1]) or sign(items[0], []) != sign(init, []) or tokens(found) != tokens(init):
      raise self.left(node, "a scan whose step does not return what it carries", "return (state, output), with the state that came in, updated")  # fmt: skip

  def _write(
    self, node: ast.Call, given: dict[str, ast.expr], emits: list[Form], form: Form, table: dict[Any, Any]
  ) -> None:
    if form is not None and form != PLAINLY and (form[0] != "tuple" or any(f != PLAINLY for f in form[1])):
      raise self.left(given["init"], "a model made inside a call of scan", "give it a name first")
    nnx = self.nnx()
    held = [f for f in emits if f != PLAINLY]
    axes = f"{nnx}.StateAxes({{...: {nnx}.Carry}})"
    if len(held) > 1 and not self.nested:
      name = next(n for n in ("carried", "carried_axes", *(f"carried_{i}" for i in range(99))) if self._is_free(n))
      self.put_before(node, f"{name} = {axes}")
      axes = name
    rest = len(held) < len(emits)
    xs = given.get("xs")
    axis = "0" if xs is not None and not (isinstance(xs, ast.Constant) and xs.value is None) else "None"
    into = [axes] * len(held) + [f"{nnx}.Carry"] * rest + [axis]
    options = [self.file.text(given["f"]), f"in_axes=({', '.join(into)})", f"out_axes={f'({nnx}.Carry, 0)' if rest else 0}"]  # fmt: skip
    options += [f"{k}={self.file.text(given[k])}" for k in KEPT if k in given]
    texts = []
    for one in emits:
      if one == PLAINLY:
        texts.append(self.file.text(given["init"]))
      else:
        token = table.get(one[1], one[1])
        texts.append(self.model(token, node) if one[0] == "model" else self.optimizer(token, node))
    texts.append(self.file.text(xs) if xs is not None else "None")
    self.file.replace(node, f"{self.call_text(node, f'{nnx}.scan', options)}({', '.join(texts)})")

  def _is_free(self, name: str) -> bool:
    return all(n.id != name for n in ast.walk(self.scope.node) if isinstance(n, ast.Name))
