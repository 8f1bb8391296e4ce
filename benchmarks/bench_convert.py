"""Converting a TrainState, against the usual script and `cp -r`. `python benchmarks/bench_convert.py [rename|large|stack]...`

BENCH_MEGABYTES (2000) is the size of the checkpoint, BENCH_PAIRS (3) the rounds, BENCH_DATA the folder for data.
"""

from __future__ import annotations

import sys

import common

OUT = common.DATA / "out"


def ours(megabytes: int, mapping: str, *options: str) -> list[str]:
  """Our command."""
  source = common.checkpoint(megabytes)
  path = common.HERE / f"{mapping}.json"
  return [*common.COMMAND, "convert", str(source), str(OUT), "--mapping", str(path), "--quiet", *options]


def usual(megabytes: int, how: str) -> list[str]:
  """What people write."""
  return common.script("usual_script.py", how, common.checkpoint(megabytes), OUT)


def rename(size: int) -> None:
  """Renaming only: by reference, and with --copy."""
  copied = ["sh", "-c", 'cp -r "$0" "$1" && sync', str(common.checkpoint(size)), str(OUT)]
  commands = {
    "by reference": ours(size, "rename"),
    "--copy": ours(size, "rename", "--copy"),
    "cp -r and sync": copied,
    "the usual script": usual(size, "rename"),
  }
  runs = common.in_turns(commands, common.PAIRS, lambda: common.clear(OUT))
  common.show(f"rename only, {size} MB", runs)
  reference, copy, cp, script = (runs[name] for name in commands)
  common.ratio("by reference against the usual script: time", reference.seconds / script.seconds, 0.10)
  common.ratio("by reference against the usual script: memory", reference.memory / script.memory, 0.05)
  common.ratio("--copy against the usual script: time", copy.seconds / script.seconds, 0.30)
  common.ratio("--copy against the usual script: memory", copy.memory / script.memory, 0.15)
  common.ratio("--copy against cp -r: time", copy.seconds / cp.seconds, 3)


def large(size: int) -> None:
  """The same work on a quarter of the bytes: by reference the cost is in the number of leaves."""
  small = size // 4
  commands = {f"by reference, {n} MB": ours(n, "rename") for n in (small, size)}
  commands |= {f"--copy, {n} MB": ours(n, "rename", "--copy") for n in (small, size)}
  commands |= {f"gates, read and written, {n} MB": ours(n, "gates") for n in (small, size)}
  runs = common.in_turns(commands, 2 * common.PAIRS - 1, lambda: common.clear(OUT))
  common.show(f"four times the bytes, {small} and {size} MB", runs)
  one, four, copy_one, copy_four, read_one, read_four = (runs[name] for name in commands)
  common.ratio("by reference, four times the bytes: time", four.seconds / one.seconds, 1.3)
  common.ratio("by reference, four times the bytes: MB more", four.memory - one.memory, 100)
  common.ratio("--copy, four times the bytes: MB more", copy_four.memory - copy_one.memory, 100)
  common.ratio("read and written, four times the bytes: MB more", read_four.memory - read_one.memory, 100)


def stack(size: int) -> None:
  """Gates side by side and 16 layers stacked: chunks only move; and with a transposition: every leaf is read."""
  commands = {
    "stack and concatenate": ours(size, "stack"),
    "the same, --copy": ours(size, "stack", "--copy"),
    "and transpose": ours(size, "transpose"),
    "the usual script": usual(size, "stack"),
    "the usual script, transposing": usual(size, "transpose"),
  }
  runs = common.in_turns(commands, common.PAIRS, lambda: common.clear(OUT))
  common.show(f"16 layers stacked, gates concatenated, {size} MB", runs)
  reference, copy, read, script, other = (runs[name] for name in commands)
  for name, one, base in (("by reference", reference, script), ("--copy", copy, script), ("read", read, other)):
    common.ratio(f"{name} against the usual script: time", one.seconds / base.seconds, 0.6)
    common.ratio(f"{name} against the usual script: memory", one.memory / base.memory, 0.35)


def main() -> None:
  """Prints medians and ratios."""
  common.busy()
  parts = {"rename": rename, "large": large, "stack": stack}
  for name in sys.argv[1:] or parts:
    parts[name](common.MEGABYTES)
    common.busy()


if __name__ == "__main__":
  main()
