-- DeepSeek V2 Lite, absorbed: one latent row of 512 + 64 serves 16 heads, its first 512 are V.
return {
    name = "deepseek-mla",
    layers = rep(27, { form = "mla", key = "shared", op = "full_self", heads = 16,
                       kv_comp_dim = 512, retr_dim = 64, scale = (128 + 64) ^ -0.5 }),
}
