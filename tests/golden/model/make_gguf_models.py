"""Tiny whole models of transformers' own classes as GGUF files, and what they give in double.

    python make_gguf_models.py [NAME..]        needs torch, transformers and gguf

Writes tests/golden/model/NAME: model.gguf, as llama.cpp's converter makes one of such a model (names
by gguf's own map, metadata by ../../import/make_gguf_cases.py, rows as conversion/*.py lay them), and
expected.bin (make_model_cases.py). Matrices are rounded to the type that the file has them in before
the class runs."""
import math
import os
import sys

import gguf
import numpy as np
import torch
import transformers
from gguf import GGMLQuantizationType as Type

import casefolder
import make_model_cases as models

sys.path.insert(0, os.path.join(casefolder.HERE, "../../import"))
import make_gguf_cases as meta  # noqa: E402

WIDTH, LAYERS, HEADS, VOCAB, CONTEXT = 32, 2, 4, 61, 64
BASE = dict(hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
            vocab_size=VOCAB, max_position_embeddings=CONTEXT, tie_word_embeddings=False,
            pad_token_id=0, bos_token_id=1, eos_token_id=2)


def common(w, kv_heads, ffn, layers=LAYERS, context=CONTEXT):
    meta.common(w, layers, WIDTH, HEADS, kv_heads, ffn, context, VOCAB)


def eps_and_base(w, eps=1e-6, base=10000.0):
    w.add_layer_norm_rms_eps(eps)
    w.add_rope_freq_base(base)


def llama3_factors():
    """llama3's factors of the pairs of 8 columns: by 1, 1, something between, and 32."""
    waves = [2 * math.pi * 500000.0 ** (2 * i / 8) for i in range(4)]
    smooth = [min(max((8192 / x - 1) / 3, 0), 1) for x in waves]
    return np.array([1 / ((1 - x) / 32 + x) for x in smooth], dtype=np.float32)


def llama(w):
    """Biases, whose rows are permuted too; llama3's rope."""
    common(w, 2, 64)
    eps_and_base(w, 1e-5, 500000.0)
    w.add_rope_dimension_count(8)
    w.add_tensor("rope_freqs.weight", llama3_factors())


def mistral(w):
    """Heads of a width of their own."""
    common(w, 2, 64)
    meta.head(w, 16)
    eps_and_base(w, 1e-5)
    w.add_rope_dimension_count(16)


def mixtral(w):
    common(w, 2, 32)
    eps_and_base(w, 1e-5, 1000000.0)
    w.add_rope_dimension_count(8)
    meta.experts(w, 4, 2)


def qwen2(w):
    common(w, 2, 64)
    eps_and_base(w, base=1000000.0)


def qwen2moe(w):
    common(w, 2, 64)
    eps_and_base(w, base=1000000.0)
    meta.experts(w, 6, 2, 32, 64)


def qwen3(w):
    common(w, 2, 64)
    meta.head(w, 16)
    eps_and_base(w, base=1000000.0)


def qwen3moe(w):
    common(w, 2, 64)
    meta.head(w, 16)
    eps_and_base(w, base=1000000.0)
    meta.experts(w, 6, 2, 32)


def gpt_oss(w):
    """Yarn, whose ramp ends between two pairs."""
    common(w, 2, 32)
    meta.head(w, 8)
    eps_and_base(w, 1e-5, 150.0)
    w.add_sliding_window(5)
    w.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    w.add_rope_scaling_factor(4.0)
    w.add_rope_scaling_orig_ctx_len(64)
    meta.experts(w, 4, 2, 32)


def gemma(w):
    common(w, 1, 64)
    meta.head(w, 16)
    w.add_layer_norm_rms_eps(1e-6)


def gemma2(w):
    common(w, 2, 64)
    meta.head(w, 16)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_attn_logit_softcapping(5.0)
    w.add_final_logit_softcapping(3.0)
    w.add_sliding_window(5)


def gemma3(w):
    """Five sliding layers and a full one, whose positions are others."""
    common(w, 1, 32, layers=6)
    meta.head(w, 8)
    eps_and_base(w, base=1000000.0)
    w.add_sliding_window(5)
    w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
    w.add_rope_scaling_factor(8.0)


def phi3(w):
    """Opened for more than the 4 tokens of its short factors."""
    common(w, 2, 64)
    eps_and_base(w, 1e-5)
    w.add_rope_scaling_orig_ctx_len(4)
    w.add_rope_dimension_count(8)
    w.add_sliding_window(5)
    w.add_rope_scaling_attn_factors(math.sqrt(1 + math.log(CONTEXT / 4) / math.log(4)))
    for name in ("long", "short"):
        factors = models.longrope(4)["rope_scaling"][f"{name}_factor"]
        w.add_tensor(f"rope_factors_{name}.weight", np.array(factors, dtype=np.float32))


