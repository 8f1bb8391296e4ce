"""On the path of every process of a corpus run: applies the shims of the library before anything imports it.

The ported code imports the library in a process of its own, which knows nothing of cases.py.
"""

import os
import sys

_PACKAGE = os.environ.get("LINEN2NNX_CORPUS_PACKAGE")
if _PACKAGE:
  sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
  import cases
  import shims

  with shims.keep_jax_config():
    cases.PACKAGES[_PACKAGE].get("shim", lambda: None)()
