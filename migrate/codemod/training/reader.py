"""Reads a whole program and gives its files anew, as far as their meaning is certain."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from migrate.codemod.imports_edit import apply_edits, tidy_imports, used_names
from migrate.codemod.source import dotted
from migrate.codemod.training.analysis import Analysis
from migrate.codemod.training.base import Known
from migrate.codemod.training.bounds import Bounds
from migrate.codemod.training.calls import Calls
from migrate.codemod.training.checkpoints import Checkpoints
from migrate.codemod.training.closures import Closures
from migrate.codemod.training.conds import Conds
from migrate.codemod.training.copies import Copies
from migrate.codemod.training.devices import Devices
from migrate.codemod.training.expressions import Expressions
from migrate.codemod.training.functions import Functions
from migrate.codemod.training.groups import Groups
from migrate.codemod.training.instances import Instances
from migrate.codemod.training.model_class import ModelClass
from migrate.codemod.training.modes import Modes
from migrate.codemod.training.optimizers import Optimizers
from migrate.codemod.training.program import File, Program
from migrate.codemod.training.record_methods import RecordMethods
from migrate.codemod.training.scans import Scans
from migrate.codemod.training.state_methods import StateMethods
from migrate.codemod.training.statements import Statements
from migrate.codemod.training.statistics import Statistics
from migrate.codemod.training.trainers import Trainers
from migrate.codemod.training.values import Function, Left, special
from migrate.core.report import Finding


class Reader(
  Functions,
  Modes,
  Conds,
  Statements,
  Expressions,
  Checkpoints,
  Optimizers,
  Bounds,
  Statistics,
  Scans,
  StateMethods,
  Instances,
  RecordMethods,
  Copies,
  Trainers,
  Groups,
  Calls,
  Closures,
  Devices,
):
  """Everything that is known about training programs."""

  def read(self) -> None:
    """Reads every file, then every function that nothing called."""
    for file in self.program.files.values():
      self._guarded(file, lambda file=file: self._file(file))
    for file in self.program.files.values():
      for node in file.classes.values():
        if not self.follows(file, node):
          self._guarded(node, lambda f=file, n=node: self.read_class(f, n), file)
        elif node not in self.opened:
          self.open_class(file, node)
    for file, node in _callers_first([(f, n) for f in self.program.files.values() for n in _functions(f)]):
      if node not in self.analysed:
        self._guarded(node, lambda f=file, n=node: self.read_plainly(Function(n, f, f.scope)), file)
    for node, this in self.opened.items():
      self._guarded(node, lambda n=node, t=this: self.close_class(n, t), this.scope.file)
    self.read_uncalled()
    self.read_state_methods()
    for function in self.defined:  # nobody called it by its name: something else may
      owner = function.unit.owner(function.node)
      if function.node not in self.analysed and owner is not function.node and owner in self.modelled:
        self._guarded(owner, lambda f=function: self.read_plainly(f), function.unit)
    self.settle_unused()
    self.check_masks()
    self.check_records()

  def functions(self) -> list[tuple[File, Any]]:
    """Every function of the program, with its file."""
    every = [(f, n) for f in self.program.files.values() for n in ast.walk(f.source.tree)]
    return [(f, n) for f, n in every if isinstance(n, (ast.FunctionDef, ast.Lambda))]

  def _file(self, file: File) -> None:
    self.scope, self.statement = file.scope, None
    self.block(file.source.tree.body)

  def _guarded(self, owner: Any, read: Callable[[], None], file: File | None = None) -> None:
    try:
      read()
    except Left as error:
      self.findings.append((owner, error.finding))
      self.pending = set()
    self.scope = (file or owner).scope
    self.statement, self.before, self.nested = None, [], 0

  def read_plainly(self, function: Function, caller: ast.AST | None = None) -> None:
    """Reads a function that something else calls: `caller`, where it is not the program's own entry."""
    if function.node not in self.analysed:
      self.analysed[function.node] = analysis = Analysis((), [], {})
      self.traced |= {function.node} if caller is not None else set()
      self._read(function, analysis)
      if any(t not in analysis.fresh and t.owner is not function.node for t in {*analysis.changed, *analysis.pending}):
        if function.outer.outer is not None or isinstance(function.node, ast.Lambda):
          raise self.left(function.node, "a function that changes a model and is called by something else",
                          "call it directly")  # fmt: skip
      if caller is not None and special(analysis.value):
        raise self.left(caller, "a function that returns part of a model and is called by something else", "call it directly")  # fmt: skip


