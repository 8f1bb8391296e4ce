"""The page: self-contained, escaped, complete."""

import html.parser
import re

from migrate.core.report import Finding
from migrate.core.verdict import Comparison, ExampleReport, LeafDiff, Report, failed
from migrate.verify.html import render

BAD = LeafDiff("call0/<out>", "different", float("inf"), None, 1e-7, 2.0, "shape (1,) where Linen gives (2,)")
GOOD = LeafDiff("call0/x", "identical")
MODULE = {
  "linen": "a", "nnx": "b", "kind": "Dense", "nnx_kind": "Linear", "state": "different", "what": "input",
  "max_abs": 1.0, "scale": 2.0, "why": "",
}  # fmt: skip
REPORT = Report(
  (
    ExampleReport("good", "identical", Comparison((GOOD,)), {"params": Comparison((GOOD,))}, Comparison((GOOD,)), 3),
    ExampleReport(
      "bad", "different", Comparison((BAD,)), unmapped=("params/lost",), modules=(MODULE,),
      findings=(Finding("here", "a < b & c", "more", "less"),),
      training={"verdict": "equal", "linen_losses": [1.0, 0.5], "nnx_losses": [1.0, 0.5]},
    ),
    failed("broken", Finding("there", "it died")),
  )
).to_json()  # fmt: skip


class Balance(html.parser.HTMLParser):
  """Collects open tags; a page closes what it opens."""

  def __init__(self):
    super().__init__()
    self.open, self.text = [], []

  def handle_starttag(self, tag, attrs):
    if tag not in ("meta", "br"):
      self.open.append(tag)

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    self.text.append(data)


def text_of(page):
  parser = Balance()
  parser.feed(page)
  assert parser.open == []
  return " ".join(" ".join(parser.text).split())


def test_everything_is_on_the_page():
  text = text_of(render({**REPORT, "version": "1.2", "source": {"left": ["m.C"]}, "checkpoint": {"leaves": 12}}))
  for words in (
    "1 of 3 examples agree", "call0/<out>", "shape (1,)", "a < b & c", "params/lost", "it died", "m.C",
    "is passed another input", "Linen loss", "1.2", "12",
  ):  # fmt: skip
    assert words in text


def test_nothing_is_loaded_from_elsewhere():
  page = render(REPORT)
  assert not re.search(r"https?:|<script|<link|<img|@import|url\(", page)


def test_finding_of_an_example_is_shown_once():
  assert text_of(render(REPORT)).count("a < b & c") == 1


def test_empty_report():
  assert "0 of 0 examples agree" in text_of(render({}))


def test_one_is_not_many():
  from migrate.verify.html import _counted

  assert _counted(1, "leaf|leaves") == "1 leaf"
  assert _counted(0, "leaf|leaves") == "0 leaves"
