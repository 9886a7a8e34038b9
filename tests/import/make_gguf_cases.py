#!/usr/bin/env python3
"""Writes gguf/*.gguf: small files as llama.cpp's converters write them, with the package gguf.

    pip install gguf numpy
    tests/import/make_gguf_cases.py

types.gguf has every kind of value and of tensor (tests/unit/test_gguf.c); the others are metadata
of an architecture, and the tensors that say something about its layers
(tests/unit/test_import_gguf.c, which has the config.json that means the same).
"""

import math
import pathlib

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import (ExpertGatingFuncType, GGUFValueType, GGUFWriter, GGML_QUANT_SIZES,
                  RopeScalingType)

HERE = pathlib.Path(__file__).parent / "gguf"


def writer(name, arch):
    return GGUFWriter(str(HERE / f"{name}.gguf"), arch)


def close(w):
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def add(w, name, shape, kind=Type.F32):
    """A tensor whose bytes count up from 1."""
    block, size = GGML_QUANT_SIZES[kind]
    count = math.prod(shape) // block * size
    data = (np.arange(count) + 1).astype(np.uint8)
    if kind == Type.F32:
        w.add_tensor(name, np.arange(1, math.prod(shape) + 1, dtype=np.float32).reshape(shape))
    else:
        w.add_tensor(name, data.reshape(*shape[:-1], -1), raw_dtype=kind)


def types():
    w = writer("types", "none")
    w.add_custom_alignment(64)
    w.add_uint8("u8", 255)
    w.add_int8("i8", -128)
    w.add_uint16("u16", 65535)
    w.add_int16("i16", -32768)
    w.add_uint32("u32", 2**32 - 1)
    w.add_int32("i32", -(2**31))
    w.add_float32("f32", 0.1)
    w.add_bool("bool", True)
    w.add_string("string", "caf\u00e9")
    w.add_uint64("u64", 2**64 - 1)
    w.add_int64("i64", -(2**63))
    w.add_float64("f64", 0.1)
    w.add_array("strings", ["a", "", "ccc"])
    w.add_array("ints", [1, -2, 3])
    w.add_array("floats", [0.5, -1.5])
    w.add_array("bools", [True, False])
    w.add_key_value("longs", [2**40, -1], GGUFValueType.ARRAY, GGUFValueType.INT64)
    for kind in (Type.F32, Type.BF16, Type.F16, Type.Q8_0, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q5_1,
                 Type.Q4_K, Type.Q5_K, Type.Q6_K, Type.MXFP4):
        add(w, f"t.{kind.name.lower()}", (2, 256) if GGML_QUANT_SIZES[kind][0] == 256 else (3, 2, 32), kind)
    close(w)


def common(w, layers, width, heads, kv_heads, ffn, context=4096, vocab=3):
    w.add_context_length(context)
    w.add_embedding_length(width)
    w.add_block_count(layers)
    w.add_feed_forward_length(ffn)
    w.add_head_count(heads)
    w.add_head_count_kv(kv_heads)
    w.add_vocab_size(vocab)
    w.add_tokenizer_model("gpt2")
    w.add_token_list([chr(ord("a") + i) for i in range(vocab)])


def head(w, dim):
    w.add_key_length(dim)
    w.add_value_length(dim)


def llama():
    """Mixed types: two kinds in attn_v and ffn_down, as published files have them."""
    w = writer("llama", "llama")
    common(w, 2, 32, 2, 1, 64)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_dimension_count(16)
    w.add_rope_freq_base(100000.0)
    add(w, "token_embd.weight", (3, 32), Type.Q8_0)
    add(w, "output_norm.weight", (32,))
    for i in range(2):
        many = Type.Q5_0 if i == 0 else Type.Q4_1
        add(w, f"blk.{i}.attn_norm.weight", (32,))
        add(w, f"blk.{i}.attn_q.weight", (32, 32), Type.Q4_1)
        add(w, f"blk.{i}.attn_k.weight", (16, 32), Type.Q4_1)
        add(w, f"blk.{i}.attn_v.weight", (16, 32), many)
        add(w, f"blk.{i}.attn_output.weight", (32, 32), Type.Q4_1)
        add(w, f"blk.{i}.ffn_norm.weight", (32,))
        add(w, f"blk.{i}.ffn_gate.weight", (64, 32), Type.Q4_1)
        add(w, f"blk.{i}.ffn_up.weight", (64, 32), Type.Q4_1)
        add(w, f"blk.{i}.ffn_down.weight", (32, 64), many)
    close(w)


def llama3():
    w = writer("llama3", "llama")
    common(w, 2, 256, 2, 1, 512, 131072)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_dimension_count(128)
    w.add_rope_freq_base(500000.0)
    factors = []
    for i in range(64):  # conversion/llama.py
        wave = 2 * math.pi * 500000.0 ** (2 * i / 128)
        smooth = (8192 / wave - 1) / 3
        factors.append(1 if wave < 2048 else 32 if wave > 8192 else 1 / ((1 - smooth) / 32 + smooth))
    w.add_tensor("rope_freqs.weight", np.array(factors, dtype=np.float32))
    close(w)


