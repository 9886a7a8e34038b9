-- Layers of serving.c's model: the window is shorter than the prompts, so that keys go.
local function layer(op, window, kv_type)
  return {
    level = "block", op = op, window = window, kv_type = kv_type, d_model = 48, heads = 4,
    kv_heads = 2, norm = "rmsnorm", norm_eps = 1e-5, q_bias = false, rope = "half", ffn_dim = 64,
    ffn_bias = false,
  }
end
return {
  name = "lm",
  layers = { layer("full_self"), layer("sliding_self", 15), layer("full_self", nil, "i8") },
}
