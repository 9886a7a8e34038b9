-- Gemma 2 2B: sliding and full layers alternate, scores are capped at 50.
local layers = {}
for i = 1, 26 do
    local sliding_layer = i % 2 == 1
    layers[i] = {
        op = sliding_layer and "sliding_self" or "full_self",
        heads = 8, kv_heads = 4, head_dim = 256,
        window = sliding_layer and 4095 or nil,
        scale = 256 ^ -0.5,
        softcap = 50,
    }
end
return { name = "gemma-2-2b", layers = layers }
