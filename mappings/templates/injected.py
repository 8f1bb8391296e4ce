"""Adapters for functions written for Linen's calling conventions."""

import inspect

import jax


def promote_dtype(function):
  """Linen calls `function(*arrays, dtype=)`, NNX `function(arrays, dtype=)`."""
  return lambda arrays, dtype=None: function(*arrays, dtype=dtype)


def _without_sharding(function):
  if "out_sharding" in inspect.signature(function).parameters:
    return function

  def call(*args, out_sharding=None, **kwargs):
    if out_sharding is not None:
      raise ValueError(f"{function} does not take out_sharding.")
    return function(*args, **kwargs)

  return call


def dot_general(function):
  """Takes the `out_sharding=None` that NNX passes away from a Linen-style `dot_general`."""
  return jax.lax.dot_general if function is None else _without_sharding(function)


def dot_general_class(cls):
  """The same for a class that is instantiated at every call."""
  return None if cls is None else lambda: _without_sharding(cls())


def conv_general_dilated(function):
  """Takes the `out_sharding=None` that NNX passes away from a Linen-style `conv_general_dilated`."""
  return jax.lax.conv_general_dilated if function is None else _without_sharding(function)
