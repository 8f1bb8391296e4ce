"""`ported.py`: functions that make the examples' models from nothing but text."""

from __future__ import annotations

import functools
import inspect
import re
import types
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import linen as nn

from migrate.codemod.caches import cached_inputs
from migrate.codemod.files import Rewriting
from migrate.codemod.frozen import frozen
from migrate.codemod.lifted_classes import LiftedClass, lifted_by, stacked_sizes
from migrate.codemod.local_classes import local_class
from migrate.codemod.maker_closures import text_of
from migrate.codemod.names import nnx_name, spell
from migrate.codemod.project import Project, is_local
from migrate.codemod.site import bound_call, fields_of, parameters_of, positional_fields
from migrate.codemod.values import Source, ValueWriter
from migrate.codemod.values_source import join
from migrate.core.declare import LayerMapping
from migrate.core.report import Finding, MigrateError, refuse
from migrate.trace.facts import Facts

DRAWS = "linen_draws.json"
_DRAWS_OF = f'''def _draws_of(example: str) -> dict:
  """What Linen folds into its random keys, for each stream of the example's model."""
  return json.loads(pathlib.Path(__file__).with_name("{DRAWS}").read_text())[example]'''


class Builder:
  """Writes `ported.py`; with `keep_rng` its models draw Linen's random numbers, as `linen_draws.json` tells."""

  def __init__(
    self,
    project: Project,
    rewriting: Rewriting,
    new_module: Any,
    templates: str,
    keep_rng: bool = False,
  ):
    self.kept = rewriting.keep  # what the new files define, by original module
    self.keep_rng = keep_rng
    self.project = project
    self.results = rewriting.results
    self.new_module = new_module
    self.templates = templates
    self.used: set[str] = set()
    self.failures: dict[str, tuple[Finding, ...]] = {}
    self.fact: Facts = project.examples[0]
    names = {f"build_{f.name}" for f in project.examples} | {"rngs"}
    self.writer = ValueWriter(
      self._class_name, self._module, functools.partial(text_of, rewriting.makers), reserved=names
    )

  def _class_name(self, value: Any) -> tuple[str, str] | None:
    if isinstance(value, type) and issubclass(value, nn.Module):
      if value in self.results:
        info = self.results[value].info
        return self.new_module(info.module), info.name
      record = self.project.record(value)
      if record is not None:
        return self._nnx_class(record)
      lifted = self.project.name_of_lifted(value)
      if lifted is not None:
        return self.new_module(lifted[0]), lifted[1]
      if value is nn.Module:
        return "flax.nnx", "Module"
    full = getattr(value, "__module__", "") or ""
    plain = isinstance(value, types.FunctionType) or (isinstance(value, type) and not issubclass(value, nn.Module))
    if plain and value.__qualname__ in self.kept.get(full, ()):  # it makes layers, or its methods do
      return self.new_module(full), value.__qualname__
    if full.startswith("flax.linen") and not isinstance(value, type):
      target = nnx_name(f"flax.linen.{getattr(value, '__name__', '')}")
      if target is not None:
        module, _, name = target.rpartition(".")
        return module, name
    return None

  def _nnx_class(self, record: LayerMapping) -> tuple[str, str]:
    if record.nnx.startswith("template:"):
      file, _, name = record.nnx.removeprefix("template:").partition(".")
      self.used.add(file)
      return f"{self.templates}.{file}", name
    module, _, name = record.nnx.rpartition(".")
    return module, name

  def _module(self, value: Any) -> Source | None:
    if isinstance(value, functools.partial):
      return self._partial(value)
    cls = type(value)
    name = self._class_name(cls)
    lifted = self._lifted(cls) if name is None else None
    if name is None and lifted is None:
      return None
    record = self.project.record(cls)
    if record is not None:
      return self._layer(value, record.choose(fields_of(value)))
    result = self.results[self.project.plain(cls)]
    local = local_class(result.info) if is_local(cls) and lifted is None else None
    if isinstance(local, str):
      raise self.writer.refuse(self.fact.name, value, local, "make the class at the top level of its file")
    function = self.writer.reference(*name) if name is not None else lifted
    assert function is not None
    if local is not None and name is not None:  # its function makes it again
      given = {n: self.writer.write(v, f"{local.function.name}({n}=...)") for n, v in local.given.items()}
      function = self.writer.reference(name[0], local.function.name)
      function = self.writer.call(function, (), given) if not local.instances else function
    calls = self.project.calls_of(value) or [c for c in self.fact.calls if c.module is value]
    path = calls[0].path if calls else ()
    kwargs: dict[str, Source] = {}
    for size in result.sizes:
      found = size.values.get((id(self.fact), path))
      if found is None:
        found = next((v for (f, _), v in size.values.items() if f == id(self.fact)), None)
      if found is not None:
        kwargs[size.name] = self.writer.write(found, f"{cls.__name__}.{size.name}")
    side_by_side = lifted_by(cls) if name is not None else None
    if side_by_side is not None and (count := self._side_by_side(cls, side_by_side)) is not None:
      kwargs["axis_size"] = self.writer.write(count, f"{cls.__name__}.axis_size")
    if local is not None and local.instances:
      return self.writer.call(function, (), {**given, **kwargs, "rngs": Source("rngs")})
    fields, stars = self._fields(value, set(result.residues)), []
    stock = self.project.record(self.project.stock_base(cls) or cls)
    if stock is not None:  # what it does not declare itself goes on to the layer
      own = {f.name for f in result.info.fields}
      kwargs |= self._inferred(value, stock.choose(fields_of(value)))
      kwargs |= self._renamed(stock, {n: f for n, f in fields.items() if n not in own}, stars)
      fields = {n: f for n, f in fields.items() if n in own}
    kwargs |= fields
    for field in result.maker_fields & set(kwargs):
      kwargs[field] = kwargs[field].with_expression(f"lambda rngs: {kwargs[field].expression}")
    return self.writer.call(function, stars, {**kwargs, "rngs": Source("rngs")})

  def _lifted(self, cls: type) -> Source | None:
    """The call of `vmap` that makes a class which Linen lifted in a function, and which so has no name."""
    found = lifted_by(cls)
    target = self._class_name(found.target) if found is not None else None
    if found is None or target is None or found.target not in self.results:
      return None
    self.used.add(found.transform)
    values = dict(found.given)
    if "axis_size" not in values and (size := self._axis_size(cls, values)) is not None:
      values["axis_size"] = size  # Linen reads it off the arguments of the call
    given = {k: self.writer.write(v, f"nn.{found.transform}({k}=...)") for k, v in values.items()}
    function = self.writer.reference(f"{self.templates}.{found.transform}", found.transform)
    return self.writer.call(function, (self.writer.reference(*target),), given)

  def _axis_size(self, cls: type, given: Mapping[str, Any]) -> int | None:
    """How many modules the instances of a lifted class hold in this example, if it is one number."""
    axis = given.get("variable_axes", {}).get("params")
    sizes: set[int] = set()
    made = [m for row in self.fact.created.values() for *_, m in row if type(m) is cls and isinstance(axis, int)]
    for path in {tuple(m.scope.path) for m in made if m.scope is not None}:
      tree: Any = self.fact.variables.get("params", {})
      for part in path:
        tree = tree.get(part, {})
      sizes |= {leaf.shape[axis] for leaf in jax.tree.leaves(tree)}
    return sizes.pop() if len(sizes) == 1 else None

  def _side_by_side(self, cls: type, lifted: LiftedClass) -> int | None:
    """How many modules the instances of such a class hold, where Linen reads it off their inputs."""
    axis = lifted.given.get("variable_axes", {}).get("params")
    if lifted.transform != "vmap" or "axis_size" in lifted.given or type(axis) is not int:
      return None
    paths = {c.path for c in self.fact.calls if type(c.module) in (cls, lifted.target)}
    sizes = {n for p in paths for n in stacked_sizes(self.fact.variables.get("params", {}), p, axis)}
    return sizes.pop() if len(sizes) == 1 else None

  def _fields(self, value: Any, skip: set[str]) -> dict[str, Source]:
    found: dict[str, Source] = {}
    for name, field in type(value).__dataclass_fields__.items():
      if name in ("parent", "name") or name in skip or not field.init:
        continue
      current = value.__dict__.get(name, getattr(value, name, None))
      if _is_default(field, current):
        continue
      found[name] = self.writer.write(frozen(current), f"{type(value).__name__}.{name}")
    return found

  def _inferred(self, value: Any, record: LayerMapping) -> dict[str, Source]:
    """The sizes that a layer's call tells, as its NNX constructor takes them."""
    found: dict[str, Source] = {}
    calls = [c for c in self.project.calls_of(value) if c.args or c.kwargs]
    calls += [c for c in self.fact.calls if type(c.module) is type(value) and fields_of(c.module) == fields_of(value)]
    wanted = {a.nnx for a in record.args if a.fate == "infer"}
    calls.sort(key=lambda c: c.method != "__call__")  # only those have inputs, not `initialize_carry`
    for call in calls[:1]:
      given = bound_call(call)
      sizes: dict[str, Any] = {}
      if record.infer is not None:
        sizes = dict(record.infer.compute(fields_of(value), given))
      elif record.inputs:
        shape = given.get(record.input or parameters_of(call.cls, call.method)[0])
        sizes = {record.inputs.split()[-1]: shape[-1]} if isinstance(shape, tuple) and shape else {}
      found |= {k: self.writer.write(v) for k, v in sizes.items() if k in wanted}
    return found

  def _layer(self, value: Any, record: LayerMapping) -> Source:
    kwargs = self._inferred(value, record)
    stars: list[Source] = []
    kwargs |= self._renamed(record, self._fields(value, set()), stars)
    for arg in record.args:
      code = arg.code if arg.fate == "add" else arg.absent if arg.fate == "convert" else ""
      if code and arg.nnx and arg.nnx not in kwargs:
        kwargs[arg.nnx] = self._code(code)
    if record.takes_rngs:
      kwargs["rngs"] = Source("rngs")
    return self.writer.call(self.writer.reference(*self._nnx_class(record)), stars, kwargs)

  def _renamed(self, record: LayerMapping, fields: Mapping[str, Source], stars: list[Source]) -> dict[str, Source]:
    fates = {a.linen: a for a in record.args if a.linen is not None}
    found: dict[str, Source] = {}
    for name, source in fields.items():
      arg = fates.get(name)
      if arg is None or arg.fate == "ignore":
        continue
      if arg.fate == "refuse":
        if source.expression in arg.allow:
          continue
        raise refuse(record.linen, f"{name}={source.expression}", "an argument that NNX has", arg.because)
      if arg.fate == "convert":
        source = join(*self._converted(arg.code, source))
      if (arg.nnx or name).startswith("*"):
        stars.append(source.with_expression(f"*{source.expression.removeprefix('*')}"))
      else:
        found[arg.nnx or name] = source
    return found

  def _converted(self, code: str, source: Source) -> tuple[str, tuple[Source, ...]]:
    made = self._code(code)
    return made.expression.replace("{value}", source.expression), (made, source)

  def _code(self, code: str) -> Source:
    imports: set[str] = set()
    while match := re.search(r"template:(\w+)\.(\w+)", code):
      self.used.add(match[1])
      imports.add(f"from {self.templates}.{match[1]} import {match[2]}")
      code = code.replace(match[0], match[2])
    for root in ("jnp", "jax", "nnx"):
      if re.search(rf"\b{root}\.", code):
        imports.add(spell({"jnp": "jax.numpy.x", "jax": "jax.x", "nnx": "flax.nnx.x"}[root])[1])
    return Source(code, frozenset(imports))

  def _partial(self, value: functools.partial[Any]) -> Source | None:
    if value.args and isinstance(value.func, type) and self.project.info(value.func) is not None:
      # sizes come before the fields, so these are given by name
      named = dict(zip(positional_fields(value.func), value.args, strict=False)) | dict(value.keywords)
      return self.writer.write(functools.partial(value.func, **named))
    if value.args and isinstance(value.func, types.FunctionType) and self._class_name(value.func) is not None:
      kinds = inspect.signature(value.func).parameters.values()
      names = [p.name for p in kinds if p.kind is p.POSITIONAL_OR_KEYWORD]
      if len(names) >= len(value.args):  # the same of a function that makes layers
        named = dict(zip(names, value.args, strict=False)) | dict(value.keywords)
        return self.writer.write(functools.partial(value.func, **named))
    record = self.project.record(value.func)  # pyright: ignore
    lifted = self._lifted(value.func) if record is None and isinstance(value.func, type) else None
    if lifted is not None:
      kept = {k: self.writer.write(v) for k, v in value.keywords.items()}
      return self.writer.call(
        self.writer.reference("functools", "partial"), (lifted, *map(self.writer.write, value.args)), kept
      )
    if record is None:
      return None
    order = list(record.positional)
    given = {order[i]: self.writer.write(a) for i, a in enumerate(value.args)}
    given |= {k: self.writer.write(v) for k, v in value.keywords.items()}
    kwargs = self._renamed(record, given, [])
    base = self.writer.reference(*self._nnx_class(record))
    return self.writer.call(self.writer.reference("functools", "partial"), (base,), kwargs)

  def write(self) -> tuple[str, dict[str, np.ndarray]]:
    """(text of `ported.py`, arrays for `ported_values.npz`)."""
    functions: list[str] = []
    imports: set[str] = {"from flax import nnx"}
    helpers: list[str] = []
    for fact in self.project.examples:
      self.fact = fact
      try:
        source = self.writer.write(fact.example.module, fact.name)
        cached = cached_inputs(self.project, fact)
      except MigrateError as error:
        self.failures[fact.name] = error.findings
        continue
      imports |= source.imports
      helpers += [h for h in source.helpers if h not in helpers]
      cls = type(fact.example.module)
      lines = [f"def build_{fact.name}(rngs: nnx.Rngs) -> nnx.Module:"]
      lines.append(f'  """Makes the {cls.__name__} of the example `{fact.name}`, with its sizes."""')
      for line in source.setup:
        lines += [f"  {part}" for part in line.split("\n")]
      from migrate.codemod.values import layout

      text = layout(source.expression, 9, width=96)
      after = [f"init_caches(model, {cached})"] if cached else []
      if cached:
        self.used.add("caches")
        imports.add(f"from {self.templates}.caches import init_caches")
      made = f"draw_as_linen(model, _draws_of({fact.name!r}))".replace("'", '"') if self.keep_rng else "model"
      if self.keep_rng or after:
        lines += [f"  model = {text}".replace("\n", "\n  "), *(f"  {line}" for line in after), f"  return {made}"]
      else:
        lines += [f"  return {text}".replace("\n", "\n  ")]
      functions.append("\n".join(lines))
    if self.keep_rng:
      self.used.add("linen_rngs")
      helpers.insert(0, _DRAWS_OF)
      imports |= {"import json", "import pathlib"}
      imports.add(f"from {self.templates}.linen_rngs import draw_as_linen")
    body = "\n\n\n".join([*helpers, *functions])
    header = '"""Makes the ported models with the sizes of their examples."""\n\n'
    plain = sorted(i for i in imports if i.startswith("import "))
    named = sorted(i for i in imports if i.startswith("from ") and "__future__" not in i)
    other = [i for i in imports if not i.startswith(("import ", "from "))]
    return header + "\n".join([*plain, *named, *other]) + "\n\n\n" + body + "\n", self.writer.arrays


def _is_default(field: Any, current: Any) -> bool:
  import dataclasses

  if isinstance(field.default, nn.Module):
    return False  # its sizes are those of this model
  if field.default is not dataclasses.MISSING:
    return current is field.default or (
      type(current) in (int, float, str, bool, tuple)
      and type(current) is type(field.default)
      and current == field.default
    )
  return False
