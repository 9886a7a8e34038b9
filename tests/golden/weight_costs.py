#!/usr/bin/env python3
"""What a type of weights costs: bytes, and the error that its rounding makes in a layer's output.

    pip install torch transformers==5.24.0 gguf numpy
    tests/golden/weight_costs.py GGML [ATTN_GEN]

A layer of llama's class (d_model 1024, 16 heads, ffn_dim 2816), random normal weights and rows, in
double; blocks by ggml's own functions (GGML: as for make_quant_cases.py). Errors are of what the
layer adds to its rows, rms over rms and largest over largest; bytes are those that the layer packs.
"""

import re
import subprocess
import sys

GEN = sys.argv.pop(2) if len(sys.argv) > 2 else "build/attn-gen"
import make_weight_cases as cases
import torch
import transformers as hf

WIDTH, HEADS, FFN, ROWS = 1024, 16, 2816, 32
KINDS = ["f16", "bf16", "q8_0", "q6_k", "q5_k", "q5_1", "q5_0", "q4_k", "q4_1", "q4_0", "mxfp4"]


def packed(kind):
    spec = ["--level", "block", "--d-model", WIDTH, "--heads", HEADS, "--ffn-dim", FFN,
            "--norm", "rmsnorm", "--isa", "avx2", "--weight-type", kind]
    run = subprocess.run([GEN, "explain", *map(str, spec)], capture_output=True, text=True, check=True)
    return int(re.search(r"memory: (\d+) bytes of packed weights", run.stdout)[1])


def main():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(15)
    m = hf.LlamaModel(cases.layers.config(
        hf.LlamaConfig, hidden_size=WIDTH, num_attention_heads=HEADS, num_key_value_heads=HEADS,
        intermediate_size=FFN))
    layer = m.layers[0].eval()
    matrices = [p for p in layer.parameters() if p.dim() == 2]
    exact = [(torch.randn(p.shape) * p.shape[1] ** -0.5).float().double() for p in matrices]
    x = torch.randn(1, ROWS, WIDTH)
    position = torch.arange(ROWS)[None]
    args = dict(attention_mask=cases.layers.mask(ROWS, ROWS, lambda q, k: k <= q),
                position_embeddings=m.rotary_emb(x, position))

    def adds(weights):
        for p, w in zip(matrices, weights):
            p.data = w
        with torch.no_grad():
            y = layer(x, **args)
        return (y[0] if isinstance(y, tuple) else y) - x

    want = adds(exact)
    count = sum(w.numel() for w in exact)
    print("| weight_type | bytes of the layer | bits a weight | rms | largest |\n|---|---|---|---|---|")
    print(f"| f32 | {packed('f32'):,} | 32 | 0 | 0 |")
    for kind in KINDS:
        rounded = [torch.from_numpy(cases.stored(w.float().numpy(), kind)[1]).double() for w in exact]
        error = adds(rounded) - want
        rms = 100 * (error.square().mean() / want.square().mean()).sqrt().item()
        most = 100 * (error.abs().max() / want.abs().max()).item()
        size = packed(kind)
        print(f"| {kind} | {size:,} | {8 * size / count:.2f} | {rms:.2g} % | {most:.2g} % |")


if __name__ == "__main__":
    main()
