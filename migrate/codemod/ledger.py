"""The mapping that follows from a rewriting: the ported model runs abstractly beside the trace of the Linen model.

Both run the same program, so the n-th module that one calls for the first time is the n-th of the other. What lies
inside a layer is told by its record, what a class makes itself by the attributes that the rewriting chose.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
from flax import linen as nn
from flax import nnx

from migrate.codemod.caches import whole_sequences
from migrate.codemod.opened import without_opened
from migrate.codemod.project import Project
from migrate.codemod.results import ClassResult
from migrate.codemod.site import fields_of
from migrate.codemod.variable_lists import places
from migrate.codemod.visit_order import in_linen_s_order
from migrate.codemod.wrapped_leaves import wrapped_rules
from migrate.core.declare import LayerMapping, ModelMapping, Rule
from migrate.core.mutable import set_flags
from migrate.core.report import Finding, MigrateError
from migrate.trace.facts import Facts
from migrate.trace.run import split_static
from migrate.trace.sown import sowing_in_nnx

Path = tuple[str | int, ...]


@dataclasses.dataclass(frozen=True)
class Visit:
  """The first call of a module: where it is, and what its class must be called on the other side."""

  path: Path
  kind: str
  record: LayerMapping | None = None
  cls: type | None = None
  module: Any = None


def linen_visits(project: Project, fact: Facts, run: int) -> list[Visit]:
  """Modules of one run in order of their first call; what lies inside a layer is left out."""
  visits: list[Visit] = []
  seen: set[tuple[Any, type]] = set()
  inside: int | None = None
  for call in fact.calls:
    if call.run != run:
      continue
    if inside is not None and call.depth > inside:
      continue
    inside = None
    if call.method == "setup":
      continue
    cls = project.plain(call.cls)
    record = project.record(cls)
    if record is not None:
      record = record.choose(fields_of(call.module))
      if not transparent(record):
        inside = call.depth
    elif cls not in project.classes:
      continue
    place: Any = call.path
    if not place and visits and call.origin is not None:  # a layer that is no part of the model, run by `layer.apply`
      place = (call.origin.activation.path, call.origin.position)
    if (place, cls) in seen:
      continue
    seen.add((place, cls))
    kind = record.nnx.rpartition(".")[2] if record is not None else cls.__name__
    visits.append(Visit(call.path, kind, record, cls, call.module))
  return visits


def transparent(record: LayerMapping) -> bool:
  """Whether a layer only calls others, which have their own records."""
  return bool(record.children) or record.linen == "flax.linen.Sequential"


_TAG = "linen2nnx_path"


class _Watch:
  """Notes calls of modules of the ported model."""

  def __init__(self, containers: set[str]):
    self.containers = containers
    self.visits: list[Visit] = []
    self._seen: set[Path] = set()
    self._inside = 0

  def call(self, method: Any, module: Any, args: Any, kwargs: Any) -> Any:
    """Runs a method, noting the module on its first call."""
    stock = type(module).__module__.startswith("flax.nnx") or getattr(type(module), "_linen2nnx_layer", False)
    name = type(module).__name__
    path = module.__dict__.get(_TAG)
    transform = type(module).__qualname__.endswith((".<locals>.Stacked", ".<locals>.Scanned"))
    if not self._inside and path is not None and path not in self._seen and not transform:
      self._seen.add(path)
      self.visits.append(Visit(path, name, None, type(module), module))
    closes = stock and name not in self.containers and not transform
    self._inside += closes
    try:
      return method(module, *args, **kwargs)
    finally:
      self._inside -= closes

  @contextlib.contextmanager
  def watching(self, classes: Iterable[type], methods: set[str]) -> Iterator[None]:
    """While active, calls of these classes' methods are noted."""
    saved: list[tuple[type, str, Any]] = []
    for cls in set(classes):
      for name in methods:
        found = cls.__dict__.get(name)
        inherited = getattr(cls, name, None)
        if inherited is None or not callable(inherited) or isinstance(found, staticmethod | classmethod | property):
          continue
        saved.append((cls, name, found))
        setattr(cls, name, self._wrapped(inherited))
    try:
      yield
    finally:
      for cls, name, found in reversed(saved):
        if found is None:
          delattr(cls, name)
        else:
          setattr(cls, name, found)

  def _wrapped(self, method: Any) -> Any:
    def run(module: Any, /, *args: Any, **kwargs: Any) -> Any:
      return self.call(method, module, args, kwargs)

    run.__name__ = getattr(method, "__name__", "run")
    return run


