"""Lines of findings: those of the file as its owner has it."""

from hypothesis import given
from hypothesis import strategies as st

from migrate.core.report import Finding
from migrate.workflows.codemod_lines import at_old_lines, old_lines

OLD = "a\nb\nclass Net:\n  x: int\n\ndef f():\n  return Net()\n"
NEW = "a\nb\nclass Net:\n  def __init__(self, x):\n    self.x = x\n\n  def more(self):\n    pass\n\ndef f():\n  return Net(1)\n"


def test_line_below_a_longer_class_is_the_old_one():
  finding = Finding("net.py:11", "made", "", "", "eye", "L2N116")
  other = Finding("other.py:11", "made", "", "", "eye", "L2N116")
  whole = Finding("net.py", "made", "", "", "eye", "L2N116")
  found = at_old_lines([finding, other, whole], {"net.py": OLD}, {"net.py": NEW})
  assert [f.where for f in found] == ["net.py:7", "other.py:11", "net.py"]


@given(st.lists(st.sampled_from("abcd"), min_size=1), st.lists(st.sampled_from("abcd"), min_size=1))
def test_every_line_has_an_old_one_and_equal_files_have_their_own(old, new):
  before, after = "\n".join(old), "\n".join(new)
  found = old_lines(before, after)
  assert len(found) == len(new)
  assert all(1 <= n <= len(old) for n in found)
  assert sorted(found) == found
  assert old_lines(before, before) == [*range(1, len(old) + 1)]
