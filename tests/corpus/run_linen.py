"""Runs every case of the corpus: eval_shape of init, then real init and apply.

  python run_linen.py [-k SUBSTRING ...] [--package P ...] [--json OUT] [-v]
                      [--jit] [--in-process] [--shape-only]

Each package runs in its own process, one after the other: importing kauldron,
gemma, netket or scico changes flax or jax globally (see the notes).
``--in-process`` runs everything here instead.  Eager by default: on CPU that
compiles less than ``--jit`` because small ops are shared between cases; compiled
ops are kept in ``$LINEN_CORPUS_CACHE`` (default: in the temporary folder,
empty string = off), so a second run is much faster.  ``--shape-only`` stops at
``jax.eval_shape`` of init and apply: the whole corpus in about a minute.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
import warnings

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true")
os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
_CACHE = os.environ.get("LINEN_CORPUS_CACHE", os.path.join(tempfile.gettempdir(), "linen_corpus_jax_cache"))
if _CACHE:
  os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", _CACHE)
  os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
  os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
warnings.simplefilter("ignore")

import cases as C  # noqa: E402


def _is_array(x):
  import jax
  import numpy as np

  return isinstance(x, (jax.Array, np.ndarray))


def split_static(tree):
  """(dynamic leaves, rebuild) so that only arrays are traced."""
  import jax

  leaves, treedef = jax.tree_util.tree_flatten(tree)
  dyn = [jax.numpy.asarray(x) for x in leaves if _is_array(x)]

  def rebuild(dyn):
    it = iter(dyn)
    return jax.tree_util.tree_unflatten(treedef, [next(it) if _is_array(x) else x for x in leaves])

  return dyn, rebuild


def make_rngs(names, seed):
  import jax

  return {n: jax.random.fold_in(jax.random.key(seed), i) for i, n in enumerate(names)}


def init_fn(module, args, kwargs, opts):
  """(function of (rngs, dynamic leaves), dynamic leaves) for init."""
  kw = {**kwargs, **opts.get("init_kwargs", {})}
  method = opts.get("init_method", opts.get("method"))
  dyn, rebuild = split_static((args, kw))

  def f(rngs, dyn):
    a, k = rebuild(dyn)
    return module.init(rngs, *a, **k, **({"method": method} if method else {}))

  return f, dyn


def apply_fn(module, args, kwargs, opts):
  """(function of (variables, rngs, dynamic leaves), dynamic leaves)."""
  kw = {**kwargs, **opts.get("apply_kwargs", {})}
  a0 = opts.get("apply_args", args)
  method = opts.get("method")
  dyn, rebuild = split_static((a0, kw))

  def f(variables, rngs, dyn):
    a, k = rebuild(dyn)
    return module.apply(
      variables, *a, **k, rngs=rngs, mutable=opts.get("mutable", False), **({"method": method} if method else {})
    )

  return f, dyn


def nparams(variables):
  import jax

  return sum(int(x.size) for x in jax.tree_util.tree_leaves(variables.get("params", {})) if hasattr(x, "size"))


def run_case(case, jit=False, shape_only=False):
  import jax

  t0 = time.time()
  module, args, kwargs, opts = case.build()
  t_build = time.time() - t0
  rngs = make_rngs(opts.get("init_rngs", ("params",)), 0)
  t0 = time.time()
  f, dyn = init_fn(module, args, kwargs, opts)
  abstract = jax.eval_shape(f, rngs, dyn)
  t_shape = time.time() - t0
  if shape_only:
    t0 = time.time()
    g, dyn = apply_fn(module, args, kwargs, opts)

    def leaves(v, r, d):
      return [x for x in jax.tree_util.tree_leaves(g(v, r, d)) if _is_array(x)]

    out = jax.eval_shape(leaves, abstract, make_rngs(opts.get("apply_rngs", ()), 1), dyn)
    return dict(
      id=case.id,
      package=case.package,
      ok=True,
      params=nparams(abstract),
      collections=sorted(abstract),
      outputs=len(out),
      finite=True,
      cls=f"{type(module).__module__}.{type(module).__qualname__}",
      t=dict(build=round(t_build, 2), shape=round(t_shape, 2), apply_shape=round(time.time() - t0, 2)),
    )
  t0 = time.time()
  wrap = jax.jit if jit else (lambda g: g)
  variables = wrap(f)(rngs, dyn)
  jax.block_until_ready(variables)
  t_init = time.time() - t0
  # (sbx's BatchRenorm keeps a Python int in its variables: shape only)
  sh = lambda t: jax.tree_util.tree_map(lambda x: jax.numpy.shape(x), t)
  assert sh(abstract) == sh(variables), "eval_shape disagrees with init"
  t0 = time.time()
  g, dyn = apply_fn(module, args, kwargs, opts)
  arngs = make_rngs(opts.get("apply_rngs", ()), 1)

  # outputs may hold non-arrays (distributions, strings): keep arrays only
  def g2(v, r, d):
    out = g(v, r, d)
    return [x for x in jax.tree_util.tree_leaves(out) if _is_array(x)]

  out = wrap(g2)(variables, arngs, dyn)
  jax.block_until_ready(out)
  t_apply = time.time() - t0
  import numpy as np

  finite = all(
    bool(np.isfinite(np.asarray(x, dtype="complex128")).all())
    for x in out
    if jax.numpy.issubdtype(x.dtype, jax.numpy.inexact)
  )
  return dict(
    id=case.id,
    package=case.package,
    ok=True,
    params=nparams(variables),
    collections=sorted(variables),
    outputs=len(out),
    finite=finite,
    cls=f"{type(module).__module__}.{type(module).__qualname__}",
    t=dict(build=round(t_build, 2), shape=round(t_shape, 2), init=round(t_init, 2), apply=round(t_apply, 2)),
  )


def main(argv=None):
  ap = argparse.ArgumentParser()
  ap.add_argument("-k", nargs="*", default=None)
  ap.add_argument("--package", nargs="*", default=None)
  ap.add_argument("--json")
  ap.add_argument("--jit", action="store_true")
  ap.add_argument("--in-process", action="store_true")
  ap.add_argument("--shape-only", action="store_true")
  ap.add_argument("-v", action="store_true")
  a = ap.parse_args(argv)
  todo = [
    c for c in C.CASES if (a.k is None or any(s in c.id for s in a.k)) and (a.package is None or c.package in a.package)
  ]
  t_all = time.time()
  results = []
  packages = list(dict.fromkeys(c.package for c in todo))
  if len(packages) > 1 and not a.in_process:
    for p in packages:
      out = os.path.join(tempfile.gettempdir(), f"linen_corpus_{os.getpid()}_{p}.json")
      cmd = (
        [sys.executable, os.path.abspath(__file__), "--package", p, "--json", out]
        + (["-k", *a.k] if a.k else [])
        + [f for f, on in (("--jit", a.jit), ("-v", a.v), ("--shape-only", a.shape_only)) if on]
      )
      subprocess.run(cmd, check=False)
      try:
        with open(out) as fh:
          results += json.load(fh)
        os.unlink(out)
      except FileNotFoundError:
        results += [dict(id=c.id, package=p, ok=False, error="process died") for c in todo if c.package == p]
  else:
    for c in todo:
      t0 = time.time()
      try:
        r = run_case(c, jit=a.jit, shape_only=a.shape_only)
      except Exception as e:  # report every case
        r = dict(id=c.id, package=c.package, ok=False, error=f"{type(e).__name__}: {str(e).strip()[:600]}")
        if a.v:
          traceback.print_exc()
      r["seconds"] = round(time.time() - t0, 2)
      results.append(r)
      if r["ok"]:
        print(
          f"PASS {c.id:42s} params={r['params']:>8,d} {r['seconds']:6.2f}s "
          f"cols={','.join(r['collections'])}" + ("" if r["finite"] else "  NONFINITE"),
          flush=True,
        )
      else:
        print(f"FAIL {c.id:42s} {r['seconds']:6.2f}s  {r['error'][:300]}", flush=True)
  if a.json:
    with open(a.json, "w") as fh:
      json.dump(results, fh, indent=1)
  ok = sum(r["ok"] for r in results)
  print(f"{ok} passed, {len(results) - ok} failed in {time.time() - t_all:.0f}s")
  return 0 if ok == len(results) else 1


if __name__ == "__main__":
  sys.exit(main())
