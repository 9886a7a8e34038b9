#!/usr/bin/env python3
"""Writes cores with keys and values in 8 bits as golden files, i8/*.safetensors.

    apt-get install python3-numpy && tests/golden/make_i8_cases.py

Rows of K and V are rounded in f32 as runtime/CONTRACT.md says, each with its scale; the expected
values are computed in double from what is stored, and nothing here is the product's.
"""

import json
import math
import pathlib
import struct

import numpy as np

OUT = pathlib.Path(__file__).parent / "i8"
DTYPES = {"float32": "F32", "int8": "I8", "uint8": "U8", "int32": "I32"}


def write(name, meta, tensors):
    meta = {"case": name, "form": "regular", "kv_type": "i8", **{k: str(v) for k, v in meta.items()}}
    header, data = {"__metadata__": meta}, b""
    for key, x in sorted(tensors.items()):
        raw = np.ascontiguousarray(x).tobytes()
        header[key] = {
            "dtype": DTYPES[x.dtype.name],
            "shape": list(x.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    OUT.mkdir(exist_ok=True)
    (OUT / f"{name}.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    print(name, len(data))


def rounded(x):
    """Rows of f32 as codes and scales."""
    code = np.zeros(x.shape, np.int8)
    scale = np.zeros(x.shape[:-1], np.float32)
    for at in np.ndindex(*x.shape[:-1]):
        row = x[at].astype(np.float32)
        most = np.max(np.abs(row))  # NaN if any is
        if not np.isfinite(most):
            scale[at] = np.nan
        elif most >= np.float32(2.0**-100):
            scale[at] = most / np.float32(127)
            code[at] = np.rint(row * (np.float32(127) / most)).astype(np.int8)
    return code, scale


def hadamard(n):
    sign = [[(-1) ** bin(i & j).count("1") for j in range(n)] for i in range(n)]
    return np.array(sign, np.float64) / math.sqrt(n)


def turned(x, width):
    """H x of the last `width` columns, block by block."""
    n = width & -width
    y = np.array(x, np.float64)
    first = x.shape[-1] - width
    for at in range(first, x.shape[-1], n):
        y[..., at : at + n] = y[..., at : at + n] @ hadamard(n).T
    return y


def case(name, meta, b, hq, hk, hv, lq, lk, d, dv, visible, width=None, softcap=None, sinks=False,
         scale=None, shared=False, extra=None, spoil=None,
         tolerance="2e-5"):
    """visible(item, row, key); width: columns that are rotated; spoil(k, v): rows of all kinds."""
    rng = np.random.default_rng(sum(name.encode()))
    q = rng.standard_normal((b, hq, lq, d)).astype(np.float32)
    k = (rng.standard_normal((b, hk, lk, d)) * rng.uniform(0.2, 3, (1, 1, 1, d))).astype(np.float32)
    v = rng.standard_normal((b, hv, lk, dv)).astype(np.float32)
    if spoil:
        spoil(k, v)
    if width:
        with np.errstate(invalid="ignore"):
            k = turned(k, width).astype(np.float32)
        meta = {**meta, "rotate": "True"}
    tensors = {"in.q": q, **(extra or {})}
    tensors["in.k"], k_scale = rounded(k)
    tensors["in.k_scale"] = k_scale
    keys = tensors["in.k"].astype(np.float64) * k_scale[..., None].astype(np.float64)
    if shared:
        values = keys[..., :dv]
    else:
        tensors["in.v"], tensors["in.v_scale"] = rounded(v)
        values = tensors["in.v"].astype(np.float64) * tensors["in.v_scale"][..., None].astype(np.float64)
    queries = turned(q, width) if width else q.astype(np.float64)
    scale = np.float64(np.float32(scale or 1 / math.sqrt(d)))
    if sinks:
        tensors["in.sinks"] = rng.standard_normal(hq).astype(np.float32)
    o, lse = np.zeros((b, hq, lq, dv)), np.full((b, hq, lq), -np.inf)
    for i, h, r in np.ndindex(b, hq, lq):
        seen = [j for j in range(lk) if visible(i, r, j)]
        s = keys[i, h // (hq // hk)][seen] @ queries[i, h, r] * scale
        if softcap:
            s = softcap * np.tanh(s / softcap)
        if sinks:
            s = np.append(s, np.float64(tensors["in.sinks"][h]))
        if not len(s):
            continue
        p = np.exp(s - s.max())
        lse[i, h, r] = s.max() + math.log(p.sum())
        o[i, h, r] = (p[: len(seen)] / p.sum()) @ values[i, h // (hq // hv)][seen]
    tensors["out.o"], tensors["out.lse"] = o.astype(np.float32), lse.astype(np.float32)
    write(name, {**meta, "scale": repr(float(scale)), "tolerance": tolerance}, tensors)


def kinds(k, v):
    k[0, 0, 1], v[0, 0, 1] = 0, 0  # nothing at all
    k[0, 0, 2] *= np.float32(2.0**-104)  # next to nothing
    v[0, 0, 2] *= np.float32(2.0**-60)
    k[0, 0, 3], v[0, 0, 3] = np.arange(k.shape[-1]) - 8, np.arange(v.shape[-1]) - 3.5  # ties
    v[0, 0, 3, 0] = 127
    k[0, 0, 3, 0] = 254


def huge(k, v):
    """Values near the end of f32, and scores that leave P of a lazy maximum far above 1."""
    k *= np.float32(5)
    v *= np.float32(5e37)


def hidden_nan(k, v):
    kinds(k, v)
    k[:, :, 5] = np.nan
    k[:, :, 6, 0] = np.inf


def main():
    lens = np.array([13, 10], np.int32)
    start = np.array([4, 1], np.int32)
    padding = np.zeros((2, 13), np.uint8)
    padding[:, 5:7] = 1
    case("gqa_causal", {"op": "full_self", "dot": "f32"}, 2, 4, 2, 2, 9, 13, 24, 20,
         lambda b, i, j: j <= start[b] + i and j < lens[b] and not padding[b, j],
         spoil=hidden_nan,
         extra={"in.kv_len": lens, "in.q_start": start, "in.key_padding_mask": padding})
    case("rotated_window", {"op": "sliding_self", "window": 17, "softcap": 20}, 1, 4, 1, 2, 40, 40, 48,
         33, lambda b, i, j: i - 17 <= j <= i, width=48, softcap=20, sinks=True, spoil=kinds)
    case("rotated_decode", {"op": "full_self", "dot": "i8"}, 1, 8, 2, 2, 1, 300, 64, 64,
         lambda b, i, j: j <= 299, width=64, extra={"in.q_start": np.array([299], np.int32)}, spoil=kinds)
    case("shared_latent", {"form": "mla", "key": "shared", "op": "full_self"}, 1, 6, 1, 1, 11, 37, 48 + 24,
         48, lambda b, i, j: j <= 26 + i, width=24, scale=0.125, shared=True,
         extra={"in.q_start": np.array([26], np.int32)}, spoil=kinds)
    case("huge_values", {"op": "full_self", "dot": "f32"}, 1, 2, 1, 1, 35, 50, 16, 8,
         lambda b, i, j: j <= 15 + i, extra={"in.q_start": np.array([15], np.int32)}, spoil=huge,
         tolerance="1e-3")  # columns cancel, and 4e-6 of the largest |V| may be off
    seg = np.array([[0, 2, 5, -1, 11, 30, 3]], np.int32)
    case("rotated_cross", {"op": "segment_cross", "lookback": 2}, 1, 2, 2, 1, 7, 12, 16, 8,
         lambda b, i, j: 0 <= seg[b, i] and seg[b, i] - 2 <= j <= seg[b, i], width=16,
         extra={"in.seg_id": seg}, spoil=kinds)


if __name__ == "__main__":
    main()
