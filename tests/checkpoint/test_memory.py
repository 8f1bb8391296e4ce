"""The C library is asked where it can be, and nothing breaks where it cannot."""

from __future__ import annotations

import subprocess
import sys

import pytest

from migrate.checkpoint import memory

CODE = """
import threading, numpy as np
from migrate.checkpoint.memory import give_back, one_arena
assert one_arena()
def work():
  for _ in range(50):
    [np.ones(5000) for _ in range(200)]
threads = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in threads]
[t.join() for t in threads]
assert give_back()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc")
def test_threads_share_and_give_back():
  subprocess.run([sys.executable, "-c", CODE], check=True)


def test_other_libraries_are_left_alone(monkeypatch):
  monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: object())
  assert not memory.give_back()
  assert not memory.one_arena()
