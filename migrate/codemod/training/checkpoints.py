"""Checkpoints that a training program writes and reads: model and optimizer in the place of the training state."""

from __future__ import annotations

import ast
import dataclasses

from migrate.codemod.training.analysis import Result
from migrate.codemod.training.base import Base
from migrate.codemod.training.values import (
  PLAIN,
  PLAINLY,
  Copied,
  Dict,
  Live,
  OptState,
  Part,
  Plain,
  Restoring,
  Stored,
  Token,
  Train,
  Tree,
  Value,
  Variables,
  hides,
  special,
)

KINDS = {"params": "Param", "batch_stats": "BatchStat"}

SAVE = {"flax.training.checkpoints.save_checkpoint", "flax.training.checkpoints.save_checkpoint_multiprocess"}
RESTORE = {"flax.training.checkpoints.restore_checkpoint"}
ORBAX = "orbax.checkpoint."
SAVE_ARGS = "flax.training.orbax_utils.save_args_from_target"
WRITES = {"flax.serialization.to_bytes", "flax.serialization.to_state_dict"}
READS = {"flax.serialization.from_bytes", "flax.serialization.from_state_dict"}


class Checkpoints(Base):
  """`flax.training.checkpoints`, Orbax's checkpointers and managers."""

  def checkpoint(self, node: ast.Call, full: str | None) -> Result | None:
    """A function of a checkpoint library."""
    full = full or ""
    if full in SAVE:
      self._saved(node)
      return PLAIN, PLAINLY
    if full in RESTORE:
      return self._restored(node)
    if full in WRITES | READS and len(node.args) == (1 if full in WRITES else 2) and not node.keywords:
      return self._serialized(node, full in READS)
    if full.startswith(ORBAX) and full.rpartition(".")[2].endswith("Restore"):
      held = self._saved(node)
      if held is None:
        return Plain(full), PLAINLY
      return Restoring(held.token, self.epoch(held.token), held.whole), PLAINLY
    if full.startswith((f"{ORBAX}args.", f"{ORBAX}save_args")) or full == SAVE_ARGS:
      self._saved(node)
      return Plain(full), PLAINLY
    return None

  def checkpoint_method(self, node: ast.Call, func: ast.Attribute, base: Value) -> Result | None:
    """`manager.save(step, args=...)`, `checkpointer.restore(path, state)`."""
    if func.attr not in ("save", "restore") or not (isinstance(base, Plain) and base.full.startswith(ORBAX)):
      return None
    if func.attr == "save":
      self._saved(node)
      return PLAIN, PLAINLY
    return self._restored(node)

  def _saved(self, node: ast.Call) -> Train | Restoring | None:
    """Writes model and optimizer where a training state was given; returns that."""
    found: Train | Restoring | None = None
    for argument in [*node.args, *(k.value for k in node.keywords)]:
      if isinstance(argument, ast.Dict) and self._collections_saved(node, argument):
        continue
      value, form = self.eval(argument)
      if isinstance(value, Train) and form is None:
        found = value
        self.not_spread(value.token, node)
        if value.token.fields:
          raise self.left(node, f"a checkpoint of a training state with {', '.join(value.token.fields)}", "keep them out of the state, or rewrite the saving by hand", "L2N405")  # fmt: skip
        if value.token in self.pending:
          raise self.left(node, "a checkpoint without the statistics that a call changed", "put them into the state first", "L2N404")  # fmt: skip
        text = self.state_text(value.token, argument)
        if not self.nested and self.statement is not None:
          name = self._free("target")
          self.put_before(argument, f"{name} = {text}")
          text = name
        self.file.replace(argument, text)
      elif isinstance(value, Dict):
        held = [v for v in value.items.values() if special(v)]
        if not all(map(self.current, held)):
          raise self.left(argument, "a checkpoint of a training state that was updated since", "put the state into the dict where it is saved", "L2N403")  # fmt: skip
        self.note_format(node, bool(held))
      elif isinstance(value, Copied):
        if value.token.fields or value.token in self.pending:
          self.plain(argument)
        self.file.replace(argument, value.text.format(self.state_text(value.token, argument)))
      elif isinstance(value, Restoring):
        found = value
      elif special(value):
        self.plain(argument)
    return found

  def _collections_saved(self, node: ast.Call, target: ast.Dict) -> bool:
    """`{"params": state.params, "batch_stats": state.batch_stats, "epoch": epoch}`: each as a dict of its own."""
    if not all(isinstance(k, ast.Constant) and isinstance(k.value, str) for k in target.keys):
      return False
    found = [(v, *self.eval(v)) for v in target.values]
    parts = [(text, v) for text, v, form in found if isinstance(v, Part) and form is None and self.current(v)]
    if not parts or any(special(v) and not isinstance(v, Part) for _, v, _ in found):
      return False
    if any(v.token in self.pending or v.token in self.spread or v.inner for _, v in parts):
      return False
    nnx = self.nnx()
    for text, part in parts:
      kind = self.kind(dataclasses.replace(part, whole=False), node)
      self.file.replace(text, f"{nnx}.to_pure_dict({nnx}.state({self.model(part.token, node)}, {kind}))")
    self.note(node, "what is written and read here has the names of the NNX model now", "convert older files with linen2nnx convert", "L2N413", "eye")  # fmt: skip
    return True

  def stored(self, node: ast.expr, value: Value, token: Token) -> bool:
    """Puts a collection that was read without a target into the model. Whether it is one that the program writes."""
    if not isinstance(value, Stored) or not value.key or not self._writes(value.key):
      return False
    nnx = self.nnx()
    self.put_before(node, f"{nnx}.update({self.model(token, node)}, {nnx}.restore_int_paths({self.file.text(node)}))")
    self.advance(token)
    return True

  def _writes(self, key: str) -> bool:
    """Whether every checkpoint of the program is a dict with such an entry."""
    found = False
    for file in self.program.files.values():
      for call in (n for n in ast.walk(file.source.tree) if isinstance(n, ast.Call)):
        if self.program.full(file.scope, call.func) in SAVE:
          target = next(
            (k.value for k in call.keywords if k.arg == "target"), call.args[1] if len(call.args) > 1 else None
          )
          keys = [k.value for k in target.keys if isinstance(k, ast.Constant)] if isinstance(target, ast.Dict) else []
          if key not in keys:
            return False
          found = True
    return found

  def note_format(self, node: ast.Call, held: bool) -> None:
    """Tells that what is written has another form now."""
    if held:
      self.note(node, "this checkpoint holds model and optimizer now, where it held a training state", "convert older ones with linen2nnx convert", "L2N413", "eye")  # fmt: skip

  def _serialized(self, node: ast.Call, reads: bool) -> Result | None:
    """Variables or a training state as bytes: those of the model take their place."""
    value, form = self.eval(node.args[0])
    for argument in node.args[1:]:
      self.plain(argument)
    nnx = self.nnx()
    if isinstance(value, Tree) or (isinstance(value, Live) and value.tree):
      text = f"{nnx}.to_pure_dict({self.file.text(node.args[0])})"
      self.file.replace(node.args[0], text)
      if reads:
        self.file.replace(node, f"{nnx}.State({self.file.text(node)})")
      return (Tree(value.token, whole=value.whole) if reads else PLAIN), PLAINLY
    if not isinstance(value, (Part, Variables, Train, OptState)) or getattr(value, "inner", False):
      return None
    if form is not None:
      raise self.left(node.args[0], "variables made where they are written or read", "give them a name first")
    if value.token in self.pending:
      raise self.left(node, "a checkpoint without the statistics that a call changed", "put them into the state first", "L2N404")  # fmt: skip
    model = self.model(value.token, node)
    if isinstance(value, Train):
      raise self.left(node, "a training state written as bytes", "write its parameters and opt_state one by one, or use Orbax")  # fmt: skip
    if isinstance(value, OptState):
      model = f"{self.optimizer(value.token, node)}.opt_state"
    kind = f", {self.kind(value, node)}" if not isinstance(value, OptState) else ""
    text = f"{nnx}.to_pure_dict({nnx}.state({model}{kind}))"
    self.file.replace(node.args[0], text)
    self.note(node, "what is written and read here has the names of the NNX model now", "convert older files with linen2nnx convert", "L2N413", "eye")  # fmt: skip
    if not reads:
      return PLAIN, PLAINLY
    self.put_before(node, f"{nnx}.update({model}, {self.file.text(node)})")
    new = self.advance(value.token)
    return dataclasses.replace(value, epoch=new), None

  def kind(self, value: Part | Variables, node: ast.AST) -> str:
    """The filter of what variables hold."""
    whole = isinstance(value, Variables) or value.whole
    if whole and value.token.cls.collections != {"params"}:
      return f"{self.nnx()}.Not({self.nnx()}.RngState)"
    name = "params" if isinstance(value, Variables) else value.collection
    if name not in KINDS:
      raise self.left(node, f"the collection {name!r} by itself", "write or read all variables")
    return f"{self.nnx()}.{KINDS[name]}"

  def state_text(self, token: Token, node: ast.AST) -> str:
    """The tree that a checkpoint holds, as `linen2nnx convert` writes it too."""
    nnx = self.nnx()
    model, optimizer = self.model(token, node), self.optimizer(token, node)
    return f'{{"model": {nnx}.state({model}, {nnx}.Not({nnx}.RngState)), "optimizer": {nnx}.state({optimizer})}}'

  def _restored(self, node: ast.Call) -> Result:
    held = self._saved(node)
    if any(hides(self.eval(a)[0]) for a in [*node.args, *(k.value for k in node.keywords)]):
      raise self.left(node, "a training state restored inside a dict", "restore the state by itself")
    if held is None:
      target = next((k.value for k in node.keywords if k.arg == "target"), None)
      untyped = isinstance(target, ast.Constant) and target.value is None
      return (Stored() if untyped else PLAIN), PLAINLY
    token = held.token
    nnx = self.nnx()
    name = self._free("restored")
    self.put_before(node, f"{name} = {self.file.text(node)}")
    for what, holder in (("model", self.model(token, node)), ("optimizer", self.optimizer(token, node))):
      self.put_before(node, f'{nnx}.update({holder}, {name}["{what}"])')
    self.note(node, "this checkpoint holds model and optimizer now, where it held a training state", "convert older ones with linen2nnx convert", "L2N413", "eye")  # fmt: skip
    return Train(token, self.advance(token), held.whole), None

  def _free(self, name: str) -> str:
    taken = {n.id for n in ast.walk(self.scope.node) if isinstance(n, ast.Name)}
    return next(n for n in (name, *(f"{name}_{i}" for i in range(1, 99))) if n not in taken)