def cohere2(w):
    common(w, 2, 64, layers=4)
    w.add_layer_norm_eps(1e-5)
    w.add_rope_freq_base(50000.0)
    w.add_logit_scale(0.25)
    w.add_sliding_window(5)
    w.add_rope_dimension_count(8)
    w.add_rope_scaling_type(gguf.RopeScalingType.NONE)


def olmoe(w):
    common(w, 4, 32)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_freq_base(10000.0)
    meta.experts(w, 6, 2)


def deepseek2(w):
    """Yarn, whose mscale is in the scale of scores; no q_lora; a dense layer first."""
    common(w, 1, 48)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_rope_freq_base(10000.0)
    meta.latent(w, True, 24, rotated=8, key=24, value=12)
    meta.experts(w, 6, 2, 20)
    w.add_leading_dense_block_count(1)
    w.add_expert_shared_count(2)
    w.add_expert_weights_scale(1.0)
    w.add_expert_gating_func(gguf.ExpertGatingFuncType.SOFTMAX)
    w.add_rope_scaling_type(gguf.RopeScalingType.YARN)
    w.add_rope_scaling_factor(4.0)
    w.add_rope_scaling_orig_ctx_len(16)
    w.add_rope_scaling_yarn_log_mul(0.1 * 0.707)


def deepseek3(w):
    """q_lora; experts in groups, by their sigmoid and a bias."""
    common(w, 1, 48)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_rope_freq_base(10000.0)
    meta.latent(w, True, 24, q=20, rotated=8, key=24, value=12)
    meta.experts(w, 8, 3, 20)
    w.add_expert_group_count(4)
    w.add_expert_group_used_count(2)
    w.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
    w.add_leading_dense_block_count(1)
    w.add_expert_shared_count(1)
    w.add_expert_weights_scale(2.5)
    w.add_expert_weights_norm(True)


def llama4(w):
    """Three layers with RoPE and one without, experts in every second."""
    common(w, 2, 48, layers=4)
    meta.head(w, 8)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_dimension_count(8)
    w.add_rope_freq_base(500000.0)
    meta.experts(w, 4, 1, 20)
    w.add_interleave_moe_layer_step(2)


LATENT = dict(BASE, intermediate_size=48, num_key_value_heads=HEADS, kv_lora_rank=24,
              qk_nope_head_dim=16, qk_rope_head_dim=8, v_head_dim=12, moe_intermediate_size=20,
              first_k_dense_replace=1, rms_norm_eps=1e-6)
GROUPED = dict(BASE, intermediate_size=64, num_key_value_heads=2)
TIED = dict(GROUPED, tie_word_embeddings=True)


def rope(base, **more):
    return {"rope_parameters": {"rope_type": "default", "rope_theta": base, **more}}


