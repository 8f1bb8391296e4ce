"""Holds a layer record to the installed flax: signatures, values, gradients, state and the way back.

For each of the record's samples both layers are made, the Linen one with random variables that are nowhere at
their initial value, the NNX one as the record says. Its leaves are filled through the record's own rules, and both
are run, compiled alike, with everything passed as an argument. Distances are in units in the last place of the
largest value compared: 0 is bitwise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from migrate.core import axes
from migrate.core.declare import Given, LayerMapping, ModelMapping, Rule, Sample
from migrate.core.paths import pattern
from migrate.core.plan import Plan, make_plan
from migrate.core.report import Finding, MigrateError
from migrate.core.translate import translate
from migrate.verify import arrays as A
from migrate.verify.construct import call_keywords, construct, fields_of, resolve, watch_calls
from migrate.verify.perturb import perturb
from migrate.verify.signature import check_signature, defaults

GRADIENT_ULP = 16  # of the largest gradient, where the forward values are only within noise themselves


@dataclasses.dataclass(frozen=True)
class Distance:
  """How far one run of one sample was off.

  Attributes:
    sample: its name.
    mode: `float32`, `float32 exact` or `bfloat16 exact`.
    forward: distance of the outputs, in ulp of the largest.
    gradients: of the parameters' gradients, in ulp of the largest.
    state: of the other variables after the call.
    compared: how many numbers the outputs held.
  """

  sample: str
  mode: str
  forward: float
  gradients: float
  state: float
  compared: int


@dataclasses.dataclass(frozen=True)
class Result:
  """What `check` found. `findings` is empty where the record conforms."""

  linen: str
  distances: tuple[Distance, ...]
  findings: tuple[Finding, ...]

  @property
  def conforms(self) -> bool:
    """Whether nothing was found, and something compared."""
    return not self.findings and bool(self.distances)

  def __str__(self) -> str:
    return "\n".join((self.linen, *map(str, self.findings), *map(str, self.distances)))


def check(mapping: LayerMapping, *samples: Sample, signatures: bool = True) -> Result:
  """Checks a record and its variants.

  Args:
    mapping: the record.
    *samples: checked in place of the record's own, e.g. with fields that only Python code can make.
    signatures: whether constructor and call arguments are checked too.
  """
  findings = check_signature(mapping) if signatures else []
  distances: list[Distance] = []
  for sample in samples or (mapping.example() if mapping.example else ()):
    for distance, problems in _runs(mapping, sample):
      findings += problems
      distances += [distance] if distance else []
  for variant in () if samples else mapping.variants:
    below = check(dataclasses.replace(variant.mapping, variants=()))
    findings += below.findings
    distances += below.distances
  return Result(mapping.linen, tuple(distances), tuple(findings))


def _runs(mapping: LayerMapping, sample: Sample) -> Iterator[tuple[Distance | None, list[Finding]]]:
  """The sample in float32 as it is, with exact arguments where that is not bitwise, and in bfloat16 with them."""
  fields = {f.name for f in dataclasses.fields(resolve(mapping.linen))}
  modes = [("float32", False, None, sample.ulp)]
  if mapping.exact is not None and sample.ulp:  # where stock is bitwise already, bfloat16 alone tells
    modes.append(("float32 exact", True, None, 0))
  if sample.half and "dtype" in fields:
    modes.append(("bfloat16 exact", True, jnp.bfloat16, 0))
  for mode, exact, dtype, ulp in modes:
    where = f"{mapping.linen} -> {mapping.nnx}, {sample.name or 'plain'}, {mode}"
    try:
      pair = Pair.make(mapping, sample, exact=exact, dtype=dtype)
      distance = pair.compare(sample.name or "plain", mode)
    except MigrateError as error:
      yield None, [Finding(where, str(error), "a layer that can be made and filled", "mend the record")]
      continue
    problems = [
      Finding(where, problem, "leaves as the record names them", "mend the record") for problem in pair.problems
    ]
    gradient_ulp = GRADIENT_ULP * ulp
    for what, found, wanted in (
      ("output", distance.forward, ulp), ("gradient", distance.gradients, gradient_ulp), ("state", distance.state, ulp),
    ):  # fmt: skip
      if not found <= wanted:
        problems.append(Finding(where, f"{what} is {found:.3g} ulp off", f"at most {wanted}", "mend the record"))
    if not distance.compared:
      problems.append(Finding(where, "no number was compared", "an output that is not empty", "mend the sample"))
    yield distance, problems


def _given(thing: Any, seed: int) -> Any:
  """The random array of a `Given`; anything else as it is."""
  if not isinstance(thing, Given):
    return thing
  rng = np.random.default_rng(seed)
  if thing.kind == "key":
    return jax.random.key(seed)
  if thing.kind == "int":
    return jnp.asarray(rng.integers(0, thing.high, thing.shape), jnp.int32)
  if thing.kind == "bool":
    flags = rng.random(thing.shape) < 0.75
    flags[..., 0] = True
    return jnp.asarray(flags)
  return jnp.asarray(rng.normal(size=thing.shape), jnp.float32)


@dataclasses.dataclass
class Pair:
  """A Linen layer and the NNX layer that a record makes of it, with the same variables.

  Attributes:
    layer: the unbound Linen module.
    variables: its variables by path, nowhere at their initial value.
    model: the NNX layer, filled.
    plan: from Linen variables to NNX state.
    args: call arguments, on both sides.
    kwargs: call keywords, by Linen's names.
    nnx_kwargs: call keywords, by NNX's names.
    problems: what was wrong with shapes or the round trip.
  """

  layer: Any
  variables: A.Flat
  model: nnx.Module
  plan: Plan
  args: tuple[Any, ...]
  kwargs: dict[str, Any]
  nnx_kwargs: dict[str, Any]
  problems: list[str]

  @classmethod
  def make(cls, mapping: LayerMapping, sample: Sample, *, exact: bool = False, dtype: Any = None) -> Pair:
    """Makes both layers and fills the NNX one. Raises MigrateError where the record does not fit."""
    given = dict(sample.fields) | ({} if dtype is None else {"dtype": dtype})
    layer = resolve(mapping.linen)(**given)
    args = tuple(_given(a, 11 + i) for i, a in enumerate(sample.args))
    kwargs = {k: _given(v, 31 + i) for i, (k, v) in enumerate(sample.kwargs.items())}
    if hasattr(layer, "initialize_carry"):
      args = (_perturbed(layer.initialize_carry(jax.random.key(0), args[0].shape), 5), *args)
    rngs = {name: jax.random.key(i) for i, name in enumerate(("params", "dropout", "carry"))}
    with watch_calls() as calls:
      variables = perturb(A.flatten(layer.init(rngs, *args, **kwargs)))
    made = construct(mapping, layer, given, calls, exact=exact, rngs=nnx.Rngs(0))
    record, model = made.record, made.model
    problems = _check_axes(record, fields_of(layer) | made.arguments, model)
    rules = tuple(rule for rule in made.rules if _present(rule, variables))
    plan = make_plan(variables, _specs(model), ModelMapping(rules))
    fill(model, dict(translate(plan, variables)))
    back = dict(translate(plan.inverse(), {p: np.asarray(v) for p, v in _specs(model).items()}))
    problems += _round_trip(variables, back)
    return cls(layer, variables, model, plan, args, kwargs, call_keywords(record, kwargs), problems)

  def compare(self, sample: str, mode: str) -> Distance:
    """Runs both sides once, forward and backward."""
    trainable = {p: v for p, v in self.variables.items() if p[0] == "params"}
    rest = {p: v for p, v in self.variables.items() if p[0] != "params"}
    graph, params, others = nnx.split(self.model, nnx.Param, ...)
    dynamic, rebuild = A.split_static((self.args, self.kwargs))
    dynamic_nnx, rebuild_nnx = A.split_static((self.args, self.nnx_kwargs))

    def linen(trainable: A.Flat, rest: A.Flat, dynamic: list[Any]) -> Any:
      args, kwargs = rebuild(dynamic)
      mutable = sorted({p[0] for p in rest})
      out, after = self.layer.apply(A.unflatten({**trainable, **rest}), *args, mutable=mutable, **kwargs)
      return A.scalar_of(A.named_leaves(out)[0]), (out, after)

    def ours(params: nnx.State, others: nnx.State, dynamic: list[Any]) -> Any:
      args, kwargs = rebuild_nnx(dynamic)
      model = nnx.merge(graph, params, others, copy=True)
      out = model(*args, **kwargs)  # type: ignore[operator]
      return A.scalar_of(A.named_leaves(out)[0]), (out, nnx.state(model, nnx.Not(nnx.Any(nnx.Param, nnx.RngState))))

    (_, (out, after)), grads = jax.jit(jax.value_and_grad(linen, has_aux=True))(trainable, rest, dynamic)
    (_, (nnx_out, nnx_after)), nnx_grads = jax.jit(jax.value_and_grad(ours, has_aux=True))(params, others, dynamic_nnx)
    outputs, theirs = A.named_leaves(out)[0], A.named_leaves(nnx_out)[0]
    leaves = {**grads, **A.flatten(after)}
    moved = {tuple(map(str, p)): v for p, v in translate(self.plan, {p: leaves[p] for p in self.variables})}
    grad_flat, state_flat = _arrays(nnx_grads), _arrays(nnx_after)
    return Distance(
      sample,
      mode,
      forward=distance(outputs, theirs),
      gradients=distance({p: v for p, v in moved.items() if p in grad_flat}, grad_flat),
      state=distance({p: v for p, v in moved.items() if p not in grad_flat}, state_flat),
      compared=sum(v.size for v in outputs.values()),
    )


def _perturbed(tree: Any, seed: int) -> Any:
  leaves, structure = jax.tree_util.tree_flatten(tree)
  rng = np.random.default_rng(seed)
  return jax.tree_util.tree_unflatten(
    structure, [x + jnp.asarray(0.3 * rng.normal(size=x.shape), x.dtype) for x in leaves]
  )


def _present(rule: Rule, variables: Mapping[tuple[str, ...], Any]) -> bool:
  """Whether this layer has what the rule moves: an option may have left it out."""
  return all(any(pattern(source).match(path) is not None for path in variables) for source in rule.source)


def _variables(model: nnx.Module) -> Iterator[tuple[tuple[Any, ...], nnx.Variable[Any]]]:
  for path, leaf in nnx.to_flat_state(nnx.state(model, nnx.Not(nnx.RngState))):
    if isinstance(leaf, nnx.Variable):
      yield path, leaf


def _specs(model: nnx.Module) -> dict[tuple[Any, ...], Any]:
  return {path: leaf.get_value() for path, leaf in _variables(model)}


def _arrays(state: nnx.State) -> dict[tuple[str, ...], Any]:
  flat = ((tuple(map(str, p)), v) for p, v in nnx.to_flat_state(state))
  return {p: v.get_value() if isinstance(v, nnx.Variable) else v for p, v in flat if isinstance(v, nnx.Variable)}


def fill(model: nnx.Module, values: Mapping[tuple[Any, ...], Any]) -> None:
  """Writes arrays into the model's variables, by path."""
  state = nnx.state(model, nnx.Not(nnx.RngState))
  named = {tuple(map(str, p)): v for p, v in values.items()}
  for path, leaf in nnx.to_flat_state(state):
    if isinstance(leaf, nnx.Variable):
      leaf.set_value(jnp.asarray(named[tuple(map(str, path))]))
  nnx.update(model, state)


