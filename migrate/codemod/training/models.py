"""Modules of a training program: made, initialised, called."""

from __future__ import annotations

import ast
from typing import Any

from migrate.codemod.source import names_in
from migrate.codemod.training.base import Analysis, Base, Result
from migrate.codemod.training.values import (
  PLAIN,
  PLAINLY,
  Apply,
  Changed,
  Function,
  Part,
  Plain,
  Recipe,
  Token,
  Tup,
  Variables,
  special,
)

UNSEEN = {"intermediates", "perturbations"}
SHAPED = {"ones", "zeros", "empty", "full", "ShapeDtypeStruct"}


class Models(Base):
  """`Model(...)`, `model.init(...)`, `model.apply(...)`."""

  def construct(self, node: ast.Call, full: str | None) -> Result | None:
    """The construction of a module that is NNX once everything is rewritten."""
    cls = self.classes.get(full or "")
    if cls is None or any(k.arg == "rngs" for k in node.keywords):
      return None
    for argument in [*node.args, *(k.value for k in node.keywords)]:
      self.plain(argument.value if isinstance(argument, ast.Starred) else argument)
    token = Token(cls, node, self.here(), streams=set(self.known.streams.get(self.place(self.file, node), ())))
    self.made_in[node] = (self.scope, self.statement)
    self.touched.add(token.owner)
    return Recipe(token), PLAINLY

  def apply(self, node: ast.Call, function: Apply) -> Result:
    """A call of a model through `apply` or `init`."""
    if function.method == "init":
      return self._init(node, function.token)
    if function.method != "apply":
      raise self.left(node, f"`{function.method}` of a module", "write init and apply")
    return self._apply(node, function.token)

  def handed_on(self, function: Function) -> Apply | None:
    """`model.init` where a function does no more than to hand its arguments on to it."""
    node = function.node
    body = [node.body] if isinstance(node, ast.Lambda) else [s for s in node.body if not isinstance(s, ast.Expr)]
    call = body[0].value if len(body) == 1 and isinstance(body[0], ast.Return) else body[0] if body else None
    if len(body) != 1 or not isinstance(call, ast.Call) or any(w.kind != "jit" for w in function.wraps):
      return None
    arguments = node.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
    names += [f"*{arguments.vararg.arg}"] if arguments.vararg is not None else []
    if arguments.kwonlyargs or arguments.kwarg or call.keywords or [ast.unparse(a) for a in call.args] != names:
      return None
    saved, self.scope = self.scope, function.outer
    try:
      if not isinstance(call.func, ast.Attribute) or not isinstance(self.eval(call.func.value)[0], Recipe):
        return None
      found, _ = self.eval(call.func)
    finally:
      self.scope = saved
    if not isinstance(found, Apply) or found.method != "init":
      return None
    if isinstance(node, ast.FunctionDef) and function.unit.owner(node) is not node:
      self.erase(node, function.unit)
      self.analysed.setdefault(node, Analysis((), [], {}, done=True))
      return found
    return found if isinstance(node, ast.Lambda) else None

  # ---- init

  def _init(self, node: ast.Call, token: Token) -> Result:
    if token.initialised:
      raise self.left(node, "a second init of the same module", "make another module")
    if not node.args or any(isinstance(a, ast.Starred) for a in node.args[:1]):
      raise self.left(node, "init without a key that can be told", "give the key first")
    self._plain_arguments(node)
    rngs = self._rngs(node.args[0], token)
    given = self._sizes(node, token)
    self._construction(node, token, [*given, f"rngs={rngs}"])
    token.initialised = True
    self.created.setdefault(self.scope, set()).add(token)
    self.note(node, "initial values are drawn anew: NNX draws other numbers from the same key", "convert a checkpoint of the Linen program where they must be the same", "L2N411", "note")  # fmt: skip
    return Variables(token, self.epoch(token)), ("model", token)

  def _plain_arguments(self, node: ast.Call, start: int = 0) -> None:
    for argument in [*node.args[start:], *(k.value for k in node.keywords)]:
      self.plain(argument.value if isinstance(argument, ast.Starred) else argument)

  def _rngs(self, key: ast.expr, token: Token) -> str:
    """The streams of the model: those of `init`, and those that its calls are given."""
    nnx = self.nnx()
    text = self.file.text(key)
    value, _ = self.eval(key)
    if isinstance(key, ast.Dict) and all(isinstance(k, ast.Constant) for k in key.keys):
      keys = {str(k.value): self.file.text(v) for k, v in zip(key.keys, key.values, strict=True) if isinstance(k, ast.Constant)}  # fmt: skip
      default = keys.get("params", next(iter(keys.values()), "0"))
      keys |= {s: default for s in sorted(token.streams) if s not in keys}
      if all(k.isidentifier() for k in keys):
        return f"{nnx}.Rngs({', '.join(f'{k}={v}' for k, v in keys.items())})"
    if isinstance(value, Plain) and value.full == "dict":
      return f"{nnx}.Rngs(**{text})"
    if not token.streams:
      return f"{nnx}.Rngs({text})"
    if not isinstance(key, (ast.Name, ast.Attribute)):
      return f"{nnx}.Rngs({', '.join(f'{s}={text}' for s in ('params', *sorted(token.streams)))})"
    return f"{nnx}.Rngs({', '.join(f'{s}={text}' for s in ('params', *sorted(token.streams)))})"

  def _sizes(self, node: ast.Call, token: Token) -> list[str]:
    """Constructor arguments that Linen found in the call's arguments."""
    found: list[str] = []
    for name, (parameter, axis, values) in token.cls.sizes.items():
      argument = self._argument(node, token, parameter) if parameter else None
      text = self._axis(argument, axis) if argument is not None else None
      if text is None:
        seen = list(dict.fromkeys(values))
        if len(seen) != 1:
          raise self.left(node, f"`{name}` of {token.cls.full}, which the examples give as {seen}", "give one example of this model")  # fmt: skip
        text = repr(seen[0])
        self.note(
          node, f"`{name}={text}` is what the example had", "check that this program's model has it too", "L2N412"
        )
      found.append(f"{name}={text}")
    return found

  def _argument(self, node: ast.Call, token: Token, parameter: str) -> ast.expr | None:
    for keyword in node.keywords:
      if keyword.arg == parameter:
        return keyword.value
    index = token.cls.call.index(parameter) + 1 if parameter in token.cls.call else 0
    if index and index < len(node.args) and not any(isinstance(a, ast.Starred) for a in node.args[: index + 1]):
      return node.args[index]
    return None

  def _axis(self, node: ast.expr, axis: int) -> str | None:
    """The text of an array's axis, counted from the end."""
    if isinstance(node, ast.Call):
      name = ast.unparse(node.func).rpartition(".")[2]
      shape = node.args[0] if node.args and name in SHAPED else None
      if name in ("normal", "uniform", "randint", "truncated_normal") and len(node.args) > 1:
        shape = node.args[1]
      shape = next((k.value for k in node.keywords if k.arg == "shape"), shape)
      if isinstance(shape, (ast.Tuple, ast.List)) and len(shape.elts) >= axis:
        element = shape.elts[-axis]
        return None if isinstance(element, ast.Starred) else self.file.text(element)
      return f"{self.file.text(shape)}[-{axis}]" if isinstance(shape, (ast.Name, ast.Attribute)) else None
    if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
      return f"{self.file.text(node)}.shape[-{axis}]"
    return None

  def _construction(self, node: ast.Call, token: Token, more: list[str]) -> None:
    """Writes the construction in the place of `init`, and takes it from where it was."""
    made, (scope, statement) = token.made, self.made_in[token.made]
    file = scope.file
    inside = any(n is made for n in ast.walk(node))
    names = [a for a in token.cls.parameters if a not in token.cls.sizes and a not in token.cls.keyword_only]
    texts: list[str] = []
    for i, argument in enumerate(made.args):
      text = file.text(argument)
      by_name = bool(token.cls.sizes) and not isinstance(argument, ast.Starred) and i < len(names)
      texts.append(f"{names[i]}={text}" if by_name else text)
    texts += [f"{k.arg}={file.text(k.value)}" if k.arg else f"**{file.text(k.value)}" for k in made.keywords]
    class_text = file.source.code(made.func)
    given = {t.partition("=")[0] for t in texts}
    lacking = [a for a in sorted(token.cls.required - {"rngs"} - set(token.cls.sizes)) if a not in given]
    if lacking and not any(isinstance(a, ast.Starred) for a in made.args) and all(k.arg for k in made.keywords):
      if token.cls.sizes or len(made.args) < len(lacking):
        raise self.left(made, f"{class_text} without {', '.join(lacking)}", "give it where the module is made")
    if made in self.partial or not (inside or self._movable(made, scope, statement, node)):
      self._make_partial(made, scope, statement)
      holder = self._holder(token)
      if holder is None:
        raise self.left(node, "an init of a module that has no name here", "give the module a name")
      self.file.replace(node, f"{holder}({', '.join(more)})")
      return
    by_position = not token.cls.sizes and any(not t.partition("=")[0].isidentifier() for t in texts)
    arguments = [*texts, *more] if by_position else [*more[:-1], *texts, more[-1]]
    self.file.replace(node, self.call_text(node if inside else made, class_text, arguments))
    if not inside and statement is not None:
      self.link(self.here(), file.owner(statement))
      self.erase(statement, file)

  def _movable(self, made: ast.Call, scope: Any, statement: ast.stmt | None, node: ast.Call) -> bool:
    """Whether the construction means the same where `init` is."""
    if not (isinstance(statement, ast.Assign) and statement.value is made and len(statement.targets) == 1):
      return False
    names = set().union(*(names_in(scope.file.source.code(a)) for a in ast.iter_child_nodes(made) if isinstance(a, (ast.expr, ast.keyword))))  # fmt: skip
    if scope is not self.scope:
      return scope.outer is None and scope.file is self.file and not any(self.scope.is_local(n) for n in names)
    for other in ast.walk(scope.node):
      if isinstance(other, ast.Name) and isinstance(other.ctx, ast.Store) and other.id in names:
        if statement.lineno < other.lineno < node.lineno:
          return False
    return True

  def _holder(self, token: Token) -> str | None:
    for scope in self.scope.chain():
      for name, value in scope.values.items():
        if isinstance(value, Recipe) and value.token is token:
          return name
    return None

  def make_partial(self, token: Token) -> None:
    """A module that leaves its function before it has variables becomes a partial of its class."""
    made = token.made
    self._make_partial(made, *self.made_in[made])

  def _make_partial(self, made: ast.Call, scope: Any, statement: ast.stmt | None) -> None:
    if made in self.partial:
      return
    self.partial.add(made)
    file = scope.file
    names = [a for a in self.classes_of(made).parameters if a not in self.classes_of(made).sizes]
    by_name = bool(self.classes_of(made).sizes)
    texts = [file.source.code(made.func)]
    for i, argument in enumerate(made.args):
      starred = isinstance(argument, ast.Starred)
      texts.append(f"{names[i]}={file.text(argument)}" if by_name and not starred else file.text(argument))
    texts += [f"{k.arg}={file.text(k.value)}" if k.arg else f"**{file.text(k.value)}" for k in made.keywords]
    spelled = "functools.partial"
    owner = file.owner(made)
    file.imports.setdefault(owner, set()).add("import functools")
    file.replace(made, f"{spelled}({', '.join(texts)})")
    self.link(self.here(), owner)

  def classes_of(self, made: ast.Call) -> Any:
    """The class that a construction makes."""
    scope, _ = self.made_in[made]
    return self.classes[str(self.program.full(scope, made.func))]

  # ---- apply

  def _apply(self, node: ast.Call, token: Token) -> Result:
    if not node.args:
      raise self.left(node, "apply without variables", "give the variables first")
    variables, form = self.eval(node.args[0])
    if not special(variables) or form is not None:
      raise self.left(node.args[0], f"`{ast.unparse(node.args[0])[:50]}`: variables that are not a model's own",
                      "call the model that holds them", "L2N402")  # fmt: skip
    if not isinstance(variables, (Variables, Part)):
      raise self.left(node, "apply with something else than variables", "give {'params': ...}")
    held = variables.token
    self._same_module(node, token, held)
    if variables.inner != any(held in s.inner for s in self.scope.chain()):
      raise self.left(node, "parameters from outside a function that is differentiated by them", "use its argument")
    streams = ""
    mutable: ast.expr | None = None
    method = ""
    texts = []
    for argument in node.args[1:]:
      self.plain(argument.value if isinstance(argument, ast.Starred) else argument)
      texts.append(self.file.text(argument))
    for keyword in node.keywords:
      self.plain(keyword.value)
      if keyword.arg == "rngs":
        streams = self._streams(keyword.value, held)
      elif keyword.arg == "mutable":
        mutable = keyword.value
      elif keyword.arg == "method":
        method = self._named_method(keyword.value)
      elif keyword.arg == "capture_intermediates":
        raise self.left(node, "capture_intermediates", "use nnx.capture", "L2N406")
      else:
        texts.append(
          f"{keyword.arg}={self.file.text(keyword.value)}" if keyword.arg else f"**{self.file.text(keyword.value)}"
        )
    model = self.model(held, node)
    changed = self._mutable(node, mutable, variables)
    if streams:
      policy = ', policy="match_shape"' if held.cls.stacked else ""
      self.put_before(node, f"{self.nnx()}.reseed({model}, {streams}{policy})")
    self.file.replace(node, self.call_text(node, f"{model}.{method}" if method else model, texts))
    if changed is None:
      return PLAIN, PLAINLY
    self.pending.add(held)
    return Tup((PLAIN, changed)), PLAINLY

  def _same_module(self, node: ast.Call, token: Token, held: Token) -> None:
    """A module made for one call must be the one whose variables it is given."""
    if token is held:
      return
    if token.cls is not held.cls or _arguments(token.made) != _arguments(held.made):
      raise self.left(node, "variables of one module given to another", "make both with the same arguments, or rewrite it by hand", "L2N402")  # fmt: skip
    scope, statement = self.made_in[token.made]
    if (
      isinstance(statement, ast.Assign)
      and statement.value is token.made
      and not any(n is token.made for n in ast.walk(node))
    ):
      self.erase(statement, scope.file)

  def _streams(self, node: ast.expr, token: Token) -> str:
    if isinstance(node, ast.Dict) and all(
      isinstance(k, ast.Constant) and str(k.value).isidentifier() for k in node.keys
    ):
      names = [str(k.value) for k in node.keys if isinstance(k, ast.Constant)]
      self.streams.setdefault(token.made, set()).update(n for n in names if n != "params")
      return ", ".join(f"{k}={self.file.text(v)}" for k, v in zip(names, node.values, strict=True))
    value, _ = self.eval(node)
    if isinstance(value, Plain) and value.full == "dict":
      return f"**{self.file.text(node)}"
    raise self.left(node, "rngs that are no dict of streams", "write rngs={'dropout': key}")

  def _named_method(self, node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
      return "" if node.value == "__call__" else node.value
    if isinstance(node, ast.Attribute):
      return "" if node.attr == "__call__" else node.attr
    if isinstance(node, ast.Constant) and node.value is None:
      return ""
    raise self.left(node, "a method that is a function of its own", "make it a method of the model")

  def _mutable(self, node: ast.Call, mutable: ast.expr | None, variables: Variables | Part) -> Changed | None:
    token = variables.token
    if mutable is None or (isinstance(mutable, ast.Constant) and mutable.value is False):
      if token in self.pending:
        raise self.left(node, "a call with statistics from before another call changed them", "put the new ones into the state first", "L2N404")  # fmt: skip
      return None
    try:
      names = ast.literal_eval(mutable)
    except ValueError:
      raise self.left(node, "mutable= that is computed", "write the collections out") from None
    names = {names} if isinstance(names, str) else set(names) if isinstance(names, (list, tuple, set)) else {"*"}
    if names & UNSEEN:
      raise self.left(node, f"mutable={sorted(names)}", "use nnx.capture", "L2N406")
    given = {variables.collection} if isinstance(variables, Part) else variables.collections
    lost = names - given if given is not None and "*" not in given else set()
    if lost and (token.cls.collections is None or lost & token.cls.collections):
      raise self.left(node, f"collections that are changed and not given: {sorted(lost)}", "give all of the model's collections", "L2N404")  # fmt: skip
    if token in self.pending:
      raise self.left(node, "a second call that changes statistics before the first ones are kept", "put them into the state first", "L2N404")  # fmt: skip
    return Changed(token, self.epoch(token))


def _arguments(made: ast.Call) -> tuple[Any, ...]:
  """What a module is made with, however it is laid out."""
  return tuple(ast.dump(a) for a in made.args), tuple(sorted((k.arg or "", ast.dump(k.value)) for k in made.keywords))
