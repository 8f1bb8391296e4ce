"""The report as one self-contained page: no script, no font, no image from elsewhere. Imports no jax."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #60646c; --line: #e0e3e8; --page: #fcfcfd; --card: #f4f5f8;
  --good: #1a7f4b; --fine: #0b68a8; --warn: #9a6700; --bad: #c2283a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --soft: #a0a5ad; --line: #33373d; --page: #15171a;
  --card: #1e2125; --good: #4cc38a; --fine: #58b0f0; --warn: #e0b04a; --bad: #ff7b86; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1000px; margin: 0 auto; padding: 24px 20px 60px; }
header { border-left: 6px solid var(--bad); padding: 2px 0 2px 18px; margin-bottom: 24px; }
header.proven { border-color: var(--good); }
h1 { font-size: 26px; line-height: 1.2; margin: 4px 0 8px; }
h2 { font-size: 19px; margin: 34px 0 4px; }
h3 { font-size: 16px; margin: 20px 0 4px; }
p { margin: 4px 0; }
a { color: var(--fine); }
code { font: 13px/1.4 ui-monospace, monospace; overflow-wrap: anywhere; }
section { border-top: 1px solid var(--line); margin-top: 30px; }
.small { color: var(--soft); font-size: 13.5px; }
.faint { color: var(--soft); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: 12px 0; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 500; color: var(--soft); font-size: 13px; }
th, td { padding: 6px 14px 6px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
table.tight th, table.tight td { padding-block: 3px; font-size: 13.5px; }
.pill { display: inline-block; border: 1px solid currentColor; border-radius: 9px; padding: 0 9px;
  font: 500 12.5px/1.55 system-ui; white-space: nowrap; vertical-align: 2px; color: var(--warn); }
.pill.identical, .pill.proven { color: var(--good); }
.pill.equal { color: var(--fine); }
.pill.different, .pill.error, .pill.not-proven { color: var(--bad); }
.findings { list-style: none; padding: 0; margin: 12px 0; }
.finding { background: var(--card); border-left: 4px solid var(--bad); border-radius: 4px; padding: 8px 14px;
  margin: 8px 0; overflow-wrap: anywhere; }
.finding.eye { border-color: var(--warn); }
.finding.note { border-color: var(--line); }
.where { display: flex; justify-content: space-between; gap: 16px; }
.where span { color: var(--soft); font-size: 13px; white-space: nowrap; }
.small b { font-weight: 600; color: var(--ink); }
details { margin: 10px 0; }
summary { cursor: pointer; }
details ul { columns: 320px; margin: 6px 0; padding-left: 20px; }
footer { border-top: 1px solid var(--line); margin-top: 36px; color: var(--soft); font-size: 14px; }
"""

_WORDS = {
  "identical": "every number is the same to the bit",
  "equal": "every difference is within the model's own rounding noise",
  "incomplete": "something was not compared",
  "different": "the two models disagree",
  "error": "a model could not be run",
  "proven": "the port is proven: every example agrees",
  "not proven": "read the findings below",
}
_SEVERITY = {"error": "not proven", "eye": "needs your eye", "note": "note"}
_SOURCE = {
  "rewritten": "class rewritten|classes rewritten",
  "left": "class left as it was|classes left as they were",
  "todo": "place marked TODO|places marked TODO",
  "hoisted": "size that became a constructor argument|sizes that became constructor arguments",
  "linen_imports_left": "file that still imports flax.linen|files that still import flax.linen",
  "files": "file written|files written",
}


def render(report: Mapping[str, Any]) -> str:
  """The page of a report.

  Args:
    report: what `Report.to_json` or `PortReport.to_json` gives, or `report.json` holds.

  Returns:
    HTML; missing parts of the report are left out.
  """
  examples = report.get("examples") or []
  own = {_key(f) for e in examples for f in e.get("findings", ())}
  general = [f for f in report.get("findings") or [] if _key(f) not in own]
  body = [
    _head(report, examples),
    _summary(examples),
    _findings(general, "Findings on the source and the conversion") if general else "",
    *(_example(e) for e in examples),
    _source(report.get("source") or {}),
    _checkpoint(report.get("checkpoint")),
    _reading(),
  ]
  title = f"linen2nnx: {len(examples)} example{'' if len(examples) == 1 else 's'}"
  return (
    f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>\n'
    f"<body><main>\n{''.join(body)}</main></body></html>\n"
  )


def _key(finding: Mapping[str, Any]) -> tuple[Any, ...]:
  return tuple(finding.get(k) for k in ("where", "found", "wanted", "do"))