def _check_axes(record: LayerMapping, arguments: Mapping[str, Any], model: nnx.Module) -> list[str]:
  """Whether every leaf has the axes that the record names, with the sizes that the constructor was given."""
  dims: axes.Dims = {}
  for name, value in {**defaults(resolve(record.nnx)), **arguments}.items():
    sizes = axes.sizes_of(value)
    if sizes is not None:
      dims[name] = sizes
  shapes = {tuple(map(str, p)): v.get_value().shape for p, v in _variables(model)}
  problems = []
  for leaf in record.leaves:
    for path in leaf.nnx:
      if path in shapes and leaf.axes != "**":
        try:
          dims = axes.unify(leaf.axes, shapes[path], dims)
        except axes.AxesError as error:
          problems.append(f"{'/'.join(path)}: {error}")
  return problems


def _round_trip(variables: Mapping[Any, Any], back: Mapping[Any, Any]) -> list[str]:
  ours, theirs = set(variables), {tuple(map(str, p)) for p in back}
  if ours != theirs:
    return [f"the way back gives {sorted(theirs ^ ours)} too many or too few"]
  return [
    f"{'/'.join(p)} comes back changed"
    for p, v in back.items()
    if np.asarray(v).tobytes() != np.asarray(variables[tuple(map(str, p))]).tobytes()
  ]