CASES = {  # the class, its config, architecture, metadata, the type of matrices (and of experts)
    "llama_gguf": (transformers.LlamaConfig, transformers.LlamaForCausalLM,
                   dict(GROUPED, rms_norm_eps=1e-5, attention_bias=True,
                        **rope(500000.0, rope_type="llama3", factor=32.0, low_freq_factor=1.0,
                               high_freq_factor=4.0, original_max_position_embeddings=8192)),
                   gguf.MODEL_ARCH.LLAMA, llama, Type.F16),
    "mistral_gguf": (transformers.MistralConfig, transformers.MistralForCausalLM,
                     dict(GROUPED, rms_norm_eps=1e-5, head_dim=16, sliding_window=None),
                     gguf.MODEL_ARCH.LLAMA, mistral, Type.Q4_0),
    "mixtral_gguf": (transformers.MixtralConfig, transformers.MixtralForCausalLM,
                     dict(GROUPED, intermediate_size=32, rms_norm_eps=1e-5, num_local_experts=4,
                          num_experts_per_tok=2, sliding_window=None, **rope(1000000.0)),
                     gguf.MODEL_ARCH.LLAMA, mixtral, Type.Q8_0),
    "qwen2_gguf": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM,
                   dict(TIED, **rope(1000000.0)), gguf.MODEL_ARCH.QWEN2, qwen2, Type.BF16),
    "qwen2moe_gguf": (transformers.Qwen2MoeConfig, transformers.Qwen2MoeForCausalLM,
                      dict(GROUPED, num_experts=6, num_experts_per_tok=2, moe_intermediate_size=32,
                           shared_expert_intermediate_size=64, norm_topk_prob=False,
                           **rope(1000000.0)),
                      gguf.MODEL_ARCH.QWEN2MOE, qwen2moe, Type.Q5_0),
    "qwen3_gguf": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM,
                   dict(TIED, head_dim=16, **rope(1000000.0)), gguf.MODEL_ARCH.QWEN3, qwen3,
                   Type.Q8_0),
    "qwen3moe_gguf": (transformers.Qwen3MoeConfig, transformers.Qwen3MoeForCausalLM,
                      dict(GROUPED, head_dim=16, num_experts=6, num_experts_per_tok=2,
                           moe_intermediate_size=32, norm_topk_prob=True, **rope(1000000.0)),
                      gguf.MODEL_ARCH.QWEN3MOE, qwen3moe, Type.Q4_1),
    "gpt_oss_gguf": (transformers.GptOssConfig, transformers.GptOssForCausalLM,
                     dict(GROUPED, intermediate_size=32, head_dim=8, num_local_experts=4,
                          num_experts_per_tok=2, rms_norm_eps=1e-5, sliding_window=5,
                          **rope(150.0, rope_type="yarn", factor=4.0, beta_fast=32.0, beta_slow=1.0,
                                 truncate=False, original_max_position_embeddings=64)),
                     gguf.MODEL_ARCH.GPT_OSS, gpt_oss, (Type.Q8_0, Type.MXFP4)),
    "gemma_gguf": (transformers.GemmaConfig, transformers.GemmaForCausalLM,
                   dict(TIED, num_key_value_heads=1, head_dim=16), gguf.MODEL_ARCH.GEMMA, gemma,
                   Type.Q8_0),
    "gemma2_gguf": (transformers.Gemma2Config, transformers.Gemma2ForCausalLM,
                    dict(TIED, head_dim=16, query_pre_attn_scalar=16, sliding_window=5,
                         attn_logit_softcapping=5.0, final_logit_softcapping=3.0),
                    gguf.MODEL_ARCH.GEMMA2, gemma2, Type.Q5_1),
    "gemma3_gguf": (transformers.Gemma3TextConfig, transformers.Gemma3ForCausalLM,
                    dict(TIED, num_hidden_layers=6, num_key_value_heads=1, head_dim=8,
                         intermediate_size=32, query_pre_attn_scalar=8, sliding_window=5,
                         rope_parameters={
                             "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
                             "full_attention": {"rope_type": "linear", "rope_theta": 1000000.0,
                                                "factor": 8.0}}),
                    gguf.MODEL_ARCH.GEMMA3, gemma3, Type.Q4_0),
    "phi3_gguf": (transformers.Phi3Config, transformers.Phi3ForCausalLM,
                  dict(models.longrope(4), intermediate_size=64, sliding_window=5),
                  gguf.MODEL_ARCH.PHI3, phi3, Type.Q8_0),
    "cohere2_gguf": (transformers.Cohere2Config, transformers.Cohere2ForCausalLM,
                     dict(TIED, num_hidden_layers=4, logit_scale=0.25, sliding_window=5,
                          **rope(50000.0)),
                     gguf.MODEL_ARCH.COHERE2, cohere2, Type.Q4_0),
    "olmoe_gguf": (transformers.OlmoeConfig, transformers.OlmoeForCausalLM,
                   dict(BASE, intermediate_size=32, num_key_value_heads=4, num_experts=6,
                        num_experts_per_tok=2, rms_norm_eps=1e-5, norm_topk_prob=False),
                   gguf.MODEL_ARCH.OLMOE, olmoe, Type.Q8_0),
    "deepseek2_gguf": (transformers.DeepseekV2Config, transformers.DeepseekV2ForCausalLM,
                       dict(LATENT, q_lora_rank=None, n_routed_experts=6, num_experts_per_tok=2,
                            n_shared_experts=2, topk_method="greedy", routed_scaling_factor=1.0,
                            rope_parameters={"rope_type": "yarn", "rope_theta": 10000.0,
                                             "factor": 4.0, "beta_fast": 32, "beta_slow": 1,
                                             "mscale": 0.707, "mscale_all_dim": 0.707,
                                             "original_max_position_embeddings": 16}),
                       gguf.MODEL_ARCH.DEEPSEEK2, deepseek2, Type.F32),
    "deepseek3_gguf": (transformers.DeepseekV3Config, transformers.DeepseekV3ForCausalLM,
                       dict(LATENT, q_lora_rank=20, n_routed_experts=8, num_experts_per_tok=3,
                            n_shared_experts=1, n_group=4, topk_group=2, norm_topk_prob=True,
                            routed_scaling_factor=2.5),
                       gguf.MODEL_ARCH.DEEPSEEK2, deepseek3, Type.F32),
    "llama4_gguf": (transformers.Llama4TextConfig, transformers.Llama4ForCausalLM,
                    dict(BASE, num_hidden_layers=4, num_key_value_heads=2, head_dim=8,
                         intermediate_size=20, intermediate_size_mlp=48, num_local_experts=4,
                         num_experts_per_tok=1, interleave_moe_layer_step=2, rms_norm_eps=1e-5,
                         use_qk_norm=True, attn_temperature_tuning=True,
                         rope_parameters={"rope_type": "default", "rope_theta": 500000.0}),
                    gguf.MODEL_ARCH.LLAMA4, llama4, Type.F32),
}


