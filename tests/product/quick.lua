-- Two layers that compile fast: what package.sh builds in every way.
return {
    name = "quick",
    layers = {
        { op = "segment_cross", heads = 2, kv_heads = 1, head_dim = 16, lookback = 2 },
        { op = "segment_cross", backend = "flex", heads = 2, head_dim = 8, lookback = 1,
          score = softcapped(5) },
    },
}
