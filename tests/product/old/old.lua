-- A core and a layer for a program of before: old.sh.
return {
  name = "old",
  layers = {
    { heads = 2, head_dim = 16 },
    { level = "block", d_model = 32, heads = 2, ffn_dim = 32 },
  },
}
