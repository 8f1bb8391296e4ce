"""Corpus of real Flax Linen modules from PyPI packages, as small runnable cases.

``CASES`` is a plain list of :class:`Case`.  Nothing is imported (not even jax)
until ``case.build()`` runs.  ``build()`` returns ``(module, args, kwargs, opts)``:

* ``module``: a bound-free ``flax.linen.Module`` with a tiny configuration,
* ``args``/``kwargs``: what ``init`` and ``apply`` are called with,
* ``opts`` (all optional):
    ``init_rngs``    rng streams for init, default ``('params',)``
    ``apply_rngs``   rng streams for apply, default ``()``
    ``init_kwargs``  kwargs that replace/extend ``kwargs`` for init only
    ``apply_kwargs`` kwargs that replace/extend ``kwargs`` for apply only
    ``apply_args``   args that replace ``args`` for apply only
    ``mutable``      collections to make mutable in apply, default ``False``
    ``method``       method name for both init and apply
    ``init_method``  method name for init only (``method`` is then for apply)

``call_init(case)``/``call_apply(...)`` in ``run_linen.py`` show the intended use.
"""

from __future__ import annotations

import dataclasses
import importlib
import warnings
from collections.abc import Callable
from typing import Any

import shims


@dataclasses.dataclass(frozen=True)
class Case:
  id: str
  package: str  # key of PACKAGES
  path: str  # 'import.path:ClassOrFactory'
  fn: Callable[[], tuple]
  notes: str = ""

  @property
  def requirement(self) -> str:
    return PACKAGES[self.package]["req"]

  @property
  def tags(self) -> list[str]:
    return TAGS.get(self.id, [])

  def build(self) -> tuple[Any, tuple, dict, dict]:
    warnings.simplefilter("ignore")
    with shims.keep_jax_config():
      PACKAGES[self.package].get("shim", lambda: None)()
      out = self.fn()
    module, args, kwargs, opts = tuple(out) + ((), {}, {})[len(out) - 1 :]
    return module, tuple(args), dict(kwargs), dict(opts)


# ---------------------------------------------------------------- packages


def _shim_diffusers():
  from diffusers.utils import logging

  logging.set_verbosity_error()


def _shim_dopamine():
  shims.jax_symbols()
  shims.stub("tensorflow", "ale_py", "baselines", "cv2", "gym", "minatar", "tf_slim")


def _shim_kauldron():
  shims.stub("tensorflow")


def _shim_sbx():
  shims.jax_symbols()
  shims.stub("stable_baselines3", "torch")


def _shim_rejax():
  shims.jax_symbols()
  shims.stub("gymnax")


def _shim_dalle():
  shims.jax_symbols()
  shims.stub("wandb")


PACKAGES: dict[str, dict[str, Any]] = {
  "transformers": dict(req="transformers==4.57.6", shim=shims.clip_kwargs),
  "diffusers": dict(req="diffusers==0.39.0", shim=_shim_diffusers),
  "flaxmodels": dict(req="flaxmodels==0.1.3", shim=shims.reshape_newshape),
  "gemma": dict(req="gemma==3.3.0", shim=_shim_kauldron),
  "kauldron": dict(req="kauldron==1.4.2", shim=_shim_kauldron),
  "dopamine-rl": dict(req="dopamine-rl==4.1.2", shim=_shim_dopamine),
  "netket": dict(req="netket==3.23.0"),
  "scico": dict(req="scico==0.0.7"),
  "e3nn-jax": dict(req="e3nn-jax==0.21.0"),
  "flaxdiff": dict(req="flaxdiff==0.2.11", shim=_shim_diffusers),
  "dalle-mini": dict(req="dalle-mini==0.1.5", shim=_shim_dalle),
  "evojax": dict(req="evojax==0.2.17"),
  "rejax": dict(req="rejax==0.1.3", shim=_shim_rejax),
  "sbx-rl": dict(req="sbx-rl==0.28.0", shim=_shim_sbx),
}

CASES: list[Case] = []


def case(id: str, package: str, path: str, notes: str = ""):
  def add(fn):
    CASES.append(Case(id, package, path, fn, notes))
    return fn

  return add


def _get(path: str):
  mod, _, name = path.partition(":")
  obj = importlib.import_module(mod)
  for part in name.split(".") if name else ():
    obj = getattr(obj, part)
  return obj


# ---------------------------------------------------------------- inputs


def _x(*shape, seed=0, scale=1.0):
  import numpy as np

  return (np.random.RandomState(seed).randn(*shape) * scale).astype("float32")


def _u8(*shape, seed=0):
  import numpy as np

  return np.random.RandomState(seed).randint(0, 255, shape).astype("uint8")


def _ids(*shape, vocab=50, seed=0):
  import numpy as np

  return np.random.RandomState(seed).randint(3, vocab, shape).astype("int32")


def _ones(*shape, dtype="int32"):
  import numpy as np

  return np.ones(shape, dtype)


def _zeros(*shape, dtype="int32"):
  import numpy as np

  return np.zeros(shape, dtype)


def _pos(b, s):
  import numpy as np

  return np.broadcast_to(np.arange(s, dtype="int32"), (b, s))


def _key(i=0):
  import jax

  return jax.random.PRNGKey(i)


# ============================================================ transformers


def _hf(pkg: str, cls: str, **cfg_kw):
  mod = importlib.import_module(f"transformers.models.{pkg}.modeling_flax_{pkg}")
  conf_mod = importlib.import_module(f"transformers.models.{pkg}.configuration_{pkg}")
  name = cls[len("Flax") :]
  conf = next(
    v
    for k, v in vars(conf_mod).items()
    if k.endswith("Config") and k != "PretrainedConfig" and name.lower().startswith(k[: -len("Config")].lower())
  )
  return getattr(mod, cls), conf(**cfg_kw)


_BERT = dict(
  vocab_size=50,
  hidden_size=32,
  num_hidden_layers=2,
  num_attention_heads=4,
  intermediate_size=64,
  max_position_embeddings=32,
  type_vocab_size=2,
)


def _bert_inputs(b=2, s=8):
  return (_ids(b, s), _ones(b, s), _zeros(b, s), _pos(b, s), None)


@case(
  "hf_bert_mlm",
  "transformers",
  "transformers.models.bert.modeling_flax_bert:FlaxBertForMaskedLMModule",
  'tied embedding read through self.bert.variables["params"]',
)
def _():
  cls, cfg = _hf("bert", "FlaxBertForMaskedLMModule", **_BERT)
  return cls(cfg), _bert_inputs()


@case(
  "hf_bert_pretraining_remat",
  "transformers",
  "transformers.models.bert.modeling_flax_bert:FlaxBertForPreTrainingModule",
  "gradient_checkpointing=True -> nn.remat with static_argnums",
)
def _():
  cls, cfg = _hf("bert", "FlaxBertForPreTrainingModule", **_BERT)
  return cls(cfg, gradient_checkpointing=True), _bert_inputs()


@case(
  "hf_bert_seqcls_train",
  "transformers",
  "transformers.models.bert.modeling_flax_bert:FlaxBertForSequenceClassificationModule",
)
def _():
  cls, cfg = _hf("bert", "FlaxBertForSequenceClassificationModule", **_BERT)
  return (
    cls(cfg),
    _bert_inputs(),
    {},
    dict(init_rngs=("params", "dropout"), apply_rngs=("dropout",), apply_kwargs=dict(deterministic=False)),
  )


@case(
  "hf_bert_bf16",
  "transformers",
  "transformers.models.bert.modeling_flax_bert:FlaxBertModule",
  "dtype=bfloat16 compute, float32 params",
)
def _():
  import jax.numpy as jnp

  cls, cfg = _hf("bert", "FlaxBertModule", **_BERT)
  return cls(cfg, dtype=jnp.bfloat16), _bert_inputs()


@case(
  "hf_roberta_causal_cross_cache",
  "transformers",
  "transformers.models.roberta.modeling_flax_roberta:FlaxRobertaForCausalLMModule",
  "decoder with cross attention and autoregressive cache collection",
)
def _():
  cls, cfg = _hf(
    "roberta",
    "FlaxRobertaForCausalLMModule",
    **{**_BERT, "is_decoder": True, "add_cross_attention": True, "tie_word_embeddings": False},
  )
  b, s = 2, 8
  args = (_ids(b, s), _ones(b, s), _pos(b, s), _zeros(b, s), None, _x(b, 5, 32), _ones(b, 5))
  return cls(cfg), args, {}, dict(init_kwargs=dict(init_cache=True), mutable=["cache"])


@case(
  "hf_roberta_prelayernorm_mlm",
  "transformers",
  "transformers.models.roberta_prelayernorm.modeling_flax_roberta_prelayernorm:FlaxRobertaPreLayerNormForMaskedLMModule",
)
def _():
  from transformers import RobertaPreLayerNormConfig

  cls = _get(
    "transformers.models.roberta_prelayernorm."
    "modeling_flax_roberta_prelayernorm:"
    "FlaxRobertaPreLayerNormForMaskedLMModule"
  )
  return cls(RobertaPreLayerNormConfig(**_BERT)), _bert_inputs()


@case(
  "hf_albert_mlm",
  "transformers",
  "transformers.models.albert.modeling_flax_albert:FlaxAlbertForMaskedLMModule",
  "one layer group reused by every layer (weight sharing)",
)
def _():
  cls, cfg = _hf(
    "albert", "FlaxAlbertForMaskedLMModule", **_BERT, embedding_size=16, num_hidden_groups=1, inner_group_num=1
  )
  return cls(cfg), _bert_inputs()[:4]


@case(
  "hf_electra_pretraining",
  "transformers",
  "transformers.models.electra.modeling_flax_electra:FlaxElectraForPreTrainingModule",
)
def _():
  cls, cfg = _hf("electra", "FlaxElectraForPreTrainingModule", **_BERT, embedding_size=16)
  return cls(cfg), _bert_inputs()


