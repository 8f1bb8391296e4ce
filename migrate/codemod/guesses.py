"""Sizes of layers that no example runs, so that they can be made."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from migrate.codemod.site import Need, Site
from migrate.codemod.sizes import likeness
from migrate.codemod.sizes_pool import TOKEN
from migrate.core.report import Finding

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


class Guesses:
  """Guessed sizes, mixed into `Unit` as a part of `SiteSizes`."""

  def _as_in_other_branch(self: Unit, site: Site, need: Need, suffix: str) -> str | None:
    """What the layer takes that the same attribute holds, or the same function makes, where an example came."""
    others = [s for s in self.setup_sites if s is not site and s.attr and s.attr == site.attr and s.made]
    for other in others if not site.made and not suffix else ():
      if any(n.parameter == need.parameter and any(v is not None for v in n.values) for n in other.needs):
        self.settle(other, None)
        text = other.texts[need.parameter]
        if self.readable_at(site, text):
          return text
    alike = [s for s in self.inner_sites if s.factory is not None and s.factory is site.factory and s.made]
    same = [s for s in alike if _arguments(s) == _arguments(site)]  # the second of two heads that are made alike
    told = {s.texts[need.parameter] for s in same or alike if need.parameter in s.texts}
    text = told.pop() if len(told) == 1 and not site.made and not suffix else None
    return self._noted(site, text) if text is not None and self.readable_at(site, text) else None

  def _noted(self: Unit, site: Site, text: str) -> str:
    shown = TOKEN.sub(lambda m: f"a size of {m[1]}", text)
    self.note(Finding(self.where(site.node), f"no example runs this layer: its input size is a guess, `{shown}`", "an example that runs it",
                      "check the size, or give such an example", "eye", "L2N104"))  # fmt: skip
    return text

  def _guess(self: Unit, site: Site) -> str | None:
    """A size for a layer that no example runs, so that it can be made: its own features, or the likeliest field."""
    at = site.node.lineno
    before = [t for s, t in self.produced if not s.made and s.node.lineno < at and self.readable_at(site, t)]
    found = before[-1] if before and self.untraced else site.arguments.get("features")
    if found is None or likeness(found.rpartition(".")[2]) < 0:  # `vocab_size` is no size of what goes in
      owners = [a.module for a, _, _ in site.made if a.module is not None] or self._kin()
      likely = self.likely_sizes(owners[0]) if owners else []
      found = likely[0] if likely else found
    return self._noted(site, found) if found is not None and self.readable_at(site, found) else None

  def _kin(self: Unit) -> list[Any]:
    """A module that has the fields of this class, where no example makes one."""
    names = set(self.field_names)
    return [c.module for f in self.project.facts for c in f.calls if names <= set(type(c.module).__dataclass_fields__)][
      :1
    ]


def _arguments(site: Site) -> list[str]:
  return [ast.dump(a) for a in (*site.node.args, *site.node.keywords)]


def counts_to(cls: ast.ClassDef, times: int) -> bool:
  """Whether a class says a number itself, or joins as many arrays: else it is the example's, and may be any."""
  for node in ast.walk(cls):
    joined = node.args[0] if isinstance(node, ast.Call) and node.args else None
    many = isinstance(joined, ast.Tuple | ast.List) and len(joined.elts) == times
    if many or (isinstance(node, ast.Constant) and type(node.value) is int and node.value == times):
      return True
  return False


def differ(values: list[Any]) -> bool:
  """Whether there are two sizes among the values, which may be lists of sizes."""
  return any(v != values[0] for v in values)
