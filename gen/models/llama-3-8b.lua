-- Llama 3 8B: 32 causal layers, 8 key heads for 32 query heads.
return {
    name = "llama-3-8b",
    layers = rep(32, { op = "full_self", heads = 32, kv_heads = 8, head_dim = 128 }),
}