@case(
  "hf_distilbert_qa",
  "transformers",
  "transformers.models.distilbert.modeling_flax_distilbert:FlaxDistilBertForQuestionAnsweringModule",
)
def _():
  cls, cfg = _hf(
    "distilbert",
    "FlaxDistilBertForQuestionAnsweringModule",
    vocab_size=50,
    dim=32,
    n_layers=2,
    n_heads=4,
    hidden_dim=64,
    max_position_embeddings=32,
  )
  return cls(cfg), (_ids(2, 8), _ones(2, 8))


@case(
  "hf_roformer_tokencls",
  "transformers",
  "transformers.models.roformer.modeling_flax_roformer:FlaxRoFormerForTokenClassificationModule",
)
def _():
  cls, cfg = _hf("roformer", "FlaxRoFormerForTokenClassificationModule", **_BERT)
  return cls(cfg), (_ids(2, 8), _ones(2, 8), _zeros(2, 8), None)


@case(
  "hf_bigbird_qa_blocksparse",
  "transformers",
  "transformers.models.big_bird.modeling_flax_big_bird:FlaxBigBirdForQuestionAnsweringModule",
  'block sparse attention; rng stream "indices" read via has_rng',
)
def _():
  cls, cfg = _hf(
    "big_bird",
    "FlaxBigBirdForQuestionAnsweringModule",
    **{
      **_BERT,
      "max_position_embeddings": 64,
      "block_size": 4,
      "num_random_blocks": 1,
      "attention_type": "block_sparse",
    },
  )
  b, s = 1, 48
  return (
    cls(cfg),
    (_ids(b, s), _ones(b, s), _zeros(b, s), _pos(b, s), None),
    {},
    dict(
      init_rngs=("params", "dropout", "indices"),
      apply_rngs=("dropout", "indices"),
      apply_kwargs=dict(deterministic=False),
    ),
  )


_GPT2 = dict(vocab_size=50, n_positions=32, n_embd=32, n_layer=2, n_head=4)


@case("hf_gpt2_lm", "transformers", "transformers.models.gpt2.modeling_flax_gpt2:FlaxGPT2LMHeadModule")
def _():
  cls, cfg = _hf("gpt2", "FlaxGPT2LMHeadModule", **_GPT2)
  return cls(cfg), (_ids(2, 8), _ones(2, 8), _pos(2, 8))


@case(
  "hf_gpt2_lm_cache_decode",
  "transformers",
  "transformers.models.gpt2.modeling_flax_gpt2:FlaxGPT2LMHeadModule",
  "init_cache=True then one-token decode with mutable cache",
)
def _():
  import numpy as np

  cls, cfg = _hf("gpt2", "FlaxGPT2LMHeadModule", **_GPT2)
  args = (_ids(2, 8), _ones(2, 8), _pos(2, 8))
  return (
    cls(cfg),
    args,
    {},
    dict(
      init_kwargs=dict(init_cache=True),
      mutable=["cache"],
      apply_args=(_ids(2, 1), _ones(2, 8), np.zeros((2, 1), "int32")),
    ),
  )


@case(
  "hf_gpt_neo_lm",
  "transformers",
  "transformers.models.gpt_neo.modeling_flax_gpt_neo:FlaxGPTNeoForCausalLMModule",
  "alternating global/local attention layers",
)
def _():
  cls, cfg = _hf(
    "gpt_neo",
    "FlaxGPTNeoForCausalLMModule",
    vocab_size=50,
    max_position_embeddings=32,
    hidden_size=32,
    num_layers=2,
    num_heads=4,
    attention_types=[[["global", "local"], 1]],
    window_size=4,
    intermediate_size=64,
  )
  return cls(cfg), (_ids(2, 8), _ones(2, 8), _pos(2, 8))


@case("hf_gptj_lm", "transformers", "transformers.models.gptj.modeling_flax_gptj:FlaxGPTJForCausalLMModule")
def _():
  cls, cfg = _hf("gptj", "FlaxGPTJForCausalLMModule", **_GPT2, rotary_dim=4)
  return cls(cfg), (_ids(2, 8), _ones(2, 8), _pos(2, 8))


@case(
  "hf_opt_lm",
  "transformers",
  "transformers.models.opt.modeling_flax_opt:FlaxOPTForCausalLMModule",
  "subclass of nn.Embed overriding setup and __call__",
)
def _():
  cls, cfg = _hf(
    "opt",
    "FlaxOPTForCausalLMModule",
    vocab_size=50,
    hidden_size=32,
    num_hidden_layers=2,
    ffn_dim=64,
    max_position_embeddings=32,
    num_attention_heads=4,
    word_embed_proj_dim=32,
    layerdrop=0.0,
  )
  return (cls(cfg), (_ids(2, 8), _ones(2, 8), _pos(2, 8)), {}, dict(init_rngs=("params", "dropout")))


@case("hf_bloom_lm", "transformers", "transformers.models.bloom.modeling_flax_bloom:FlaxBloomForCausalLMModule")
def _():
  cls, cfg = _hf("bloom", "FlaxBloomForCausalLMModule", vocab_size=50, hidden_size=32, n_layer=2, n_head=4)
  return cls(cfg), (_ids(2, 8), _ones(2, 8))


@case("hf_xglm_lm", "transformers", "transformers.models.xglm.modeling_flax_xglm:FlaxXGLMForCausalLMModule")
def _():
  cls, cfg = _hf(
    "xglm",
    "FlaxXGLMForCausalLMModule",
    vocab_size=50,
    d_model=32,
    ffn_dim=64,
    num_layers=2,
    attention_heads=4,
    max_position_embeddings=32,
    layerdrop=0.0,
  )
  return (cls(cfg), (_ids(2, 8), _ones(2, 8), _pos(2, 8)), {}, dict(init_rngs=("params", "dropout")))


_LLAMA = dict(
  vocab_size=50,
  hidden_size=32,
  intermediate_size=64,
  num_hidden_layers=2,
  num_attention_heads=4,
  num_key_value_heads=2,
  max_position_embeddings=32,
)


@case("hf_llama_lm", "transformers", "transformers.models.llama.modeling_flax_llama:FlaxLlamaForCausalLMModule")
def _():
  cls, cfg = _hf("llama", "FlaxLlamaForCausalLMModule", **_LLAMA)
  return cls(cfg), (_ids(2, 8), _ones(2, 8), _pos(2, 8))


@case(
  "hf_llama_lm_cache",
  "transformers",
  "transformers.models.llama.modeling_flax_llama:FlaxLlamaForCausalLMModule",
  "init_cache=True with mutable cache",
)
def _():
  cls, cfg = _hf("llama", "FlaxLlamaForCausalLMModule", **_LLAMA)
  return (
    cls(cfg),
    (_ids(2, 8), _ones(2, 8), _pos(2, 8)),
    {},
    dict(init_kwargs=dict(init_cache=True), mutable=["cache"], apply_args=(_ids(2, 1), _ones(2, 8), _pos(2, 1))),
  )


@case("hf_mistral_lm", "transformers", "transformers.models.mistral.modeling_flax_mistral:FlaxMistralForCausalLMModule")
def _():
  cls, cfg = _hf("mistral", "FlaxMistralForCausalLMModule", **_LLAMA, sliding_window=4)
  return cls(cfg), (_ids(2, 8), _ones(2, 8), _pos(2, 8))


@case("hf_gemma_lm", "transformers", "transformers.models.gemma.modeling_flax_gemma:FlaxGemmaForCausalLMModule")
def _():
  cls, cfg = _hf("gemma", "FlaxGemmaForCausalLMModule", **_LLAMA, head_dim=8)
  return cls(cfg), (_ids(2, 8), _ones(2, 8), _pos(2, 8))


_T5 = dict(
  vocab_size=50,
  d_model=32,
  d_kv=8,
  d_ff=64,
  num_layers=2,
  num_decoder_layers=2,
  num_heads=4,
  relative_attention_num_buckets=8,
)


@case(
  "hf_t5_condgen",
  "transformers",
  "transformers.models.t5.modeling_flax_t5:FlaxT5ForConditionalGenerationModule",
  "one nn.Embed shared by encoder, decoder and lm head",
)
def _():
  cls, cfg = _hf("t5", "FlaxT5ForConditionalGenerationModule", **_T5)
  return (
    cls(cfg),
    (),
    dict(
      input_ids=_ids(2, 8),
      attention_mask=_ones(2, 8),
      decoder_input_ids=_ids(2, 6, seed=1),
      decoder_attention_mask=_ones(2, 6),
    ),
  )


@case("hf_t5_encoder_remat_gated", "transformers", "transformers.models.t5.modeling_flax_t5:FlaxT5EncoderModule")
def _():
  cls, cfg = _hf("t5", "FlaxT5EncoderModule", **_T5, feed_forward_proj="gated-gelu", is_encoder_decoder=False)
  return cls(cfg, gradient_checkpointing=True), (_ids(2, 8), _ones(2, 8))


@case(
  "hf_longt5_condgen",
  "transformers",
  "transformers.models.longt5.modeling_flax_longt5:FlaxLongT5ForConditionalGenerationModule",
)
def _():
  cls, cfg = _hf(
    "longt5",
    "FlaxLongT5ForConditionalGenerationModule",
    **_T5,
    local_radius=5,
    encoder_attention_type="transient-global",
    global_block_size=4,
  )
  return (
    cls(cfg),
    (),
    dict(
      input_ids=_ids(2, 16),
      attention_mask=_ones(2, 16),
      decoder_input_ids=_ids(2, 6, seed=1),
      decoder_attention_mask=_ones(2, 6),
    ),
  )


_BART = dict(
  vocab_size=50,
  d_model=32,
  encoder_layers=2,
  decoder_layers=2,
  encoder_ffn_dim=64,
  decoder_ffn_dim=64,
  encoder_attention_heads=4,
  decoder_attention_heads=4,
  max_position_embeddings=32,
)


def _seq2seq_args(b=2, s=8, t=6):
  return (_ids(b, s), _ones(b, s), _ids(b, t, seed=1), _ones(b, t), _pos(b, s), _pos(b, t))