def nnx_visits(model: Any, call: Any, containers: set[str], methods: set[str], templates: set[str]) -> list[Visit]:
  """Modules of the ported model in order of their first call, from an abstract run; `containers` only call others."""
  for path, module in nnx.iter_modules(model):
    if _TAG not in module.__dict__ and not isinstance(module, nnx.List | nnx.Dict):
      setattr(module, _TAG, _path(path))
  graphdef, state = nnx.split(model)
  arrays, rebuild = split_static((tuple(call.args), dict(call.kwargs)))
  found: list[Visit] = []

  def run(state: Any, arrays: Any) -> Any:
    live = nnx.merge(graphdef, state)
    watch = _Watch(containers | {"Stacked"})
    classes = {type(m) for _, m in nnx.iter_modules(live)}
    for cls in classes:
      if cls.__module__.rpartition(".")[2] in templates:
        cls._linen2nnx_layer = True  # pyright: ignore
    a, k = rebuild(arrays)
    method = call.method or "__call__"
    with sowing_in_nnx(), watch.watching(classes, methods | {method}):
      getattr(live, method)(*a, **k) if method != "__call__" else live(*a, **k)
    found.extend(watch.visits)
    return 0

  jax.clear_caches()  # a compiled method that ran before would not run again
  jax.eval_shape(run, state, arrays)
  return found


def _path(path: Sequence[Any]) -> Path:
  return tuple(p if isinstance(p, int) else str(p) for p in path)


def pair(linen: Sequence[Visit], ported: Sequence[Visit], where: str) -> list[tuple[Visit, Visit]]:
  """The n-th with the n-th. Raises MigrateError where the sequences differ."""
  linen = without_opened(linen, ported)
  for i in range(max(len(linen), len(ported))):
    mine = ported[i] if i < len(ported) else None
    theirs = linen[i] if i < len(linen) else None
    if mine is None or theirs is None or mine.kind != theirs.kind:
      raise MigrateError(
        Finding(
          where,
          f"call {i}: the ported model calls {f'{mine.kind} at {_show(mine.path)}' if mine else 'nothing more'}",
          f"{theirs.kind} for {_show(theirs.path)}" if theirs else "nothing more",
          "compare the rewritten source there with the original",
          "error",
          "L2N301",
        )
      )
  return list(zip(linen, ported, strict=True))


def derive(
  project: Project, fact: Facts, results: Mapping[type, ClassResult], model: Any, runs: Sequence[tuple[int, Any]],
  templates: set[str],
) -> ModelMapping:  # fmt: skip
  """The mapping of one example.

  Args:
    project: facts and sources.
    fact: the example's trace.
    results: the rewritten classes.
    model: the abstract ported model.
    runs: (run number, call) in order; 0 is `init`.
    templates: names of template files that the ported package uses.
  """
  pairs: dict[tuple[Path, type], tuple[Visit, Visit]] = {}
  # Linen wraps `__getattr__` and its like too: they run at any time, in NNX's own code as well
  methods = {c.method for c in fact.calls if c.method != "setup" and not c.method.startswith("__")} | {"__call__"}
  visits = {run: linen_visits(project, fact, run) for run, _ in runs}
  later = {v.path for run, found in visits.items() if run for v in found}
  only_init: list[Visit] = []
  containers = {r.nnx.rpartition(".")[2] for r in project.layers.values() if transparent(r)}
  flags = _flags(model, results)
  for run, call in runs:
    set_flags(model, flags, call.mutable if run else True)
    with whole_sequences(model, initializing=not run):
      linen, ported = visits[run], nnx_visits(model, call, containers, methods, templates)
    if not run and later and len(linen) > len(ported):
      only_init = [v for v in linen if v.path not in later]
      linen = [v for v in linen if v.path in later]
      if len(linen) > len(ported):  # what `init` alone runs of `__call__`, another method runs too
        first = {v.path for v in visits[min(r for r in visits if r)]}
        linen = [v for v in linen if v.path in first]
    for theirs, mine in pair(linen, in_linen_s_order(linen, ported, model), f"{fact.name}, run {run}"):
      assert theirs.cls is not None
      pairs.setdefault((theirs.path, theirs.cls), (theirs, mine))
  for theirs, mine in never_called_again(model, only_init, [m for _, m in pairs.values()]):
    assert theirs.cls is not None
    pairs.setdefault((theirs.path, theirs.cls), (theirs, mine))
  variables = set(_paths(fact.variables))
  rules: list[Rule] = []
  named: set[tuple[str, ...]] = set()
  for theirs, mine in pairs.values():
    if theirs.record is not None:
      rules += _layer_rules(fact, theirs, mine, variables, named)
    else:
      rules += _class_rules(project, fact, results, theirs, mine, variables, named)
  for theirs, mine in pairs.values():
    if theirs.record is not None and theirs.record.children:
      more, placed = wrapped_rules(theirs.record, _scope(fact, theirs.path), mine.path, variables - named, rules)
      rules, named = rules + more, named | placed
  rules += _unused(fact, model, rules, pairs.values(), variables)
  sown = [v for v in sorted(variables - named) if v in fact.sown]
  rules += [Rule("drop", (_literal(v),), (), (), "sown by `init`: every call sows anew") for v in sown]
  metadata = {
    "rng_paths": {_show(m.path): _show(_scope(fact, t.path)) for t, m in pairs.values()},
    "modules": {_show(t.path): _show(m.path) for t, m in pairs.values() if tuple(map(str, t.path)) not in fact.shared},
    **({"mutable": flags} if flags else {}),
  }
  return ModelMapping(tuple(rules), name=fact.name, metadata=metadata)


