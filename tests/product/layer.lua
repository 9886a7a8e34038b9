-- A small Llama layer: what tests/golden/block/llama3.safetensors holds the weights of.
return {
  name = "layer",
  layers = { {
    level = "block", d_model = 32, heads = 4, kv_heads = 2, norm = "rmsnorm", norm_eps = 1e-6,
    q_bias = false, ffn_dim = 48, ffn_bias = false, rope = "half", rope_base = 500,
    rope_scaling = "llama3", rope_factor = 8, rope_original = 64,
  } },
}