@case(
  "hf_bart_condgen",
  "transformers",
  "transformers.models.bart.modeling_flax_bart:FlaxBartForConditionalGenerationModule",
  "shared nn.Embed passed as a module-typed field; self.param bias",
)
def _():
  cls, cfg = _hf("bart", "FlaxBartForConditionalGenerationModule", **_BART)
  return (cls(cfg), _seq2seq_args(), {}, dict(init_rngs=("params", "dropout")))


@case(
  "hf_bart_seqcls_train",
  "transformers",
  "transformers.models.bart.modeling_flax_bart:FlaxBartForQuestionAnsweringModule",
  "dropout and layerdrop, deterministic=False",
)
def _():
  cls, cfg = _hf("bart", "FlaxBartForQuestionAnsweringModule", **_BART)
  return (
    cls(cfg),
    _seq2seq_args(),
    {},
    dict(init_rngs=("params", "dropout"), apply_rngs=("dropout",), apply_kwargs=dict(deterministic=False)),
  )


@case(
  "hf_mbart_condgen",
  "transformers",
  "transformers.models.mbart.modeling_flax_mbart:FlaxMBartForConditionalGenerationModule",
)
def _():
  cls, cfg = _hf("mbart", "FlaxMBartForConditionalGenerationModule", **_BART)
  return (cls(cfg), _seq2seq_args(), {}, dict(init_rngs=("params", "dropout")))


@case(
  "hf_pegasus_condgen",
  "transformers",
  "transformers.models.pegasus.modeling_flax_pegasus:FlaxPegasusForConditionalGenerationModule",
)
def _():
  cls, cfg = _hf("pegasus", "FlaxPegasusForConditionalGenerationModule", **_BART)
  return (cls(cfg), _seq2seq_args(), {}, dict(init_rngs=("params", "dropout")))


@case("hf_marian_mt", "transformers", "transformers.models.marian.modeling_flax_marian:FlaxMarianMTModule")
def _():
  cls, cfg = _hf("marian", "FlaxMarianMTModule", **_BART, pad_token_id=1)
  return (cls(cfg), _seq2seq_args(), {}, dict(init_rngs=("params", "dropout")))


@case(
  "hf_blenderbot_condgen",
  "transformers",
  "transformers.models.blenderbot.modeling_flax_blenderbot:FlaxBlenderbotForConditionalGenerationModule",
)
def _():
  cls, cfg = _hf("blenderbot", "FlaxBlenderbotForConditionalGenerationModule", **_BART)
  return (cls(cfg), _seq2seq_args(), {}, dict(init_rngs=("params", "dropout")))


@case(
  "hf_whisper_condgen",
  "transformers",
  "transformers.models.whisper.modeling_flax_whisper:FlaxWhisperForConditionalGenerationModule",
  "Conv1D front-end, frozen sinusoidal embedding",
)
def _():
  cls, cfg = _hf(
    "whisper",
    "FlaxWhisperForConditionalGenerationModule",
    vocab_size=60,
    num_mel_bins=8,
    encoder_layers=1,
    decoder_layers=1,
    encoder_attention_heads=2,
    decoder_attention_heads=2,
    encoder_ffn_dim=32,
    decoder_ffn_dim=32,
    d_model=16,
    max_source_positions=10,
    max_target_positions=12,
    pad_token_id=1,
    bos_token_id=2,
    eos_token_id=2,
    decoder_start_token_id=2,
  )
  return (
    cls(cfg),
    (),
    dict(
      input_features=_x(2, 8, 20),
      decoder_input_ids=_ids(2, 6),
      decoder_attention_mask=_ones(2, 6),
      decoder_position_ids=_pos(2, 6),
    ),
    dict(init_rngs=("params", "dropout")),
  )


@case(
  "hf_wav2vec2_pretraining_train",
  "transformers",
  "transformers.models.wav2vec2.modeling_flax_wav2vec2:FlaxWav2Vec2ForPreTrainingModule",
  "weight-norm conv (self.param kernels), gumbel quantizer (make_rng)",
)
def _():
  cls, cfg = _hf(
    "wav2vec2",
    "FlaxWav2Vec2ForPreTrainingModule",
    vocab_size=32,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
    conv_dim=(16, 16),
    conv_stride=(4, 2),
    conv_kernel=(8, 3),
    num_conv_pos_embeddings=8,
    num_conv_pos_embedding_groups=2,
    do_stable_layer_norm=True,
    feat_extract_norm="layer",
    num_codevectors_per_group=8,
    codevector_dim=8,
    proj_codevector_dim=8,
    layerdrop=0.0,
  )
  return (
    cls(cfg),
    (_x(2, 256),),
    {},
    dict(
      init_rngs=("params", "dropout", "gumbel"),
      apply_rngs=("dropout", "gumbel"),
      apply_kwargs=dict(deterministic=False),
    ),
  )


_VIT = dict(
  hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, image_size=16, patch_size=4
)


@case("hf_vit_cls", "transformers", "transformers.models.vit.modeling_flax_vit:FlaxViTForImageClassificationModule")
def _():
  cls, cfg = _hf("vit", "FlaxViTForImageClassificationModule", **_VIT)
  return cls(cfg), (_x(2, 16, 16, 3),)


@case(
  "hf_beit_mim_train",
  "transformers",
  "transformers.models.beit.modeling_flax_beit:FlaxBeitForMaskedImageModelingModule",
  'relative position bias params, DropPath module with make_rng("droppath")',
)
def _():
  import numpy as np

  cls, cfg = _hf(
    "beit",
    "FlaxBeitForMaskedImageModelingModule",
    **_VIT,
    vocab_size=40,
    use_relative_position_bias=True,
    use_mask_token=True,
    drop_path_rate=0.1,
  )
  mask = np.random.RandomState(0).rand(2, 16) > 0.5
  return (
    cls(cfg),
    (_x(2, 16, 16, 3), mask),
    {},
    dict(
      init_rngs=("params", "dropout", "droppath"),
      apply_rngs=("dropout", "droppath"),
      apply_kwargs=dict(deterministic=False),
    ),
  )


@case(
  "hf_dinov2_cls",
  "transformers",
  "transformers.models.dinov2.modeling_flax_dinov2:FlaxDinov2ForImageClassificationModule",
)
def _():
  cls, cfg = _hf(
    "dinov2",
    "FlaxDinov2ForImageClassificationModule",
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    mlp_ratio=2,
    image_size=16,
    patch_size=4,
    use_swiglu_ffn=True,
  )
  return (cls(cfg), (_x(2, 16, 16, 3),), {}, dict(init_rngs=("params", "dropout", "droppath")))


@case(
  "hf_clip",
  "transformers",
  "transformers.models.clip.modeling_flax_clip:FlaxCLIPModule",
  "two towers, logit_scale self.param in setup",
)
def _():
  cls, cfg = _hf(
    "clip",
    "FlaxCLIPModule",
    text_config=dict(
      vocab_size=50,
      hidden_size=32,
      intermediate_size=64,
      num_hidden_layers=2,
      num_attention_heads=4,
      max_position_embeddings=16,
    ),
    vision_config=_VIT,
    projection_dim=16,
  )
  return (
    cls(cfg),
    (),
    dict(input_ids=_ids(2, 8), pixel_values=_x(2, 16, 16, 3), attention_mask=_ones(2, 8), position_ids=_pos(2, 8)),
  )


@case(
  "hf_resnet_cls_train",
  "transformers",
  "transformers.models.resnet.modeling_flax_resnet:FlaxResNetForImageClassificationModule",
  "BatchNorm batch_stats, nn.Sequential",
)
def _():
  cls, cfg = _hf(
    "resnet",
    "FlaxResNetForImageClassificationModule",
    embedding_size=16,
    hidden_sizes=[16, 32],
    depths=[2, 1],
    layer_type="bottleneck",
  )
  return (cls(cfg), (_x(2, 32, 32, 3),), {}, dict(apply_kwargs=dict(deterministic=False), mutable=["batch_stats"]))


@case(
  "hf_regnet_cls",
  "transformers",
  "transformers.models.regnet.modeling_flax_regnet:FlaxRegNetForImageClassificationModule",
  "squeeze-excite, grouped conv, BatchNorm",
)
def _():
  cls, cfg = _hf(
    "regnet",
    "FlaxRegNetForImageClassificationModule",
    embedding_size=16,
    hidden_sizes=[16, 32],
    depths=[1, 2],
    groups_width=8,
    layer_type="y",
  )
  return cls(cfg), (_x(2, 32, 32, 3),)


@case(
  "hf_encoder_decoder_bert_gpt2",
  "transformers",
  "transformers.models.encoder_decoder.modeling_flax_encoder_decoder:FlaxEncoderDecoderModule",
  "setup instantiates module classes looked up in registries; bind-free .module_class",
)
def _():
  from transformers import BertConfig, EncoderDecoderConfig, GPT2Config

  cls = _get("transformers.models.encoder_decoder.modeling_flax_encoder_decoder:FlaxEncoderDecoderModule")
  cfg = EncoderDecoderConfig.from_encoder_decoder_configs(
    BertConfig(**_BERT), GPT2Config(**_GPT2, add_cross_attention=True)
  )
  return cls(cfg), _seq2seq_args()


@case(
  "hf_vision_encoder_decoder",
  "transformers",
  "transformers.models.vision_encoder_decoder.modeling_flax_vision_encoder_decoder:FlaxVisionEncoderDecoderModule",
)
def _():
  from transformers import GPT2Config, VisionEncoderDecoderConfig, ViTConfig

  cls = _get(
    "transformers.models.vision_encoder_decoder.modeling_flax_vision_encoder_decoder:FlaxVisionEncoderDecoderModule"
  )
  cfg = VisionEncoderDecoderConfig.from_encoder_decoder_configs(
    ViTConfig(**_VIT), GPT2Config(**_GPT2, add_cross_attention=True)
  )
  return cls(cfg), (_x(2, 16, 16, 3), _ids(2, 6), _ones(2, 6), _pos(2, 6))


