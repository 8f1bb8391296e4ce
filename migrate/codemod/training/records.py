"""Objects that have training states in their fields: `class Agent(NamedTuple): actor: TrainState; critic: TrainState`.

They stay what they are, JAX and NNX take them apart alike. A field with a state becomes two, the model and its optimizer,
which change in place, so `agent._replace(actor=agent.actor.apply_gradients(...))` is an update alone. Parameters beside a
state, those of a target network, are an `nnx.State`.
"""

from __future__ import annotations

import ast

from migrate.codemod.training.analysis import Result, derived_names
from migrate.codemod.training.program import File, Scope
from migrate.codemod.training.record_parts import RecordParts
from migrate.codemod.training.values import (
  EFFECT,
  PLAIN,
  PLAINLY,
  Form,
  Function,
  Live,
  OptState,
  Part,
  Plain,
  Record,
  Self,
  Token,
  Train,
  Tree,
  Value,
  special,
  tokens,
)

BASES = {"typing.NamedTuple", "flax.struct.PyTreeNode"}
DECORATORS = {"flax.struct.dataclass", "chex.dataclass", "jax_dataclasses.pytree_dataclass"}
REPLACE = {"_replace", "replace"}
OF_STATES = {"params", "apply_fn", "opt_state", "step", "tx", "apply_gradients", "replace"}


