"""The page docs/scoreboard.md, made from the results of run.py."""

from __future__ import annotations

import collections
import importlib.metadata
import re
from typing import Any

PROVEN = ("identical", "equal")
ORDER = (*PROVEN, "different", "incomplete", "error", "refused", "crashed", "timeout", "not installed")
LONGEST = 110


def short(finding: dict[str, Any]) -> str:
  """A finding in one line, without what would break a table."""
  found = str(finding.get("found", "")).strip()
  text = f"{finding.get('where', '')}: {found.splitlines()[0] if found else ''}"
  text = re.sub(r"(?:/[\w.+-]+)+/(?:site-packages|out|\.out-\w+)/", "", text)
  text = re.sub(r"(?<![\w.])/(?:[\w.+-]+/)+", "", text)  # what folders the machine has says nothing
  text = text.replace("|", "/").replace("`", "'")
  return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def kind(finding: dict[str, Any]) -> str:
  """What findings of one cause have in common: the rule, or the words without names and numbers."""
  found = str(finding.get("found", "")).strip().splitlines()
  text = re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`", "_", found[0] if found else "")
  text = re.sub(r"(?:/[\w.+-]+)+", "_", text)
  text = re.sub(r"\d[\d., ()x]*", "# ", text).replace("|", "/").strip()
  rule = finding.get("rule")
  return f"{rule}: {text[:80]}" if rule else text[:80]


def totals(results: list[dict[str, Any]]) -> str:
  """A line for the terminal: how many of each verdict."""
  counts = collections.Counter(r["verdict"] for r in results)
  known = [v for v in ORDER if counts[v]] + sorted(v for v in counts if v not in ORDER)
  return f"{sum(counts[v] for v in PROVEN)} of {len(results)} proven: " + ", ".join(f"{counts[v]} {v}" for v in known)


def page(results: list[dict[str, Any]]) -> str:
  """The whole page in Markdown."""
  versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("flax", "jax", "linen2nnx"))
  lines = [
    "# Scoreboard",
    "",
    f"Made by `make corpus`: each case of `tests/corpus/cases.py` goes through `linen2nnx port` in a process of its own ({versions}).",
    "Proven means exit code 0: outputs, collections and gradients agree bitwise (`identical`) or within measured noise (`equal`),",
    "and nothing was left. No case is special-cased.",
    "",
    f"**{totals(results)}.** {_commits(results)}",
    "",
    *_libraries(results),
    "",
    "## What stops the others",
    "",
    *_causes(results),
    "",
    "## Cases",
    "",
    "| library | case | verdict | hoisted arguments | findings |",
    "|---|---|---|---|---|",
  ]
  for r in results:
    hoisted = ", ".join(map(_name, r["hoisted"][:4])) + (
      f" and {len(r['hoisted']) - 4} more" if len(r["hoisted"]) > 4 else ""
    )
    findings = short(r["findings"][0]) if r["findings"] else ""
    more = f" and {len(r['findings']) - 1} more" if len(r["findings"]) > 1 else ""
    lines.append(f"| {r['package']} | {r['id']} | {r['verdict']} | {hoisted} | {findings}{more} |")
  return "\n".join(lines) + "\n"


def _commits(results: list[dict[str, Any]]) -> str:
  """Which code the results belong to."""
  counts = collections.Counter(r["commit"] for r in results if r.get("commit"))
  if len(counts) <= 1:
    return "".join(f"At commit {name}." for name in counts)
  return "At commits " + ", ".join(f"{name} ({count} cases)" for name, count in counts.most_common()) + "."


def _name(hoisted: Any) -> str:
  if isinstance(hoisted, dict):
    return ".".join(str(hoisted[key]) for key in ("class", "argument", "name") if key in hoisted)
  return ".".join(str(hoisted).split(".")[-2:])


def _libraries(results: list[dict[str, Any]]) -> list[str]:
  lines = ["| library | cases | proven | identical | equal |", "|---|---:|---:|---:|---:|"]
  for package in dict.fromkeys(r["package"] for r in results):
    verdicts = [r["verdict"] for r in results if r["package"] == package]
    identical, equal = verdicts.count("identical"), verdicts.count("equal")
    lines.append(f"| {package} | {len(verdicts)} | {identical + equal} | {identical} | {equal} |")
  return lines


def _causes(results: list[dict[str, Any]]) -> list[str]:
  """The first finding of every case that is not proven, counted by what they have in common."""
  counts: collections.Counter[str] = collections.Counter()
  where: dict[str, str] = {}
  for r in results:
    if r["verdict"] in PROVEN:
      continue
    errors = [f for f in r["findings"] if f.get("severity", "error") == "error"] or r["findings"]
    cause = kind(errors[0]) if errors else r["verdict"]
    counts[cause] += 1
    where.setdefault(cause, r["id"])
  lines = ["| first finding | cases | for instance |", "|---|---:|---|"]
  return lines + [f"| {cause} | {count} | {where[cause]} |" for cause, count in counts.most_common()]