def distance(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> float:
  """The largest difference in units in the last place of the largest number.

  Infinite where names, shapes, dtypes or infinities differ; NaN agrees with NaN at the same place only.
  """
  if set(one) != set(other):
    return float("inf")
  worst, scale, eps = 0.0, 0.0, 0.0
  for name, x in one.items():
    y = other[name]
    if x.shape != y.shape or x.dtype != y.dtype:
      return float("inf")
    a, b = (np.asarray(A.to_numpy(v)) for v in (x, y))
    if a.tobytes() == b.tobytes():
      if a.size and jnp.issubdtype(x.dtype, jnp.inexact):
        scale = max(scale, float(np.nanmax(np.abs(a.astype(np.complex128)))))
      continue
    if not jnp.issubdtype(x.dtype, jnp.inexact):
      return float("inf")
    a, b = a.astype(np.complex128), b.astype(np.complex128)
    if not np.array_equal(np.isfinite(a), np.isfinite(b)):
      return float("inf")
    finite = np.isfinite(a)
    eps = max(eps, float(jnp.finfo(x.dtype).eps))
    worst = max(worst, float(np.abs(a - b)[finite].max(initial=0.0)))
    scale = max(scale, float(np.abs(a)[finite].max(initial=0.0)))
  return worst / (scale * eps) if worst and scale else (float("inf") if worst else 0.0)


def assert_conforms(result: Result | Sequence[Result]) -> None:
  """Raises AssertionError with everything that was found."""
  for one in result if isinstance(result, Sequence) else (result,):
    if not one.conforms:
      raise AssertionError(str(one))
