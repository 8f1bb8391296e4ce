"""Random numbers as Linen draws them, so that a run that began in Linen goes on with the same dropout masks.

Linen's n-th key of a scope is the root key of the stream with a number folded in that depends on the scope's name and
on n. These numbers were recorded; a stream here folds them in, one after another, instead of its own count.
"""

import sys
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from flax import nnx

_SPLITTERS = ("_graph_updates_split_rngs", "_split_stream")  # flax.nnx.rnglib: who draws in nnx.split_rngs


class LinenStream(nnx.RngStream):
  """A stream whose n-th key since `set_rngs` is that of Linen's n-th draw in an `apply`.

  Attributes:
    name: the name of Linen's stream, such as `dropout`.
    folds: what Linen folds into the root key, draw by draw. Draws beyond them get keys of their own.
  """

  name: str = ""
  folds: tuple[int, ...] = ()

  def __call__(self) -> jax.Array:
    """The next key."""
    if sys._getframe(1).f_code.co_name in _SPLITTERS:
      return self.key[...]  # NNX draws the key that it splits, Linen splits the root key
    count = self.count[...]
    folds = jnp.asarray(self.folds, jnp.uint32)
    key = jax.random.fold_in(self.key[...], folds[jnp.minimum(count, len(self.folds) - 1)])
    beyond = jax.random.fold_in(key, count)
    self.count[...] += 1
    return jax.tree.map(lambda one, other: jnp.where(count < len(self.folds), one, other), key, beyond)

  def split(self, k: int | tuple[int, ...]) -> "LinenStream":
    """A stream for each of `k` layers: the root key is split, as `split_rngs` of `nn.scan` and `nn.vmap` does."""
    made = LinenStream(jax.random.split(self.key[...], k), tag=self.tag)
    made.name, made.folds = self.name, self.folds
    return made


def draw_as_linen(model: nnx.Module, draws: Mapping[str, tuple[str, Sequence[int]]]) -> nnx.Module:
  """Puts a `LinenStream` in the place of every stream that is named, and returns the model.

  Args:
    model: the model; made with a stream of its own for every name, `nnx.Rngs(params=0, dropout=1)`.
    draws: attribute path of a stream, such as `block/drop/rngs` -> (Linen's stream, what Linen folds in).

  Raises:
    ValueError: where the model has no such stream.
  """
  found: dict[str, nnx.RngStream] = {}
  for path, node in nnx.iter_graph(model):
    if isinstance(node, nnx.RngStream):
      found["/".join(map(str, path))] = node
  missing = sorted(set(draws) - set(found))
  if missing:
    raise ValueError(f"no random stream {', '.join(missing)} in the model, which has {', '.join(found) or 'none'}")
  made: dict[int, LinenStream] = {}
  for path, (name, folds) in draws.items():
    stream = LinenStream(found[path].key[...], tag=found[path].tag)
    stream.name, stream.folds = name, tuple(int(n) for n in folds)
    made[id(found[path])] = stream
  for _, node in list(nnx.iter_graph(model)):
    for attribute, value in list(vars(node).items()) if isinstance(node, nnx.Pytree) else ():
      if id(value) in made:
        setattr(node, attribute, made[id(value)])
  return model


def set_rngs(model: nnx.Module, **rngs: jax.Array) -> None:
  """What `rngs={...}` is for Linen's `apply`: root keys by name, at the start of every call of the model.

  A name that is not given gets the key of `params`, as in Linen. Works inside `nnx.jit` too.
  """
  for _, node in nnx.iter_graph(model):
    if not isinstance(node, LinenStream):
      continue
    root = rngs.get(node.name, rngs.get("params"))
    if root is None:
      raise ValueError(f"no key for the stream {node.name!r}: give set_rngs(model, {node.name}=key)")
    if jnp.issubdtype(root.dtype, jnp.uint32):
      root = jax.random.wrap_key_data(root)
    for size in node.key.shape:  # a layer made under nnx.vmap has a key for each of its copies
      split = lambda key, n=size: jax.random.split(key, n)
      root = split(root) if root.ndim == 0 else jax.vmap(split)(root)
    node.key.set_value(root)
    node.count.set_value(jnp.zeros(root.shape, jnp.uint32))