@dataclasses.dataclass
class Rewritten:
  """What came of a program.

  Attributes:
    texts: module -> new text, where it differs.
    findings: what the user must know.
    changed: names of functions that were rewritten.
  """

  texts: dict[str, str] = dataclasses.field(default_factory=dict)
  findings: list[Finding] = dataclasses.field(default_factory=list)
  changed: list[str] = dataclasses.field(default_factory=list)


def rewrite_training(
  files: Sequence[tuple[str, str, str]],
  classes: Mapping[str, ModelClass],
  ignored: Callable[[str], bool] = lambda _: False,
  skipped: Mapping[str, frozenset[int]] | None = None,
) -> Rewritten:
  """Rewrites the training code of a program whose module classes are NNX.

  Args:
    files: (path, module, text) of every file that may take part.
    classes: the module classes by full name.
    ignored: tells rules that must not be used.
    skipped: module -> lines with a comment that says to skip.
  """
  known = Known()
  reader = _read(files, classes, known)
  for _ in range(4):
    found = Known(
      {reader.place(reader.made_in[m][0].file, m): s for m, s in reader.streams.items()},
      {reader.place(f, n) for f, n in reader.functions() if n in reader.optimizing},
      set(reader.copies),
      set(reader.cloned),
      reader.else_bound & set(reader.second),
      set(reader.several),
      set(reader.grouped),
      set(reader.stateful),
    )
    if found == known:
      break
    known = found
    reader = _read(files, classes, known)
  return _finish(reader, ignored, skipped or {})


def _read(files: Sequence[tuple[str, str, str]], classes: Mapping[str, ModelClass], known: Known) -> Reader:
  reader = Reader(Program([File(*f) for f in files]), classes, known)
  reader.read()
  return reader


def _finish(reader: Reader, ignored: Callable[[str], bool], skipped: Mapping[str, frozenset[int]]) -> Rewritten:
  result = Rewritten()
  bad = {reader.root(owner) for owner, f in reader.findings if f.severity == "error" and owner in reader.touched}
  bad |= {reader.root(owner) for owner in reader.touched if ignored("L2N400")}
  bad |= {reader.root(o) for o in reader.touched} - {reader.root(o) for o in reader.modelled}
  for file, owner in [(f, o) for f in reader.program.files.values() for o in f.edits if o in reader.touched]:
    lines = _lines(file, owner) & skipped.get(file.module, frozenset())
    if lines:
      bad.add(reader.root(owner))
      at = f"{file.path}:{min(lines)}"
      result.findings.append(
        Finding(at, "skipped, with all that is trained together with it", severity="note", rule="L2N121")
      )
  texts: dict[str, str] = {}
  for _ in range(1 + len(reader.program.files)):
    texts, broken = _texts(reader, bad)
    if not broken:
      break
    for file in broken:  # a fault of ours must not reach a file
      bad |= {reader.root(o) for o in file.edits if o in reader.touched}
      said = "training code left as it was: what was written for it does not parse"
      result.findings.append(
        Finding(file.path, said, "Python", "report this as a fault of linen2nnx", "error", "L2N408")
      )
  result.findings += _not_called(reader)
  for owner, finding in reader.findings:
    if finding.severity == "error" or reader.root(owner) not in bad:
      if finding not in result.findings:
        result.findings.append(finding)
  for module, file in reader.program.files.items():
    result.changed += [
      f"{module}.{o.name}" for o in _owners(reader, file, bad) if hasattr(o, "name") and module in texts
    ]
  for module, text in _without_states(reader, texts).items():
    result.texts[module] = text
  return result


def _not_called(reader: Reader) -> list[Finding]:
  """Uses of a training state of which no caller shows whose it is."""
  known = {owner for owner, f in reader.findings if f.severity == "error"}
  found = []
  for file in reader.program.files.values() if reader.modelled else ():
    for node in ast.walk(file.source.tree):
      if (
        isinstance(node, ast.Attribute) and node.attr in ("apply_fn", "apply_gradients") and node not in reader.followed
      ):
        owner = file.owner(node)
        if owner not in known and (not isinstance(owner, ast.ClassDef) or owner in reader.opened):
          known.add(owner)
          said = f"training code left as it was: no caller shows which model `{ast.unparse(node.value)}` holds"
          found.append(Finding(f"{file.path}:{node.lineno}", said, "a call in one of the files", "give the files that call it too", "eye", "L2N400"))  # fmt: skip
  return found


def _owners(reader: Reader, file: File, bad: set[Any]) -> list[Any]:
  return [o for o in file.edits if o in reader.touched and reader.root(o) not in bad and file.edits[o]]


