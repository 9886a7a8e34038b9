"""all-MiniLM-L6-v2: token ids, and the embeddings of a float64 BERT in numpy.

usage: minilm.py tokens DIR        reads sentences, a line each; prints their token ids, a line each
       minilm.py check DIR TOKENS FILE     FILE: raw f32 [sentences, 384], against float64
       minilm.py similar FILE SENTENCES    the cosine of each sentence with the first

DIR has config.json, model.safetensors and tokenizer.json."""
import json
import os
import struct
import sys

import numpy as np

TOLERANCE = 2e-6


def weights(folder):
    with open(os.path.join(folder, "model.safetensors"), "rb") as f:
        size, = struct.unpack("<Q", f.read(8))
        header = json.loads(f.read(size))
        data = f.read()
    header.pop("__metadata__", None)
    return {name: np.frombuffer(data[slice(*t["data_offsets"])], np.float32).reshape(t["shape"])
            for name, t in header.items() if t["dtype"] == "F32"}


def ids_of(path):
    with open(path) as f:
        return [[int(word) for word in line.split()] for line in f]


def norm(x, w, name, eps=1e-12):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w[name + ".weight"] + w[name + ".bias"]


def linear(x, w, name):
    return x @ w[name + ".weight"].T + w[name + ".bias"]


def erf(x):
    from math import erf as of
    return np.vectorize(of)(x)


def embed(w, ids, heads=12):
    e = "embeddings."
    x = w[e + "word_embeddings.weight"][ids] + w[e + "position_embeddings.weight"][: len(ids)]
    x = norm(x + w[e + "token_type_embeddings.weight"][0], w, e + "LayerNorm")
    width = x.shape[1] // heads
    for layer in range(6):
        p = f"encoder.layer.{layer}."
        q, k, v = (linear(x, w, p + "attention.self." + n).reshape(len(ids), heads, width).swapaxes(0, 1)
                   for n in ("query", "key", "value"))
        s = q @ k.swapaxes(1, 2) / np.sqrt(width)
        s = np.exp(s - s.max(-1, keepdims=True))
        a = (s / s.sum(-1, keepdims=True) @ v).swapaxes(0, 1).reshape(len(ids), -1)
        x = norm(x + linear(a, w, p + "attention.output.dense"), w, p + "attention.output.LayerNorm")
        h = linear(x, w, p + "intermediate.dense")
        h = h * 0.5 * (1 + erf(h / np.sqrt(2)))
        x = norm(x + linear(h, w, p + "output.dense"), w, p + "output.LayerNorm")
    pooled = x.mean(0)
    return pooled / np.linalg.norm(pooled)


def tokens(folder):
    from tokenizers import Tokenizer
    t = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    t.no_padding()
    for line in sys.stdin:
        print(*t.encode(line.strip()).ids)


def check(folder, path, got):
    w = {name: t.astype(np.float64) for name, t in weights(folder).items()}
    want = np.array([embed(w, ids) for ids in ids_of(path)])
    got = np.fromfile(got, np.float32).reshape(want.shape)
    error = np.abs(got - want).max()
    print(f"{len(want)} sentences, greatest error {error:.1e}, allowed {TOLERANCE:g}")
    sys.exit(not error <= TOLERANCE)


def similar(path, sentences):
    with open(sentences) as f:
        lines = [line.strip() for line in f]
    x = np.fromfile(path, np.float32).reshape(len(lines), -1)
    for line, row in zip(lines[1:], x[1:]):
        print(f"{float(row @ x[0]):6.3f}  {line}")


if __name__ == "__main__":
    {"tokens": tokens, "check": check, "similar": similar}[sys.argv[1]](*sys.argv[2:])
