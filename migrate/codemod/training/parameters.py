"""Parameters and annotations of a training program's functions, written for what they are given now."""

from __future__ import annotations

import ast

from migrate.codemod.training.analysis import Analysis
from migrate.codemod.training.program import Scope
from migrate.codemod.training.values import (
  PLAIN,
  PLAINLY,
  Apply,
  Form,
  Function,
  OptState,
  Part,
  Recipe,
  Record,
  Train,
  Tup,
  Value,
  Variables,
  lower,
  special,
  tokens,
)
from migrate.codemod.training.wraps import Wraps


class Parameters(Wraps):
  """The head of a function."""

  def _parameters(self, function: Function, analysis: Analysis, scope: Scope) -> None:
    """Writes the parameters of a function anew."""
    arguments = function.node.args
    groups = [*arguments.posonlyargs, *arguments.args], arguments.kwonlyargs
    place = 0
    own = self.own_state(function, analysis, scope)
    carried = self._shared(function, analysis, [a for a in (*groups[0], *groups[1]) if a.arg not in analysis.emits])
    for argument in [*groups[0], *groups[1]]:  # what a function is differentiated by is an argument of its own
      if _is_inner(value := analysis.given.get(argument.arg)):
        self.model(value.token, argument)  # pyright: ignore
    defaults = {a.arg for a, _ in zip(reversed(groups[0]), reversed(arguments.defaults), strict=False)}
    for argument in [*groups[0], *groups[1]]:
      value = analysis.given.get(argument.arg, PLAIN)
      if own is not None and analysis.emits.get(argument.arg) == [("optimizer", own)]:
        analysis.places[argument.arg] = [place]
        place += 1 + len(analysis.leading)
        continue
      if not special(value):
        analysis.places[argument.arg] = [place]
        place += 1
        continue
      if argument.arg in defaults:
        raise self.left(argument, f"argument `{argument.arg}` with a default holds part of a model", "take the default away")  # fmt: skip
      forms = carried[argument.arg]
      analysis.emits[argument.arg] = forms
      names = []
      for form in forms:
        if form == PLAINLY:
          names.append(argument.arg)
          if isinstance(value, Record):
            self.name_record(scope, argument.arg, value)
          elif argument.annotation is not None and isinstance(value, Recipe):
            self._recipe(argument, argument.annotation)
        elif form[0] == "model":
          names.append(self.model(form[1], argument))
        else:
          asked = set(self.optimizing)
          names.append(self.optimizer(form[1], argument))
          self.optimizing = asked  # having it is not using it
      analysis.names[argument.arg] = names
      analysis.places[argument.arg] = list(range(place, place + len(names)))
      place += len(names)
    for argument in [*groups[0], *groups[1]]:
      if argument.arg in carried and argument.arg in analysis.emits and analysis.emits[argument.arg] != [PLAINLY]:
        texts = [self._annotated(argument, n, f) for n, f in
                 zip(analysis.names[argument.arg], analysis.emits[argument.arg], strict=True)]  # fmt: skip
        self._write_parameter(function, argument, texts)

  def _shared(self, function: Function, analysis: Analysis, arguments: list[ast.arg]) -> dict[str, list[Form]]:
    """What takes the place of each argument; what several hold, of the first that a call gives, not a partial."""
    bound = {n for w in function.wraps for n in w.bound}
    seen: list[Form] = []
    found: dict[str, list[Form]] = {}
    given = analysis.given
    for argument in sorted(arguments, key=lambda a: (not _is_inner(given.get(a.arg)), not _holds_several(given.get(a.arg, PLAIN)), a.arg in bound)):  # fmt: skip
      value = given.get(argument.arg, PLAIN)
      if not special(value):
        continue
      if isinstance(value, Record):
        seen += [(what, t) for t in tokens(value) for what in ("model", "optimizer")]
        found[argument.arg] = [PLAINLY]
        continue
      forms = [f for f in _carried(value) if f not in seen]
      known, of_its_own = self.known.optimizing, isinstance(value, OptState) or isinstance(function.node, ast.Lambda)
      if known is not None and not of_its_own and self.place(function.unit, function.node) not in known:
        forms = [f for f in forms if f[0] != "optimizer"]
      inside = [("model", m) for f in forms if f[0] == "model" for m in f[1].inside()]
      forms = [f for f in forms if f not in inside]
      seen += [*forms, *inside]
      found[argument.arg] = forms
    return found

  def _annotated(self, argument: ast.arg, name: str, form: Form) -> str:
    if argument.annotation is None:
      return name
    self.nnx()
    return f"{name}: nnx.{'Module' if form[0] == 'model' else 'Optimizer'}"

  def _recipe(self, argument: ast.arg, annotation: ast.expr) -> None:
    """An argument that is a partial of its class now says so."""
    text = self.file.source.code(annotation)
    if self.program.full(self.scope, annotation) == "flax.linen.Module":
      text = f"{self.nnx()}.Module"
    if not text.endswith("]"):
      self.file.replace(annotation, f"functools.partial[{text}]")
      self.file.need(argument, "import functools")

  def _write_parameter(self, function: Function, argument: ast.arg, texts: list[str]) -> None:
    source = self.file.source
    if texts:
      lead = source.line(argument.lineno)[: argument.col_offset]  # one of its own line, others too
      self.file.replace(argument, (", " if lead.strip() else f",\n{lead}").join(texts))
      return
    start, end = source.span(argument)
    rest = source.data[end:]
    skip = len(rest) - len(rest.lstrip())
    if rest.lstrip().startswith(b","):
      tail = rest[skip + 1 :]
      end += skip + 1 + (len(tail) - len(tail.lstrip(b" ")))
      line = source.data.rindex(b"\n", 0, start) + 1 if b"\n" in source.data[:start] else 0
      if source.data[end : end + 1] == b"\n" and not source.data[line:start].strip():
        start, end = line, end + 1  # it had the line for itself
    else:
      gone = self.file.edits.get(self.file.owner(argument), [])
      while (before := next((e for e in gone if e.end == start and not e.text), None)) is not None:
        start = before.start  # those before it go, too
      back = source.data[:start].rstrip()
      start = len(back) - 1 if back.endswith(b",") else start
    self.file.replace_span(argument, start, end, "")

  def _annotation(self, node: ast.FunctionDef, analysis: Analysis, scope: Scope) -> None:
    """Makes what the function says it returns true."""
    returns, value = node.returns, analysis.value
    if returns is None or not special(value):
      return
    fresh = self.new_here(scope, value)
    elements = (
      returns.slice.elts if isinstance(returns, ast.Subscript) and isinstance(returns.slice, ast.Tuple) else None
    )
    if isinstance(value, Tup):
      if elements is None or len(elements) != len(value.items):
        start = self.file.source.span(returns)[0]
        arrow = self.file.source.data.rindex(b"->", 0, start)
        while self.file.source.data[arrow - 1 : arrow] == b" ":
          arrow -= 1
        self.file.replace_span(node, arrow, self.file.source.span(returns)[1], "")
        return
      texts = [t for e, v in zip(elements, value.items, strict=True) for t in self._types(lower(v, fresh), e)]
    else:
      texts = self._types(lower(value, fresh), returns)
    base = self.file.source.code(returns.value) if elements is not None and isinstance(returns, ast.Subscript) else "tuple"  # fmt: skip
    self.file.replace(returns, "None" if not texts else texts[0] if len(texts) == 1 else f"{base}[{', '.join(texts)}]")

  def _types(self, forms: list[Form], node: ast.expr) -> list[str]:
    found = []
    for form in forms:
      if form == PLAINLY or form[0] == "tuple":
        found.append(self.file.source.code(node))
      else:
        self.nnx()
        found.append("nnx.Module" if form[0] == "model" else "nnx.Optimizer")
    return found


def _is_inner(value: Value | None) -> bool:
  """Whether a function is differentiated by an argument."""
  return isinstance(value, Part) and value.inner


def _holds_several(value: Value) -> bool:
  """Whether an argument has several models in one object."""
  return isinstance(value, Record) or any(t.members for t in tokens(value))


def _carried(value: Value) -> list[Form]:
  """What takes the place of an argument."""
  if isinstance(value, Train):
    return [("model", value.token), ("optimizer", value.token)]
  if isinstance(value, OptState):
    return [("optimizer", value.token)]
  if isinstance(value, Recipe) and not value.token.initialised:
    return [PLAINLY]
  if isinstance(value, (Recipe, Variables, Part, Apply)):
    return [("model", value.token)]
  if isinstance(value, Tup):  # models and optimizers one by one, and what else is in it under its name
    held = [f for item in value.items for f in _carried(item) if f != PLAINLY]
    return [*dict.fromkeys(held), *([PLAINLY] if lower(value, set()) else [])]
  return []
