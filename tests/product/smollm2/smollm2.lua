-- SmolLM2-135M: 30 equal layers.
local layer = {
  level = "block", d_model = 576, heads = 9, kv_heads = 3, norm = "rmsnorm", norm_eps = 1e-5,
  q_bias = false, rope = "half", rope_base = 100000, ffn = "swiglu", ffn_dim = 1536,
  ffn_bias = false,
}
local layers = {}
for i = 1, 30 do
  layers[i] = layer
end
return { name = "smollm2", layers = layers }