def _tag(name: str, text: Any, css: str = "") -> str:
  return f"<{name}{f' class={css}' if css else ''}>{escape(str(text))}</{name}>"


def _pill(verdict: str) -> str:
  return f'<span class="pill {escape(verdict.replace(" ", "-"))}">{escape(verdict)}</span>'


def _number(value: Any) -> str:
  """A number for people: 0, 12, 1.3e-07."""
  if value is None:
    return "–"
  if isinstance(value, str):
    return escape(value)
  if value == int(value) and abs(value) < 1e6:
    return f"{int(value):,}"
  return f"{value:.2g}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], css: str = "") -> str:
  """Cells are HTML already."""
  top = "".join(f"<th>{h}</th>" for h in head)
  lines = "".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>\n" for row in rows)
  return f'<div class="scroll"><table class="{css}"><thead><tr>{top}</tr></thead><tbody>\n{lines}</tbody></table></div>'


def _head(report: Mapping[str, Any], examples: Sequence[Mapping[str, Any]]) -> str:
  agreed = bool(examples) and all(e.get("verdict") in ("identical", "equal") for e in examples)
  proven = report.get("ok", agreed)
  word = "proven" if proven else "not proven"
  version = f" · linen2nnx {escape(str(report['version']))}" if report.get("version") else ""
  seconds = f" · {report['seconds']:g} s" if report.get("seconds") else ""
  count = sum(e.get("verdict") in ("identical", "equal") for e in examples)
  return (
    f'<header class="{word.replace(" ", "-")}"><p class="small">Flax Linen to NNX{version}{seconds}</p>'
    f"<h1>{count} of {_counted(len(examples), 'example agrees|examples agree')}</h1><p>{_pill(word)} {_WORDS[word]}</p></header>\n"
  )


def _summary(examples: Sequence[Mapping[str, Any]]) -> str:
  if len(examples) < 2:
    return ""
  rows = []
  for e in examples:
    link = f'<a href="#{escape(e["name"])}">{escape(e["name"])}</a>'
    parts = [e.get("forward") or {}, e.get("gradients") or {}]
    cells = [f"{p.get('compared', 0)} compared, max {_number(p.get('max_abs', 0))}" for p in parts]
    rows.append([link, _pill(e["verdict"]), *cells, f"{e.get('leaves', 0)}", f"{e.get('seconds', 0):g} s"])
  return _table(["example", "verdict", "outputs", "gradients", "leaves carried", "time"], rows)


def _counted(number: int, words: str) -> str:
  """A number with its word, given as `one|many`."""
  one, _, many = words.partition("|")
  return f"{number} {one if number == 1 else many}"


def _example(e: Mapping[str, Any]) -> str:
  rows = [_part("outputs", e.get("forward"))]
  rows += [_part(f"collection {name}", part) for name, part in (e.get("collections") or {}).items()]
  rows.append(_part("gradients", e.get("gradients")))
  calls = f" · {_counted(e['calls'], 'call|calls')}" if e.get("calls") else ""
  parts = [
    f'<section id="{escape(e["name"])}"><h2>{escape(e["name"])} {_pill(e["verdict"])}</h2>'
    f'<p class="small">{_WORDS.get(e["verdict"], "")} · {_counted(e.get("leaves", 0), "leaf|leaves")} carried{calls} · '
    f"{e.get('seconds', 0):g} s</p>",
    _findings(e.get("findings") or [], ""),
    _table(["compared", "arrays", "to the bit", "max difference", "in ulp", "noise", ""], [r for r in rows if r]),
    _differing(e),
    _modules(e.get("modules") or []),
    _training(e.get("training")),
    _list(
      "Linen variable without a place in NNX|Linen variables without a place in NNX", e.get("unmapped") or [], True
    ),
    _list("NNX variable that nothing filled|NNX variables that nothing filled", e.get("unfilled") or [], True),
  ]
  return "".join(parts) + "</section>\n"


def _part(name: str, part: Mapping[str, Any] | None) -> list[str]:
  if not part or not part.get("compared"):
    return [escape(name), '<span class="faint">none compared</span>', "", "", "", "", ""]
  bad = part.get("different") or []
  state = _pill("different") if bad else _pill("identical" if part.get("identical") == part["compared"] else "equal")
  numbers = [_number(part.get(k, 0)) for k in ("max_abs", "max_ulp", "noise")]
  return [escape(name), f"{part['compared']}", f"{part.get('identical', '–')}", *numbers, state]


