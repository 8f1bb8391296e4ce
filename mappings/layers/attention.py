"""Linen's three names for attention to `flax.nnx.MultiHeadAttention`."""

from collections.abc import Mapping
from typing import Any

from migrate.core.declare import (
  Exact,
  Infer,
  LayerMapping,
  Sample,
  Setup,
  bools,
  convert,
  floats,
  infer,
  key,
  leaf,
  refuse,
  same,
  unused,
)


def _sizes(fields: Mapping[str, Any], call: Mapping[str, Any]) -> dict[str, Any]:
  query = call["inputs_q"][-1]
  keys = call.get("inputs_kv") or call.get("inputs_k") or call["inputs_q"]
  return {"in_features": query} | ({"in_kv_features": keys[-1]} if keys[-1] != query else {})


def _samples(name: str) -> tuple[Sample, ...]:
  # Heads of 3: sqrt(4) or sqrt(16) divide exactly and would hide what stock does differently.
  x, y, mask = floats(3, 5, 7), floats(3, 2, 11), bools(3, 1, 5, 5)
  plain = Sample({"num_heads": 2, "qkv_features": 6, "deterministic": True}, (x,), ulp=40)
  if name == "MultiHeadAttention":
    return (plain,)  # the very same class under another name
  both = (
    plain,
    Sample({"num_heads": 2, "qkv_features": 6, "normalize_qk": True, "use_bias": False}, (x,), {"mask": mask}, ulp=40,
           name="mask, normalised"),
    Sample({"num_heads": 2, "qkv_features": 6, "out_features": 5, "dropout_rate": 0.4}, (x,), {"deterministic": True},
           name="dropout off"),
    Sample({"num_heads": 2, "qkv_features": 6, "dropout_rate": 0.4, "deterministic": False}, (x,),
           {"dropout_rng": key()}, name="dropout"),
  )  # fmt: skip
  if name == "SelfAttention":
    return both[:2]
  return (
    *both,
    Sample(
      {"num_heads": 2, "qkv_features": 6, "dropout_rate": 0.4, "broadcast_dropout": False},
      (x,),
      {"dropout_rng": key(), "deterministic": False},
      name="dropout not shared",
    ),
    Sample({"num_heads": 2, "qkv_features": 6}, (x, y), ulp=40, name="keys of another width"),
    Sample({"num_heads": 2, "qkv_features": 6}, (x, y, y), half=False, ulp=40, name="keys and values"),
    Sample({"num_heads": 2, "qkv_features": 6}, (x,), {"inputs_kv": y}, half=False, ulp=40, name="inputs_kv"),
  )


def _record(name: str) -> LayerMapping:
  own = name == "SelfAttention"
  return LayerMapping(
    linen=f"flax.linen.{name}",
    nnx="flax.nnx.MultiHeadAttention",
    source="flax 0.12.8 linen/attention.py, nnx/nn/attention.py",
    inputs="* in_features",
    output="* out_features",
    args=(
      *infer("in_features", "in_kv_features"),
      *same("num_heads", "dtype", "param_dtype", "qkv_features", "out_features", "broadcast_dropout", "dropout_rate",
            "deterministic", "precision", "kernel_init", "out_kernel_init", "bias_init", "out_bias_init", "use_bias",
            "normalize_qk"),
      *convert("decode", "decode", "{value}", absent="False",
               because="NNX raises where neither constructor nor call says it"),
      *convert("attention_fn", "attention_fn", "template:attention.Adapted({value})",
               because="Linen passes only what the function's signature names, NNX passes everything"),
      *convert("force_fp32_for_softmax", "attention_fn",
               "template:attention.with_float32_softmax({value})", because="stock has no such option"),
      *convert("qkv_dot_general", "qkv_dot_general", "template:injected.dot_general({value})",
               because="NNX passes out_sharding= as well"),
      *convert("out_dot_general", "out_dot_general", "template:injected.dot_general({value})",
               because="NNX passes out_sharding= as well"),
      *convert("qkv_dot_general_cls", "qkv_dot_general_cls", "template:injected.dot_general_class({value})",
               because="NNX passes out_sharding= as well; a class that owns variables has no NNX form"),
      *convert("out_dot_general_cls", "out_dot_general_cls", "template:injected.dot_general_class({value})",
               because="NNX passes out_sharding= as well; a class that owns variables has no NNX form"),
      *refuse("qk_attn_weights_einsum_cls", "attn_weights_value_einsum_cls",
              because="NNX has no such hook; write an attention_fn", allow=("None",)),
      *unused("num_kv_heads", "keep_rngs"),
      *unused("qkv_promote_dtype", "out_promote_dtype", "ln_promote_dtype", because="given for exactness"),
    ),
    leaves=(
      *(leaf(f"params/{p}/kernel", f"{p}/kernel", f"{size} num_heads head_dim")
        for p, size in (("query", "in_features"), ("key", "in_kv_features"), ("value", "in_kv_features"))),
      *(leaf(f"params/{p}/bias", f"{p}/bias", "num_heads head_dim", optional=True) for p in ("query", "key", "value")),
      leaf("params/out/kernel", "out/kernel", "num_heads head_dim out_features"),
      leaf("params/out/bias", "out/bias", "out_features", optional=True),
      leaf("params/query_ln/scale", "query_ln/scale", "head_dim", optional=True),
      leaf("params/key_ln/scale", "key_ln/scale", "head_dim", optional=True),
      leaf("cache/cached_key", "cached_key", "* num_heads head_dim", optional=True),
      leaf("cache/cached_value", "cached_value", "* num_heads head_dim", optional=True),
      leaf("cache/cache_index", "cache_index", "", optional=True),
    ),
    call_fields=("deterministic",),
    call_args=(("dropout_rng", "rngs"),) if own else (("inputs_kv", "inputs_k"), ("dropout_rng", "rngs")),
    call_code=(("dropout_rng", "template:attention.as_stream({value})"),),
    call_positional=("inputs_q", "mask", "deterministic", "dropout_rng", "sow_weights") if own
    else ("inputs_q", "inputs_k", "inputs_v"),
    call_keywords=("mask", "deterministic", "dropout_rng", "sow_weights") if own else (),
    positional=("num_heads", "dtype", "param_dtype", "qkv_features", "out_features", "broadcast_dropout",
                "dropout_rate", "deterministic", "precision", "kernel_init", "out_kernel_init", "bias_init",
                "out_bias_init", "use_bias", "attention_fn", "decode", "normalize_qk", "force_fp32_for_softmax",
                "qkv_dot_general", "out_dot_general", "qkv_dot_general_cls", "out_dot_general_cls",
                "qk_attn_weights_einsum_cls", "attn_weights_value_einsum_cls"),
    rngs=("dropout",),
    infer=Infer(_sizes, because="keys and values may have another width than queries"),
    exact=Exact(
      (("attention_fn", "template:attention.dot_product_attention"),
       ("ln_promote_dtype", "template:precision.keep_dtypes")),
      because="without dropout stock calls jax.nn.dot_product_attention, which scales and adds up in another order: "
      "1e-7 in float32 (1e-5 with large logits), 0.5% of max in bfloat16",
    ),
    setup=(Setup("decode", "{layer}.init_cache({shape}, dtype={dtype})",
                 because="NNX makes the cache by this method, Linen when it is initialised with a whole sequence"),),
    note="decode caches are filled from Linen's; the cache's dtype is that of the computation",
    example=lambda: _samples(name),
  )  # fmt: skip


MAPPINGS = tuple(_record(name) for name in ("MultiHeadDotProductAttention", "MultiHeadAttention", "SelfAttention"))
