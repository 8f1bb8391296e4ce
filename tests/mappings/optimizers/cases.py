"""Every public transformation of Optax, made with arguments that work on any parameters."""

import inspect

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from flax import nnx


def by_leaf(function):
  """A mask or labels for each leaf: `nnx.Optimizer` wants them as an `nnx.State`."""

  def tree(params):
    if isinstance(params, nnx.State):
      return nnx.State(jax.tree.map(function, nnx.to_pure_dict(params)))
    return jax.tree.map(function, params)

  return tree


def matrix(x):
  return x.ndim > 1


def norm(updates, **_):
  return optax.global_norm(updates)


def loss(params):
  return sum(jnp.sum((x - 0.5) ** 2) for x in jax.tree.leaves(params))


ADAM = {"learning_rate": 0.01}
MATRICES = by_leaf(lambda x: optax.contrib.MuonDimensionNumbers())
LABELS = by_leaf(lambda x: "adam" if matrix(x) else "sgd")
PARTS = {"adam": optax.adam(0.01), "sgd": optax.sgd(0.1, momentum=0.9)}

SPECIAL = {
  "adafactor": lambda: optax.adafactor(0.01, min_dim_size_to_factor=2),
  "scale_by_factored_rms": lambda: optax.scale_by_factored_rms(min_dim_size_to_factor=2),
  "add_noise": lambda: optax.add_noise(0.1, 0.5, 0),
  "adaptive_grad_clip": lambda: optax.adaptive_grad_clip(0.01),
  "apply_if_finite": lambda: optax.apply_if_finite(optax.adam(0.01), 3),
  "chain": lambda: optax.chain(optax.clip_by_global_norm(0.5), optax.adamw(optax.cosine_decay_schedule(0.01, 9))),
  "clip_by_block_rms": lambda: optax.clip_by_block_rms(0.1),
  "conditionally_mask": lambda: optax.conditionally_mask(optax.adam(0.01), lambda step, **_: step > 1),
  "conditionally_transform": lambda: optax.conditionally_transform(optax.adam(0.01), lambda step, **_: step > 1),
  "ema": lambda: optax.ema(0.9),
  "flatten": lambda: optax.flatten(optax.adam(0.01)),
  "freeze": lambda: optax.freeze(by_leaf(matrix)),
  "inject_hyperparams": lambda: optax.inject_hyperparams(optax.adam)(
    learning_rate=optax.cosine_decay_schedule(0.01, 9)
  ),
  "inject_stateful_hyperparams": lambda: optax.inject_stateful_hyperparams(optax.adam)(learning_rate=0.01),
  "keep_params_nonnegative": lambda: optax.keep_params_nonnegative(),
  "masked": lambda: optax.masked(optax.adam(0.01), by_leaf(matrix)),
  "multi_transform": lambda: optax.multi_transform(PARTS, LABELS),
  "named_chain": lambda: optax.named_chain(("clip", optax.clip(0.5)), ("adam", optax.adam(0.01))),
  "partition": lambda: optax.partition(PARTS, LABELS),
  "scale_by_schedule": lambda: optax.scale_by_schedule(optax.cosine_decay_schedule(0.01, 9)),
  "scale_by_backtracking_linesearch": lambda: optax.scale_by_backtracking_linesearch(3, store_grad=True),
  "selective_transform": lambda: optax.selective_transform(optax.adam(0.01), freeze_mask=by_leaf(matrix)),
  "snapshot": lambda: optax.snapshot("norm", norm),
  "stateless": lambda: optax.stateless(lambda updates, _: updates),
  "stateless_with_tree_map": lambda: optax.stateless_with_tree_map(lambda update, _: update),
  "with_extra_args_support": lambda: optax.with_extra_args_support(optax.adam(0.01)),
  "MultiSteps": lambda: optax.MultiSteps(optax.adam(0.01), 2).gradient_transformation(),
  "noisy_sgd": lambda: optax.noisy_sgd(0.01, key=0),
  "scale": lambda: optax.scale(0.1),
  "scale_by_muon": lambda: optax.masked(
    optax.contrib.scale_by_muon(weight_dimension_numbers=MATRICES), by_leaf(matrix)
  ),
  "differentially_private_aggregate": lambda: optax.contrib.differentially_private_aggregate(1.0, 0.1, 0),
  "dpsgd": lambda: optax.contrib.dpsgd(0.1, 1.0, 0.1, 0),
  "mechanize": lambda: optax.contrib.mechanize(optax.adam(0.01)),
  "sam": lambda: optax.contrib.sam(optax.adam(0.01), optax.sgd(0.1), sync_period=2),
  "schedule_free": lambda: optax.contrib.schedule_free(optax.adam(0.01), 0.01),
  "split_real_and_imaginary": lambda: optax.contrib.split_real_and_imaginary(optax.adam(0.01)),
  "muon": lambda: optax.contrib.muon(0.01),
}

WITHOUT = {
  "lookahead": "its parameters are optax.LookaheadParams, a pair of trees, which nnx.Optimizer does not hold",
  "monitor": "its measurements appear with the first update: a fresh nnx.Optimizer has no place for them yet",
  "measure_with_ema": "a measure for monitor, not an update by itself",
}
HELPERS = ("apply_updates", "init_empty_state", "value_and_grad_from_state")  # they make no transformation


def _public():
  """Names of the functions of Optax that make a transformation."""
  found = {"MultiSteps": optax}
  for module in (optax, optax.contrib):
    for name, function in vars(module).items():
      if name.startswith("_") or not inspect.isfunction(function):
        continue
      text = str(inspect.signature(function).return_annotation) + inspect.getsource(function)
      if "GradientTransformation" in text or "chain(" in text:
        found[name] = module
  return found


def make(name):
  """The transformation of that name."""
  if name in SPECIAL:
    return SPECIAL[name]()
  function = getattr(PUBLIC[name], name)
  kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
  wanted = [p for p in inspect.signature(function).parameters.values() if p.default is p.empty and p.kind not in kinds]
  return function(**{p.name: 3 if "steps" in p.name else 0.01 for p in wanted})


PUBLIC = _public()
NAMES = sorted(set(PUBLIC) - set(WITHOUT) - set(HELPERS))