@case(
  "hf_vision_text_dual_encoder",
  "transformers",
  "transformers.models.vision_text_dual_encoder.modeling_flax_vision_text_dual_encoder:FlaxVisionTextDualEncoderModule",
)
def _():
  from transformers import BertConfig, VisionTextDualEncoderConfig, ViTConfig

  cls = _get(
    "transformers.models.vision_text_dual_encoder."
    "modeling_flax_vision_text_dual_encoder:"
    "FlaxVisionTextDualEncoderModule"
  )
  cfg = VisionTextDualEncoderConfig.from_vision_text_configs(ViTConfig(**_VIT), BertConfig(**_BERT), projection_dim=16)
  return (
    cls(cfg),
    (),
    dict(
      input_ids=_ids(2, 8),
      pixel_values=_x(2, 16, 16, 3),
      attention_mask=_ones(2, 8),
      position_ids=_pos(2, 8),
      token_type_ids=_zeros(2, 8),
    ),
  )


@case(
  "hf_speech_encoder_decoder",
  "transformers",
  "transformers.models.speech_encoder_decoder.modeling_flax_speech_encoder_decoder:FlaxSpeechEncoderDecoderModule",
)
def _():
  from transformers import GPT2Config, SpeechEncoderDecoderConfig, Wav2Vec2Config

  cls = _get(
    "transformers.models.speech_encoder_decoder.modeling_flax_speech_encoder_decoder:FlaxSpeechEncoderDecoderModule"
  )
  enc = Wav2Vec2Config(
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=32,
    conv_dim=(16, 16),
    conv_stride=(4, 2),
    conv_kernel=(8, 3),
    num_conv_pos_embeddings=8,
    num_conv_pos_embedding_groups=2,
    do_stable_layer_norm=True,
    feat_extract_norm="layer",
    layerdrop=0.0,
    add_adapter=True,
    num_adapter_layers=1,
    output_hidden_size=16,
  )
  cfg = SpeechEncoderDecoderConfig.from_encoder_decoder_configs(
    enc, GPT2Config(**{**_GPT2, "n_layer": 1}, add_cross_attention=True)
  )
  return (
    cls(cfg),
    (_x(2, 256), _ones(2, 256), _ids(2, 6), _ones(2, 6), _pos(2, 6)),
    {},
    dict(init_rngs=("params", "dropout")),
  )


@case(
  "hf_bert_multiple_choice",
  "transformers",
  "transformers.models.bert.modeling_flax_bert:FlaxBertForMultipleChoiceModule",
)
def _():
  cls, cfg = _hf("bert", "FlaxBertForMultipleChoiceModule", **{**_BERT, "num_hidden_layers": 1})
  b = _bert_inputs(6, 8)
  return cls(cfg), tuple(None if x is None else x.reshape(2, 3, 8) for x in b)


# ============================================================ diffusers


def _unet_kw():
  return dict(
    sample_size=8,
    block_out_channels=(32, 64),
    layers_per_block=1,
    down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    attention_head_dim=4,
    cross_attention_dim=16,
  )


@case(
  "diffusers_unet2d_condition",
  "diffusers",
  "diffusers.models.unets.unet_2d_condition_flax:FlaxUNet2DConditionModel",
  "ConfigMixin + nn.Module multiple inheritance; lists of submodules in setup",
)
def _():
  cls = _get("diffusers.models.unets.unet_2d_condition_flax:FlaxUNet2DConditionModel")
  return cls(**_unet_kw()), (_x(1, 4, 8, 8), _ones(1), _x(1, 5, 16))


@case(
  "diffusers_unet2d_linproj_splithead",
  "diffusers",
  "diffusers.models.unets.unet_2d_condition_flax:FlaxUNet2DConditionModel",
  "SDXL-style: text_time added conditioning, linear projection",
)
def _():
  cls = _get("diffusers.models.unets.unet_2d_condition_flax:FlaxUNet2DConditionModel")
  m = cls(
    **_unet_kw(),
    use_linear_projection=True,
    split_head_dim=True,
    transformer_layers_per_block=(1, 1),
    addition_embed_type="text_time",
    addition_time_embed_dim=8,
    projection_class_embeddings_input_dim=64,
  )
  return (
    m,
    (_x(1, 4, 8, 8), _ones(1), _x(1, 5, 16)),
    dict(added_cond_kwargs=dict(text_embeds=_x(1, 16), time_ids=_ones(1, 6))),
  )


@case("diffusers_controlnet", "diffusers", "diffusers.models.controlnets.controlnet_flax:FlaxControlNetModel")
def _():
  cls = _get("diffusers.models.controlnets.controlnet_flax:FlaxControlNetModel")
  kw = _unet_kw()
  kw.pop("up_block_types")
  m = cls(**kw, conditioning_embedding_out_channels=(8, 16))
  return m, (_x(1, 4, 8, 8), _ones(1), _x(1, 5, 16), _x(1, 3, 16, 16))


def _vae():
  cls = _get("diffusers.models.vae_flax:FlaxAutoencoderKL")
  return cls(
    down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
    up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
    block_out_channels=(16, 32),
    norm_num_groups=8,
    sample_size=16,
  )


@case(
  "diffusers_vae",
  "diffusers",
  "diffusers.models.vae_flax:FlaxAutoencoderKL",
  'make_rng("gaussian") when sample_posterior=True',
)
def _():
  return (
    _vae(),
    (_x(1, 3, 16, 16),),
    dict(sample_posterior=True),
    dict(init_rngs=("params", "gaussian"), apply_rngs=("gaussian",)),
  )


@case(
  "diffusers_vae_decode_method",
  "diffusers",
  "diffusers.models.vae_flax:FlaxAutoencoderKL.decode",
  'full init, apply(method="decode")',
)
def _():
  return (_vae(), (_x(1, 3, 16, 16),), {}, dict(init_method="__call__", method="decode", apply_args=(_x(1, 4, 8, 8),)))


@case("diffusers_transformer2d", "diffusers", "diffusers.models.attention_flax:FlaxTransformer2DModel")
def _():
  cls = _get("diffusers.models.attention_flax:FlaxTransformer2DModel")
  m = cls(in_channels=32, n_heads=2, d_head=16, depth=2, dropout=0.1)
  return (
    m,
    (_x(1, 4, 4, 32), _x(1, 5, 16)),
    {},
    dict(init_rngs=("params", "dropout"), apply_rngs=("dropout",), apply_kwargs=dict(deterministic=False)),
  )


@case(
  "diffusers_vae_encode_method",
  "diffusers",
  "diffusers.models.vae_flax:FlaxAutoencoderKL.encode",
  "init and apply through encode only: decoder submodules never run",
)
def _():
  return (_vae(), (_x(1, 3, 16, 16),), {}, dict(method="encode"))


# ============================================================ flaxmodels


@case(
  "flaxmodels_stylegan2_generator",
  "flaxmodels",
  "flaxmodels.stylegan2.generator:Generator",
  "setup + compact in one class; moving_stats/noise_const variables; own rng field",
)
def _():
  cls = _get("flaxmodels.stylegan2.generator:Generator")
  m = cls(
    resolution=16,
    z_dim=16,
    w_dim=16,
    mapping_layer_features=16,
    num_ws=6,
    num_mapping_layers=2,
    fmap_base=128,
    fmap_max=16,
  )
  return (m, (_x(2, 16),), dict(rng=_key(1)), dict(mutable=["moving_stats"]))


@case("flaxmodels_stylegan2_discriminator", "flaxmodels", "flaxmodels.stylegan2.discriminator:Discriminator")
def _():
  cls = _get("flaxmodels.stylegan2.discriminator:Discriminator")
  m = cls(resolution=16, fmap_base=128, fmap_max=16, mbstd_group_size=2)
  return m, (_x(2, 16, 16, 3),)


@case("flaxmodels_stylegan2_mapping_cond", "flaxmodels", "flaxmodels.stylegan2.generator:MappingNetwork")
def _():
  import numpy as np

  cls = _get("flaxmodels.stylegan2.generator:MappingNetwork")
  m = cls(z_dim=16, c_dim=4, w_dim=16, embed_features=8, layer_features=16, num_ws=6, num_layers=2)
  c = np.eye(4, dtype="float32")[:2]
  return m, (_x(2, 16), c), dict(truncation_psi=0.7), dict(mutable=["moving_stats"])


@case("flaxmodels_fewshot_generator", "flaxmodels", "flaxmodels.few_shot_gan_adaption.generator:Generator")
def _():
  cls = _get("flaxmodels.few_shot_gan_adaption.generator:Generator")
  m = cls(
    resolution=16,
    z_dim=16,
    w_dim=16,
    mapping_layer_features=16,
    num_ws=6,
    num_mapping_layers=2,
    fmap_base=128,
    fmap_max=16,
  )
  return (m, (_x(2, 16),), dict(rng=_key(1)), dict(mutable=["moving_stats"]))


@case(
  "flaxmodels_resnet_bottleneck_train",
  "flaxmodels",
  "flaxmodels.resnet.resnet:Bottleneck",
  "own BatchNorm with batch_stats; activations dict passed as input",
)
def _():
  cls = _get("flaxmodels.resnet.resnet:Bottleneck")
  m = cls(features=8, downsample=True, block_name="block1_0")
  return (m, (_x(2, 8, 8, 16), {}), dict(train=True), dict(mutable=["batch_stats"]))


@case(
  "flaxmodels_gpt2_model",
  "flaxmodels",
  "flaxmodels.gpt2.gpt2:GPT2Model",
  "SimpleNamespace config field; attributes set in setup read in compact; returns past_key_values",
)
def _():
  # GPT2LMHeadModel cannot be built without pretrained weights (upstream bug)
  cls = _get("flaxmodels.gpt2.gpt2:GPT2Model")

  import types

  cfg = types.SimpleNamespace(
    vocab_size=50,
    n_positions=32,
    n_ctx=32,
    n_embd=32,
    n_layer=2,
    n_head=4,
    n_inner=None,
    activation_function="gelu_new",
    scale_attn_weights=True,
    resid_pdrop=0.1,
    embd_pdrop=0.1,
    attn_pdrop=0.1,
    layer_norm_epsilon=1e-5,
    initializer_range=0.02,
  )
  return cls(config=cfg), (_ids(2, 8),), dict(use_cache=True)


