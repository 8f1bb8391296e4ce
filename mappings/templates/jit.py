"""A class compiled call by call, as `nn.jit` of a class gives it."""

from typing import Any

from flax import nnx


def jit(target: Any, variables: Any = True, rngs: Any = True, methods: Any = None, **options: Any) -> Any:
  """A subclass whose `__call__` is compiled, or the function compiled.

  Args:
    target: an NNX class, or a function whose first argument is a module.
    variables: of Linen; NNX hands on the whole module.
    rngs: likewise.
    methods: likewise; `__call__` alone is compiled.
    **options: as of `nnx.jit`: `static_argnums`, which count the module as 0, `donate_argnums`...
  """
  del variables, rngs, methods
  if not isinstance(target, type):
    return nnx.jit(target, **options)
  call = nnx.jit(target.__call__, **options)
  return type(target.__name__, (target,), {"__call__": call, "__module__": target.__module__})
