"""TrainState and its subclasses: a model and an optimizer, which keeps what else the state had."""

from __future__ import annotations

import ast
import dataclasses

from migrate.codemod.training.analysis import Result
from migrate.codemod.training.base import Base
from migrate.codemod.training.program import TRAIN_STATE, File
from migrate.codemod.training.values import (
  EFFECT,
  PLAINLY,
  Apply,
  Changed,
  Form,
  Grads,
  Held,
  Live,
  Part,
  Plain,
  Record,
  Stats,
  Stored,
  Token,
  Train,
  Tree,
  Tup,
  Value,
  special,
  tokens,
)

TAKEN = {"update", "init", "create", "apply_gradients", "replace"}  # methods that an optimizer has, or a state
ARGUMENTS = {"model", "tx", "wrt", "self", "step", "opt_state", "update"}


class States(Base):
  """`TrainState.create(...)`, `state.replace(...)`, `state.apply_gradients(...)`."""

  def create(self, node: ast.Call, full: str) -> Result:
    """`TrainState.create(apply_fn=..., params=..., tx=..., more=...)`."""
    cls = full.removesuffix(".create")
    added = self.program.train_state(cls) or []
    held: Part | None = None
    tx: ast.expr | None = None
    more: dict[str, tuple[ast.expr, Value, Form]] = {}
    kept: set[str] = set()
    function = next((v for k in node.keywords if k.arg == "apply_fn" for v in [self.eval(k.value)[0]]), None)
    for keyword in sorted(
      node.keywords, key=self._is_stored
    ):  # reading the state comes before putting anything into it
      value, form = self.eval(keyword.value)
      if (
        isinstance(function, Apply)
        and function.token.initialised
        and isinstance(value, Stored)
        and value.key == keyword.arg
      ):
        if self.stored(keyword.value, value, function.token):
          value, form = Part(function.token, self.epoch(function.token), value.key), None
      if keyword.arg == "tx":
        tx = keyword.value
      elif keyword.arg == "params":
        if not isinstance(value, Part) or value.collection != "params":
          self.group_later(value)
          known = isinstance(value, Plain) and not value.full
          said = "a training state whose parameters come from no module that is known here" if known else "a training state of something else than a model's parameters"  # fmt: skip
          raise self.left(node, said, "make the module by its class, call init, and give what it returned under a name")
        if form is not None:  # `init` is an argument: the model gets a name above
          self.put_before(node, f"{self.model(value.token, node)} = {self.file.text(keyword.value)}")
        held = value
      elif keyword.arg == "apply_fn":
        if special(value) and not isinstance(value, Apply):
          raise self.left(node, "apply_fn that is no model's apply", "give model.apply")
      elif isinstance(value, Part) and value.collection == keyword.arg:
        kept.add(value.collection)
      elif keyword.arg in added and (not special(value) or (isinstance(value, Part) and value.collection == "params")):
        more[keyword.arg] = keyword.value, value, form
      else:
        raise self.left(node, f"`{keyword.arg}` in a training state", "keep it in a variable of its own", "L2N405")
    if node.args or held is None or tx is None:
      raise self.left(node, "a training state without params= and tx=", "give both by name")
    found = self.program.class_(cls)
    methods = [m.name for m in found[1].body if isinstance(m, ast.FunctionDef)] if found is not None else []
    strange = [a for a in added if (a.startswith("<") and a.strip("<>") not in methods) or a in ARGUMENTS]
    strange += odd_methods(found[1]) if found is not None else []
    if strange:
      raise self.left(node, f"a training state with {', '.join(strange)}", "make it a function", "L2N405")
    token = held.token
    if isinstance(function, Apply):
      self.apply_in[token.made] = next((k for k, m in token.members.items() if m is function.token), None)
    token.optimized = True
    self.optimized_in.setdefault(self.scope, set()).add(token)
    options = [self.model(token, node), self.file.text(tx)]
    options += [f"{name}={self._field(token, *given)}" for name, given in more.items()]
    fields = [a for a in added if a not in kept and not a.startswith("<")]
    token.fields = {n: isinstance(more[n][1], (Part, Tree)) if n in more else False for n in fields}
    maker = f"{self.nnx()}.Optimizer"
    if methods:
      self.state_classes[token.made] = cls
      self.states_made[token] = Train(token, self.epoch(token), held.whole)
    if fields or methods:
      self._rewrite_class(node, cls, fields, kept)
      maker = self.file.source.code(node.func).removesuffix(".create")
    self.file.replace(node, self.call_text(node, maker, [*options, "wrt=nnx.Param"]))
    return Train(token, self.epoch(token), held.whole), ("optimizer", token)

  def _is_stored(self, keyword: ast.keyword) -> bool:
    """Whether an argument was read from a checkpoint without a target."""
    return isinstance(keyword.value, ast.Subscript) and isinstance(self.eval(keyword.value)[0], Stored)

  def _field(self, token: Token, node: ast.expr, value: Value, form: Form = None) -> str:
    """What a field holds at first: parameters as they are now, those of an init of its own, or what was given."""
    if not isinstance(value, Part):
      return self.file.text(node)
    if form == ("model", value.token) and not self.same_init(token, value.token):
      return f"{self.nnx()}.state({self.file.text(node)}, nnx.Param)"
    if value.token is not token and form is None:
      raise self.left(node, "parameters of another model in a training state", "keep them in a variable of their own", "L2N405")  # fmt: skip
    return self.copied(token, node)

  def _rewrite_class(self, node: ast.Call, full: str, fields: list[str], kept: set[str]) -> None:
    """A TrainState with more fields becomes an Optimizer with them."""
    if self.state_fields.get(full) == fields:
      self.link(self.here(), self.program.class_(full)[1])  # pyright: ignore
      return
    found = self.program.class_(full)
    known = self.state_fields.setdefault(full, fields)
    if found is None or known != fields:
      raise self.left(node, "a training state whose fields are collections here and something else there", "write two classes", "L2N405")  # fmt: skip
    file, cls = found
    if len(cls.bases) != 1 or self.program.base(file, cls, cls.bases[0]) != TRAIN_STATE or cls.keywords or not self._needless(file, cls):  # fmt: skip
      raise self.left(node, "a training state of a class with other bases or decorators", "derive it from TrainState alone", "L2N405")  # fmt: skip
    for decorator in cls.decorator_list:
      start = file.source.span(decorator)[0] - 1
      file.replace_span(cls, start, file.source.data.index(b"\n", start) + 1, "")
    lines, heads = [], []
    for statement in cls.body:
      if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
        continue
      name = statement.target.id
      if name in kept:
        self.erase(statement, file)
        continue
      if isinstance(statement.value, ast.Call):
        raise self.left(node, f"field `{name}` with {ast.unparse(statement.value)[:50]}", "keep it out of the state", "L2N405")  # fmt: skip
      default = f"={file.source.code(statement.value)}" if statement.value is not None else ""
      heads.append(f"{name}{default}")
      lines.append(f"self.{name} = {name}")
      data = f"{name}: nnx.Data[{file.source.code(statement.annotation)}]"
      file.replace(statement, data)
    indent = file.source.indent(cls.body[0])
    body = [f"def __init__(self, model, tx, *, {', '.join(heads)}, wrt=nnx.Param):"]
    body += [indent + line for line in ("super().__init__(model, tx, wrt=wrt)", *lines)]
    last = next((s for s in reversed(cls.body) if isinstance(s, ast.AnnAssign)), cls.body[-1])
    text = "\n".join(indent + line if line else "" for line in ["", *body])
    if not fields:
      text = ""
    elif file.source.span(last) in file.erased:
      raise self.left(node, f"a class whose last field is `{ast.unparse(last)}`, a collection", "put the collections first", "L2N405")  # fmt: skip
    if text:
      file.replace(last, f"{file.text(last)}\n{text}")
    file.replace(cls.bases[0], "nnx.Optimizer")
    file.imports.setdefault(cls, set()).add("from flax import nnx")
    self.link(self.here(), cls)

  def _needless(self, file: File, cls: ast.ClassDef) -> bool:
    """Whether a class has no decorators but `flax.struct.dataclass`, which a TrainState is by itself."""
    return all(self.program.full(file.scope, d) == "flax.struct.dataclass" for d in cls.decorator_list)

  # ---- what becomes of it

  def field(self, node: ast.Attribute, state: Train) -> Result:
    """`state.more`: an attribute of the optimizer."""
    token = state.token
    self.file.replace(node, f"{self.optimizer(token, node)}.{node.attr}")
    return Live(token, self.epoch(token), tree=token.fields[node.attr], whole=state.whole), PLAINLY

  def replaced(self, node: ast.Call, state: Train) -> Result:
    """`state.replace(batch_stats=..., more=...)`."""
    if node.args:
      raise self.left(node, "replace without names", "give fields by name")
    if self._put_fields(node, state.token):
      return Train(state.token, self.epoch(state.token), state.whole), None
    return state, None

  def _put_fields(self, node: ast.Call, token: Token, but: tuple[str, ...] = ()) -> bool:
    """Puts what a call names into the model or the optimizer; whether the state is a new one for it."""
    new = False
    for keyword in node.keywords:
      if keyword.arg in but:
        continue
      value, _ = self.eval(keyword.value)
      tree = isinstance(value, Tree) or (isinstance(value, Live) and value.tree)
      if keyword.arg == "params" and tree and tokens(value) == [token]:  # parameters that were kept come back
        self.put_before(node, f"{self.nnx()}.update({self.model(token, node)}, {self.file.text(keyword.value)})")
        new = True
      elif keyword.arg in token.fields:
        if special(value) and not (isinstance(value, Part) and value.token is token and value.collection == "params"):
          raise self.left(keyword.value, f"part of a model in `{keyword.arg}`", "keep it in a variable", "L2N405")
        if token.fields[keyword.arg] != isinstance(value, (Part, Tree, Live)) and token.fields[keyword.arg]:
          raise self.left(keyword.value, f"`{keyword.arg}`, which held parameters, and now something else", "make it of the parameters", "L2N405")  # fmt: skip
        text = self._field(token, keyword.value, value)
        name = f"{self.optimizer(token, node)}.{keyword.arg}"
        whole = token.fields[keyword.arg] and any(s.node in self.branches for s in self.frames)
        # a branch of a cond must leave the same variables behind as the other one
        self.put_before(node, f"{self.nnx()}.update({name}, {text})" if whole else f"{name} = {text}")
        new = True
      else:
        new |= self._puts_back(keyword, value, token) and keyword.arg == "params"
    if new:
      self._renew(token)
    return new

  def _renew(self, token: Token) -> None:
    """Old states are old, and so is what was read of them; what is in the model is not."""
    old = self.epoch(token)
    new = self.advance(token)
    self.stepped.setdefault(token, {})[new] = 0

    def renewed(value: Value) -> Value:
      if isinstance(value, Tup):
        return Tup(tuple(map(renewed, value.items)))
      if isinstance(value, Record):
        return Record(value.cls, tuple((n, renewed(v)) for n, v in value.items))
      if isinstance(value, Held) and value.token is token and value.epoch == old and not isinstance(value, (Train, Live)):  # fmt: skip
        return dataclasses.replace(value, epoch=new)
      return value

    for scope in self.scope.chain():
      scope.values |= {n: renewed(v) for n, v in scope.values.items()}

  def apply_gradients(self, node: ast.Call, state: Train) -> Result:
    """`state.apply_gradients(grads=grads, batch_stats=..., more=...)`."""
    token = state.token
    grads = next((k.value for k in node.keywords if k.arg == "grads"), None)
    if grads is None or node.args:
      raise self.left(node, "apply_gradients without grads=", "give grads by name")
    self._put_fields(node, token, ("grads",))
    value, _ = self.eval(grads)
    self.not_spread(token, node)
    if not isinstance(value, Grads) or value.token is not token:
      raise self.left(node, "gradients that were not taken by the model's parameters here", "give what jax.grad returned")  # fmt: skip
    if value.epoch != self.epoch(token):
      raise self.left(node, "gradients of older parameters", "take the gradients again", "L2N403")
    text = f"{self.optimizer(token, node)}.update({self.model(token, node)}, {self.file.text(grads)})"
    self.file.replace(node, text)
    new = self.advance(token)
    self.stepped.setdefault(token, {})[new] = 1
    return Train(token, new, state.whole), EFFECT

  def _puts_back(self, keyword: ast.keyword, value: Value, token: Token) -> bool:
    """Whether a keyword puts what a call changed into the state."""
    if isinstance(value, Stats) and value.token is token and value.collection == keyword.arg and self.current(value):
      model = self.model(value.token, keyword.value)
      self.put_before(keyword.value, f"{self.nnx()}.update({model}, {value.text})")
      self.pending.discard(value.token)
      return True
    if isinstance(value, Changed) and value.token is token and value.collection in (keyword.arg, ""):
      self.pending.discard(value.token)
      self.half_kept.discard(value.token)
      return True
    if isinstance(value, Part) and value.token is token and value.collection == keyword.arg and self.current(value):
      return False
    if isinstance(value, (Tree, Live)) and value.token is token and keyword.arg == "params" and getattr(value, "tree", True):  # fmt: skip
      self.put_before(keyword.value, f"{self.nnx()}.update({self.model(token, keyword.value)}, {self.file.text(keyword.value)})")  # fmt: skip
      return True
    if isinstance(value, Part) and value.collection == keyword.arg == "params" and value.token.made is token.made:
      other = f"{self.nnx()}.state({self.model(value.token, keyword.value)}, nnx.Param)"
      self.put_before(keyword.value, f"nnx.update({self.model(token, keyword.value)}, {other})")
      return True
    raise self.left(keyword.value, f"a new `{keyword.arg}` for a training state", "keep it beside the model")


def odd_methods(cls: ast.ClassDef) -> list[str]:
  """Methods of a TrainState class that can't be those of an optimizer."""
  found = [m for m in cls.body if isinstance(m, ast.FunctionDef)]
  return [m.name for m in found if m.decorator_list or not m.args.args or m.name in TAKEN or m.name.startswith("__")]
