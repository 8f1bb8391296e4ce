"""Templates: layers of ours that go into the ported package as source."""

from __future__ import annotations

import importlib.resources
import re

from migrate.core.report import refuse

FOLDER = "linen_layers"  # the module below the ported package that holds them


def template_sources(names: set[str], package: str = "mappings.templates") -> dict[str, str]:
  """File name -> source, with the templates that these import.

  Args:
    names: files without `.py`.
    package: where they lie; given as data, since the framework imports no mapping.
  """
  found: dict[str, str] = {}
  todo = sorted(names)
  root = importlib.resources.files(package)
  while todo:
    name = todo.pop()
    if name in found:
      continue
    file = root / f"{name}.py"
    if not file.is_file():
      raise refuse(f"template {name}", "no such file", f"{package}/{name}.py", "report it: a record names it")
    text = file.read_text(encoding="utf-8")
    for other in re.findall(rf"from {re.escape(package)}\.(\w+) import", text):
      todo.append(other)
    for other in re.findall(r"^from \.(\w+) import", text, flags=re.M):
      todo.append(other)
    found[name] = text.replace(f"from {package}.", "from .")
  return found
