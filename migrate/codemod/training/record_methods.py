"""Methods of objects that have training states in their fields: `agent.update(batch)`, `Agent.create(seed)`.

They stay methods: what `self` holds is at hand under the names of its fields.
"""

from __future__ import annotations

import ast

from migrate.codemod.training.analysis import Result
from migrate.codemod.training.kinds import with_token
from migrate.codemod.training.program import File
from migrate.codemod.training.records import Records
from migrate.codemod.training.values import PLAINLY, Function, Left, Plain, Record


class RecordMethods(Records):
  """A method is a function whose first argument is given already."""

  def called_on(self, node: ast.Call, record: Record, name: str) -> Result | None:
    """`agent.update(batch)`."""
    function = self._method_of(record, name)
    return self.call_function(function, node) if function is not None else None

  def method_of(self, node: ast.Attribute, record: Record) -> Result | None:
    """`agent.critic_loss`, to be differentiated."""
    function = self._method_of(record, node.attr)
    if function is None:
      return None
    self.followed |= {n for n in ast.walk(node) if isinstance(n, ast.Attribute)}
    return function, PLAINLY

  def _method_of(self, record: Record, name: str) -> Function | None:
    file, method = self._methods(record.cls).get(name, (None, None))
    kinds = {ast.unparse(d) for d in method.decorator_list} if method is not None else set()
    if file is None or method is None or kinds & {"property", "classmethod", "staticmethod"}:
      return None
    self.link(self.here(), record.cls)
    return self.given_first(file, method, record)

  def _methods(self, cls: ast.ClassDef) -> dict[str, tuple[File, ast.FunctionDef]]:
    return {m.name: (f, m) for f, c in self.lineage(cls) for m in c.body if isinstance(m, ast.FunctionDef)}

  def class_method(self, node: ast.Call, full: str | None) -> Result | None:
    """`Agent.create(seed)`."""
    of, _, name = (full or "").rpartition(".")
    found = self.program.class_(of)
    if found is None or not self.is_record(of):
      return None
    file, method = self._methods(found[1]).get(name, (None, None))
    kinds = {ast.unparse(d) for d in method.decorator_list} if method is not None else set()
    if file is None or method is None or not kinds & {"classmethod", "staticmethod"}:
      return None
    first = Plain(of) if "classmethod" in kinds else None
    return self.call_function(self.given_first(file, method, first), node)

  def read_uncalled(self) -> None:
    """Reads the methods that nothing calls, as methods of an object as the program makes them."""
    for cls, made in list(self.record_values.items()):
      record = with_token(made, {}, self.epochs)
      for name, (file, method) in self._methods(cls).items():
        if method in self.analysed or {ast.unparse(d) for d in method.decorator_list} & {"classmethod", "staticmethod"}:
          continue
        self.scope, self.statement = file.scope, cls
        try:
          first = method.args.args[0].arg if method.args.args else name
          self.analyse(self.given_first(file, method, record), {first: record}, method)
        except Left as error:
          self.findings.append((cls, error.finding))
