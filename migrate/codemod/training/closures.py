"""Models that a function meets around itself and changes: NNX lets it only where nothing traces the function by itself."""

from __future__ import annotations

import ast

from migrate.codemod.training.base import Base
from migrate.codemod.training.program import Scope
from migrate.codemod.training.values import Token


class Closures(Base):
  """Statistics that move and streams that are seeded anew inside `jax.grad`, `jax.jit`, scans."""

  def changes(self, token: Token, node: ast.AST) -> None:
    """A call changes variables of a model: every function that is traced by itself must be given it."""
    for i in reversed(range(len(self.frames))):
      scope = self.frames[i]
      if token in scope.given or token in self.created.get(scope, ()):
        return
      analysis = self.analysed.get(scope.node)
      if analysis is not None:
        analysis.moves.add(token)
      if scope.lifted and not self._give(scope, token, node):
        raise self.left(node, "a model from outside of a function that is traced by itself, and changed in it", "give it as an argument", "L2N404")  # fmt: skip
      if token in scope.given:
        return

  def _give(self, scope: Scope, token: Token, node: ast.AST) -> bool:
    """Makes a model one more argument of a function that is differentiated; whether that can be."""
    arguments = scope.node.args
    analysis = self.analysed.get(scope.node)
    if not scope.inner or analysis is None or arguments.defaults or arguments.vararg or arguments.kwonlyargs or arguments.kwarg:  # fmt: skip
      return False
    name = self.model(token, node)
    taken = {a.arg for a in ast.walk(arguments) if isinstance(a, ast.arg)} | {*scope.models.values()}
    stored = {n.id for n in ast.walk(scope.node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    if not name.isidentifier() or name in taken | stored:
      return False
    last = [*arguments.posonlyargs, *arguments.args][-1]
    scope.file.replace(last, f"{scope.file.text(last)}, {name}")
    scope.models[token] = name
    scope.given.add(token)
    analysis.extra[token] = name
    analysis.moves.discard(token)
    return True
