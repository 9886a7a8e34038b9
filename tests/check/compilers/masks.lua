-- Kernels of what gcc 12 got wrong: integer conditions that hold a `not` before a blend, and masks
-- whose classifiers hold constants {v, v, 0, 0}.
return { name = "masks", layers = {
  { backend = "flex", heads = 2, head_dim = 8, causal = false,
    mask = "k >= 10 or not (q < 5)",
    score = "s + where(k >= q - 3, 1, 2) * where(k <= 5, 1, 3) + where(not (k % 3 == 1), 1, 4)" },
  { backend = "flex", heads = 2, head_dim = 8, causal = false,
    mask = "not (k < 4) and k // 2 >= 3 and q - k <= 40",
    score = "where(q != k and k >= 2, s, s + where(q <= k, 1, 5))" },
} }
