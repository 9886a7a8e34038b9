-- Two layers of a small model: plain causal attention, then a sliding window with ALiBi inside
-- documents.
return {
    name = "my",
    layers = {
        { op = "full_self", heads = 4, kv_heads = 2, head_dim = 32 },
        { op = "sliding_self", backend = "flex", heads = 4, kv_heads = 2, head_dim = 32,
          window = 63,
          tensor = { "slope=f32[heads]", "doc=i32[kv_len]" },
          score = alibi("slope"),
          mask = document("doc") },
    },
}
