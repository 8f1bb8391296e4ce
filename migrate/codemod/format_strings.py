"""Format strings: the names in their fields, which Python 3.11 gives no positions of."""

from __future__ import annotations

import re
from collections.abc import Mapping

_FIELD = re.compile(r"\{\{|\}\}|\{[^{}]*\}")


def with_names(code: str, texts: Mapping[str, str], error: type[Exception]) -> str:
  """A format string with other expressions for names in its fields.

  Args:
    code: the string as it stands.
    texts: name -> expression.
    error: what is raised.

  Raises:
    error: an expression has quotes or braces of its own, which a field cannot hold in Python 3.11.
  """
  changed = {n: t for n, t in texts.items() if n != t}
  if any(set(t) & set("\"'{}\\\n") for t in changed.values()):
    raise error(code)
  if not changed:
    return code
  pattern = re.compile(rf"(?<![\w.])({'|'.join(map(re.escape, changed))})\b(?!\s*=[^=])")

  def field(match: re.Match[str]) -> str:
    text = match.group(0)
    if text in ("{{", "}}"):
      return text
    expression, colon, form = text.partition(":")
    return pattern.sub(lambda m: changed[m.group(1)], expression) + colon + form

  return _FIELD.sub(field, code)