# ============================================================ gemma


def _gemma_cfg(**kw):
  c = importlib.import_module("gemma.gm.nn._config")
  mods = importlib.import_module("gemma.gm.nn._modules")
  T = mods.AttentionType
  base = dict(
    num_embed=64,
    embed_dim=32,
    hidden_dim=64,
    num_heads=4,
    head_dim=8,
    num_kv_heads=2,
    final_logit_softcap=30.0,
    use_post_attn_norm=True,
    use_post_ffw_norm=True,
    attention_types=(T.LOCAL_SLIDING, T.GLOBAL),
    sliding_window_size=4,
  )
  base.update(kw)
  return c.TransformerConfig(**base)


def _gm_transformer(**kw):
  import jax.numpy as jnp

  Transformer = _get("gemma.gm.nn._transformer:Transformer")
  return Transformer(config=_gemma_cfg(**kw), dtype=jnp.float32)


@case(
  "gemma_transformer_gemma2",
  "gemma",
  "gemma.gm.nn._transformer:Transformer",
  "nn.jit on __call__, KW_ONLY dataclass fields, __post_init__, dtype context",
)
def _():
  return _gm_transformer(attn_logits_soft_cap=50.0), (_ids(2, 8),)


@case("gemma_transformer_gemma3_qknorm", "gemma", "gemma.gm.nn._transformer:Transformer")
def _():
  return _gm_transformer(use_qk_norm=True, transpose_gating_einsum=True, final_logit_softcap=None, num_kv_heads=1), (
    _ids(2, 8),
  )


@case(
  "gemma_transformer_kvcache",
  "gemma",
  "gemma.gm.nn._transformer:Transformer",
  "explicit cache pytree passed in and returned",
)
def _():
  import jax.numpy as jnp
  import numpy as np

  m = _gm_transformer()
  cache = m.config.init_cache(2, jnp.float32, cache_length=8)
  mask = np.tril(np.ones((8, 8), bool))[None].repeat(2, 0)
  return m, (_ids(2, 8),), dict(positions=_pos(2, 8), cache=cache, attention_mask=mask)


def _siglip():
  V = importlib.import_module("gemma.multimodal.vision")
  U = importlib.import_module("gemma.multimodal.vision_utils")
  return V.SigLiPFromPatches(
    siglip_encoder=U.ViTModel(patch_size=(4, 4), width=16, depth=2, mlp_dim=32, num_heads=2),
    siglip_exit=V.VisionExit(output_length=4),
    num_mm_tokens_per_image_prepool=16,
    num_mm_tokens_per_image=4,
    image_height=16,
    image_width=16,
  )


@case("gemma_siglip_from_patches", "gemma", "gemma.multimodal.vision:SigLiPFromPatches")
def _():
  return _siglip(), (), dict(patches=_x(1, 1, 16, 48), is_training=False)


@case(
  "gemma_vit_dropout_train",
  "gemma",
  "gemma.multimodal.vision_utils:ViTModel",
  "train=True dropout; scan=True is broken upstream (block returns no ys)",
)
def _():
  cls = _get("gemma.multimodal.vision_utils:ViTModel")
  m = cls(patch_size=(4, 4), width=16, depth=2, mlp_dim=32, num_heads=2, dropout=0.1)
  return (
    m,
    (_x(1, 1, 16, 48),),
    {},
    dict(init_rngs=("params", "dropout"), apply_rngs=("dropout",), apply_kwargs=dict(train=True)),
  )


@case("gemma_vit_encoder_loop", "gemma", "gemma.multimodal.vision_utils:Encoder")
def _():
  cls = _get("gemma.multimodal.vision_utils:Encoder")
  return cls(depth=2, mlp_dim=32, num_heads=2), (_x(2, 9, 16),)


@case("gemma_map_head", "gemma", "gemma.multimodal.vision_utils:MAPHead")
def _():
  cls = _get("gemma.multimodal.vision_utils:MAPHead")
  return cls(block_id=0, mlp_dim=32, num_heads=2), (_x(2, 9, 16),)


@case("gemma_embedder_encode", "gemma", "gemma.gm.nn._modules:Embedder.encode", "no __call__: only named methods")
def _():
  cls = _get("gemma.gm.nn._modules:Embedder")
  return cls(vocab_size=64, embed_dim=16), (_ids(2, 8),), {}, dict(method="encode")


@case(
  "gemma_gemma3n_transformer",
  "gemma",
  "gemma.gm.nn.gemma3n._transformer:Gemma3nTransformer",
  "AltUp / Laurel / per-layer embeddings / shared kv cache",
)
def _():
  import jax.numpy as jnp

  cfgm = importlib.import_module("gemma.gm.nn.gemma3n._config")
  T = importlib.import_module("gemma.gm.nn.gemma3n._modules").AttentionType
  cls = _get("gemma.gm.nn.gemma3n._transformer:Gemma3nTransformer")
  cfg = cfgm.TransformerConfig(
    num_embed=64,
    embed_dim=32,
    hidden_dim=64,
    num_heads=4,
    head_dim=8,
    num_kv_heads=2,
    final_logit_softcap=30.0,
    use_post_attn_norm=True,
    use_post_ffw_norm=True,
    attention_types=(T.LOCAL_SLIDING, T.GLOBAL),
    sliding_window_size=4,
    use_qk_norm=True,
    use_value_norm=True,
    use_altup=True,
    altup_coef_clip=120.0,
    use_laurel=True,
    laurel_rank=4,
    per_layer_input_dim=8,
    activation_sparsity_pattern=(0.5, 0.0),
    scale_plus_one=False,
  )
  return cls(config=cfg, dtype=jnp.float32), (_ids(2, 8),)


@case(
  "gemma_lora_wrapper",
  "gemma",
  "gemma.gm.nn._lora:LoRA",
  "nn.intercept_methods/ModuleInterceptor rewrites submodules at call time; share_scope",
)
def _():
  import jax.numpy as jnp

  cls = _get("gemma.gm.nn._lora:LoRA")
  return cls(rank=2, model=_gm_transformer(), dtype=jnp.float32), (_ids(2, 8),)


@case("gemma_quantization_aware_wrapper", "gemma", "gemma.gm.nn._quantization:QuantizationAwareWrapper")
def _():
  Q = importlib.import_module("gemma.gm.nn._quantization")
  from gemma import peft

  return (Q.QuantizationAwareWrapper(method=peft.QuantizationMethod.INT8, model=_gm_transformer()), (_ids(2, 8),))


@case("gemma_peft_lora_dense", "gemma", "gemma.peft._lora:LoRADense", "nn.share_scope with the wrapped nn.Dense")
def _():
  import flax.linen as nn
  from gemma import peft

  return peft.LoRADense(rank=2, wrapped=nn.Dense(12)), (_x(2, 8),)


@case("gemma_peft_lora_einsum", "gemma", "gemma.peft._lora:LoRAEinsum")
def _():
  import flax.linen as nn
  from gemma import peft

  return (peft.LoRAEinsum(rank=2, wrapped=nn.Einsum((8, 3, 4), "bd,dnh->bnh")), (_x(2, 8),))


@case("gemma_peft_lora_densegeneral", "gemma", "gemma.peft._lora:LoRADenseGeneral")
def _():
  import flax.linen as nn
  from gemma import peft

  return (peft.LoRADenseGeneral(rank=2, wrapped=nn.DenseGeneral((3, 4))), (_x(2, 8),))


@case("gemma_peft_sim_quant_dense", "gemma", "gemma.peft._quantization:SimulateQuantizedDense")
def _():
  import flax.linen as nn
  from gemma import peft

  return (peft.SimulateQuantizedDense(wrapped=nn.Dense(12), method=peft.QuantizationMethod.INT4), (_x(2, 8),))


@case(
  "gemma_t5gemma",
  "gemma",
  "gemma.research.t5gemma.t5gemma:T5Gemma",
  "encoder and decoder share one embedder; several entry methods",
)
def _():
  import jax.numpy as jnp

  M = importlib.import_module("gemma.research.t5gemma.modules")
  T = importlib.import_module("gemma.research.t5gemma.t5gemma")

  def cfg(**kw):
    return M.TransformerConfig(
      num_layers=2,
      num_embed=64,
      embed_dim=32,
      hidden_dim=64,
      num_heads=4,
      head_dim=8,
      num_kv_heads=2,
      final_logit_softcap=30.0,
      use_post_attn_norm=True,
      use_post_ffw_norm=True,
      attention_types=(M.AttentionType.LOCAL_SLIDING, M.AttentionType.GLOBAL),
      sliding_window_size=4,
      **kw,
    )

  c = T.T5GemmaConfig(encoder_config=cfg(bidirectional=True), decoder_config=cfg(enable_cross_attention=True))
  return (T.T5Gemma(config=c, dtype=jnp.float32), (_ids(2, 6), _ids(2, 8, seed=1)))


@case(
  "gemma_anchored_policy",
  "gemma",
  "gemma.gm.nn._policy:AnchoredPolicy",
  "anchor module shares structure with policy, stop_gradient",
)
def _():
  cls = _get("gemma.gm.nn._policy:AnchoredPolicy")
  kw = dict(use_qk_norm=True, num_kv_heads=1)
  return (cls(policy=_gm_transformer(**kw), anchor=_gm_transformer(**kw)), (_ids(2, 8),))


# ============================================================ kauldron


@case(
  "kauldron_vit",
  "kauldron",
  "kauldron.modules.vit:Vit",
  "module-typed fields built by classmethods; default_factory modules",
)
def _():
  K = importlib.import_module("kauldron.modules")
  # hidden_size != number of tokens: equal sizes trip a kauldron.ktyping bug
  # (IndexError while matching '*b n 2*feat')
  enc = K.VitEncoder.from_spec(num_heads=2, hidden_size=24, num_layers=2, patch_size=4, mlp_size=32)
  return K.Vit(encoder=enc, num_classes=5, image="image"), (_x(2, 16, 16, 3),)