class Records(RecordParts):
  """`Agent(actor, critic)`, `agent.actor`, `agent._replace(actor=...)`."""

  def is_record(self, full: str | None) -> bool:
    """Whether a class has nothing but fields and methods, and says that training states are in them."""
    found = self.program.class_(full)
    if found is None:
      return False
    file, node = found
    bases = {self.program.base(file, node, b) for b in node.bases}
    decorators = {self.program.full(file.scope, d) for d in node.decorator_list}
    own = len(bases) == 1 and self._extends(next(iter(bases)))
    plain = (len(bases) == 1 and (bases <= BASES or own) and not decorators) or (len(decorators) == 1 and decorators <= DECORATORS and not bases)  # fmt: skip
    if (
      not plain
      or node.keywords
      or not all(isinstance(s, (ast.AnnAssign, ast.FunctionDef)) or _is_text(s) for s in node.body)
    ):
      return False
    fields = [(f, s) for f, c in self.lineage(node) for s in _fields(c)]
    names = [ast.unparse(s.target) for _, s in fields]
    apart = any("params" in n for n in names) and any("opt_state" in n for n in names) and "tx" not in names
    return apart or any(self._says_state(f, s.annotation) for f, s in fields)

  def _extends(self, base: str | None) -> bool:
    """Whether a class may be derived from, with fields and methods alone: a PyTreeNode."""
    found = self.program.class_(base)
    if found is None or found[1].decorator_list or found[1].keywords or len(found[1].bases) != 1:
      return False
    file, node = found
    above = self.program.base(file, node, node.bases[0])
    fields = all(isinstance(s, (ast.AnnAssign, ast.FunctionDef)) or _is_text(s) for s in node.body)
    return fields and (above == "flax.struct.PyTreeNode" or self._extends(above))

  def lineage(self, cls: ast.ClassDef) -> list[tuple[File, ast.ClassDef]]:
    """The program's classes that a class is made of, the first one first."""
    file = next((f for f in self.program.files.values() if f.classes.get(cls.name) is cls), None)
    if file is None:
      return []
    base = self.program.class_(self.program.base(file, cls, cls.bases[0])) if len(cls.bases) == 1 else None
    return [*(self.lineage(base[1]) if base is not None else []), (file, cls)]

  def _says_state(self, file: File, annotation: ast.expr) -> bool:
    inner = [n for n in ast.walk(annotation) if isinstance(n, (ast.Name, ast.Attribute))]
    full = [self.program.full(file.scope, n) for n in inner]
    return any(self.program.train_state(f) is not None or self.is_record(f) for f in full)

  def make_record(self, node: ast.Call, full: str | None) -> Result | None:
    """`Agent(actor, critic, step=0)`."""
    held = self.scope.find(node.func.id) if full is None and isinstance(node.func, ast.Name) else None
    full = held.full if isinstance(held, Plain) else full  # `cls(...)`
    if full is None or not self.is_record(full):
      return None
    _, cls = self.program.class_(full)  # pyright: ignore
    names = list(dict.fromkeys(ast.unparse(s.target) for _, c in self.lineage(cls) for s in _fields(c)))
    if any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords):
      raise self.left(node, f"fields of `{cls.name}` that can't be told apart", "give them one by one")
    given = [*zip(names, node.args, strict=False), *((str(k.arg), k.value) for k in node.keywords)]
    found = {name: (argument, *self.eval(argument)) for name, argument in given}
    if not any(special(v) for _, v, _ in found.values()):
      for _, value, _ in found.values():
        if isinstance(value, Function):
          self.read_plainly(value, node)
      return PLAIN, PLAINLY
    states = {n for n, (_, v, _) in found.items() if isinstance(v, Train)}
    live = self.live_fields(found)
    if self.live.setdefault(cls, live) != live:
      raise self.left(
        node, f"`{cls.name}` has parameters in a field here, and something else there", "write two classes"
      )
    held = [t for _, v, _ in found.values() for t in tokens(v) if not isinstance(v, Part)]
    trees = {n for n, (_, v, _) in found.items() if isinstance(v, (Part, Tree)) or (isinstance(v, Live) and v.tree)} - {*live}  # fmt: skip
    for file, one in self.lineage(cls):
      fields = {ast.unparse(s.target) for s in _fields(one)}
      self._rewrite_record(node, file, one, states & fields, trees & fields)
    items: dict[str, Value] = dict.fromkeys(names, PLAIN)
    texts: list[str] = []
    for i, (name, (argument, value, form)) in enumerate(found.items()):
      key = i >= len(node.args)
      if isinstance(value, Train):
        if form == EFFECT:
          self._check_calls(texts, argument)
        pair = self._pair(name, argument, value, form)
        texts += [f"{n}={t}" if key else t for n, t in zip(self.pair_names(cls, name), pair, strict=True)]
        items[name] = value
        continue
      if name in live:
        text, items[name] = self.live_item(argument, value, form, texts)
        texts += [f"{live[name]}={text}" if key else text] if live[name] else []
        continue
      text, items[name] = self._item_text(argument, value, form, held)
      texts.append(f"{name}={text}" if key else text)
    self.file.replace(node, self.call_text(node, self.file.source.code(node.func), texts))
    self.record_values[cls] = record = Record(cls, tuple(items.items()))
    return record, PLAINLY

  def _pair(self, name: str, node: ast.expr, value: Train, form: Form) -> tuple[str, str]:
    """The texts of a state's model and optimizer."""
    token = value.token
    if not self.current(value):
      raise self.left(node, f"`{ast.unparse(node)[:60]}` is used after it was updated", "use what the update returned", "L2N403")  # fmt: skip
    if form == ("optimizer", token):
      return self.model(token, node), self.file.text(node)
    if form == EFFECT:
      self.put_before(node, self.file.text(node))
    elif form is not None:
      if form != ("tuple", [("model", token), ("optimizer", token)]):
        raise self.left(node, "a training state made inside a call", "give it a name first")
      self._name_pair(name, token)
      self.put_before(node, f"{self.model(token, node)}, {self.optimizer(token, node)} = {self.file.text(node)}")
    return self.model(token, node), self.optimizer(token, node)

  def _check_calls(self, texts: list[str], node: ast.expr) -> None:
    """An update becomes a statement above: no call may come before it in its own."""
    if any(isinstance(n, ast.Call) for t in texts for n in ast.walk(ast.parse(t))):
      raise self.left(node, "an update after other calls in one statement", "give what comes before it a name first", "L2N403")  # fmt: skip

  def _name_pair(self, field: str, token: Token) -> None:
    """A state that has no name but its field's."""
    taken = {n.id for n in ast.walk(self.scope.node) if isinstance(n, ast.Name)} | {*self.scope.models.values(), *self.scope.optimizers.values()}  # fmt: skip
    model, optimizer = _names(field)
    if taken.isdisjoint({model, optimizer}):
      self.scope.models.setdefault(token, model)
      self.scope.optimizers.setdefault(token, optimizer)

  def _item_text(self, node: ast.expr, value: Value, form: Form, held: list[Token]) -> tuple[str, Value]:
    """What a field that has no state in it is given."""
    if isinstance(value, Part) and value.collection == "params" and not value.inner:
      if not self.current(value):
        raise self.left(node, f"`{ast.unparse(node)[:60]}` is used after it was updated", "use what the update returned", "L2N403")  # fmt: skip
      token = next((t for t in held if t is value.token or t.made is value.token.made), None)
      if token is None:
        raise self.left(node, "parameters beside training states of other models", "keep them in a variable of their own", "L2N405")  # fmt: skip
      tree = Tree(token, whole=value.whole)
      if form == ("model", value.token):
        return f"{self.nnx()}.state({self.file.text(node)}, nnx.Param)", tree
      if form is None:
        return self.copied(value.token, node), tree
    if isinstance(value, Record) and form == PLAINLY and self.current(value):
      return self.file.text(node), value
    if special(value):
      self.plain(node)
    if isinstance(value, Function):
      self.read_plainly(value, node)
    return self.file.text(node), value

  def _rewrite_record(self, node: ast.AST, file: File, cls: ast.ClassDef, states: set[str], trees: set[str]) -> None:
    """A field for the model and one for the optimizer, where there was one for the state."""
    if self.records.setdefault(cls, (states, trees)) != (states, trees):
      raise self.left(node, f"`{cls.name}` has a training state in a field here, and something else there", "write two classes")  # fmt: skip
    self.link(self.here(), cls)
    for statement in _fields(cls):
      name = ast.unparse(statement.target)
      new = self.live.get(cls, {}).get(name)
      if (name in states or new is not None) and statement.value is not None:
        raise self.left(node, f"field `{name}` of `{cls.name}` with a default", "take the default away")
      if new is not None:
        what = "Optimizer" if "optimizer" in new else "Module"
        file.replace(statement, f"{new}: nnx.{what}") if new else self.erase(statement, file)
        file.imports.setdefault(cls, set()).add("from flax import nnx")
      elif name in states:
        model, optimizer = self.pair_names(cls, name)
        indent = file.source.indent(statement)
        file.replace(statement, f"{model}: nnx.Module\n{indent}{optimizer}: nnx.Optimizer")
        file.imports.setdefault(cls, set()).add("from flax import nnx")
      elif name in trees and self.program.full(file.scope, statement.annotation) != "typing.Any":
        file.replace(statement.annotation, "nnx.State")
        file.imports.setdefault(cls, set()).add("from flax import nnx")

  def pair_names(self, cls: ast.ClassDef, field: str) -> tuple[str, str]:
    """The fields of a state's model and optimizer."""
    fields = {ast.unparse(s.target) for _, c in self.lineage(cls) for s in _fields(c)} - {field}
    model, optimizer = _names(field)
    model = field if model in fields else model
    return model, next(n for n in (optimizer, f"{field}_optimizer", f"{field}_opt", f"{field}_updater") if n not in fields)  # fmt: skip

  # ---- names

  def name_record(self, scope: Scope, path: str, record: Record) -> None:
    """The models of an object have the names of its fields."""
    for name, value in record.items:
      if isinstance(value, Train):
        model, optimizer = self.pair_names(record.cls, name)
        scope.models.setdefault(value.token, f"{path}.{model}")
        scope.optimizers.setdefault(value.token, f"{path}.{optimizer}")
      elif isinstance(value, (Part, OptState)) and (new := self.live.get(record.cls, {}).get(name)):
        table = scope.models if isinstance(value, Part) else scope.optimizers
        table.setdefault(value.token, f"{path}.{new}")
      elif isinstance(value, Record):
        self.name_record(scope, f"{path}.{name}", value)

  def rebind(self, target: ast.Name, value: Value) -> None:
    """A variable holds another value from now on: models that had their names from it have them no more."""
    scope, name = self.scope, target.id
    old = scope.values.get(name)
    for token in tokens(old) if isinstance(old, Record) and tokens(old) != tokens(value) else ():
      if scope.models.get(token, "").startswith(f"{name}."):
        if any(token in tokens(v) for n, v in scope.values.items() if n != name):
          raise self.left(target, f"`{name}`, whose models have other names too, is another object now", "give it a name of its own")  # fmt: skip
        del scope.models[token]
        scope.optimizers.pop(token, None)
    if isinstance(value, Record):
      self.name_record(scope, name, value)

  # ---- uses

  def record_of(self, node: ast.expr) -> Record | None:
    """The object that an expression gives, be some of its states old or not."""
    if isinstance(node, ast.Name):
      value = self.scope.find(node.id)
      return value if isinstance(value, Record) else None
    if not isinstance(node, ast.Attribute):
      return None
    around = self.scope.find(node.value.id) if isinstance(node.value, ast.Name) else None
    if isinstance(around, Self):
      value = around.scope.values.get(f"self.{node.attr}")
      return value if isinstance(value, Record) else None
    outer = self.record_of(node.value)
    value = outer[node.attr] if outer is not None else None
    return value if isinstance(value, Record) else None

  def record_field(self, node: ast.Attribute) -> Result | None:
    """`agent.actor`: the model is at hand."""
    record = self.record_of(node.value)
    value = record[node.attr] if record is not None else None
    if record is None or value is None:
      return self.method_of(node, record) if record is not None else None
    self.followed |= {n for n in ast.walk(node) if isinstance(n, ast.Attribute)}
    self.link(self.here(), record.cls)
    if not isinstance(value, Record) and special(value) and not self.current(value):
      raise self.left(node, f"`{ast.unparse(node)}` is used after it was updated", "use what the update returned", "L2N403")  # fmt: skip
    return value, None if isinstance(value, (Train, Part, OptState)) else PLAINLY

  def record_method(self, node: ast.Call, func: ast.Attribute) -> Result | None:
    """`agent._replace(actor=..., step=...)`."""
    record = self.record_of(func.value)
    if record is None or record[func.attr] is not None:
      return None
    called = self.called_on(node, record, func.attr)
    if called is not None:
      self.followed |= {n for n in ast.walk(func) if isinstance(n, ast.Attribute)}
      return called
    if func.attr not in REPLACE or node.args or any(k.arg is None for k in node.keywords):
      raise self.left(node, f"`{ast.unparse(func)}`, a method of an object with a training state in it", "write what it does where it is called")  # fmt: skip
    self.followed |= {n for n in ast.walk(func) if isinstance(n, ast.Attribute)}
    self.link(self.here(), record.cls)
    items, texts = dict(record.items), []
    for keyword in node.keywords:
      name, old = str(keyword.arg), record[str(keyword.arg)]
      value, form = self.eval(keyword.value)
      if isinstance(old, (Part, OptState)):
        if form == EFFECT:
          self._check_calls(texts, keyword.value)
        value = self.same_live(keyword.value, old, value, form)
      elif isinstance(old, Train):
        if not isinstance(value, Train) or value.token is not old.token or form not in (None, EFFECT):
          raise self.left(keyword.value, f"another training state in `{name}`", "update the one that is there")
        if not self.current(value):
          raise self.left(keyword.value, f"an old training state in `{name}`", "use what the update returned", "L2N403")
        if form == EFFECT:
          self._check_calls(texts, keyword.value)
          self.put_before(node, self.file.text(keyword.value))
      else:
        held = [t for v in items.values() if isinstance(v, (Train, Record)) for t in tokens(v)]
        text, value = self._item_text(keyword.value, value, form, held)
        if isinstance(old, Tree) and not isinstance(value, Tree):
          raise self.left(keyword.value, f"`{name}`, which held parameters, and now something else", "make it of the parameters")  # fmt: skip
        texts.append(f"{name}={text}")
      items[name] = value
    base = self.file.text(func.value)
    self.file.replace(node, self.call_text(node, f"{base}.{func.attr}", texts) if texts else base)
    return Record(record.cls, tuple(items.items())), PLAINLY

  def check_records(self) -> None:
    """Tells where something may look for a state in an object that has a model and an optimizer now."""
    wrong = {self.root(owner) for owner, f in self.findings if f.severity == "error"}
    for cls, (states, _) in self.records.items():
      if self.root(cls) in wrong:
        continue
      for file in self.program.files.values():
        for use in ast.walk(file.source.tree):
          if isinstance(use, ast.Attribute) and use.attr in self.live.get(cls, {}) and use not in self.followed:
            self.statement = cls
            error = self.left(use, f"`{ast.unparse(use)}` may be a field of `{cls.name}`, and no caller shows it", "give the files that call it too")  # fmt: skip
            self.findings.append((cls, error.finding))
          inner = use.value if isinstance(use, ast.Attribute) and use.attr in OF_STATES else None
          if isinstance(inner, ast.Attribute) and inner.attr in states and inner not in self.followed:
            self.statement = cls
            error = self.left(inner, f"`{ast.unparse(use)}` may be a training state of `{cls.name}`, and no caller shows it", "give the files that call it too")  # fmt: skip
            self.findings.append((cls, error.finding))


def _fields(cls: ast.ClassDef) -> list[ast.AnnAssign]:
  return [s for s in cls.body if isinstance(s, ast.AnnAssign)]


def _names(field: str) -> tuple[str, str]:
  """`actor_state` gives `actor_model` and `actor_optimizer`, `actor` gives `actor` and `actor_optimizer`."""
  if "state" in field:
    return derived_names(field, "model")[0], derived_names(field, "optimizer")[0]
  return field, f"{field}_optimizer"


def _is_text(node: ast.stmt) -> bool:
  return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
