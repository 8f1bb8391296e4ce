"""Small, opt-in compatibility shims for the PyPI Linen corpus.

Nothing here touches the *model* code of a package.  Two kinds only:

* ``stub(*names)``: serve empty placeholder modules for third-party packages a
  library imports at module level but does not need to build a Linen module
  (game environments, tensorflow for a type alias, wandb...).  Real installed
  packages always win: the finder sits at the end of ``sys.meta_path``.
* ``jax_symbols()``: put back a few symbols that old code reads from jax.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.abc
import importlib.machinery
import sys
import types

_STUBBED: set[str] = set()


class _StubMeta(type):
  def __getattr__(cls, name):
    if name.startswith("__"):
      raise AttributeError(name)
    sub = _stub_class(name, cls.__module__)
    setattr(cls, name, sub)
    return sub

  def __or__(cls, other):
    return object

  __ror__ = __or__


def _stub_class(name, module):
  return _StubMeta(
    name,
    (),
    {
      "__module__": module,
      "__init__": lambda self, *a, **k: None,
      "__class_getitem__": classmethod(lambda c, k: c),
    },
  )


class _StubModule(types.ModuleType):
  __path__: list[str] = []  # looks like a package

  def __getattr__(self, name):
    if name.startswith("__"):
      raise AttributeError(name)
    cls = _stub_class(name, self.__name__)
    setattr(self, name, cls)
    return cls


class _StubFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
  def find_spec(self, fullname, path=None, target=None):
    if fullname.split(".")[0] in _STUBBED:
      return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
    return None

  def create_module(self, spec):
    return _StubModule(spec.name)

  def exec_module(self, module):
    pass


_FINDER = _StubFinder()


def stub(*names: str) -> None:
  """Serves empty stand-ins for top-level packages that are not installed."""
  if "tensorflow" in names and "tensorflow" not in _STUBBED:
    # tensorflow-probability's jax substrate picks up tensorflow when it sees it.
    try:
      jax_symbols()
      import tensorflow_probability.substrates.jax  # noqa: F401
    except ImportError:
      pass
  _STUBBED.update(names)
  if _FINDER not in sys.meta_path:
    sys.meta_path.append(_FINDER)


def jax_symbols() -> None:
  """Restores jax symbols removed before 0.10 that import-time code reads."""
  import jax
  import jax.numpy as jnp
  from jax._src import core
  from jax.interpreters import xla

  if not hasattr(xla, "pytype_aval_mappings"):  # tensorflow-probability 0.25
    xla.pytype_aval_mappings = core.pytype_aval_mappings
  try:
    jnp.DeviceArray  # dalle-mini 0.1.5
  except AttributeError:
    jnp.DeviceArray = jax.Array
  import jax.experimental

  if not hasattr(jax.experimental, "PartitionSpec"):  # dalle-mini 0.1.5
    jax.experimental.PartitionSpec = jax.sharding.PartitionSpec


@contextlib.contextmanager
def keep_jax_config():
  """Undoes global jax config changes that package imports make.

  netket switches on 64-bit at import, scico sets the default matmul
  precision.
  """
  import jax

  names = ("jax_enable_x64", "jax_default_matmul_precision")
  before = {n: getattr(jax.config, n) for n in names}
  try:
    yield
  finally:
    for n, v in before.items():
      if getattr(jax.config, n) != v:
        jax.config.update(n, v)


def clip_kwargs() -> None:
  """transformers' Flax T5/LongT5 call ``jnp.clip(x, a_max=...)`` (removed)."""
  import jax.numpy as jnp

  if getattr(jnp.clip, "_accepts_a_max", False):
    return
  orig = jnp.clip

  @functools.wraps(orig)
  def clip(arr=None, /, min=None, max=None, *, a_min=None, a_max=None, **kw):
    return orig(arr, min if a_min is None else a_min, max if a_max is None else a_max, **kw)

  clip._accepts_a_max = True
  jnp.clip = clip


def reshape_newshape() -> None:
  """flaxmodels' StyleGAN2 calls ``jnp.reshape(x, newshape=...)`` (removed)."""
  import jax.numpy as jnp

  if getattr(jnp.reshape, "_accepts_newshape", False):
    return
  orig = jnp.reshape

  @functools.wraps(orig)
  def reshape(a, shape=None, *args, newshape=None, **kw):
    return orig(a, newshape if shape is None else shape, *args, **kw)

  reshape._accepts_newshape = True
  jnp.reshape = reshape
