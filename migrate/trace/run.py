"""Runs an example abstractly: `jax.eval_shape` of `init` and of every call, no parameter is allocated."""

from __future__ import annotations

import dataclasses
import inspect
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import errors
from flax import linen as nn

from migrate.core.report import MigrateError, refuse
from migrate.example import Call, Example
from migrate.trace.facts import Facts
from migrate.trace.givers import beside, giving_files
from migrate.trace.idle import idle_setups
from migrate.trace.instrument import instrumented
from migrate.trace.recorder import Recorder, class_file, scouting
from migrate.trace.sown import sowing
from migrate.trace.variants import variants


def default_include(module: Any) -> tuple[str, ...]:
  """The top-level package, or single file, of the module's class, or of what Linen lifted (`nn.vmap(Net)`).

  None for a layer of Flax's own (`nn.Sequential`): what it holds has packages.
  """
  names = [b.__module__.partition(".")[0] for b in type(module).__mro__ if hasattr(b, "__dataclass_fields__")]
  lifted = type(module).__module__ == "flax.linen.transforms"
  own = [n for n in names if n != "flax"]
  return tuple(own[:1]) if lifted or names[0] == "flax" else (names[0],)


def _is_array(x: Any) -> bool:
  return isinstance(x, jax.Array | np.ndarray | jax.ShapeDtypeStruct)


def split_static(tree: Any) -> tuple[list[Any], Any]:
  """(arrays, rebuild): only arrays are traced, everything else stays a Python value."""
  leaves, treedef = jax.tree_util.tree_flatten(tree)
  arrays = [x for x in leaves if _is_array(x)]

  def rebuild(traced: Sequence[Any]) -> Any:
    remaining = iter(traced)
    return jax.tree_util.tree_unflatten(treedef, [next(remaining) if _is_array(x) else x for x in leaves])

  return arrays, rebuild


def _keys(names: Sequence[str]) -> dict[str, Any]:
  return {n: jax.random.fold_in(jax.random.key(0), i) for i, n in enumerate(names)}


def abstract_init(example: Example) -> Any:
  """Shapes of the variables: `jax.eval_shape` of `module.init`."""
  args = example.args if example.init_args is None else example.init_args
  kwargs = example.kwargs if example.init_kwargs is None else example.init_kwargs
  method = example.init_method or example.method
  arrays, rebuild = split_static((tuple(args), dict(kwargs)))

  def run(rngs: Any, arrays: Any) -> Any:
    a, k = rebuild(arrays)
    options: dict[str, Any] = {"method": method} if method else {}
    return nn.Module.init(example.module, rngs, *a, **k, **options)  # a model may have an `init` of its own

  return jax.eval_shape(run, _keys(tuple(example.init_rngs)), arrays)


def abstract_call(example: Example, variables: Any, call: Call) -> Any:
  """Shapes of one call's outputs."""
  arrays, rebuild = split_static((tuple(call.args), dict(call.kwargs)))
  kept, put_back = split_static(variables)

  def run(kept: Any, rngs: Any, arrays: Any) -> Any:
    a, k = rebuild(arrays)
    mutable = False if call.mutable is None else call.mutable
    extra = {"method": call.method} if call.method else {}
    output = example.module.apply(put_back(kept), *a, **k, rngs=rngs, mutable=mutable, **extra)
    return [x for x in jax.tree_util.tree_leaves(output) if isinstance(x, jax.Array)]

  return jax.eval_shape(run, kept, _keys(tuple(call.rngs)), arrays)


def _flipped(example: Example) -> list[Call]:
  """Calls with one boolean argument negated: untraced branches hide layers."""
  target = getattr(type(example.module), example.method or "__call__", None)
  try:
    parameters = inspect.signature(target).parameters if target is not None else {}
  except (TypeError, ValueError):
    parameters = {}
  flips: list[Call] = []
  for call in example.all_calls:
    if call.method != example.method:
      continue
    names = list(parameters)[1:]
    given = dict(zip(names, call.args, strict=False))
    for name, parameter in list(parameters.items())[1:]:
      value = call.kwargs.get(name, given.get(name, parameter.default))
      if type(value) is not bool:
        continue
      kwargs, args = dict(call.kwargs), list(call.args)
      if name in given and name not in kwargs:
        args[names.index(name)] = not value
      else:
        kwargs[name] = not value
      rngs = tuple(dict.fromkeys((*call.rngs, *[r for r in example.init_rngs if r != "params"])))
      flips.append(dataclasses.replace(call, args=tuple(args), kwargs=kwargs, rngs=rngs, mutable=True))
  return flips


