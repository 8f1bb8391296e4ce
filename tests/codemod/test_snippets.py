"""Code in documentation: only code changes, and what does not parse stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrate.codemod.snippets import Page, doctests, examples, plain

PAGE = """# Title

```python
import jax
x = 1
```

- item

  ```py title="b"
  >>> for i in range(2):
  ...   print(i)
  ...
  0
  1
  >>> y = 1
  ```

```python
pip install $$
```

```text
x = 1
```
"""
MODULE = '''"""A module."""

import jax


def f():
  """Says.

  >>> y = 1
  >>> for i in range(2):
  ...   print(y)
  ...
  1
  1

  Text.

  >>> y
  1
  """


def g():
  r"""
  >>> x = $
  """
'''


def test_fences_are_python_one_below_the_other():
  text = Page(PAGE).text
  assert "import jax\nx = 1\n" in text
  assert "for i in range(2):\n  print(i)\n" in text
  assert "\npip" not in text
  compile(text, "page", "exec")


def test_page_that_does_not_change_stays_byte_for_byte():
  page = Page(PAGE)
  assert page.put(page.text) == PAGE


def test_only_the_code_of_a_fence_changes():
  page = Page(PAGE)
  found = page.put("import os\n" + page.text.replace("x = 1", "x = 2").replace("y = 1", "y = [\n  3]"))
  wanted = PAGE.replace("import jax\nx = 1", "import os\nimport jax\nx = 2", 1).replace(
    ">>> y = 1", ">>> y = [\n  ...   3]"
  )
  assert found == wanted


@pytest.mark.parametrize(
  "page", ["", "```python\n", "```python\n```\n", "no code\n", "~~~py\nx\n~~~\n", "````python\n```\n````\n"]
)
def test_odd_pages_stay(page):
  assert Page(page).put(Page(page).text) == page


@given(st.text(alphabet="`~>. \npyxton=1#", max_size=80))
def test_any_page_stays_law(raw):
  page = Page(raw)
  compile(page.text, "page", "exec")
  assert page.put(page.text) == raw


def test_doctests_know_their_lines_and_the_names_of_the_module():
  (one, other) = doctests(MODULE, "pkg.mod")
  assert one.text.startswith("import jax; from pkg.mod import f, g\n")
  assert one.text.splitlines()[one.line - 1] == "y = 1"
  assert one.put(one.text, MODULE) == one.block
  assert "\nx" not in other.text, "what does not parse is a comment"


def test_doctest_is_written_with_prompts_and_its_outputs():
  one, _ = doctests(MODULE, "pkg.mod")
  found = one.put("import os\nimport jax\n" + one.text.replace("y = 1", "y = (\n  2)"), MODULE)
  assert found == "  >>> import os\n" + one.block.replace(">>> y = 1", ">>> y = (\n  ...   2)")


def test_code_without_prompts_is_left_as_it_is():
  assert plain("x = 1\n") == "x = 1\n"
  assert examples("x = 1\n") == ">>> x = 1"


def test_code_of_a_page_has_the_lines_of_the_page():
  lines = Page(PAGE).text.splitlines()
  for code in ("import jax", "x = 1"):
    assert lines[PAGE.splitlines().index(code)] == code