def _texts(reader: Reader, bad: set[Any]) -> tuple[dict[str, str], list[File]]:
  """New texts by module, and the files whose new text does not parse."""
  texts: dict[str, str] = {}
  broken: list[File] = []
  for module, file in reader.program.files.items():
    owners = _owners(reader, file, bad)
    edits = [e for o in owners for e in file.edits[o]]
    if not edits:
      continue
    text = apply_edits(file.source.data, edits).decode()
    try:
      texts[module] = _tidy(file, text, sorted({s for o in owners for s in file.imports.get(o, ())}))
      ast.parse(texts[module])
    except SyntaxError:
      broken.append(file)
  return texts, broken


def _lines(file: File, owner: Any) -> set[int]:
  """Lines of an owner; of a file, those outside its functions and classes."""
  if owner is not file:
    return set(range(owner.lineno, (owner.end_lineno or owner.lineno) + 1))
  inner = {i for n in (*file.functions.values(), *file.classes.values()) for i in _lines(file, n)}
  return set(range(1, len(file.source.lines) + 1)) - inner


def _tidy(file: File, text: str, added: list[str]) -> str:
  before, after = used_names(file.source.tree, file.source.text), used_names(ast.parse(text), text)
  return tidy_imports(text, add=added, remove_if_unused=before - after)


def _without_states(reader: Reader, texts: dict[str, str]) -> dict[str, str]:
  """Drops the program's own TrainState classes where nothing speaks of them any more."""
  for module, file in reader.program.files.items():
    for name in file.classes:
      if module not in texts and not any(module in t for t in texts.values()):
        continue
      if reader.program.train_state(f"{module}.{name}") is None:
        continue
      everywhere = [(m, texts.get(m, f.source.text)) for m, f in reader.program.files.items()]
      if any(_speaks(t, name, m == module) for m, t in everywhere):
        continue
      text = texts.get(module, file.source.text)
      tree = ast.parse(text)
      found = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name)
      lines = text.splitlines(keepends=True)
      start = min([found.lineno, *(d.lineno for d in found.decorator_list)]) - 1
      stop = found.end_lineno or found.lineno
      while stop < len(lines) and not lines[stop].strip():
        stop += 1
      new = "".join([*lines[:start], *lines[stop:]])
      texts[module] = tidy_imports(
        new, add=[], remove_if_unused=used_names(tree, text) - used_names(ast.parse(new), new)
      )
  return texts


def _speaks(text: str, name: str, own: bool) -> bool:
  """Whether a file speaks of a class; `own` where the class is its own."""
  tree = ast.parse(text)
  itself = [n for n in tree.body if own and isinstance(n, ast.ClassDef) and n.name == name]
  skip = {id(n) for c in itself for n in ast.walk(c)}
  for node in ast.walk(tree):
    if id(node) in skip:
      continue
    if (isinstance(node, ast.Name) and node.id == name) or (isinstance(node, ast.Attribute) and node.attr == name):
      return True
    if isinstance(node, ast.alias) and node.name == name:
      return True
    if isinstance(node, ast.Constant) and node.value == name:
      return True
  return False


def _functions(file: File) -> list[ast.FunctionDef]:
  return [n for n in file.source.tree.body if isinstance(n, ast.FunctionDef)]


def _callers_first(functions: list[tuple[File, ast.FunctionDef]]) -> list[tuple[File, ast.FunctionDef]]:
  """Functions in an order in which those that use others come before them; where they use one another, as written."""
  classes = {n: c for f, _ in functions for n, c in f.classes.items()}
  mentioned = {n: _through(f, _mentioned(n), classes) for f, n in functions}
  found: list[tuple[File, ast.FunctionDef]] = []
  waiting = list(functions)
  while waiting:
    ready = [w for w in waiting if not any(w[1].name in mentioned[n] for _, n in waiting if n is not w[1])]
    found += ready or waiting[:1]
    waiting = [w for w in waiting if w not in found]
  return found


def _through(file: File, names: set[str], classes: Mapping[str, ast.ClassDef]) -> set[str]:
  """Names, those that variables of the file among them are made of (`p_step = jax.pmap(step)`), and those in classes."""
  made: dict[str, ast.AST] = {t.id: s.value for s in file.source.tree.body if isinstance(s, ast.Assign) for t in s.targets if isinstance(t, ast.Name)}  # fmt: skip
  made |= classes
  more = {n.id for name in names if name in made for n in ast.walk(made[name]) if isinstance(n, ast.Name)}
  return names if more <= names else _through(file, names | more, classes)


def _mentioned(function: ast.FunctionDef) -> set[str]:
  """Names that a function uses and does not give to anything of its own."""
  used = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
  used -= {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
  used -= {n.arg for n in ast.walk(function.args) if isinstance(n, ast.arg)}
  attributes = [n for n in ast.walk(function) if isinstance(n, ast.Attribute)]
  return used | {(dotted(n) or "").rpartition(".")[2] for n in attributes}