def _differing(e: Mapping[str, Any]) -> str:
  parts = [e.get("forward") or {}, *(e.get("collections") or {}).values(), e.get("gradients") or {}]
  rows = [
    [
      f"<code>{escape(d['name'])}</code>",
      _number(d.get("max_abs")), _number(d.get("noise")), _number(d.get("scale")), escape(d.get("why") or ""),
    ]
    for part in parts for d in part.get("different") or []
  ]  # fmt: skip
  if not rows:
    return ""
  table = _table(["array", "max difference", "noise", "largest value", ""], rows, "tight")
  return f"<details><summary>{len(rows)} arrays differ</summary>{table}</details>"


def _modules(modules: Sequence[Mapping[str, Any]]) -> str:
  """Every module in call order: Linen's output is compared and passed on, so each row stands for itself."""
  if not modules:
    return ""
  rows = []
  for m in modules:
    words = m.get("why") or (f"max {_number(m.get('max_abs', 0))}" if m.get("state") != "identical" else "")
    what = "" if m.get("what", "output") == "output" else "is passed another input"
    names = f"<code>{escape(m['linen'])}</code> <span class=faint>{escape(m.get('kind') or '')}</span>"
    theirs = f"<code>{escape(m['nnx'])}</code> <span class=faint>{escape(m.get('nnx_kind') or '')}</span>"
    rows.append([names, theirs, _pill(m["state"]), escape(f"{what} {words}".strip())])
  wrong = sum(m.get("state") == "different" for m in modules)
  table = _table(["Linen module", "NNX module", "", ""], rows, "tight")
  text = f"Module by module, given Linen's input: {wrong} of {len(modules)} calls differ"
  return f"<details{' open' if wrong else ''}><summary>{text}</summary>{table}</details>"


def _training(training: Mapping[str, Any] | None) -> str:
  if not training:
    return ""
  losses = zip(training.get("linen_losses", ()), training.get("nnx_losses", ()))
  rows = [[f"{i}", f"{a:.9g}", f"{b:.9g}", _number(abs(a - b))] for i, (a, b) in enumerate(losses)]
  table = _table(["step", "Linen loss", "NNX loss", "difference"], rows, "tight")
  return f"<h3>Training {_pill(training.get('verdict', 'incomplete'))}</h3>{table}"


def _findings(findings: Sequence[Mapping[str, Any]], title: str) -> str:
  cards = []
  for f in findings:
    severity = f.get("severity") or "error"
    where = f"<code>{escape(f.get('where') or '')}</code> <span>{_SEVERITY.get(severity, '')}</span>"
    lines = [f"<p class=where>{where}</p>", _tag("p", f.get("found") or "")]
    lines += [f"<p class=small><b>{k}</b> {escape(f[k])}</p>" for k in ("wanted", "do") if f.get(k)]
    cards.append(f'<li class="finding {escape(severity)}">{"".join(lines)}</li>\n')
  if not cards:
    return ""
  return (_tag("h2", title) if title else "") + f"<ul class=findings>{''.join(cards)}</ul>"


def _list(title: str, items: Sequence[Any], is_open: bool = False) -> str:
  if not items:
    return ""
  lines = "".join(f"<li><code>{escape(str(i))}</code></li>" for i in items)
  head = f"<details{' open' if is_open else ''}><summary>{escape(_counted(len(items), title))}</summary>"
  return f"{head}<ul>{lines}</ul></details>"


def _source(source: Mapping[str, Any]) -> str:
  lists = [_list(title, source.get(k) or [], k in ("left", "todo")) for k, title in _SOURCE.items()]
  return f"<section><h2>Source</h2>{''.join(lists)}</section>" if any(lists) else ""


def _checkpoint(checkpoint: Mapping[str, Any] | None) -> str:
  if not checkpoint:
    return ""
  plain = {k: v for k, v in checkpoint.items() if not isinstance(v, list | dict)}
  rows = [[escape(str(k)), f"<code>{escape(str(v))}</code>"] for k, v in plain.items()]
  return f"<section><h2>Checkpoint</h2>{_table(['', ''], rows)}</section>"


def _reading() -> str:
  return (
    "<footer><h2>How to read this</h2><p>Both models were run on the same random variables, moved away from their "
    "initial values, with the same inputs and the same dropout masks. <b>Noise</b> is how much the Linen model's own "
    "result moves when every parameter moves by one unit in the last place (ulp). <b>equal</b> means that no "
    "difference exceeds eight times that noise. Gradients are those of a fixed weighted sum of all outputs.</p>"
    "</footer>"
  )
