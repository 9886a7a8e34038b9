-- Two layers, one sdpa and one flex, that show the shape of a model file.
return {
    name = "tiny",
    layers = {
        { form = "regular", op = "full_self", backend = "sdpa",
          heads = 8, kv_heads = 2, head_dim = 64 },
        { form = "regular", op = "sliding_self", backend = "flex",
          heads = 8, kv_heads = 2, head_dim = 64, window = 255,
          tensor = "slope=f32[heads]",
          score = alibi("slope") },
    },
}
