"""What an expression may read where a layer is made: fields, locals of `__init__`, names of the file and of Python."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import re
from typing import TYPE_CHECKING

from migrate.codemod.site import NUMBERS, Site
from migrate.codemod.sizes_pool import closed
from migrate.codemod.source import names_in

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


class Readable:
  """The questions, mixed into `Unit` as a part of `SiteSizes`."""

  def readable_at(self: Unit, site: Site, text: str) -> bool:
    """Whether an expression can be evaluated where the site is made."""
    if closed(text):
      return all(f in self.readable or self.cls_attribute(f) for f in re.findall(r"\bself\.(\w+)", text))
    known = {"self", *filter(self.of_python, NUMBERS), *self.hoists, *site.names, *self.bound_names}
    unbound = {n for n in names_in(text) if n not in known and not n.startswith("SIZE__")}
    return all(self.of_the_file(n) or self.given_before(n) for n in unbound)

  def of_the_file(self: Unit, name: str) -> bool:
    """Whether a name is one of the file's own functions and constants, and nothing else in the method."""
    top = name in self.names.defined or name in self.names.imported
    return top and name not in self.env and name not in self.parameters and self.source is self.own_source

  def of_python(self: Unit, name: str) -> bool:
    """Whether a name is one of Python's own functions over numbers and fields."""
    return name in NUMBERS and name not in {*self.env, *self.parameters, *self.names.defined, *self.names.imported}
