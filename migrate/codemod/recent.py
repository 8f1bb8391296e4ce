"""What a layer made before gives, for the size of one that nothing else tells."""

# pyright: reportGeneralTypeIssues=false
# (a part of `Unit`, whose state its methods share)
from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from migrate.codemod.site import Site
from migrate.codemod.some_rounds import of_same_round
from migrate.codemod.source import names_in

if TYPE_CHECKING:
  from migrate.codemod.unit import Unit


class RecentSizes:
  """Sizes of layers made before, mixed into `Unit` as a part of `SiteSizes`."""

  def measure_parameter(self: Unit, node: ast.Call, attr: str) -> None:
    """Axes of a parameter that nothing else tells can be asked of it, once it is made."""
    dims = self.dims(node)
    if dims is not None:
      self._dims[node] = [axis or [f"self.{attr}.shape[{i - len(dims)}]"] for i, axis in enumerate(dims)]

  def note_shape(self: Unit, node: ast.Call, attr: str) -> None:
    """Axes of a parameter that `setup` makes, as far as its shape names them over fields."""
    shape = node.args[2] if len(node.args) > 2 else None
    if isinstance(shape, ast.Tuple) and not any(isinstance(e, ast.Starred) for e in shape.elts):
      self.array_dims[attr] = self.setup_shape(shape.elts)

  def _recent(self: Unit, site: Site, values: list[Any]) -> str | None:
    """The number of features of a layer made before, where it fits every time."""
    for other, text in reversed(self.produced) if site.made else ():
      if other is not site and len(other.made) == len(site.made) and self.readable_at(site, text):
        sizes = [self.project.output_features(m) for _, _, m in other.made]
        owners = [[self.owner_key(a) for a, _, _ in s.made] for s in (site, other)]
        if (
          sizes == values
          and owners[0] == owners[1]
          and self._same_round(site, other, text)
          and self._still_named(site, other, text)
        ):
          return text
      elif other is not site and len(other.made) > len(site.made) and self.readable_at(site, text):
        if self._still_named(site, other, text) and of_same_round(self, site, other, values):
          return text
    return None

  def _still_named(self: Unit, site: Site, other: Site, text: str) -> bool:
    """Whether no name in an expression of another layer of `setup` gets another value before this layer is made."""
    if not self.in_setup and site not in self.setup_sites:
      return True
    between = range(other.node.lineno + 1, site.node.lineno)
    methods = [m for m in map(self.info.methods.get, ("__post_init__", "setup")) if m is not None]
    names = [n for m in methods for n in ast.walk(m) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    return not any(n.id in names_in(text) and n.lineno in between for n in names)

  def _same_round(self: Unit, site: Site, other: Site, text: str) -> bool:
    """Whether names in an expression of another layer mean the same here: not if each is of its own comprehension."""
    home, source = [(s.home[0] if s.home is not None else self.source) for s in (site, other)]
    own = [n for n in source.enclosing(other.node) if isinstance(n, ast.ListComp | ast.GeneratorExp | ast.DictComp)]
    bound = {n.id for c in own for g in c.generators for n in ast.walk(g.target) if isinstance(n, ast.Name)}
    return not bound & names_in(text) or any(c in own for c in home.enclosing(site.node))