def _flags(model: Any, results: Mapping[type, ClassResult]) -> dict[str, dict[str, tuple[str, bool]]]:
  """Attributes of the model's modules that say whether a collection may change."""
  known = {r.info.cls.__qualname__: r.flags for r in results.values() if r.flags}
  found: dict[str, dict[str, tuple[str, bool]]] = {}
  for path, module in nnx.iter_modules(model) if known else ():
    for flag in (f for base in type(module).__mro__ for f in known.get(base.__qualname__, ())):
      if hasattr(module, flag.attr):
        found.setdefault(_show(path), {})[flag.attr] = (flag.collection, flag.mutable)
  return found


def never_called_again(model: Any, linen: Sequence[Visit], called: Sequence[Visit]) -> list[tuple[Visit, Visit]]:
  """Modules that Linen runs only to initialize them, each with the one of its name, or the only one of its kind, that nothing calls."""
  taken = {m.path for m in called}
  free = [(_path(p), m) for p, m in nnx.iter_modules(model) if _path(p) and _path(p) not in taken]
  found = []
  for theirs in linen:
    alike = [(p, m) for p, m in free if type(m).__name__ == theirs.kind]
    named = [(p, m) for p, m in alike if str(p[-1]) == str(theirs.path[-1] if theirs.path else "")]
    path, module = next(iter(named or (alike if len(alike) == 1 else [])), (None, None))
    if path is not None:
      free = [(p, m) for p, m in free if p != path]
      found.append((theirs, Visit(path, theirs.kind, None, type(module), module)))
  return found


def _unused(
  fact: Facts, model: Any, rules: Sequence[Rule], pairs: Iterable[tuple[Visit, Visit]], variables: set[tuple[str, ...]]
) -> list[Rule]:
  """Variables of modules for which Linen made none, because no example runs them with parameters of their own."""
  filled = {tuple(map(str, t)) for r in rules for t in r.target}
  have = {
    tuple(map(str, m.path))
    for t, m in pairs
    for scope in [_scope(fact, t.path)]
    if scope and any(v[1 : 1 + len(scope)] == scope for v in variables)
  }
  found = []
  state = nnx.state(model, nnx.Not(nnx.RngState))
  for path, leaf in nnx.to_flat_state(state):
    names = tuple(map(str, path))
    if names in filled:
      continue
    owners = [h for h in have if names[: len(h)] == h]
    own = [h for h in owners if h]
    if not isinstance(leaf, nnx.Variable) or leaf.get_value() is None:
      continue  # a constant array that __init__ makes, not a variable
    if not own or names[:-1] not in have:
      because = "no example runs this module, so Linen made no variables for it"
      found.append(Rule("fresh", (), (_literal(_path(path)),), (), because))
  return found


