"""Rematerialisation of a class or a function, as `nn.remat` gives it."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
from flax import nnx


def remat(
  target: Any,
  *,
  prevent_cse: bool = True,
  static_argnums: Any = (),
  policy: Callable[..., Any] | None = None,
  methods: Sequence[str] | None = None,
  **_: Any,
) -> Any:
  """A subclass whose `methods` (`__call__`) are rematerialised, or the function rematerialised.

  Arguments that are no arrays (flags, None) are taken as they are, so `static_argnums` need not name them.
  """
  del static_argnums
  if isinstance(target, type):
    names = ("__call__",) if methods is None else methods
    lifted = {n: remat(getattr(target, n), prevent_cse=prevent_cse, policy=policy) for n in names}
    return type(target.__name__, (target,), {**lifted, "__module__": target.__module__})

  @functools.wraps(target)
  def run(module: Any, *args: Any, **kwargs: Any) -> Any:
    leaves, tree = jax.tree.flatten((args, kwargs), is_leaf=lambda x: x is None or isinstance(x, nnx.Module))
    traced = [i for i, leaf in enumerate(leaves) if isinstance(leaf, (jax.Array, nnx.Module)) or hasattr(leaf, "aval")]

    def inner(module: Any, *given: Any) -> Any:
      filled = list(leaves)
      for i, leaf in zip(traced, given):
        filled[i] = leaf
      a, k = jax.tree.unflatten(tree, filled)
      return target(module, *a, **k)

    return nnx.remat(inner, prevent_cse=prevent_cse, policy=policy)(module, *[leaves[i] for i in traced])

  return run