def trace(example: Example, *, name: str = "example", include: Sequence[str] = (), foreign: bool = True) -> Facts:
  """Traces one example abstractly.

  Args:
    example: the model and its calls.
    name: what findings call it.
    include: packages whose code is recorded; by default the top-level package of the module's class.
    foreign: without `include`, also the packages of every other class of modules that the model reaches.

  Returns:
    Facts: variables, activations of every function with the value of every expression, calls of every method.

  Raises:
    MigrateError: where `init` or a call fails, or the module's source can't be found.
  """
  packages = tuple(include) or default_include(example.module)
  _check_source(example, name)
  notes: list[str] = []
  jax.clear_caches()  # a jitted method that was traced before would not run again
  with scouting(packages, foreign and not include) as reached:
    with sowing() as sown:
      variables = _run(name, "init", lambda: abstract_init(example))
    for i, call in enumerate(example.all_calls):
      _run(name, f"call {i}", lambda call=call: abstract_call(example, variables, call))
    flips = []
    for call in _flipped(example):
      try:
        abstract_call(example, variables, call)
      except Exception as error:
        notes.append(f"a call with a flipped flag does not run: {type(error).__name__}")
        continue
      flips.append(call)
  roots = {n.partition(".")[0] for n in reached.files.values()}
  anywhere = foreign and not include
  reached.files.update(
    giving_files(reached.files, lambda n: n.partition(".")[0] in roots or (anywhere and beside(n, reached.files)))
  )
  recorder = Recorder(set(reached.files))
  jax.clear_caches()
  with instrumented(reached.files, recorder.record), recorder.listening():
    recorder.initializing = True
    abstract_init(example)
    recorder.initializing = False
    for i, call in enumerate(example.all_calls):
      recorder.run = i + 1
      abstract_call(example, variables, call)
    for call in flips:
      recorder.run += 1
      recorder.extra = True
      abstract_call(example, variables, call)
  idle = idle_setups(type(example.module), recorder.activations, recorder.calls)
  created = {k: [m for m in made if id(m[0]) not in idle] for k, made in recorder.created.items()}
  return Facts(
    name,
    example,
    variables,
    [a for a in recorder.activations if id(a) not in idle],
    recorder.calls,
    dict(reached.files),
    list(reached.classes),
    {k: made for k, made in created.items() if made},
    notes,
    recorder.shared,
    sown,
    packages,
    foreign and not include,
  )


def trace_variants(
  example: Example, *, name: str = "example", include: Sequence[str] = (), foreign: bool = True
) -> list[Facts]:
  """Traces of the same model at other sizes, arguments as of `trace`; those that do not run are left out."""
  found = []
  for number, others in enumerate(variants(example), 1):
    for other in others:
      try:
        found.append(trace(other, name=f"{name}, variant {number}", include=include, foreign=foreign))
        break
      except Exception as error:
        logging.getLogger(__name__).debug("variant %d of %s does not run: %s", number, name, error)
  return found


def _run(name: str, what: str, run: Any) -> Any:
  try:
    return run()
  except MigrateError:
    raise
  except Exception as error:
    text = str(error).strip().splitlines()
    raise refuse(
      name,
      f"{what} raised {type(error).__name__}: {' '.join(text[:3])[:400]}",
      "a model that runs under jax.eval_shape",
      _advice(error, what == "init"),
    ) from error


def _advice(error: Exception, init: bool) -> str:
  """What mends an example whose model Linen refuses to run."""
  quoted = re.findall(r'"([^"]+)"', str(error))
  if isinstance(error, errors.InvalidRngError) and quoted:
    field = "init_rngs" if init else "rngs"
    return f'name the random streams: Example(..., {field}=(..., "{quoted[-1]}"))'
  if isinstance(error, errors.ModifyScopeVariableError) and quoted:
    return f'name the collections that the call changes: Example(..., mutable=["{quoted[-1]}"])'
  if isinstance(error, NameError) and "axis name" in str(error):
    return "give a model without `axis_name`, or call it in evaluation: the example runs on one device"
  return "run module.init and module.apply with these arguments by themselves, and mend the example"


def _check_source(example: Example, name: str) -> None:
  cls = type(example.module)
  file = class_file(cls)
  if file is None or not Path(file).is_file() or file.endswith((".so", ".pyc")):
    raise refuse(
      f"{name}: {cls.__module__}.{cls.__qualname__}",
      f"its source can't be found ({file or 'the module has no file'})",
      "a class defined in a Python file",
      "define the class in a file; classes made by exec or in a notebook can't be rewritten",
    )


def variables_of(mapping: Mapping[str, Any]) -> list[tuple[str, ...]]:
  """Paths of all leaves, collection first."""
  leaves = jax.tree_util.tree_flatten_with_path(mapping)[0]
  return [tuple(str(getattr(k, "key", getattr(k, "name", getattr(k, "idx", k)))) for k in path) for path, _ in leaves]
