-- Mistral 7B v0.1: every layer sees the last 4096 tokens, itself included.
return {
    name = "mistral-7b-v0.1",
    layers = rep(32, { op = "sliding_self", heads = 32, kv_heads = 8, head_dim = 128,
                       window = 4095 }),
}
