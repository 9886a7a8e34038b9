"""Tiny whole models of transformers' own classes as GGUF files, and what they give in double.

    python make_gguf_models.py [NAME..]        needs torch, transformers and gguf

Writes tests/golden/model/NAME: model.gguf, as llama.cpp's converter makes one of such a model (names
by gguf's own map, metadata by ../../import/make_gguf_cases.py, rows as conversion/*.py lay them), and
expected.bin (make_model_cases.py). Matrices are rounded to the type that the file has them in before
the class runs."""
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
CASES = {  # the class, its config, architecture, metadata, the type of matrices
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


def converted(name, config, x):
    """(name, tensor) as conversion/*.py hand them on: experts apart and [experts, out, in], latent
    keys and values of a head apart and keys transposed."""
    if name.endswith("gate_up_proj"):
        x = x if config.model_type != "llama4_text" else x.transpose(-1, -2)
        gate, up = x.chunk(2, dim=-2)
        return [(name.replace("gate_up_proj", "gate_proj.weight"), gate),
                (name.replace("gate_up_proj", "up_proj.weight"), up)]
    if name.endswith("experts.down_proj"):
        return [(name + ".weight", x if config.model_type != "llama4_text" else x.transpose(-1, -2))]
    if name.endswith("kv_b_proj.weight"):
        heads = x.view(HEADS, config.qk_nope_head_dim + config.v_head_dim, config.kv_lora_rank)
        k, v = heads.split([config.qk_nope_head_dim, config.v_head_dim], dim=1)
        return [(name.replace("kv_b_proj", "k_b_proj"), k.transpose(1, 2)),
                (name.replace("kv_b_proj", "v_b_proj"), v)]
    return [(name.replace("e_score_correction_bias", "e_score_correction.bias"), x)]


def is_matrix(name, p):
    return p.dim() > 1 and not name.endswith(("gate.weight", "router.weight"))


def round_to(kind, x):
    """As the file will have it."""
    x = x.float().numpy()
    return torch.from_numpy(gguf.quants.dequantize(gguf.quants.quantize(x, kind), kind)).double()


def write(path, model, arch, metadata, kind):
    w = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[arch])
    metadata(w)
    names = gguf.get_tensor_name_map(arch, model.config.num_hidden_layers)
    for name, p in model.state_dict().items():
        for new, x in converted(name, model.config, p):
            to = names.get_name(new, try_suffixes=(".weight", ".bias"))
            assert to, f"no name for {new}"
            x = np.ascontiguousarray(x.float().numpy())
            if kind != Type.F32 and is_matrix(name, p):
                w.add_tensor(to, gguf.quants.quantize(x, kind), raw_dtype=kind)
            else:
                w.add_tensor(to, x)
    meta.close(w)


def make(name):
    config_class, model_class, fields, arch, metadata, kind = CASES[name]
    folder, config = casefolder.open_case(name, config_class, fields, 7)
    with models.Double():
        model = model_class(config).double().eval()
    models.randomise(model, torch.float32)
    for key, buffer in model.named_buffers():
        if key.endswith("e_score_correction_bias"):
            buffer.data = (0.2 * torch.randn(buffer.shape)).double()
    for key, p in model.named_parameters():
        if kind != Type.F32 and is_matrix(key, p):
            p.data = round_to(kind, p.data)
    write(os.path.join(folder, "model.gguf"), model, arch, metadata, kind)
    models.expect(folder, model, name)


if __name__ == "__main__":
    for case in sys.argv[1:] or CASES:
        make(case)
