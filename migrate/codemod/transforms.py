"""Transforms and functions that become templates of ours."""

from __future__ import annotations

# transforms of classes, as templates with the same arguments
TRANSFORMS = {
  "flax.linen.remat": "template:remat.remat",
  "flax.linen.checkpoint": "template:remat.remat",
  "flax.linen.partitioning.remat": "template:remat.remat",
  "flax.linen.transforms.remat": "template:remat.remat",
  "flax.linen.dot_product_attention": "template:linen_attention.dot_product_attention",
  "flax.linen.attention.dot_product_attention": "template:linen_attention.dot_product_attention",
  "flax.linen.jit": "template:jit.jit",
  "flax.linen.transforms.jit": "template:jit.jit",
  "flax.linen.vmap": "template:vmap.vmap",
  "flax.linen.transforms.vmap": "template:vmap.vmap",
  "flax.linen.with_logical_constraint": "template:sharding.with_logical_constraint",
  "flax.linen.spmd.with_logical_constraint": "template:sharding.with_logical_constraint",
  "flax.linen.partitioning.with_sharding_constraint": "template:sharding.with_logical_constraint",
  "flax.linen.with_logical_partitioning": "template:sharding.with_logical_partitioning",
  "flax.linen.with_partitioning": "template:sharding.with_logical_partitioning",
  "flax.linen.scan": "template:scan.scan",
  "flax.linen.transforms.scan": "template:scan.scan",
  "flax.linen.remat_scan": "template:remat_scan.remat_scan",
  "flax.linen.transforms.remat_scan": "template:remat_scan.remat_scan",
  "flax.linen.map_variables": "template:map_variables.map_variables",
  "flax.linen.transforms.map_variables": "template:map_variables.map_variables",
}


# transforms of methods, written as decorators: full Linen name -> (what to write, the arguments that it takes)
DECORATORS = {
  "flax.linen.jit": ("flax.nnx.jit", ("static_argnums", "static_argnames", "donate_argnums", "device", "backend")),
  "flax.linen.transforms.jit": ("flax.nnx.jit", ("static_argnums", "static_argnames", "donate_argnums", "device", "backend")),
  **{f"flax.linen.{n}": ("template:remat.remat", ("prevent_cse", "policy"))
     for n in ("remat", "checkpoint", "transforms.remat", "transforms.checkpoint")},
}  # fmt: skip


for _home in ("dtypes", "linear", "normalization", "attention", "recurrent"):
  TRANSFORMS[f"flax.linen.{_home}.promote_dtype"] = "template:dtypes.promote_dtype"

# axes of collections that a scan only reads or only writes: NNX needs the axis alone
ONE_WAY = {f"flax.{home}.{name}" for home in ("linen.partitioning", "linen", "core.lift", "core", "typing") for name in (
  "ScanIn", "ScanOut", "In", "Out")}  # fmt: skip