def yarn():
    """With biases, and a linear scaling's older name beside yarn's keys."""
    w = writer("yarn", "llama")
    common(w, 1, 64, 4, 4, 128, 32768)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_rope_scaling_type(RopeScalingType.YARN)
    w.add_rope_scaling_factor(8.0)
    w.add_rope_scaling_orig_ctx_len(4096)
    w.add_rope_scaling_yarn_beta_fast(16.0)
    for name in ("attn_q", "attn_output", "ffn_up", "ffn_down"):
        add(w, f"blk.0.{name}.bias", (4,))
    close(w)


def qwen():
    w = writer("qwen2", "qwen2")
    common(w, 2, 64, 4, 2, 128)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_rope_freq_base(1000000.0)
    close(w)
    w = writer("qwen3", "qwen3")
    common(w, 2, 64, 4, 2, 128)
    head(w, 32)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_rope_freq_base(1000000.0)
    close(w)


def gemma():
    w = writer("gemma", "gemma")
    common(w, 2, 64, 4, 1, 128)
    head(w, 32)
    w.add_layer_norm_rms_eps(1e-6)
    close(w)
    w = writer("gemma2", "gemma2")
    common(w, 3, 64, 4, 2, 128)
    head(w, 32)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_attn_logit_softcapping(30.0)
    w.add_final_logit_softcapping(20.0)
    w.add_sliding_window(512)
    close(w)
    w = writer("gemma3", "gemma3")
    common(w, 7, 64, 4, 2, 128)
    head(w, 32)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_sliding_window(512)
    w.add_rope_freq_base(1000000.0)
    w.add_rope_scaling_type(RopeScalingType.LINEAR)
    w.add_rope_scaling_factor(8.0)
    close(w)
    w = writer("gemma3_bools", "gemma3")
    common(w, 3, 64, 4, 2, 128)
    head(w, 32)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_sliding_window(512)
    w.add_sliding_window_pattern([True, False, True])
    w.add_rope_freq_base(1000000.0)
    w.add_rope_freq_base_swa(5000.0)
    close(w)


def phi3():
    w = writer("phi3", "phi3")
    common(w, 2, 96, 2, 1, 128)
    w.add_rope_dimension_count(36)
    w.add_rope_scaling_orig_ctx_len(4096)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_sliding_window(2047)
    add(w, "blk.0.attn_qkv.weight", (2, 96), Type.Q4_0)
    add(w, "blk.0.ffn_up.weight", (2, 96), Type.Q4_0)
    close(w)


def cohere2():
    w = writer("cohere2", "cohere2")
    common(w, 4, 64, 4, 2, 128)
    w.add_layer_norm_eps(1e-5)
    w.add_logit_scale(0.25)
    w.add_rope_dimension_count(16)
    w.add_rope_scaling_type(RopeScalingType.NONE)
    w.add_rope_freq_base(50000.0)
    w.add_sliding_window(256)
    close(w)


def experts(w, count, used, width=None, shared=None):
    w.add_expert_count(count)
    w.add_expert_used_count(used)
    if width:
        w.add_expert_feed_forward_length(width)
    if shared:
        w.add_expert_shared_feed_forward_length(shared)


def mixtures():
    """One tensor of every kind, in the types that published files have there."""
    w = writer("mixtral", "llama")
    common(w, 2, 64, 4, 2, 96)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_dimension_count(16)
    w.add_rope_freq_base(1000000.0)
    experts(w, 4, 2)
    for i in range(2):
        add(w, f"blk.{i}.attn_q.weight", (64, 64), Type.Q4_0)
        add(w, f"blk.{i}.ffn_gate_inp.weight", (4, 64))
        add(w, f"blk.{i}.ffn_gate_exps.weight", (4, 96, 64), Type.Q4_0)
        add(w, f"blk.{i}.ffn_up_exps.weight", (4, 96, 64), Type.Q4_0)
        add(w, f"blk.{i}.ffn_down_exps.weight", (4, 64, 96), Type.Q8_0)
    close(w)
    w = writer("qwen2moe", "qwen2moe")
    common(w, 1, 64, 4, 2, 128)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_rope_freq_base(1000000.0)
    experts(w, 6, 2, 32, 64)
    add(w, "blk.0.ffn_gate_inp_shexp.weight", (64,))
    add(w, "blk.0.ffn_down_shexp.weight", (64, 64), Type.Q8_0)
    add(w, "blk.0.ffn_down_exps.weight", (6, 64, 32), Type.Q5_1)
    add(w, "blk.0.ffn_up_exps.weight", (6, 32, 64), Type.Q5_1)
    close(w)
    w = writer("qwen3moe", "qwen3moe")
    common(w, 2, 64, 4, 2, 128)
    head(w, 32)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_rope_freq_base(1000000.0)
    experts(w, 8, 4, 48)
    close(w)
    w = writer("gpt_oss", "gpt-oss")
    common(w, 3, 64, 4, 2, 96, 131072)
    head(w, 32)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_freq_base(150000.0)
    w.add_sliding_window(128)
    w.add_rope_scaling_type(RopeScalingType.YARN)
    w.add_rope_scaling_factor(32.0)
    w.add_rope_scaling_orig_ctx_len(4096)
    experts(w, 4, 2, 96)
    add(w, "blk.0.attn_sinks.weight", (4,))
    add(w, "blk.0.attn_q.weight", (128, 64), Type.BF16)
    add(w, "blk.0.ffn_down_exps.weight", (4, 64, 96), Type.MXFP4)
    add(w, "blk.0.ffn_down_exps.bias", (4, 64))
    close(w)


