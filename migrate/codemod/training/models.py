"""Modules of a training program: made, initialised, called."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Sequence

from migrate.codemod.training.analysis import Analysis, Result
from migrate.codemod.training.captures import INTERMEDIATES, Captures
from migrate.codemod.training.constructions import only_calls
from migrate.codemod.training.init_arguments import InitArguments, key_of
from migrate.codemod.training.modes import thrown_away
from migrate.codemod.training.values import (
  NOTHING,
  PLAIN,
  PLAINLY,
  Apply,
  Captured,
  Changed,
  Function,
  Live,
  Others,
  Part,
  Plain,
  Recipe,
  Token,
  Tree,
  Tup,
  Value,
  Variables,
  special,
)
from migrate.core.mutable import is_mutable


class Models(InitArguments, Captures):
  """`Model(...)`, `model.init(...)`, `model.apply(...)`."""

  def apply(self, node: ast.Call, function: Apply) -> Result:
    """A call of a model through `apply` or `init`."""
    if function.method == "init":
      return self._init(node, function.token)
    if function.method == "init_with_output":
      return self._init_with_output(node, function.token)
    if function.method == "tabulate":
      return self._tabulate(node, function.token)
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
    token = self._initialising(node, token)
    if key_of(node) is None:
      raise self.left(node, "init without a key that can be told", "give the key first")
    self._plain_arguments(node)
    self.note_dropped(node)
    self.file.replace(node, self._constructed(node, token))
    return self._made(node, token), ("model", token)

  def _initialising(self, node: ast.Call, token: Token) -> Token:
    """The model that an init makes: the module's own at the first, another one of the same kind after that."""
    known = self.inits.get(node)
    if token.initialised and known is not None and token in (known, known.first):  # another round of a loop
      self.advance(known)
      return known
    if token.initialised:
      token = dataclasses.replace(token, names=[], initialised=False, optimized=False, fields={}, first=token)
    self.inits[node] = token
    return token

  def _constructed(self, node: ast.Call, token: Token) -> str:
    """The text that makes the model."""
    return self._construction(
      node, token, [*self._sizes(node, token), f"rngs={self._rngs(key_of(node) or node, token)}"]
    )

  def _made(self, node: ast.Call, token: Token) -> Value:
    token.initialised = True
    self.keep_made(token)
    self.created.setdefault(self.scope, set()).add(token)
    self.note(node, "initial values are drawn anew: NNX draws other numbers from the same key", "convert a checkpoint of the Linen program where they must be the same", "L2N411", "note")  # fmt: skip
    if token.cls.collections == {"params"}:
      return Part(token, self.epoch(token), whole=True)
    return Variables(token, self.epoch(token))

  def _init_with_output(self, node: ast.Call, token: Token) -> Result:
    """Makes the model above, and calls it."""
    if token.cls.collections != {"params"}:
      raise self.left(node, "init_with_output of a model with more than parameters", "call init, then apply")
    if token.initialised or not node.args or any(k.arg in ("method", "mutable", None) for k in node.keywords):
      raise self.left(
        node, "`init_with_output` with options, or of a module that has variables", "call init, then apply"
      )
    self._plain_arguments(node)
    made = self._constructed(node, token)
    value = self._made(node, token)
    name = self.model(token, node)
    self.put_before(node, f"{name} = {made}")
    self._call_again(node, name)
    return Tup((PLAIN, value)), PLAINLY

  def _call_again(self, node: ast.Call, function: str, first: tuple[str, ...] = ()) -> None:
    """Gives what came after the key to a function."""
    texts = [*first, *(self.file.text(a) for a in node.args[1:])]
    texts += [f"{k.arg}={self.file.text(k.value)}" if k.arg else f"**{self.file.text(k.value)}" for k in node.keywords]
    self.file.replace(node, self.call_text(node, function, texts))

  def _tabulate(self, node: ast.Call, token: Token) -> Result:
    """The table of a model; one is made for it where none is at hand."""
    known = {*token.cls.call, "depth", "console_kwargs", "compute_flops", "compute_vjp_flops"}
    strange = [k.arg for k in node.keywords if k.arg not in known]
    if strange or not node.args or isinstance(node.args[0], ast.Starred):
      raise self.left(
        node, f"tabulate with {', '.join(map(str, strange)) or 'no key'}", "call nnx.tabulate(model, ...)"
      )
    self._plain_arguments(node)
    scope, statement = self.made_in[token.made]
    if token.initialised and self.at_hand(token):
      model = self.model(token, node)
    elif token.initialised or token.made in self.partial or not self._movable(token.made, scope, statement, node):
      raise self.left(node, "tabulate of a module whose construction is not at hand", "tabulate it after init")
    else:
      model = self._written(node, token, [*self._sizes(node, token), f"rngs={self._rngs(node.args[0], token)}"])
    self._call_again(node, f"{self.nnx()}.tabulate", (model,))
    return PLAIN, PLAINLY

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

  # ---- apply

  def _apply(self, node: ast.Call, token: Token) -> Result:
    if not node.args:
      raise self.left(node, "apply without variables", "give the variables first")
    variables, form = self.eval(node.args[0])
    if (isinstance(variables, Tree) or (isinstance(variables, Live) and variables.tree)) and variables.whole:
      variables, form = Others(variables.token, text=self.file.text(node.args[0])), None
    if isinstance(variables, Others):
      return self._apply_others(node, token, variables)
    if not special(variables) or form is not None:
      raise self.left(node.args[0], f"`{ast.unparse(node.args[0])[:50]}`: variables that are not a model's own",
                      "call the model that holds them", "L2N402")  # fmt: skip
    self.not_older(node.args[0], variables)
    if not isinstance(variables, (Variables, Part)):
      raise self.left(node, "apply with something else than variables", "give {'params': ...}")
    return self.called(node, token, variables, node.args[1:], node.keywords)

  def called(
    self, node: ast.Call, token: Token, variables: Variables | Part, arguments: Sequence[ast.expr],
    keywords: Sequence[ast.keyword], texts: Sequence[str] = (), method: str = "",
  ) -> Result:  # fmt: skip
    """A call of a module with its variables.

    Args:
      node: the call.
      token: the module.
      variables: what it is given.
      arguments: of the call, by position, without the variables.
      keywords: the others, those of `apply` among them.
      texts: arguments that were given before.
      method: name of the method, where not `__call__`.
    """
    held = variables.token
    self.not_spread(held, node)
    self._same_module(node, token, held)
    if variables.inner != any(held in s.inner for s in self.scope.chain()):
      raise self.left(node, "parameters from outside a function that is differentiated by them", "use its argument")
    streams = ""
    mutable: ast.expr | None = None
    texts = list(texts)
    for argument in arguments:
      self.plain(argument.value if isinstance(argument, ast.Starred) else argument)
      texts.append(self.file.text(argument))
    for keyword in keywords:
      self.plain(keyword.value)
      if keyword.arg == "rngs":
        streams = self._streams(keyword.value, held)
      elif keyword.arg == "mutable":
        mutable = keyword.value
      elif keyword.arg == "method":
        method = self._named_method(keyword.value)
      elif keyword.arg != "capture_intermediates":
        texts.append(
          f"{keyword.arg}={self.file.text(keyword.value)}" if keyword.arg else f"**{self.file.text(keyword.value)}"
        )
    changed = self._mutable(node, mutable, variables)
    moves = isinstance(changed, Changed) or (isinstance(changed, Captured) and changed.more)
    unread = changed is not None and thrown_away(self.file.source, node)
    thrown = moves and unread and not streams
    if (moves and not thrown) or streams or held.cls.flags:
      self.changes(held, node)
    model = self.model(held, node)
    self._set_mode(node, mutable, model, held)
    model = f"{self.nnx()}.clone({model})" if thrown else model
    if streams:
      policy = ', policy="match_shape"' if held.cls.stacked else ""
      self.put_before(node, f"{self.nnx()}.reseed({model}, {streams}{policy})")
    taken = isinstance(changed, Captured) and not unread
    callee = self.capturing(node, f"{model}.{method}" if method else model, held, taken)
    self.file.replace(node, self.call_text(node, callee, texts))
    if changed is None:
      return PLAIN, PLAINLY
    if moves and not thrown:
      self.pending.add(held)
    return Tup((PLAIN, changed if moves or taken else Changed(held, self.epoch(held)))), PLAINLY

  def _apply_others(self, node: ast.Call, token: Token, variables: Others) -> Result:
    """A call with parameters that are not the model's: of a model that has them, made for this call."""
    held = variables.token
    self._same_module(node, token, held)
    if held.cls.flags != {}:
      raise self.left(node, "parameters that are not the model's, of one that asks which collections are mutable", "make a model that has them", "L2N402")  # fmt: skip
    texts, method = [], ""
    for argument in node.args[1:]:
      self.plain(argument.value if isinstance(argument, ast.Starred) else argument)
      texts.append(self.file.text(argument))
    for keyword in node.keywords:
      self.plain(keyword.value)
      off = isinstance(keyword.value, ast.Constant) and not keyword.value.value
      if keyword.arg in ("rngs", "mutable", "capture_intermediates") and not off:
        raise self.left(node, f"parameters that are not the model's, with {keyword.arg}", "make a model that has them", "L2N402")  # fmt: skip
      if keyword.arg == "method":
        method = self._named_method(keyword.value)
      elif keyword.arg not in ("rngs", "mutable", "capture_intermediates"):
        value = self.file.text(keyword.value)
        texts.append(f"{keyword.arg}={value}" if keyword.arg else f"**{value}")
    nnx, model = self.nnx(), self.model(held, node)
    rest = "" if held.cls.pure else f", {nnx}.state({model}, {nnx}.Not({nnx}.Param))"
    other = f"{nnx}.merge({nnx}.graphdef({model}), {variables.text}{rest})"
    self.file.replace(node, self.call_text(node, f"{other}.{method}" if method else other, texts))
    return PLAIN, PLAINLY

  def apply_function(self, node: ast.Call, maker: ast.Call) -> Result:
    """`nn.apply(f, module)(variables, ...)`: a function that is given the module bound to its variables."""
    if len(maker.args) != 2 or maker.keywords or not node.args or node.keywords:
      raise self.left(node, "nn.apply with options", "call the model")
    function, _ = self.eval(maker.args[0])
    module, _ = self.eval(maker.args[1])
    variables, _ = self.eval(node.args[0])
    if not isinstance(module, Recipe) or not isinstance(variables, (Variables, Part)) or variables.inner:
      raise self.left(node, "nn.apply of something else than a module and its variables", "call the model")
    if not isinstance(function, Function) or function.wraps or not only_calls(function.node):
      raise self.left(node, "nn.apply of a function that does more with the module than to call it", "call the model")
    self._same_module(node, module.token, variables.token)
    self.read_plainly(function)
    self._plain_arguments(node, 1)
    model = self.model(variables.token, node)
    self._set_mode(node, None, model, variables.token)
    texts = [model, *(self.file.text(a) for a in node.args[1:])]
    self.file.replace(node, self.call_text(node, self.file.text(maker.args[0]), texts))
    return PLAIN, PLAINLY

  def _same_module(self, node: ast.Call, token: Token, held: Token) -> None:
    """A module made for one call must be the one whose variables it is given."""
    if token is held:
      return
    if not self.made_alike(token, held):
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
    if isinstance(value, Plain) and value.full == "dict" and all(k.isidentifier() for k in value.keys):
      self.streams.setdefault(token.made, set()).update(k for k in value.keys if k != "params")
      return f"**{self.file.text(node)}"
    if value == NOTHING:
      return ""
    raise self.left(node, "rngs that are no dict of streams", "write rngs={'dropout': key}")

  def _named_method(self, node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
      return "" if node.value == "__call__" else node.value
    if isinstance(node, ast.Attribute):
      return "" if node.attr == "__call__" else node.attr
    if isinstance(node, ast.Constant) and node.value is None:
      return ""
    raise self.left(node, "a method that is a function of its own", "make it a method of the model")

  def _mutable(
    self, node: ast.Call, mutable: ast.expr | None, variables: Variables | Part
  ) -> Changed | Captured | None:
    token = variables.token
    none = mutable is None or (isinstance(mutable, ast.Constant) and mutable.value is False)
    if none and token in self.pending:
      raise self.left(node, "a call with statistics from before another call changed them", "put the new ones into the state first", "L2N404")  # fmt: skip
    if none or mutable is None:  # to capture makes the intermediates mutable, too
      return Captured(token, self.epoch(token)) if self.captures(node, set(), token) else None
    when = self.only_when(mutable)
    try:
      names = ast.literal_eval(mutable.body if isinstance(mutable, ast.IfExp) and when else mutable)
    except ValueError:
      raise self.left(node, "mutable= that is computed", "write the collections out") from None
    if when and token.cls.flags:
      raise self.left(node, "mutable= that an argument decides, of a model that asks for it", "write two calls")
    names = {names} if isinstance(names, str) else set(names) if isinstance(names, (list, tuple, set)) else {"*"}
    taken = self.captures(node, names, token)
    if taken and when:
      raise self.left(node, "mutable= that an argument decides, with intermediates", "write two calls", "L2N406")
    names = names - {INTERMEDIATES}
    if taken and not names:
      return self._mutable(node, None, variables) or Captured(token, self.epoch(token))
    given = {variables.collection} if isinstance(variables, Part) else variables.collections
    lost = names - given if given is not None and "*" not in given else set()
    if lost and (token.cls.collections is None or lost & token.cls.collections):
      raise self.left(node, f"collections that are changed and not given: {sorted(lost)}", "give all of the model's collections", "L2N404")  # fmt: skip
    if token in self.pending:
      raise self.left(node, "a second call that changes statistics before the first ones are kept", "put them into the state first", "L2N404")  # fmt: skip
    return Captured(token, self.epoch(token), more=True) if taken else Changed(token, self.epoch(token), when=when)

  def _set_mode(self, node: ast.Call, mutable: ast.expr | None, model: str, token: Token) -> None:
    """Tells modules that ask for it whether the call may change their variables, as `mutable=` did."""
    flags = token.cls.flags
    if flags is None:
      raise self.left(node, "a model that asks which collections are mutable, beside layers that keep a mode of their own",
                      "give the mode as an argument of the call", "L2N404")  # fmt: skip
    names = ast.literal_eval(mutable) if mutable is not None and flags else False
    modes = {a: value == is_mutable(names, collection) for a, (collection, value) in flags.items()}
    if "use_running_average" in modes:
      self.put_before(node, f"{model}.{'eval' if modes.pop('use_running_average') else 'train'}()")
    if modes:
      self.put_before(node, f"{model}.set_attributes({', '.join(f'{a}={v}' for a, v in modes.items())})")
