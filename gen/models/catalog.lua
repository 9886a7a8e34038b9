-- What is committed under generated/: every form x op x backend, a layer of each form; small.
local function regular(layer)
    layer.form, layer.heads, layer.kv_heads, layer.head_dim = "regular", 8, 2, 64
    return layer
end

local function mla(layer)
    layer.form, layer.heads, layer.kv_comp_dim, layer.retr_dim = "mla", 8, 64, 32
    return layer
end

-- Whole layers: as Llama's, and as DeepSeek's, whose keys are one shared row.
local function layer(fields)
    fields.level, fields.d_model, fields.ffn_dim = "block", 96, 160
    fields.norm, fields.norm_eps, fields.q_bias, fields.ffn_bias = "rmsnorm", 1e-6, false, false
    return fields
end

return {
    name = "catalog",
    layers = {
        regular { op = "full_self", backend = "sdpa" },
        regular { op = "full_self", backend = "flex",
                  tensor = { "slope=f32[heads]", "doc=i32[kv_len]" },
                  score = alibi("slope"), mask = document("doc") },
        regular { op = "sliding_self", backend = "sdpa", window = 255 },
        regular { op = "sliding_self", backend = "flex", window = 255,
                  score = softcapped(30), mask = block_diagonal(512) },
        regular { op = "segment_cross", backend = "sdpa", lookback = 3 },
        regular { op = "segment_cross", backend = "flex", lookback = 3,
                  tensor = "bias=f32[heads][kv_len]", score = "s + bias[h][k]" },
        mla { op = "full_self", backend = "sdpa" },
        mla { op = "full_self", backend = "flex", causal = false, scalar = "prefix=i32",
              mask = prefix_lm("prefix") },
        mla { op = "sliding_self", backend = "sdpa", window = 127 },
        mla { op = "sliding_self", backend = "flex", window = 127,
              tensor = "table=f32[heads][129]", score = relative_bias("table", 64) },
        mla { op = "segment_cross", backend = "sdpa" },
        mla { op = "segment_cross", backend = "flex", lookback = 1, mask = negate("k % 16 == 15"),
              score = "where(k < 4, s + 1, s)" },
        layer { heads = 8, kv_heads = 2, head_dim = 64, rope = "half", rope_base = 500000 },
        layer { form = "mla", key = "shared", heads = 4, head_dim = 32, q_comp_dim = 48,
                kv_comp_dim = 64, retr_dim = 16, v_head_dim = 32 },
    },
}
