"""`self.name`: a class that reads its name is told it, as an argument, by whoever makes it."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from migrate.codemod.site import Need, Site, SizeArg
from migrate.codemod.spread import name_given

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


class OwnNames:
  """Handling of both sides, mixed into `Unit` as a part of `SiteSizes`."""

  def reads_own_name(self: Unit, node: ast.Attribute) -> bool:
    """Whether an expression is the module's name, which then becomes an argument."""
    owner = isinstance(node.value, ast.Name) and node.value.id == self.self_name
    if not owner or node.attr != "name" or not isinstance(node.ctx, ast.Load):
      return False
    values = {
      (id(f), c.path): c.module.name
      for f in self.project.facts
      for c in f.calls
      if isinstance(c.module, self.info.cls) and c.method != "setup"
    }
    self.hoists.setdefault("name", SizeArg("name", None, 0, "", values))
    self.used.add("name")
    return True

  def name_text(self: Unit, site: Site, need: Need, values: list[Any]) -> str | None:
    """What a layer is told of its name: what Linen was given, or the name that Linen made up."""
    if need.parameter != "name" or site.record is not None:
      return None
    given = name_given(site.node)
    text = self.try_static(given) if given is not None else None
    if text is not None:
      return text
    if not values or any(v != values[0] for v in values):
      return None
    return f'"{values[0]}"' if isinstance(values[0], str) else "None"