@case("kauldron_vit_cls_token_parallel", "kauldron", "kauldron.modules.vit:Vit")
def _():
  K = importlib.import_module("kauldron.modules")
  enc = K.VitEncoder.from_spec(
    num_heads=2,
    hidden_size=16,
    num_layers=2,
    patch_size=4,
    mlp_size=32,
    block_type=K.ParallelAttentionBlock,
    prepend_cls_token=True,
  )
  return (K.Vit(encoder=enc, num_classes=5, mode="cls_token", image="image"), (_x(2, 16, 16, 3),))


@case("kauldron_prenorm_block", "kauldron", "kauldron.modules.transformers:PreNormBlock")
def _():
  cls = _get("kauldron.modules.transformers:PreNormBlock")
  return cls.from_spec(num_heads=2, mlp_size=32), (_x(2, 6, 16),)


@case(
  "kauldron_attention_decode",
  "kauldron",
  "kauldron.modules.attention:ImprovedMultiHeadDotProductAttention",
  "cache collection, decode=True",
)
def _():
  cls = _get("kauldron.modules.attention:ImprovedMultiHeadDotProductAttention")
  return (cls(num_heads=2, decode=True), (_x(2, 6, 16),), {}, dict(mutable=["cache"], apply_args=(_x(2, 1, 16),)))


@case("kauldron_sequential_shared", "kauldron", "kauldron.modules.models:Sequential", "same layer instance three times")
def _():
  K = importlib.import_module("kauldron.modules")
  m = K.Sequential.from_repeated(K.TransformerMLP(hidden_size=8), 3, shared_weights=True, inputs="x")
  return m, (_x(2, 8),)


@case("kauldron_sequential_cloned", "kauldron", "kauldron.modules.models:Sequential", "layer.copy() per repeat")
def _():
  import flax.linen as nn

  K = importlib.import_module("kauldron.modules")
  m = K.Sequential.from_repeated(
    K.TransformerMLP(hidden_size=8), 3, inputs="x", prefix=[nn.Dense(8)], suffix=[nn.LayerNorm()]
  )
  return m, (_x(2, 8),)


@case("kauldron_flat_autoencoder", "kauldron", "kauldron.modules.models:FlatAutoencoder")
def _():
  import flax.linen as nn

  K = importlib.import_module("kauldron.modules")
  return (K.FlatAutoencoder(encoder=nn.Dense(4), decoder=nn.Dense(48), inputs="x"), (_x(2, 4, 4, 3),))


@case("kauldron_external_module", "kauldron", "kauldron.modules.adapter:ExternalModule", "share_scope wrapper")
def _():
  import flax.linen as nn

  cls = _get("kauldron.modules.adapter:ExternalModule")
  return cls(model=nn.Dense(4), keys="batch.x"), (_x(2, 8),)


@case(
  "kauldron_linen_from_nnx",
  "kauldron",
  "kauldron.contrib.modules.nnx_wrapper:LinenFromNnxDef",
  "Linen module wrapping an NNX module (already migrated inside)",
)
def _():
  from flax import nnx

  cls = _get("kauldron.contrib.modules.nnx_wrapper:LinenFromNnxDef")
  # kauldron patches nn.Module.init/apply to take is_training_property
  return (cls(nnx.Linear, args=(8, 4)), (_x(2, 8),), dict(is_training_property=False))


@case("kauldron_improved_mhdpa", "kauldron", "kauldron.modules.deprecated:ImprovedMHDPAttention", "nn.DenseGeneral")
def _():
  cls = _get("kauldron.modules.deprecated:ImprovedMHDPAttention")
  return cls(num_heads=2, qk_size=8), (_x(2, 6, 16), _x(2, 5, 12))


# ============================================================ dopamine


@case("dopamine_impala_dqn", "dopamine-rl", "dopamine.jax.networks:ImpalaDQNNetwork")
def _():
  cls = _get("dopamine.jax.networks:ImpalaDQNNetwork")
  return cls(num_actions=4, inputs_preprocessed=True), (_x(24, 24, 4),)


@case("dopamine_rainbow", "dopamine-rl", "dopamine.jax.networks:RainbowNetwork")
def _():
  import numpy as np

  cls = _get("dopamine.jax.networks:RainbowNetwork")
  return cls(num_actions=4, num_atoms=11), (_u8(32, 32, 4), np.linspace(-1, 1, 11, dtype="float32"))


@case(
  "dopamine_full_rainbow_noisy",
  "dopamine-rl",
  "dopamine.jax.networks:FullRainbowNetwork",
  "NoisyNetwork submodule with PRNG key as a field; local closure net()",
)
def _():
  import numpy as np

  cls = _get("dopamine.jax.networks:FullRainbowNetwork")
  return (
    cls(num_actions=4, num_atoms=11),
    (_u8(32, 32, 4), np.linspace(-1, 1, 11, dtype="float32")),
    dict(key=_key(3)),
  )


@case("dopamine_iqn", "dopamine-rl", "dopamine.jax.networks:ImplicitQuantileNetwork")
def _():
  cls = _get("dopamine.jax.networks:ImplicitQuantileNetwork")
  return (cls(num_actions=4, quantile_embedding_dim=8), (_u8(32, 32, 4), 6, _key(2)))


@case("dopamine_classic_control_dqn", "dopamine-rl", "dopamine.jax.networks:ClassicControlDQNNetwork")
def _():
  cls = _get("dopamine.jax.networks:ClassicControlDQNNetwork")
  return (cls(num_actions=3, hidden_units=16, min_vals=(-1.0, -1.0), max_vals=(1.0, 1.0)), (_x(2, 1),))


@case("dopamine_sac_actor_critic", "dopamine-rl", "dopamine.jax.continuous_networks:ActorCriticNetwork")
def _():
  cls = _get("dopamine.jax.continuous_networks:ActorCriticNetwork")
  return cls((3,), hidden_units=16), (_x(6), _key(1))


@case(
  "dopamine_sac_actor_method",
  "dopamine-rl",
  "dopamine.jax.continuous_networks:ActorCriticNetwork.critic",
  'full init, apply(method="critic")',
)
def _():
  cls = _get("dopamine.jax.continuous_networks:ActorCriticNetwork")
  return (
    cls((3,), hidden_units=16),
    (_x(6), _key(1)),
    {},
    dict(init_method="__call__", method="critic", apply_args=(_x(6), _x(3))),
  )


@case("dopamine_ppo_discrete_actor_critic", "dopamine-rl", "dopamine.jax.networks:PPODiscreteActorCriticNetwork")
def _():
  cls = _get("dopamine.jax.networks:PPODiscreteActorCriticNetwork")
  return cls((4,)), (_u8(32, 32, 4), _key(1))


@case(
  "dopamine_softmoe",
  "dopamine-rl",
  "dopamine.labs.moes.architectures.softmoe:SoftMoE",
  "module-typed expert field run through nn.vmap",
)
def _():
  N = importlib.import_module("dopamine.labs.moes.architectures.networks")
  S = importlib.import_module("dopamine.labs.moes.architectures.softmoe")
  expert = N.ExpertModel(expert_hidden_size=8, rng_key=_key(0))
  return (S.SoftMoE(module=expert, num_experts=3), (_x(6, 8),), dict(key=_key(1)))


@case("dopamine_moe_topk", "dopamine-rl", "dopamine.labs.moes.architectures.moe:MoE")
def _():
  N = importlib.import_module("dopamine.labs.moes.architectures.networks")
  S = importlib.import_module("dopamine.labs.moes.architectures.moe")
  expert = N.ExpertModel(expert_hidden_size=8, rng_key=_key(0))
  return (S.MoE(module=expert, num_experts=3, num_selected_experts=1), (_x(6, 8),), dict(key=_key(1)))


@case(
  "dopamine_spr_rollout",
  "dopamine-rl",
  "dopamine.labs.atari_100k.spr_networks:SPRNetwork",
  "nn.scan transition model, jax.vmap over a bound method",
)
def _():
  import numpy as np

  cls = _get("dopamine.labs.atari_100k.spr_networks:SPRNetwork")
  m = cls(num_actions=4, num_atoms=11, noisy=False, dueling=True, distributional=True)
  return (
    m,
    (_x(24, 24, 4), np.linspace(-1, 1, 11, dtype="float32"), np.array([0, 1, 2], "int32")),
    dict(do_rollout=True, key=_key(1)),
  )


@case(
  "dopamine_redo_resnet_identity",
  "dopamine-rl",
  "dopamine.labs.redo.networks:ScalableDQNResNet",
  "named IdentityLayer modules as taps for capture_intermediates",
)
def _():
  cls = _get("dopamine.labs.redo.networks:ScalableDQNResNet")
  return cls(num_actions=4, width=1), (_u8(24, 24, 4),), {}, dict(mutable=["intermediates"])


# ============================================================ netket


def _nk():
  import os

  os.environ.setdefault("NETKET_ENABLE_X64", "0")
  import netket as nk

  return nk


def _spins(b, n, seed=0):
  import numpy as np

  return (np.random.RandomState(seed).randint(0, 2, (b, n)) * 2 - 1).astype("float32")


@case("netket_rbm", "netket", "netket.models:RBM")
def _():
  nk = _nk()
  return nk.models.RBM(alpha=2, param_dtype="float32"), (_spins(3, 6),)


@case("netket_rbm_symm", "netket", "netket.models:RBMSymm", "symmetrised Dense with HashableArray field")
def _():
  nk = _nk()
  g = nk.graph.Chain(6)
  return (nk.models.RBMSymm(symmetries=g.translation_group(), alpha=2, param_dtype="float32"), (_spins(3, 6),))


@case(
  "netket_gcnn",
  "netket",
  "netket.models:GCNN",
  "factory function choosing a module class; list of equivariant layers in setup",
)
def _():
  nk = _nk()
  g = nk.graph.Chain(6)
  return (nk.models.GCNN(symmetries=g, layers=2, features=3, mode="irreps", param_dtype="float32"), (_spins(3, 6),))


