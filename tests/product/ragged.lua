-- Layers whose items must not notice each other: ragged.c.
return {
  name = "k",
  layers = {
    { level = "block", d_model = 96, heads = 6, kv_heads = 2, ffn_dim = 200 },
    { level = "block", op = "sliding_self", window = 20, d_model = 64, heads = 4, kv_heads = 1,
      ffn_dim = 64 },
    { level = "block", op = "segment_cross", lookback = 20, q_dim = 48, kv_dim = 40, d_attn = 96,
      heads = 3 },
    { level = "block", form = "mla", key = "shared", d_model = 48, heads = 4, head_dim = 16,
      retr_dim = 8, v_head_dim = 16, kv_comp_dim = 64, ffn_dim = 64 },
  },
}