PERMUTED = ("llama", "mistral", "mixtral")  # conversion/llama.py
ONE_ADDED = ("gemma", "gemma2", "gemma3_text")
TURNED = ("gpt_oss", "llama4_text")  # experts are [in, out]


def experts_of(name, kind, x):
    """Gate, up and down, [experts, out, in], and biases; gpt-oss has gate and up by turns."""
    bias = name.endswith("_bias")
    to = name.removesuffix("_bias") + (".bias" if bias else ".weight")
    x = x.mT if kind in TURNED and not bias else x
    if "gate_up" not in name:
        return [(to, x)]
    gate, up = (x[:, ::2], x[:, 1::2]) if kind == "gpt_oss" else x.chunk(2, dim=-2)
    return [(to.replace("gate_up", "gate"), gate), (to.replace("gate_up", "up"), up)]


def converted(name, config, x):
    """(name, tensor) as conversion/*.py hand them on: queries and keys for pairs 2i and 2i + 1, norms
    with their 1 added, experts apart, latent keys and values of a head apart and keys transposed."""
    kind, part = config.model_type, name.split(".")[-2]
    if kind in PERMUTED and part in ("q_proj", "k_proj"):
        heads = config.num_attention_heads if part == "q_proj" else config.num_key_value_heads
        return [(name, x.view(heads, 2, -1, *x.shape[1:]).transpose(1, 2).reshape(x.shape))]
    if kind in ONE_ADDED and name.endswith("norm.weight"):
        return [(name, x + 1)]
    if ".experts." in name:
        return experts_of(name, kind, x)
    if name.endswith("kv_b_proj.weight"):
        heads = x.view(HEADS, config.qk_nope_head_dim + config.v_head_dim, config.kv_lora_rank)
        k, v = heads.split([config.qk_nope_head_dim, config.v_head_dim], dim=1)
        return [(name.replace("kv_b_proj", "k_b_proj"), k.transpose(1, 2)),
                (name.replace("kv_b_proj", "v_b_proj"), v)]
    return [(name.replace("e_score_correction_bias", "e_score_correction.bias"), x)]


def type_of(types, name, p):
    """What a tensor of the class is in the file."""
    if p.dim() < 2 or name.endswith(("gate.weight", "router.weight", "bias")):
        return Type.F32
    both = types if isinstance(types, tuple) else (types, types)
    return both[".experts." in name]


def round_to(kind, x):
    """As the file will have it."""
    x = x.float().numpy()
    return torch.from_numpy(gguf.quants.dequantize(gguf.quants.quantize(x, kind), kind)).double()


def write(path, model, arch, metadata, types):
    w = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[arch])
    metadata(w)
    names = gguf.get_tensor_name_map(arch, model.config.num_hidden_layers)
    for name, p in model.state_dict().items():
        if name == "lm_head.weight" and model.config.tie_word_embeddings:
            continue
        kind = type_of(types, name, p)
        for new, x in converted(name, model.config, p):
            to = names.get_name(new, try_suffixes=(".weight", ".bias"))
            assert to, f"no name for {new}"
            to += ".weight" if name.endswith("sinks") else ""
            x = np.ascontiguousarray(x.float().numpy())
            if kind == Type.F32:
                w.add_tensor(to, x)
            else:
                w.add_tensor(to, gguf.quants.quantize(x, kind), raw_dtype=kind)
    meta.close(w)


def make(name):
    config_class, model_class, fields, arch, metadata, types = CASES[name]
    folder, config = casefolder.open_case(name, config_class, fields, 7)
    with models.Double():
        model = model_class(config).double().eval()
    models.randomise(model, torch.float32)
    for key, buffer in model.named_buffers():
        if key.endswith("e_score_correction_bias"):
            buffer.data = (0.2 * torch.randn(buffer.shape)).double()
    for key, p in model.named_parameters():
        kind = type_of(types, key, p)
        turned = config.model_type in TURNED and ".experts." in key
        if kind != Type.F32:
            p.data = round_to(kind, p.data.mT).mT if turned else round_to(kind, p.data)
    write(os.path.join(folder, "model.gguf"), model, arch, metadata, types)
    models.expect(folder, model, name)


if __name__ == "__main__":
    for case in sys.argv[1:] or CASES:
        make(case)