@case(
  "netket_arnn_dense", "netket", "netket.models:ARNNDense", "abstract base class; setup list built by comprehension"
)
def _():
  nk = _nk()
  hi = nk.hilbert.Spin(0.5, 6)
  return (nk.models.ARNNDense(hilbert=hi, layers=2, features=5, param_dtype="float32"), (_spins(3, 6),))


@case(
  "netket_fast_arnn_conditional",
  "netket",
  "netket.models:FastARNNDense",
  'cache collection; init through __call__, apply(method="conditional")',
)
def _():
  nk = _nk()
  hi = nk.hilbert.Spin(0.5, 6)
  m = nk.models.FastARNNDense(hilbert=hi, layers=2, features=5, param_dtype="float32")
  return (m, (_spins(3, 6), 0), {}, dict(init_method="conditional", method="conditional", mutable=["cache"]))


@case(
  "netket_rnn_lstm",
  "netket",
  "netket.experimental.models:RNN",
  "user LSTMCell as module-typed field of RNNLayer, lax.scan inside module",
)
def _():
  nk = _nk()
  hi = nk.hilbert.Spin(0.5, 6)
  M = importlib.import_module("netket.experimental.models")
  cls = M.LSTMNet
  return (cls(hilbert=hi, layers=1, features=5, param_dtype="float32"), (_spins(3, 6),))


@case(
  "netket_fast_rnn_gru",
  "netket",
  "netket.experimental.models:FastGRUNet1D",
  "cache collection + own GRU cell; layer subclasses override update_site",
)
def _():
  nk = _nk()
  M = importlib.import_module("netket.experimental.models")
  m = M.FastGRUNet1D(hilbert=nk.hilbert.Spin(0.5, 6), layers=1, features=5, param_dtype="float32")
  return (m, (_spins(3, 6), 0), {}, dict(init_method="conditional", method="conditional", mutable=["cache"]))


@case(
  "netket_multi_slater_vmap", "netket", "netket.models:MultiSlater2nd", "nn.vmap over determinants with split params"
)
def _():
  import numpy as np

  nk = _nk()
  hi = nk.hilbert.SpinOrbitalFermions(4, n_fermions=2)
  return (
    nk.models.MultiSlater2nd(hilbert=hi, n_determinants=3, param_dtype="float32"),
    (np.asarray(hi.all_states())[:3],),
  )


@case("netket_arnn_conv2d", "netket", "netket.models:ARNNConv2D")
def _():
  nk = _nk()
  hi = nk.hilbert.Spin(0.5, 9)
  return (
    nk.models.ARNNConv2D(hilbert=hi, layers=2, features=4, kernel_size=(2, 3), param_dtype="float32"),
    (_spins(3, 9),),
  )


@case("netket_mps", "netket", "netket.models.tensor_networks.mps:MPSPeriodic")
def _():
  nk = _nk()
  cls = _get("netket.models.tensor_networks.mps:MPSPeriodic")
  return (cls(hilbert=nk.hilbert.Spin(0.5, 6), bond_dim=3, param_dtype="float32"), (_spins(3, 6),))


@case("netket_slater", "netket", "netket.models:Slater2nd")
def _():
  import numpy as np

  nk = _nk()
  hi = nk.hilbert.SpinOrbitalFermions(4, n_fermions=2)
  return (nk.models.Slater2nd(hilbert=hi, param_dtype="float32"), (np.asarray(hi.all_states())[:3],))


@case("netket_deepset", "netket", "netket.models:DeepSetMLP")
def _():
  nk = _nk()
  return (nk.models.DeepSetMLP(features_phi=(8,), features_rho=(8,), param_dtype="float32"), (_x(3, 6, 4),))


@case(
  "netket_symm_exp_sum",
  "netket",
  "netket.nn.blocks:SymmExpSum",
  "module-typed field applied to symmetry-transformed inputs",
)
def _():
  nk = _nk()
  g = nk.graph.Chain(6)
  return (
    nk.nn.blocks.SymmExpSum(module=nk.models.RBM(alpha=1, param_dtype="float32"), symm_group=g.translation_group()),
    (_spins(3, 6),),
  )


@case("netket_jastrow", "netket", "netket.models:Jastrow")
def _():
  nk = _nk()
  return nk.models.Jastrow(param_dtype="float32"), (_spins(3, 6),)


@case("netket_ndm", "netket", "netket.models:NDM")
def _():
  nk = _nk()
  return nk.models.NDM(param_dtype="float32", alpha=1, beta=1), (_spins(3, 12),)


# ============================================================ scico


def _scico():
  # scico's package __init__ sets a global matmul precision; keep_jax_config
  # (in Case.build) restores it.
  return importlib.import_module("scico.flax")


@case(
  "scico_dncnn_train",
  "scico",
  "scico.flax:DnCNNNet",
  "partial(BatchNorm, use_running_average=not train) built in compact",
)
def _():
  S = _scico()
  return (
    S.DnCNNNet(depth=3, channels=1, num_filters=8),
    (_x(2, 12, 12, 1),),
    dict(train=True),
    dict(mutable=["batch_stats"]),
  )


@case("scico_unet", "scico", "scico.flax:UNet")
def _():
  S = _scico()
  return (S.UNet(depth=2, channels=1, num_filters=8), (_x(2, 16, 16, 1),), dict(train=False))


@case("scico_resnet", "scico", "scico.flax:ResNet")
def _():
  S = _scico()
  return (S.ResNet(depth=3, channels=1, num_filters=8), (_x(2, 12, 12, 1),), dict(train=False))


@case(
  "scico_modl",
  "scico",
  "scico.flax:MoDLNet",
  "one inner ResNet shared by every unrolled iteration; LinearOperator field",
)
def _():
  S = _scico()
  linop = importlib.import_module("scico.linop")
  op = linop.Identity((12, 12))
  return (
    S.MoDLNet(operator=op, depth=2, channels=1, num_filters=8, block_depth=2, cg_iter=2),
    (_x(2, 12, 12, 1),),
    dict(train=False),
  )


@case("scico_odp_grdesc", "scico", "scico.flax:ODPNet", "odp_block class field; setup-based sub-blocks")
def _():
  S = _scico()
  inv = importlib.import_module("scico.flax.inverse")
  linop = importlib.import_module("scico.linop")
  op = linop.Identity((12, 12))
  return (
    S.ODPNet(operator=op, depth=2, channels=1, num_filters=8, block_depth=2, odp_block=inv.ODPGrDescBlock),
    (_x(2, 12, 12, 1),),
    dict(train=False),
  )


# ============================================================ e3nn


def _irreps(s, *lead, seed=0):
  import e3nn_jax as e3nn

  ir = e3nn.Irreps(s)
  return e3nn.IrrepsArray(ir, _x(*lead, ir.dim, seed=seed))


@case(
  "e3nn_linear", "e3nn-jax", "e3nn_jax.flax:Linear", "many self.param with computed names; IrrepsArray pytree in/out"
)
def _():
  import e3nn_jax.flax as ef

  return ef.Linear("8x0e + 4x1o", biases=True), (_irreps("4x0e + 2x1o", 3),)


@case("e3nn_batchnorm", "e3nn-jax", "e3nn_jax.flax:BatchNorm", "batch_stats via self.variable, merge_param")
def _():
  import e3nn_jax.flax as ef

  return (ef.BatchNorm(), (_irreps("4x0e + 2x1o", 5),), dict(use_running_average=False), dict(mutable=["batch_stats"]))


@case("e3nn_mlp", "e3nn-jax", "e3nn_jax.flax:MultiLayerPerceptron")
def _():
  import e3nn_jax.flax as ef
  import jax

  return (ef.MultiLayerPerceptron((16, 16, 4), jax.nn.gelu), (_x(3, 6),))


# ============================================================ flaxdiff


@case(
  "flaxdiff_unet",
  "flaxdiff",
  "flaxdiff.models.simple_unet:Unet",
  "very large compact body; names f-stringed; partial norms",
)
def _():
  cls = _get("flaxdiff.models.simple_unet:Unet")
  m = cls(
    emb_features=16, feature_depths=[8, 16], attention_configs=[None, {"heads": 2}], num_res_blocks=1, norm_groups=4
  )
  return m, (_x(1, 8, 8, 3), _ones(1, dtype="float32"), _x(1, 5, 16))


@case("flaxdiff_uvit", "flaxdiff", "flaxdiff.models.simple_vit:UViT")
def _():
  cls = _get("flaxdiff.models.simple_vit:UViT")
  m = cls(patch_size=4, emb_features=16, num_layers=4, num_heads=2, norm_groups=4)
  return m, (_x(1, 16, 16, 3), _ones(1, dtype="float32"), _x(1, 5, 16))


@case("flaxdiff_simple_dit", "flaxdiff", "flaxdiff.models.simple_dit:SimpleDiT")
def _():
  cls = _get("flaxdiff.models.simple_dit:SimpleDiT")
  m = cls(patch_size=4, emb_features=16, num_layers=2, num_heads=2)
  return m, (_x(1, 16, 16, 3), _ones(1, dtype="float32"), _x(1, 5, 16))


@case(
  "flaxdiff_mmdit",
  "flaxdiff",
  "flaxdiff.models.simple_mmdit:SimpleMMDiT",
  "RotaryEmbedding submodule shared by all blocks as a field",
)
def _():
  cls = _get("flaxdiff.models.simple_mmdit:SimpleMMDiT")
  m = cls(patch_size=4, emb_features=16, num_layers=2, num_heads=2)
  return m, (_x(1, 16, 16, 3), _ones(1, dtype="float32"), _x(1, 5, 16))


