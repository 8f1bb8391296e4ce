"""Mappings by file, module or name, and their JSON form. Imports nothing of flax."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
from pathlib import Path
from typing import Any, cast

from migrate.core.declare import ModelMapping, Rule
from migrate.core.entries import Plan
from migrate.core.ops import op_from_json, op_to_json
from migrate.core.plan import make_plan as _make_plan
from migrate.core.report import MigrateError, refuse
from migrate.core.rules import compile_rules
from migrate.example import _import_file

FORMAT, VERSION = "linen2nnx.mapping", 1

_SIDES = {"move": ("to",), "tie": ("to",), "copy": ("to",), "drop": (), "fresh": ()}
_KEYS = {"ops", "because", "variable", "to", *_SIDES}


def load_mapping(source: str | os.PathLike[str] | ModelMapping) -> ModelMapping:
  """The mapping at a path (`mapping.json`, a `.py` file with MAPPING), of a dotted module, or of a registered name.

  Only what is named is imported. A `.py` file or a module may also be given as `where:NAME`.

  Raises:
    MigrateError: where there is no mapping, or its rules are wrong by form.
  """
  if isinstance(source, ModelMapping):
    return source
  text = os.fspath(source)
  path = Path(text)
  if path.is_dir() and (path / "mapping.json").is_file():
    path = path / "mapping.json"
  if path.suffix == ".json":
    mapping = mapping_from_json(_read(path), where=str(path))
  else:
    location, colon, name = text.rpartition(":")
    mapping = _from_python(text, location if colon else text, name if colon else "MAPPING")
  _, findings = compile_rules([mapping])
  if findings:
    raise MigrateError(*findings[:8])
  return mapping


def _read(path: Path) -> Any:
  try:
    return json.loads(path.read_text(encoding="utf-8"))
  except OSError as error:
    raise refuse(
      str(path), error.strerror or str(error), "a mapping file", "give the path of a mapping.json"
    ) from error
  except (ValueError, RecursionError) as error:
    raise refuse(
      str(path), f"not JSON: {error}", "a mapping file", "mend the file, or write it anew with migrate.save_mapping"
    ) from error


def _from_python(text: str, location: str, name: str) -> ModelMapping:
  if location.endswith(".py"):
    module = _import_file(location)
  else:
    from migrate.core.registry import find_model

    registered = find_model(location)
    if registered is not None:
      return registered
    if "." not in location and not importlib.util.find_spec(location):
      raise refuse(
        text,
        "no such file, module or registered mapping",
        "mapping.json, file.py, package.module or a name",
        "see `linen2nnx mappings list`",
      )
    try:
      module = importlib.import_module(location)
    except ModuleNotFoundError as error:
      raise refuse(
        text, f"no module {error.name}", "an importable module", "install it, or give the file's path"
      ) from error
    except Exception as error:
      raise refuse(
        text,
        f"the module raised {type(error).__name__}: {error}",
        "a module that imports",
        "import it by itself and mend it",
      ) from error
  found = getattr(module, name, None)
  if not isinstance(found, ModelMapping):
    kind = "nothing" if found is None else f"a {type(found).__name__}"
    raise refuse(text, f"{name} is {kind}", f"{name} = ModelMapping(rules=...)", "define it at the top of the module")
  return found


def save_mapping(mapping: ModelMapping, path: str | os.PathLike[str]) -> None:
  """Writes the mapping as JSON that people can read, one rule a line."""
  rules = ",\n".join("    " + json.dumps(r, ensure_ascii=False) for r in mapping_to_json(mapping)["rules"])
  head = {k: v for k, v in mapping_to_json(mapping).items() if k != "rules"}
  lines = "".join(f"  {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)},\n" for k, v in head.items())
  text = f'{{\n{lines}  "rules": [\n{rules}\n  ]\n}}\n'
  target = Path(path)
  temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
  temporary.write_text(text, encoding="utf-8")
  os.replace(temporary, target)


def mapping_to_json(mapping: ModelMapping) -> dict[str, Any]:
  """A plain dict; `mapping_from_json` reads it."""
  out: dict[str, Any] = {"format": FORMAT, "version": VERSION}
  out |= {
    k: v for k, v in (("name", mapping.name), ("source", mapping.source), ("metadata", dict(mapping.metadata))) if v
  }
  out["rules"] = [_rule_to_json(r) for r in mapping.rules]
  return out


def _rule_to_json(rule: Rule) -> dict[str, Any]:
  out: dict[str, Any] = {rule.kind: _side(rule.target if rule.kind == "fresh" else rule.source)}
  if "to" in _SIDES[rule.kind]:
    out["to"] = _side(rule.target)
  if rule.ops:
    out["ops"] = [op_to_json(op) for op in rule.ops]
  return out | {k: v for k, v in (("because", rule.because), ("variable", rule.variable)) if v}


def _side(paths: tuple[tuple[str | int, ...], ...]) -> Any:
  """One path is a string, or `{"path": [...]}` where a segment holds a `/`; several are a list of these."""
  many = [_one(p) for p in paths]
  return many[0] if len(many) == 1 else many


def _one(path: tuple[str | int, ...]) -> Any:
  plain = path and not any(isinstance(s, str) and ("/" in s or not s) for s in path)
  return "/".join(map(str, path)) if plain else {"path": list(path)}


def mapping_from_json(data: Any, *, where: str = "mapping") -> ModelMapping:
  """The mapping that a plain dict describes. Raises MigrateError with the place of what is wrong."""
  if not isinstance(data, dict) or data.get("format") != FORMAT:
    raise refuse(where, "not a mapping", f'an object with "format": "{FORMAT}"', "write it with migrate.save_mapping")
  if data.get("version") != VERSION:
    raise refuse(
      where, f"version {data.get('version')!r}", f"version {VERSION}", "use the release that wrote it, or write it anew"
    )
  rules = data.get("rules", [])
  if not isinstance(rules, list):
    raise refuse(where, "rules is not a list", "a list of objects", "correct the file")
  metadata = data.get("metadata", {})
  made = tuple(_rule_from_json(r, f"{where}, rule {i}") for i, r in enumerate(rules, 1))
  return ModelMapping(
    made, str(data.get("name", "")), str(data.get("source", "")), metadata if isinstance(metadata, dict) else {}
  )


def _rule_from_json(data: Any, where: str) -> Rule:
  kinds = [k for k in _SIDES if isinstance(data, dict) and k in data]
  if len(kinds) != 1 or set(data) - _KEYS:
    unknown = ", ".join(sorted(set(data) - _KEYS)) if isinstance(data, dict) else ""
    raise refuse(
      where,
      f"unknown: {unknown}" if unknown else f"{data!r:.120}",
      "exactly one of move, tie, copy, drop, fresh",
      "correct the rule",
    )
  kind = kinds[0]
  missing = [k for k in _SIDES[kind] if k not in data]
  if missing:
    raise refuse(where, f"no {missing[0]!r}", f'"{kind}": path, "to": path', "add it")
  first, to = _paths(data[kind], where), _paths(data["to"], where) if "to" in data else ()
  ops = data.get("ops", [])
  if not isinstance(ops, list):
    raise refuse(where, "ops is not a list", "a list of operations", "correct the rule")
  source, target = ((), first) if kind == "fresh" else (first, to)
  because, variable = str(data.get("because", "")), str(data.get("variable", ""))
  return Rule(cast(Any, kind), source, target, tuple(map(op_from_json, ops)), because, variable)


def _paths(data: Any, where: str) -> tuple[tuple[str | int, ...], ...]:
  out = []
  for one in data if isinstance(data, list) else [data]:
    segments = one.split("/") if isinstance(one, str) else one.get("path") if isinstance(one, dict) else None
    if (
      not isinstance(segments, list) or not segments or not all(isinstance(s, str) or type(s) is int for s in segments)
    ):
      raise refuse(
        where,
        f"{one!r:.120} is not a path",
        '"params/Dense_0/kernel" or {"path": ["params", "a/b"]}',
        "correct the rule",
      )
    out.append(tuple(segments))
  if not out:
    raise refuse(where, "no path", "one path or a list of them", "correct the rule")
  return tuple(out)


def make_plan(source: Any, target: Any, mapping: Any = None, *, strict: bool = True) -> Plan:
  """Plans the way from Linen variables to NNX state: every leaf with one fate, or refused.

  Args:
    source: a tree of arrays or shapes, collection first: `{"params": {...}, "batch_stats": {...}}`; or flat by tuple.
    target: NNX leaves by attribute path, nested or flat; None checks the mapping by itself.
    mapping: a ModelMapping, several in order of precedence, or what `load_mapping` takes; None for no rules.
    strict: raise where anything is missing or wrong.

  Raises:
    MigrateError: naming path, found, wanted and what to do, for everything that is wrong.
  """
  if isinstance(mapping, str | os.PathLike):
    mapping = load_mapping(mapping)
  return _make_plan(source, target, mapping, strict=strict)


__all__ = ["load_mapping", "make_plan", "mapping_from_json", "mapping_to_json", "save_mapping"]