def latent(w, rows, kv, q=None, rotated=16, key=48, value=32):
    """rows: whether one latent row is cached for all heads, as newer files say."""
    if q:
        w.add_q_lora_rank(q)
    w.add_kv_lora_rank(kv)
    w.add_key_length(kv + rotated if rows else key)
    w.add_value_length(kv if rows else value)
    if rows:
        w.add_key_length_mla(key)
        w.add_value_length_mla(value)
    w.add_rope_dimension_count(rotated)


def deepseek():
    """deepseek-v2-lite's shape of a file, with kv_b in two tensors; an older one, with kv_b in one;
    and deepseek-v3's."""
    w = writer("deepseek2", "deepseek2")
    common(w, 3, 64, 4, 1, 96, 163840)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_rope_freq_base(10000.0)
    latent(w, True, 32)
    experts(w, 8, 3, 64)
    w.add_expert_group_count(1)
    w.add_expert_group_used_count(1)
    w.add_expert_gating_func(ExpertGatingFuncType.SOFTMAX)
    w.add_leading_dense_block_count(1)
    w.add_expert_shared_count(2)
    w.add_expert_weights_scale(1.0)
    w.add_rope_scaling_type(RopeScalingType.YARN)
    w.add_rope_scaling_factor(40.0)
    w.add_rope_scaling_orig_ctx_len(4096)
    w.add_rope_scaling_yarn_log_mul(0.1 * 0.707)
    add(w, "blk.0.attn_q.weight", (192, 64), Type.Q8_0)
    add(w, "blk.0.attn_k_b.weight", (4, 32, 32), Type.BF16)
    add(w, "blk.0.attn_v_b.weight", (4, 32, 32), Type.BF16)
    add(w, "blk.1.ffn_down_exps.weight", (8, 64, 64), Type.Q8_0)
    close(w)
    w = writer("deepseek2_older", "deepseek2")
    common(w, 2, 64, 4, 4, 96)
    w.add_layer_norm_rms_eps(1e-6)
    latent(w, False, 32, q=48)
    experts(w, 8, 3, 64)
    w.add_expert_group_count(4)
    w.add_expert_group_used_count(2)
    w.add_leading_dense_block_count(1)
    w.add_expert_shared_count(2)
    w.add_expert_weights_scale(16.0)
    add(w, "blk.0.attn_kv_b.weight", (256, 32), Type.F16)
    close(w)
    w = writer("deepseek3", "deepseek2")
    common(w, 2, 64, 4, 1, 96)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_rope_freq_base(10000.0)
    latent(w, True, 32, q=48)
    experts(w, 8, 3, 64)
    w.add_expert_group_count(4)
    w.add_expert_group_used_count(2)
    w.add_expert_gating_func(ExpertGatingFuncType.SIGMOID)
    w.add_leading_dense_block_count(1)
    w.add_expert_shared_count(1)
    w.add_expert_weights_scale(2.5)
    w.add_expert_weights_norm(True)
    close(w)


def olmoe():
    w = writer("olmoe", "olmoe")
    common(w, 2, 64, 4, 4, 96)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_freq_base(10000.0)
    experts(w, 8, 3)
    add(w, "blk.0.ffn_gate_exps.weight", (8, 96, 64), Type.Q4_0)
    close(w)


def llama4():
    """Scout's factors of rope, of whose kind the two wave lengths are one."""
    w = writer("llama4", "llama4")
    common(w, 4, 64, 4, 2, 128, 10485760)
    head(w, 16)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_dimension_count(16)
    w.add_rope_freq_base(500000.0)
    experts(w, 4, 1, 96)
    w.add_interleave_moe_layer_step(2)
    factors = [1 if 2 * math.pi * 500000.0 ** (2 * i / 16) < 8192 else 16 for i in range(8)]
    w.add_tensor("rope_freqs.weight", np.array(factors, dtype=np.float32))
    close(w)


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    for make in (types, llama, llama3, yarn, qwen, gemma, phi3, cohere2, mixtures, deepseek,
                 olmoe, llama4):
        make()