@case(
  "flaxdiff_hierarchical_mmdit",
  "flaxdiff",
  "flaxdiff.models.simple_mmdit:HierarchicalMMDiT",
  "lists of lists of submodules built in setup",
)
def _():
  cls = _get("flaxdiff.models.simple_mmdit:HierarchicalMMDiT")
  m = cls(base_patch_size=2, emb_features=(8, 16), num_layers=(1, 1), num_heads=(2, 2))
  return m, (_x(1, 8, 8, 3), _ones(1, dtype="float32"), _x(1, 5, 16))


@case("flaxdiff_hybrid_ssm_dit", "flaxdiff", "flaxdiff.models.ssm_dit:HybridSSMAttentionDiT", "S5 layers, self.param")
def _():
  cls = _get("flaxdiff.models.ssm_dit:HybridSSMAttentionDiT")
  m = cls(patch_size=4, emb_features=16, num_layers=2, num_heads=2, ssm_state_dim=4, ssm_attention_ratio="1:1")
  return m, (_x(1, 16, 16, 3), _ones(1, dtype="float32"), _x(1, 5, 16))


@case(
  "flaxdiff_crossattn_down3d",
  "flaxdiff",
  "flaxdiff.models.unet_3d_blocks:FlaxCrossAttnDownBlock3D",
  "subclasses a diffusers Flax block, overrides setup and __call__",
)
def _():
  cls = _get("flaxdiff.models.unet_3d_blocks:FlaxCrossAttnDownBlock3D")
  m = cls(in_channels=32, out_channels=32, num_layers=1, num_attention_heads=2)
  return (m, (_x(2, 4, 4, 32), _x(2, 16), _x(2, 5, 16)), dict(num_frames=2))


@case(
  "flaxdiff_conv_transpose_layer",
  "flaxdiff",
  "flaxdiff.models.common:ConvLayer",
  "layer type chosen by a string field in setup",
)
def _():
  cls = _get("flaxdiff.models.common:ConvLayer")
  return (cls("conv_transpose", 8, kernel_size=(3, 3), strides=(2, 2)), (_x(1, 8, 8, 4),))


@case("flaxdiff_residual_block_separable", "flaxdiff", "flaxdiff.models.common:ResidualBlock")
def _():
  cls = _get("flaxdiff.models.common:ResidualBlock")
  return (cls("separable", 8, norm_groups=4, direction="down"), (_x(1, 8, 8, 4), _x(1, 16)))


@case("flaxdiff_inception_a", "flaxdiff", "flaxdiff.metrics.inception:InceptionA")
def _():
  cls = _get("flaxdiff.metrics.inception:InceptionA")
  return (cls(pool_features=8), (_x(1, 8, 8, 16),), dict(train=True), dict(mutable=["batch_stats"]))


@case("flaxdiff_weight_standardized_conv", "flaxdiff", "flaxdiff.models.common:WeightStandardizedConv")
def _():
  cls = _get("flaxdiff.models.common:WeightStandardizedConv")
  return cls(features=8, kernel_size=(3, 3)), (_x(1, 8, 8, 4),)


# ============================================================ dalle-mini


def _dalle(**kw):
  from dalle_mini.model import modeling
  from dalle_mini.model.configuration import DalleBartConfig

  cfg = DalleBartConfig(
    encoder_vocab_size=50,
    image_vocab_size=40,
    image_length=8,
    max_text_length=8,
    encoder_layers=2,
    decoder_layers=2,
    encoder_ffn_dim=32,
    decoder_ffn_dim=32,
    encoder_attention_heads=2,
    decoder_attention_heads=2,
    d_model=16,
    **kw,
  )
  m = modeling.FlaxBartForConditionalGenerationModule(cfg)
  b, s, t = 2, 8, 8
  args = (_ids(b, s), _ones(b, s), _ids(b, t, vocab=40), _ones(b, t), _pos(b, s), _pos(b, t))
  return m, args, {}, dict(init_rngs=("params", "dropout"))


@case(
  "dalle_mini_bart_loop",
  "dalle-mini",
  "dalle_mini.model.modeling:FlaxBartForConditionalGenerationModule",
  "subclasses transformers 4.x Flax BART modules, overrides setup",
)
def _():
  return _dalle(use_scan=False, gradient_checkpointing=False)


@case(
  "dalle_mini_bart_scan_remat",
  "dalle-mini",
  "dalle_mini.model.modeling:FlaxBartForConditionalGenerationModule",
  "nn.scan + nn.remat over layers; normformer norm positions, RMSNorm",
)
def _():
  return _dalle(
    use_scan=True, gradient_checkpointing=True, ln_positions="normformer", ln_type="rmsnorm", use_cosine_attention=True
  )


# ============================================================ evojax


@case("evojax_seq2seq", "evojax", "evojax.policy.seq2seq:Seq2seq", "nn.transforms.scan decorator")
def _():
  cls = _get("evojax.policy.seq2seq:Seq2seq")
  return (
    cls(teacher_force=True, hidden_size=8),
    (_x(2, 6, 15), _x(2, 4, 15)),
    {},
    dict(init_rngs=("params", "lstm"), apply_rngs=("lstm",)),
  )


@case("evojax_attention_neuron", "evojax", "evojax.policy.mlp_pi:AttentionNeuronMLP")
def _():
  import numpy as np

  cls = _get("evojax.policy.mlp_pi:AttentionNeuronMLP")
  m = cls(act_dim=3, msg_dim=4, hidden_dim=8, pos_em_dim=4, pos_em=np.zeros((8, 4), "float32"))
  return m, (_x(5), _x(3), (_x(5, 4), _x(5, 4)))


# ============================================================ rejax


@case("rejax_discrete_policy", "rejax", "rejax.networks:DiscretePolicy")
def _():
  import flax.linen as nn

  cls = _get("rejax.networks:DiscretePolicy")
  return cls(3, (8, 8), nn.tanh), (_x(2, 5), _key(1))


@case(
  "rejax_gaussian_policy_logprob", "rejax", "rejax.networks:GaussianPolicy.log_prob_entropy", "apply via another method"
)
def _():
  import flax.linen as nn

  cls = _get("rejax.networks:GaussianPolicy")
  return (
    cls(3, (-1, 1), (8, 8), nn.tanh),
    (_x(2, 5), _key(1)),
    {},
    dict(init_method="__call__", method="log_prob_entropy", apply_args=(_x(2, 5), _x(2, 3))),
  )


@case("rejax_dueling_q", "rejax", "rejax.networks:DuelingQNetwork")
def _():
  import flax.linen as nn

  cls = _get("rejax.networks:DuelingQNetwork")
  return cls((8, 8), nn.relu, 3), (_x(2, 5),)


@case(
  "rejax_epsilon_greedy_factory",
  "rejax",
  "rejax.networks:EpsilonGreedyPolicy",
  "class factory: subclass of a given module class made in a function",
)
def _():
  import flax.linen as nn

  N = importlib.import_module("rejax.networks")
  cls = N.EpsilonGreedyPolicy(N.DiscreteQNetwork)
  return (
    cls(hidden_layer_sizes=(8, 8), activation=nn.relu, action_dim=3),
    (_x(2, 5),),
    {},
    dict(init_method="__call__", method="act", apply_args=(_x(2, 5), _key(1))),
  )


@case("rejax_iqn", "rejax", "rejax.networks:ImplicitQuantileNetwork")
def _():
  import flax.linen as nn

  cls = _get("rejax.networks:ImplicitQuantileNetwork")
  return cls((8, 8), nn.relu, 3), (_x(2, 5), _key(1))


# ============================================================ sbx


@case(
  "sbx_vector_critic_vmap",
  "sbx-rl",
  "sbx.common.policies:VectorCritic",
  "nn.vmap over critics with split params/dropout rngs",
)
def _():
  cls = _get("sbx.common.policies:VectorCritic")
  return (
    cls(net_arch=[8, 8], use_layer_norm=True, dropout_rate=0.1),
    (_x(2, 5), _x(2, 3)),
    {},
    dict(init_rngs=("params", "dropout"), apply_rngs=("dropout",)),
  )


@case(
  "sbx_crossq_vector_critic",
  "sbx-rl",
  "sbx.crossq.policies:VectorCritic",
  "nn.vmap with batch_stats axis; BatchRenorm with custom variables",
)
def _():
  cls = _get("sbx.crossq.policies:VectorCritic")
  return (
    cls(net_arch=[8, 8]),
    (_x(4, 5), _x(4, 3)),
    dict(train=True),
    dict(init_rngs=("params", "dropout", "batch_stats"), mutable=["batch_stats"]),
  )


@case("sbx_simba_vector_critic", "sbx-rl", "sbx.common.policies:SimbaVectorCritic")
def _():
  cls = _get("sbx.common.policies:SimbaVectorCritic")
  return (
    cls(net_arch=[8, 8], dropout_rate=0.1),
    (_x(2, 5), _x(2, 3)),
    {},
    dict(init_rngs=("params", "dropout"), apply_rngs=("dropout",)),
  )


@case("sbx_ppo_actor_gsde", "sbx-rl", "sbx.ppo.policies:Actor", "__post_init__ with super(), tfp distribution returned")
def _():
  cls = _get("sbx.ppo.policies:Actor")
  return cls(action_dim=3, net_arch=[8, 8]), (_x(2, 5),)


@case("sbx_crossq_actor_train", "sbx-rl", "sbx.crossq.policies:Actor")
def _():
  cls = _get("sbx.crossq.policies:Actor")
  return (
    cls(net_arch=[8, 8], action_dim=3),
    (_x(4, 5),),
    dict(train=True),
    dict(init_rngs=("params", "batch_stats"), mutable=["batch_stats"]),
  )


@case("sbx_nature_cnn_q", "sbx-rl", "sbx.dqn.policies:CnnQNetwork")
def _():
  cls = _get("sbx.dqn.policies:CnnQNetwork")
  return cls(n_actions=3, n_units=16), (_u8(1, 4, 36, 36),)


# ---------------------------------------------------------------- tags
# Written by tag_cases.py: detected at run time (module types, collections, rng
# streams, transforms) and from the AST of every corpus class instantiated.
try:
  from case_tags import TAGS
except ImportError:
  TAGS: dict[str, list[str]] = {}
