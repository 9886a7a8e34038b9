"""What each storage type of keys and values costs in accuracy, on real keys: SmolLM2's.

usage: accuracy.py DIR [TEXT]
    prints a table: of 1024 tokens of the file TEXT (else accuracy.txt: README.md has its table), by
    type, O from stored keys and values against O from exact ones, both in float64. rms: of the error,
    over the rms of O, all layers together; largest: |error| over the layer's max|V|, the worst of all
    layers.

Types are rounded as the contract says ("Storage types"), restated here. DIR is what weights.py made.
"""
import os
import sys

import numpy as np

import model
import reference

TOKENS = 1024


def bf16(x):
    bits = x.astype(np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


def f16(x):
    return x.astype(np.float32).astype(np.float16)


def i8(x):
    """A scale a row, in f32."""
    x = x.astype(np.float32)
    top = np.abs(x).max(axis=-1, keepdims=True)
    safe = np.where(top < 2.0**-100, np.float32(1), top)
    codes = np.rint(x * (np.float32(127) / safe))
    return np.where(top < 2.0**-100, 0, codes).astype(np.float64) * (top / np.float32(127))


def hadamard(width):
    """Blocks of the largest power of two that divides the width."""
    n = width & -width
    i = np.arange(n)
    ones = np.array([bin(a).count("1") for a in range(n)])
    h = (-1.0) ** ones[i[:, None] & i] / np.sqrt(n)
    return np.kron(np.eye(width // n), h)


def rotated(x):
    """As stored, turned back: q k = (H q) (H k)."""
    h = hadamard(x.shape[-1])
    return i8(x @ h) @ h


TYPES = {  # bytes of a key of 64; of keys, of values
    "f16": (128, f16, f16),
    "bf16": (128, bf16, bf16),
    "i8, rotate": (68, rotated, i8),
    "i8": (68, i8, i8),
}


def attention(q, k, v):
    """As model.attention, by matrix products."""
    n, heads, width = q.shape
    k, v = (np.repeat(x.astype(np.float64), heads // x.shape[1], axis=1).transpose(1, 0, 2) for x in (k, v))
    s = q.transpose(1, 0, 2) @ k.transpose(0, 2, 1) / np.sqrt(width)
    s = np.where(np.triu(np.ones((n, n), bool), 1), -np.inf, s)
    p = np.exp(s - s.max(axis=-1, keepdims=True))
    return (p / p.sum(axis=-1, keepdims=True) @ v).transpose(1, 0, 2)


def main(folder, text=os.path.join(os.path.dirname(__file__), "accuracy.txt")):
    with open(text, encoding="utf-8") as f:
        ids = reference.tokenizer(folder).encode(f.read())[:TOKENS]
    if len(ids) < TOKENS:
        raise SystemExit(f"accuracy: {text}: {len(ids)} tokens, needed are {TOKENS}")
    square = {name: 0.0 for name in TYPES}
    worst = dict(square)
    total = 0.0

    def measure(q, k, v):
        nonlocal total
        exact = attention(q, k, v)
        total += np.square(exact).sum()
        for name, (_, of_k, of_v) in TYPES.items():
            error = attention(q, of_k(k), of_v(v)) - exact
            square[name] += np.square(error).sum()
            worst[name] = max(worst[name], np.abs(error).max() / np.abs(v).max())
        return exact

    model.attention = measure
    reference.load(folder).logits(ids)
    print("| kv_type | bytes of a key of 64 | rms | largest |\n|---|---|---|---|\n| f32 | 256 | 0 | 0 |")
    for name, (size, _, _) in TYPES.items():
        rms = np.sqrt(square[name] / total)
        print(f"| {name} | {size} | {100 * rms:.2g} % | {100 * worst[name]:.2g} % |")


if __name__ == "__main__":
    main(*sys.argv[1:])
