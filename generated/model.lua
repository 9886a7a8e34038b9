local kernel = {}
-- attn_f32_regular_sdpa_full_self_h8k2d64
kernel[1] = {
    level = "core", form = "regular", op = "full_self", backend = "sdpa", heads = 8,
    kv_heads = 2, v_heads = 2, head_dim = 64, v_dim = 64, causal = true, scale = 0.125,
    sinks = false,
}
-- attn_f32_regular_flex_full_self_h8k2d64x773acd5e
kernel[2] = {
    level = "core", form = "regular", op = "full_self", backend = "flex", heads = 8,
    kv_heads = 2, v_heads = 2, head_dim = 64, v_dim = 64, causal = true, scale = 0.125,
    sinks = false,
    tensor = { "slope=f32[heads]", "doc=i32[kv_len]" },
    score = "s + slope[h] * (k - q)",
    mask = "doc[q] == doc[k]",
}
-- attn_f32_regular_sdpa_sliding_self_h8k2d64w255
kernel[3] = {
    level = "core", form = "regular", op = "sliding_self", backend = "sdpa", heads = 8,
    kv_heads = 2, v_heads = 2, head_dim = 64, v_dim = 64, causal = true, window = 255,
    scale = 0.125, sinks = false,
}
-- attn_f32_regular_flex_sliding_self_h8k2d64w255x3920efcf
kernel[4] = {
    level = "core", form = "regular", op = "sliding_self", backend = "flex", heads = 8,
    kv_heads = 2, v_heads = 2, head_dim = 64, v_dim = 64, causal = true, window = 255,
    scale = 0.125, sinks = false,
    score = "30 * tanh(s / 30)",
    mask = "q // 512 == k // 512",
}
-- attn_f32_regular_sdpa_segment_cross_h8k2d64l3
kernel[5] = {
    level = "core", form = "regular", op = "segment_cross", backend = "sdpa", heads = 8,
    kv_heads = 2, v_heads = 2, head_dim = 64, v_dim = 64, lookback = 3, scale = 0.125,
    sinks = false,
}
-- attn_f32_regular_flex_segment_cross_h8k2d64l3x480275cb
kernel[6] = {
    level = "core", form = "regular", op = "segment_cross", backend = "flex", heads = 8,
    kv_heads = 2, v_heads = 2, head_dim = 64, v_dim = 64, lookback = 3, scale = 0.125,
    sinks = false,
    tensor = { "bias=f32[heads][kv_len]" },
    score = "s + bias[h][k]",
}
-- attn_f32_mla_sdpa_full_self_h8c64t32
kernel[7] = {
    level = "core", form = "mla", op = "full_self", backend = "sdpa", heads = 8, key = "per_head",
    kv_comp_dim = 64, retr_dim = 32, causal = true, scale = 0.17677669, sinks = false,
}
-- attn_f32_mla_flex_full_self_h8c64t32a0x5da44703
kernel[8] = {
    level = "core", form = "mla", op = "full_self", backend = "flex", heads = 8, key = "per_head",
    kv_comp_dim = 64, retr_dim = 32, causal = false, scale = 0.17677669, sinks = false,
    scalar = { "prefix=i32" },
    mask = "k <= q or k < prefix",
}
-- attn_f32_mla_sdpa_sliding_self_h8c64t32w127
kernel[9] = {
    level = "core", form = "mla", op = "sliding_self", backend = "sdpa", heads = 8,
    key = "per_head", kv_comp_dim = 64, retr_dim = 32, causal = true, window = 127,
    scale = 0.17677669, sinks = false,
}
-- attn_f32_mla_flex_sliding_self_h8c64t32w127x52060f52
kernel[10] = {
    level = "core", form = "mla", op = "sliding_self", backend = "flex", heads = 8,
    key = "per_head", kv_comp_dim = 64, retr_dim = 32, causal = true, window = 127,
    scale = 0.17677669, sinks = false,
    tensor = { "table=f32[heads][129]" },
    score = "s + table[h][clamp(q - k, -64, 64) + 64]",
}
-- attn_f32_mla_sdpa_segment_cross_h8c64t32
kernel[11] = {
    level = "core", form = "mla", op = "segment_cross", backend = "sdpa", heads = 8,
    key = "per_head", kv_comp_dim = 64, retr_dim = 32, lookback = 0, scale = 0.17677669,
    sinks = false,
}
-- attn_f32_mla_flex_segment_cross_h8c64t32l1x5e3e7d92
kernel[12] = {
    level = "core", form = "mla", op = "segment_cross", backend = "flex", heads = 8,
    key = "per_head", kv_comp_dim = 64, retr_dim = 32, lookback = 1, scale = 0.17677669,
    sinks = false,
    score = "where(k < 4, s + 1, s)",
    mask = "not (k % 16 == 15)",
}
-- attn_f32_block_regular_sdpa_full_self_h8k2d64_dfa0008d
kernel[13] = {
    level = "block", form = "regular", op = "full_self", backend = "sdpa", heads = 8,
    kv_heads = 2, v_heads = 2, head_dim = 64, v_dim = 64, causal = true, scale = 0.125,
    sinks = false, d_model = 96, norm = "rmsnorm", norm_eps = 1e-06, norm_bias = false,
    norm_offset = false, norm_place = "pre", residual = "serial", shared_norm = false,
    q_bias = false, k_bias = false, v_bias = false, o_bias = false, qk_norm = false,
    rope = "half", rope_dim = 64, rope_base = 500000, rope_scaling = "none", rope_truncate = true,
    ffn = "swiglu", ffn_dim = 160, ffn_bias = false,
}
-- attn_f32_block_mla_sdpa_full_self_h4y1c64t16s0p14433756_ad43f553
kernel[14] = {
    level = "block", form = "mla", op = "full_self", backend = "sdpa", heads = 4,
    head_dim = 32, key = "shared", kv_comp_dim = 64, retr_dim = 16, q_comp_dim = 48,
    causal = true, scale = 0.14433756, sinks = false, d_model = 96, v_head_dim = 32,
    norm = "rmsnorm", norm_eps = 1e-06, norm_bias = false, norm_offset = false, norm_place = "pre",
    residual = "serial", shared_norm = false, q_bias = false, k_bias = false, v_bias = false,
    o_bias = false, rope = "interleaved", rope_dim = 16, rope_base = 10000, rope_scaling = "none",
    rope_truncate = true, ffn = "swiglu", ffn_dim = 160, ffn_bias = false,
}

return {
    name = "catalog",
    layers = {
        kernel[1], kernel[2], kernel[3], kernel[4], kernel[5], kernel[6],
        kernel[7], kernel[8], kernel[9], kernel[10], kernel[11], kernel[12],
        kernel[13], kernel[14],
    },
}
