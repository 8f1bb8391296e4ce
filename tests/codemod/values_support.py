"""Written values and what they read back as."""

import ast

import numpy as np

from migrate.codemod.values import Source, ValueWriter, layout


def program(source: Source) -> str:
  """The file that a source stands for."""
  body = "\n".join((*sorted(source.imports), *source.helpers, *source.setup))
  return f"{body}\nresult = {layout(source.expression, 9)}\n"


def run(source: Source, arrays=None, tmp_path=None):
  text = program(source)
  ast.parse(text)
  space = {"__name__": "written"}
  if arrays:
    np.savez(tmp_path / "ported_values.npz", **arrays)
    space["__file__"] = str(tmp_path / "ported.py")
  exec(compile(text, "written", "exec"), space)
  return space["result"]


def back(value, **kwargs):
  return run(ValueWriter(**kwargs).write(value))


def text(value, **kwargs) -> str:
  return ValueWriter(**kwargs).write(value).expression
