"""`jax.lax.cond` over a training state: `nnx.cond`, whose branches change the model that they are given."""

from __future__ import annotations

import ast

from migrate.codemod.training.analysis import Analysis, Result
from migrate.codemod.training.branches import Branches
from migrate.codemod.training.kinds import sign, with_token
from migrate.codemod.training.values import (
  PLAINLY,
  Function,
  Train,
  Value,
  lower,
  special,
  tokens,
)

COND = "jax.lax.cond"
NAMES = ("when_true", "when_false")


class Conds(Branches):
  """Both branches are read from what holds before them."""

  def cond(self, node: ast.Call) -> Result | None:
    """`jax.lax.cond(condition, step, lambda state: state, state)`; None where no model is given."""
    named = {k.arg: k.value for k in node.keywords}
    operands = [*node.args[3:], *([named["operand"]] if "operand" in named else [])]
    if len(node.args) < 3 or set(named) - {"operand"} or any(isinstance(a, ast.Starred) for a in node.args):
      return None
    given = [self.eval(o) for o in operands]
    if not any(special(v) for v, _ in given):
      return None
    self.plain(node.args[0])
    functions = [self.eval(a)[0] for a in node.args[1:3]]
    if any((form is None and not special(v)) or (special(v) and form is not None) for v, form in given):
      raise self.left(node, "a model made inside a call of cond", "give it a name first")
    start = self._snapshot()
    read: list[tuple[Function, Analysis]] = []
    ends = []
    for function in functions:
      if not isinstance(function, Function) or function.wraps or function.bound is not None:
        raise self.left(node, "a cond over branches that can't be followed", "give it functions of the program by their names")  # fmt: skip
      self._load(start)
      read.append((function, self._branch(node, function, [v for v, _ in given])))
      ends.append(self._snapshot())
    self._merge(*ends)
    one, other = (with_token(a.value, {}, self.epochs) for _, a in read)
    if sign(one, []) != sign(other, []) or tokens(one) != tokens(other) or any(a.fresh for _, a in read):
      raise self.left(node, "a cond whose branches do not return the same", "return what came in, updated or not, in both")  # fmt: skip
    self._write_cond(node, operands, read)
    low = lower(one, set())
    return one, low[0] if len(low) == 1 else ("tuple", low) if low else ("effect",)

  def _branch(self, node: ast.Call, function: Function, values: list[Value]) -> Analysis:
    arguments = function.node.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
    if len(names) != len(values) or arguments.vararg or arguments.kwonlyargs or arguments.kwarg or arguments.defaults:
      raise self.left(node, "a cond over a function of other arguments", "write both branches as functions of the operands")  # fmt: skip
    if any(isinstance(v, Train) for v in values):
      self.optimizing.add(function.node)  # both branches are given the same
    self.traced.add(function.node)
    self.branches.add(function.node)
    analysis, table = self.analyse(function, dict(zip(names, values, strict=True)), node)
    if table and any(t is not o for t, o in table.items()):
      raise self.left(node, "a branch of a cond that is used for another model, too", "write a branch for each")
    for owner in (function.unit.owner(function.node), *(t.owner for t in analysis.tokens)):
      self.link(self.here(), owner)
    return analysis

  def _write_cond(self, node: ast.Call, operands: list[ast.expr], read: list[tuple[Function, Analysis]]) -> None:
    texts = [f"{self.nnx()}.cond"]
    emits = [[a.emits.get(n, [PLAINLY]) for n in a.given] for _, a in read]
    if emits[0] != emits[1]:
      raise self.left(node, "a cond whose branches need other parts of the training state", "use the same in both")
    branches = [self._branch_text(node, f, a, name) for (f, a), name in zip(read, NAMES, strict=True)]
    for operand, forms in zip(operands, emits[0], strict=True):
      for form in forms:
        if form == PLAINLY:
          texts.append(self.file.text(operand))
        else:
          texts.append(self.model(form[1], node) if form[0] == "model" else self.optimizer(form[1], node))
    self.file.replace(node, self.call_text(node, texts[0], [self.file.text(node.args[0]), *branches, *texts[1:]]))

  def _branch_text(self, node: ast.Call, function: Function, analysis: Analysis, name: str) -> str:
    """The text of a branch: a lambda that does something becomes a function above."""
    place = node.args[1 + NAMES.index(name)]
    if not isinstance(function.node, ast.Lambda) or not analysis.lines:
      return self.file.text(place)
    if self.nested:
      raise self.left(node, "a lambda that changes a model", "write it as a function")
    names = [n for a in analysis.given for n in analysis.names.get(a, [a])]
    taken = {n.id for n in ast.walk(self.scope.node) if isinstance(n, ast.Name)}
    free = next(n for n in (name, *(f"{name}_{i}" for i in range(1, 99))) if n not in taken and n not in str(self.before))  # fmt: skip
    result = self.file.text(function.node.body)
    lines = [*analysis.lines, *([f"return {result}"] if lower(analysis.value, set()) or not special(analysis.value) else [])]  # fmt: skip
    unit = self.file.source.indent(self.scope.node.body[0])[len(self.file.source.indent(self.scope.node)) :] or "  "
    indent = self.file.source.indent(self.statement) if self.statement is not None else ""
    head = f"def {free}({', '.join(names)}):"
    self.put_before(node, f"\n{indent}{unit}".join([head, *lines]) + "\n")
    return free