def _layer_rules(
  fact: Facts, theirs: Visit, mine: Visit, variables: set[tuple[str, ...]], named: set[tuple[str, ...]]
) -> list[Rule]:
  record = theirs.record
  assert record is not None
  rules = []
  for leaf in record.leaves:
    if any("**" in p for p in leaf.linen):
      continue
    sources = [(p[0], *_scope(fact, theirs.path), *p[1:]) for p in leaf.linen]
    if any(s not in variables for s in sources) or any(s in named for s in sources):
      continue
    named.update(sources)  # pyright: ignore
    targets = tuple((*mine.path, *p) for p in leaf.nnx)
    rules.append(Rule("move", tuple(map(_literal, sources)), tuple(map(_literal, targets)), leaf.ops))
  return rules


def _class_rules(
  project: Project, fact: Facts, results: Mapping[type, ClassResult], theirs: Visit, mine: Visit,
  variables: set[tuple[str, ...]], named: set[tuple[str, ...]],
) -> list[Rule]:  # fmt: skip
  rules: list[Rule] = []
  assert theirs.cls is not None
  for base in theirs.cls.__mro__:
    result = results.get(base)
    owner = (id(fact), tuple(map(str, theirs.path)))
    for collection, name, place in places(result.variables, owner, mine.module) if result is not None else ():
      source, target = (collection, *_scope(fact, theirs.path), name), (*mine.path, *place)
      for full in sorted(v for v in variables if v[: len(source)] == source):
        if full not in named:
          named.add(full)
          rules.append(Rule("move", (_literal(full),), (_literal((*target, *full[len(source) :])),)))
  extended = project.made_by(theirs.cls)
  if extended is not None:  # what a subclass of a layer leaves to the layer
    record = extended.choose(fields_of(theirs.module))
    rules += _layer_rules(fact, dataclasses.replace(theirs, record=record), mine, variables, named)
  return rules


def _scope(fact: Facts, path: Path) -> tuple[str, ...]:
  """Where a module's variables lie."""
  names = tuple(map(str, path))
  return fact.shared.get(names, names)


def _literal(path: Sequence[str | int]) -> Path:
  return tuple(p.replace("{", "{{").replace("}", "}}") if isinstance(p, str) else p for p in path)


def _paths(tree: Any) -> list[tuple[str, ...]]:
  # A box with axis names (nn.with_partitioning) is one leaf: its path ends at the parameter's name.
  leaves = jax.tree_util.tree_flatten_with_path(tree, is_leaf=lambda x: isinstance(x, nn.meta.AxisMetadata))[0]
  found = []
  for path, _ in leaves:
    names = [getattr(k, "key", getattr(k, "name", getattr(k, "idx", k))) for k in path]
    found.append(tuple(str(n) for n in names))
  return found


def _show(path: Iterable[Any]) -> str:
  return "/".join(map(str, path))


def compress(mapping: ModelMapping) -> ModelMapping:
  """Joins rules that move whole subtrees under the same names: `params/Dense_0/** -> dense/**`."""
  rules = list(mapping.rules)
  while True:
    groups: dict[tuple[Path, Path], list[Rule]] = {}
    for rule in rules:
      if rule.kind == "move" and len(rule.source) == len(rule.target) == 1 and not rule.ops:
        source, target = rule.source[0], rule.target[0]
        if source[-1] == "**":
          source, target = source[:-1], target[:-1]
        if len(source) > 2 and len(target) > 1 and source[-1] == target[-1]:
          groups.setdefault((source[:-1], target[:-1]), []).append(rule)
    merged = False
    for (source, target), members in groups.items():
      under = [r for r in rules for s in r.source if s[: len(source)] == source]
      reached = [
        r for r in rules for t in r.target if t[: len(target)] == target and r.source and r.source[0][0] == source[0]
      ]
      if len(under) == len(members) == len(reached) and len(members) >= 1:
        rules = [r for r in rules if all(r is not m for m in members)]
        rules.append(Rule("move", ((*source, "**"),), ((*target, "**"),)))
        merged = True
    if not merged:
      return dataclasses.replace(
        mapping, rules=tuple(sorted(rules, key=lambda r: _show(r.source[0] if r.source else ())))
      )
