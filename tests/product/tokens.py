"""tokens.c in Python; see README.md."""
import sys

import llama  # written by attn-gen

with llama.Model(sys.argv[1]) as model:
    cache, ids, out = model.cache(items=1, capacity=512), [int(a) for a in sys.argv[2:]], []
    for _ in range(8):
        ids = [int(model.forward(ids, cache=cache).logits[0].argmax())]
        out += ids
    print(*out)
