"""A suggestion as a mapping file: JSON, or a Python module that says how each rule is known."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from migrate.core.declare import ModelMapping, Rule
from migrate.core.ops import Op, op_to_json
from migrate.core.paths import Path, escape
from migrate.core.report import refuse
from migrate.workflows.mapping import save_mapping

if TYPE_CHECKING:
  from migrate.workflows.suggest import Suggestion

WIDE = 118
_SAYS = {
  "proven": "both models ran and agree",
  "settled": "shapes and layer kinds allow nothing else",
  "named": "not run: names decide between leaves of the same shape",
  "ambiguous": "NOT SETTLED: rules under `guess` are guesses",
  "incomplete": "INCOMPLETE: some leaves have no counterpart",
}


def save(found: Suggestion, path: str | os.PathLike[str]) -> None:
  """Writes the mapping, whole or not at all. Raises MigrateError for another suffix than .py and .json."""
  target = FilePath(path)
  if target.suffix == ".json":
    save_mapping(found.mapping, target)
  elif target.suffix == ".py":
    write_text(target, python_text(found))
  else:
    raise refuse(str(target), f"suffix {target.suffix!r}", "mapping.py or mapping.json", "choose one of them")


def write_text(target: FilePath, text: str) -> None:
  """Writes a file, whole or not at all."""
  temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
  temporary.write_text(text, encoding="utf-8")
  os.replace(temporary, target)


def python_text(found: Suggestion) -> str:
  """The suggestion as a Python module."""
  lines = [_SAYS[found.verdict]]
  lines += [f"note: {n}" for n in found.notes]
  rules = list(found.mapping.rules)
  tags = [d.tag for d in found.drafts] + [""] * (len(rules) - len(found.drafts))
  body: list[str] = []
  for q in (None, *found.questions):
    mine = [r for r, tag in zip(rules, tags, strict=True) if (tag in q.tags if q and tag else not tag and q is None)]
    if q is None:
      body += [rule_text(r) for r in mine]
    else:
      head = "guess" if q.open else "by name"
      body += _comment(f"{head}: {q}")
      body += _comment("would fit as well: " + "; ".join(f"{a} -> {b}" for a, b in q.rivals[:4])) if q.rivals else []
      body += [rule_text(r) for r in mine]
  for p in found.unmapped:
    body += _comment(f"no counterpart in the model: drop({_path(escape(p))}, because=...)")
  for p in found.unfilled:
    body += _comment(f"nothing fills it: fresh({_path(escape(p))}, because=...)")
  return module_text(found.mapping, body, lines)


def _comment(text: str) -> list[str]:
  return [f"# {line}" for line in textwrap.wrap(text, WIDE - 8, break_long_words=False, break_on_hyphens=False)]


def module_text(mapping: ModelMapping, body: list[str], says: list[str], more: Sequence[Rule] = ()) -> str:
  """A mapping module with these lines between the brackets of its rules; also imports what `more` rules need."""
  ops = sorted({type(op).__name__ for r in (*mapping.rules, *more) for op in r.ops})
  kinds = sorted({r.kind for r in (*mapping.rules, *more)})
  about = f" from {mapping.source}" if mapping.source else ""
  text = " ".join(f"Linen leaves{about} to the leaves of the NNX model.".split())
  about_it = [text, "", *(line for s in says for line in textwrap.wrap(s, WIDE))]
  out = ['"""' + "\n".join(about_it).replace("\\", "/").replace('"', "'"), '"""', ""]
  out.append(f"from migrate.core.declare import {', '.join(['ModelMapping', *kinds])}")
  if ops:
    out.append(f"from migrate.core.ops import {', '.join(ops)}")
  out += ["", "MAPPING = ModelMapping("]
  if mapping.name:
    out.append(f"  name={mapping.name!r},")
  out += ["  rules=(", *(f"    {line}" for line in body), "  ),", ")", ""]
  return "\n".join(out)


def rule_text(rule: Rule) -> str:
  """The call that declares a rule, with a comma."""
  ops = [op_text(op) for op in rule.ops]
  if rule.kind in ("move", "tie", "copy"):
    inside = [_side(rule.source), _side(rule.target), *ops]
    inside += [f"variable={rule.variable!r}"] if rule.variable else []
  else:
    inside = [_side(rule.source if rule.kind == "drop" else rule.target), f"because={rule.because!r}"]
  one = f"{rule.kind}({', '.join(inside)}),"
  if len(one) + 4 <= WIDE:
    return one
  return f"{rule.kind}(\n" + "".join(f"      {part},\n" for part in inside) + "    ),"


def _side(paths: tuple[Path, ...]) -> str:
  return _path(paths[0]) if len(paths) == 1 else f"[{', '.join(map(_path, paths))}]"


def _path(path: Path) -> str:
  if path and not any(isinstance(s, str) and ("/" in s or not s) for s in path):
    return json.dumps("/".join(map(str, path)), ensure_ascii=False)
  return repr(tuple(path))


def op_text(op: Op) -> str:
  """The expression that makes an operation."""
  fields = {k: v for k, v in op_to_json(op).items() if k != "op"}
  first = next(iter(vars(op)))
  said = []
  for name, value in fields.items():
    text = repr(_tupled(value))
    said.append(text if name == first else f"{name}={text}")
  return f"{type(op).__name__}({', '.join(said)})"


def _tupled(value: Any) -> Any:
  return tuple(_tupled(v) for v in value) if isinstance(value, list) else value
