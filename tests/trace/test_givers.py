"""Files whose functions give layers uncalled."""

from __future__ import annotations

import importlib
import textwrap

from migrate.trace.givers import beside, giving_files

FILES = {
  "__init__": "",
  "model": "from giver_pkg import utils\nfrom giver_pkg.more import act\n\ndef run(x):\n  return utils.norm(x), act(x)\n",
  "utils": """
    from flax import linen as nn
    from giver_pkg import inner

    def norm(kind):
      return inner.layer() if kind else nn.LayerNorm
    """,
  "inner": "from flax import linen\n\ndef layer():\n  return linen.GroupNorm\n",
  "more": "from flax import linen as nn\n\ndef act(x):\n  return nn.relu(x)\n",
  "unnamed": "from flax import linen as nn\n\ndef norm():\n  return nn.LayerNorm\n",
}


def test_files_whose_functions_name_layers(tmp_path, monkeypatch):
  package = tmp_path / "giver_pkg"
  package.mkdir()
  for name, text in FILES.items():
    (package / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")
  monkeypatch.syspath_prepend(str(tmp_path))
  for name in FILES:
    importlib.import_module(f"giver_pkg.{name}" if name != "__init__" else "giver_pkg")
  model = {str(package / "model.py"): "giver_pkg.model"}
  found = giving_files(model, lambda name: name.startswith("giver_pkg"))
  assert set(found.values()) == {"giver_pkg.utils", "giver_pkg.inner"}
  assert giving_files(model, lambda name: name == "other") == {}


def test_files_beside_a_known_one(tmp_path, monkeypatch):
  (tmp_path / "beside_pkg").mkdir()
  for name in ("beside_pkg/__init__", "beside_pkg/model", "beside_utils"):
    (tmp_path / f"{name}.py").write_text("", encoding="utf-8")
  monkeypatch.syspath_prepend(str(tmp_path))
  for name in ("beside_pkg.model", "beside_utils"):
    importlib.import_module(name)
  known = {str(tmp_path / "beside_pkg" / "model.py"): "beside_pkg.model"}
  assert beside("beside_utils", known)
  assert not beside("optax", known)
  assert not beside("optax", {"chex.py": "chex"})  # both are installed
  assert not beside("nowhere", known)
