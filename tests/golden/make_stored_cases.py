#!/usr/bin/env python3
"""Writes cores whose operands are stored in bf16, f16 and i8, and layers with keys and values in
i8, as golden files.

    apt-get install python3-numpy
    tests/golden/make_stored_cases.py                  stored/*.safetensors
    tests/golden/make_stored_cases.py DIR [COUNT [SEED]]
            all other golden cores in some types, and COUNT random ones, into DIR

Operands are rounded as runtime/CONTRACT.md says; the expected values are computed in double from
what is stored, by its rules; and nothing here is the product's.
"""

import math
import pathlib
import re
import sys

import numpy as np

from casefile import read, write

HERE = pathlib.Path(__file__).parent


# --- Types ---


def bf16(x):
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32).astype(np.uint64)
    upper = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(x), (bits >> 16).astype(np.uint16) | 0x40, upper).astype(np.uint16)


def i8(x):
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


def stored(x, kind):
    """What a file holds, the scales of i8, and the values in double."""
    x = np.asarray(x, np.float32)
    if kind == "f32":
        return x, None, x.astype(np.float64)
    if kind == "bf16":
        upper = bf16(x)
        return upper, None, (upper.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    if kind == "f16":
        with np.errstate(over="ignore"):
            half = x.astype(np.float16)
        return half, None, half.astype(np.float64)
    code, scale = i8(x)
    return code, scale, code.astype(np.float64) * scale[..., None].astype(np.float64)


def turned(x, width):
    """H x of the last `width` columns, block by block."""
    n = width & -width
    sign = [[(-1) ** bin(i & j).count("1") for j in range(n)] for i in range(n)]
    h = np.array(sign, np.float64) / math.sqrt(n)
    y = np.array(x, np.float64)
    first = x.shape[-1] - width
    for at in range(first, x.shape[-1], n):
        y[..., at : at + n] = y[..., at : at + n] @ h.T
    return y


# --- The formula ---


def number(text):
    return float(text) if re.search("[.en]", text, re.I) else int(text)


def names_of(meta, tensors, heads, hk, d, lq, lk, b, start):
    """What expressions may name, but for h, q, k and s."""
    with np.errstate(all="ignore"):
        names = {
            "where": lambda c, x, y: x if c else y,
            "clamp": lambda x, lo, hi: min(max(x, lo), hi),
            "exp2": lambda x: 2.0**x,
            "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
            **{f: getattr(math, f) for f in ("exp", "log", "tanh", "sqrt", "sin", "cos", "inf")},
            "abs": abs, "min": min, "max": max, "true": True, "false": False,
            "heads": heads, "kv_heads": hk, "head_dim": d, "q_len": lq, "kv_len": lk, "b": b,
            "q_start": start,
        }
    for field in ("window", "right_window", "lookback"):
        if field in meta:
            names[field] = int(meta[field])
    for part in filter(None, meta.get("scalars", "").split(";")):
        name, value = part.split("=")
        names[name.strip()] = number(value)
    for key, x in tensors.items():
        if key.startswith("side."):
            names[key[5:]] = x.tolist()
    return names


def in_range(meta, seg, b, i, p, j):
    op = meta["op"]
    if op == "segment_cross":
        at = int(seg[b, i])
        return at >= 0 and at - int(meta.get("lookback", 0)) <= j <= at
    causal = meta.get("causal", "true").lower() == "true"
    if op == "full_self":
        return j <= p or not causal
    return p - int(meta["window"]) <= j <= (p if causal else p + int(meta["right_window"]))


def bias_of(mask, b, h, i, j):
    """Whether the mask shows this pair, and what it adds."""
    at = [0 if n == 1 else x for n, x in zip(mask.shape, (b, h, i, j)[4 - mask.ndim :])]
    value = mask[tuple(at)]
    if mask.dtype == np.uint8 or mask.dtype == bool:
        return bool(value), 0.0
    return not value <= np.float32(-1e30), float(value)


# Rule 5 of storage types: half a step of q, of its largest, and what rounding of P may do.
DOTS = {"i16": (1 / (2 * 8191), 32 / (2 * 65535)), "i8": (1 / (2 * 127), 32 / (2 * 255)),
        "bf16": (2.0**-8, 2.0**-8), "f32": (0, 0)}


def attend(meta, tensors, q, k, v, scale):
    """O and LSE in double from values in double, and the tolerance that rule 8 and `dot` give."""
    nb, hq, lq, d = q.shape
    hk, lk, hv, dv = k.shape[1], k.shape[2], v.shape[1], v.shape[3]
    code = {f: compile(meta[f], f, "eval") for f in ("score", "mask") if f in meta}
    lens, start = tensors.get("in.kv_len"), tensors.get("in.q_start")
    padding, mask = tensors.get("in.key_padding_mask"), tensors.get("in.attn_mask")
    sinks, seg = tensors.get("in.sinks"), tensors.get("in.seg_id")
    lists, counts = tensors.get("in.index"), tensors.get("in.index_count")
    rows, tail, moved = (tensors.get(f"in.{x}") for x in ("q_position", "tail", "k_position"))
    cap = float(meta.get("softcap", 0))
    dot = meta.get("dot", "i16" if meta.get("kv_type") == "i8" else "f32")
    step, rest = DOTS[dot]
    o, lse = np.zeros((nb, hq, lq, dv)), np.full((nb, hq, lq), -np.inf)
    tolerance = 2e-6
    for b, h, i in np.ndindex(nb, hq, lq):
        first = int(start[b]) if start is not None else 0
        p = int(rows[b, i]) if rows is not None else first + i
        most = int(lens[b]) if lens is not None else lk
        body = most - int(tail[b]) if tail is not None else most  # keys at their numbers
        keys = range(most)
        if lists is not None:
            named = lists[b, h // (hq // hk), i, : counts[b, i]]
            keys = [int(j) for j in named if 0 <= j < most]
        names = names_of(meta, tensors, hq, hk, d, lq, lk, b, first) if code else {}
        seen, scores, loose, size = [], [], 0.0, 0.0
        for j in keys:
            place = j if j < body else int(moved[b, j - body])
            if not in_range(meta, seg, b, i, p, place) or (padding is not None and padding[b, j]):
                continue
            shown, bias = bias_of(mask, b, h, i, j) if mask is not None else (True, 0.0)
            at = {"h": h, "q": p, "k": j, "k_pos": place}
            if not shown or ("mask" in code and not eval(code["mask"], names, at)):
                continue
            row = k[b, h // (hq // hk), j]
            s = float(row @ q[b, h, i]) * scale
            own = cap * math.tanh(s / cap) if cap else s
            if "score" in code:
                own = float(eval(code["score"], names, {**at, "s": own}))
            if own + bias == -math.inf:
                continue
            seen.append(j)
            scores.append(own + bias)
            size = max(size, abs(own) + abs(bias) + scale * float(np.abs(row * q[b, h, i]).sum()))
            terms = (np.abs(q[b, h, i] * row).sum() if dot == "bf16"
                     else np.abs(q[b, h, i]).max() * np.abs(row).sum())
            loose = max(loose, scale * step * terms)
        if sinks is not None:
            scores.append(float(sinks[h]))
        if not scores:
            continue
        s = np.array(scores)
        top = s.max()
        w = np.exp(s - top)
        lse[b, h, i] = top + np.log(w.sum())
        if not seen:
            continue
        values = v[b, h // (hq // hv)][seen]
        o[b, h, i] = (w[: len(seen)] / w.sum()) @ values
        bound = (4e-6 + 4e-7 * size + np.expm1(2 * loose) + rest) * np.abs(values).max()
        parts = list(bound / (1 + np.abs(o[b, h, i])))
        parts.append((1e-6 + 4e-7 * size + loose) / (1 + abs(lse[b, h, i])))
        tolerance = max([tolerance] + [x for x in parts if np.isfinite(x)])
    return o, lse, tolerance


# --- Cases ---


def finish(out, name, meta, q, k, v, extra, as_type=False, tolerance=None):
    """q, k, v: f32 as a user has them, v None where it is k's first columns; extra: the rest of the
    inputs. as_type: O is stored in its own type, else in f32 before it is rounded. tolerance: None: by the rules."""
    own = meta.get("type", "f32")
    kept = meta.get("kv_type", "same").replace("same", own)
    shared = meta.get("key") == "shared"
    dv = int(meta.pop("latent", 0)) if shared else v.shape[-1]
    tensors = dict(extra)
    tensors["in.q"], _, queries = stored(q, own)
    if meta.get("rotate", "").lower() == "true":
        width = q.shape[-1] - dv if shared else q.shape[-1]
        with np.errstate(invalid="ignore"):
            k = turned(k, width).astype(np.float32)
        queries = turned(queries, width)
    tensors["in.k"], scale, keys = stored(k, kept)
    if scale is not None:
        tensors["in.k_scale"] = scale
    if shared:
        values = keys[..., :dv]
    else:
        tensors["in.v"], scale, values = stored(v, kept)
        if scale is not None:
            tensors["in.v_scale"] = scale
    factor = meta.get("scale", "")
    if factor.startswith("1/sqrt") or not factor:
        factor = 1 / math.sqrt(q.shape[-1])
    factor = float(np.float32(float(factor)))
    with np.errstate(invalid="ignore", over="ignore"):
        o, lse, bound = attend(meta, tensors, queries, keys, values, factor)
        tensors["out.lse"] = lse.astype(np.float32)
        o_type = own if meta.get("o_type", "same") == "same" else "f32"
        tensors["out.o"] = stored(o, o_type)[0] if as_type else o.astype(np.float32)
    meta = {**meta, "scale": repr(factor), "tolerance": tolerance or f"{bound:.2g}"}
    write(out / f"{name}.safetensors", {"case": name, "form": "regular", **meta}, tensors)


def case(out, name, meta, b, hq, hk, hv, lq, lk, d, dv, extra=None, spoil=None, sinks=False,
         as_type=False, tolerance=None):
    """A made one. spoil(q, k, v): rows of all kinds."""
    rng = np.random.default_rng(sum(name.encode()))
    q = rng.standard_normal((b, hq, lq, d)).astype(np.float32)
    k = (rng.standard_normal((b, hk, lk, d)) * rng.uniform(0.2, 2, d)).astype(np.float32)
    v = rng.standard_normal((b, hv, lk, dv)).astype(np.float32)
    extra = dict(extra or {})
    if sinks:
        extra["in.sinks"] = rng.standard_normal(hq).astype(np.float32)
    if spoil:
        spoil(q, k, v)
    shared = meta.get("key") == "shared"
    if shared:
        meta = {**meta, "latent": dv}
    finish(out, name, meta, q, k, None if shared else v, extra, as_type, tolerance)


def kinds(q, k, v):
    k[0, 0, 1], v[0, 0, 1] = 0, 0  # nothing at all
    k[0, 0, 2] *= np.float32(2.0**-104)  # next to nothing
    v[0, 0, 2] *= np.float32(2.0**-60)
    k[0, 0, 3], v[0, 0, 3] = np.arange(k.shape[-1]) - 8, np.arange(v.shape[-1]) - 3.5  # ties of i8
    v[0, 0, 3, 0] = 127
    k[0, 0, 3, 0] = 254


def huge(q, k, v):
    """Values near the end of f32, and scores that leave P of a lazy maximum far above 1."""
    k *= np.float32(5)
    v *= np.float32(5e37)


def hidden_nan(q, k, v):
    kinds(q, k, v)
    k[:, :, 5] = np.nan
    k[:, :, 6, 0] = np.inf


def nan_rows(q, k, v):
    """Keys that are hidden, and queries that are on their own."""
    k[:, :, 5] = np.nan
    k[:, :, 6, 0] = np.inf
    q[0, 1, 2, 0] = np.nan
    q[0, 0, 4] = np.nan


def tiny(q, k, v):
    """Subnormal values of 16 bits, and those that f16 loses; ties of both types."""
    k *= np.float32(2.0**-15)
    q *= np.float32(2.0**6)
    v *= np.float32(2.0**-14)
    v[0, 0, 0] = np.float32(1 + 2.0**-8) * np.float32(2.0) ** -np.arange(v.shape[-1])
    k[0, 0, 0] = np.float32(1 + 2.0**-11) * np.float32(2.0) ** -np.arange(k.shape[-1])


def beyond_f16(q, k, v):
    v[..., ::2] *= np.float32(3e5)
    v[..., 1::4] *= np.float32(2.0**-26)


def small_values(q, k, v):
    """Values that P of a lazy maximum takes out of f32's range, so that rows are looked at again."""
    v *= np.float32(2.0**-97)
    v[0, 0, ::3] *= np.float32(2.0**-2)


def made(out):
    lens, start = np.array([13, 10], np.int32), np.array([4, 1], np.int32)
    padding = np.zeros((2, 13), np.uint8)
    padding[:, 5:7] = 1
    varied = {"in.kv_len": lens, "in.q_start": start, "in.key_padding_mask": padding}
    seg = {"in.seg_id": np.array([[0, 2, 5, -1, 11, 30, 3]], np.int32)}

    def at(p):
        return {"in.q_start": np.array([p], np.int32)}

    def mask(*shape):
        bits = np.random.default_rng(3).random(shape)
        return {"in.attn_mask": np.where(bits < 0.2, -np.inf, bits).astype(np.float32)}

    def listed(items, heads, rows, keys, most):
        """Keys in any order, some twice, among numbers that name none."""
        rng = np.random.default_rng(most)
        return {"in.index": rng.integers(-3, keys + 3, (items, heads, rows, most)).astype(np.int32),
                "in.index_count": rng.integers(0, most + 1, (items, rows)).astype(np.int32)}

    def places(items, rows, keys):
        return {"in.q_position": np.random.default_rng(rows).integers(0, keys, (items, rows)).astype(np.int32)}

    def tree(rows, keys):
        """Drafts behind what has been read: two at each position."""
        at = np.array([[keys - rows + i // 2 for i in range(rows)]], np.int32)
        return {"in.q_position": at, "in.k_position": at, "in.tail": np.array([rows], np.int32)}

    full, window, cross = ({"op": op} for op in ("full_self", "sliding_self", "segment_cross"))
    turn, exact, i8_ = {"rotate": "true"}, {"dot": "f32"}, {"kv_type": "i8"}
    latent = {"form": "mla", "key": "shared", "scale": "0.125"}

    def core(name, *args, tolerance="3e-5", **more):
        case(out, name, *args, tolerance=tolerance, **more)

    core("i8_gqa_causal", {**full, **i8_, **exact}, 2, 4, 2, 2, 9, 13, 24, 20, varied, hidden_nan)
    core("i8_rotated_window", {**window, **i8_, **turn, **exact, "window": "17", "softcap": "20"},
         1, 4, 1, 2, 30, 30, 48, 33, sinks=True, spoil=kinds)
    core("i8_rotated_decode", {**full, **i8_, **turn}, 1, 8, 2, 2, 1, 150, 64, 40, at(149),
         tolerance=None)
    core("i8_shared_latent", {**latent, **full, **i8_, **exact}, 1, 6, 1, 1, 7, 33, 72, 48, at(26),
         kinds)
    core("i8_rotated_latent", {**latent, **full, **i8_, **turn, **exact, "type": "bf16"}, 1, 3, 1, 1,
         3, 20, 40, 16, at(17), kinds)
    core("i8_huge_values", {**full, **i8_, **exact}, 1, 4, 2, 2, 14, 29, 24, 20, at(15), huge,
         tolerance="1e-3")  # columns cancel, and 4e-6 of the largest |V| may be off
    core("i8_rotated_cross", {**cross, **i8_, **turn, **exact, "lookback": "2"}, 1, 2, 2, 1, 7, 12, 16,
         8, seg, kinds)
    core("i8_small_values", {**full, **i8_, **exact}, 1, 4, 2, 2, 14, 19, 24, 20, at(5), small_values)
    core("i8_f16_out", {**full, **i8_, **exact, "type": "f16"}, 1, 2, 1, 2, 9, 17, 20, 12, at(8),
         beyond_f16, as_type=True)
    core("i8_bf16_window_expr",
         {**window, **i8_, **exact, **turn, "type": "bf16", "o_type": "f32", "window": "9",
          "score": "s + 0.05 * (k - q)", "mask": "k % 5 != h"}, 1, 3, 3, 1, 12, 14, 24, 9, at(2), kinds)
    core("i8_index_window", {**window, **i8_, **turn, **exact, "window": "30", "select": "index"}, 2, 4, 2,
         1, 5, 60, 24, 20, {**listed(2, 2, 5, 60, 40), **places(2, 5, 60),
                            "in.kv_len": np.array([60, 47], np.int32)}, kinds, sinks=True)
    core("f32_index_mask", {**full, "select": "index", "mask": "k % 4 != h"}, 1, 6, 3, 3, 3, 300, 20, 36,
         {**at(290), **listed(1, 3, 3, 300, 280)})
    core("bf16_index_latent", {**latent, **full, "type": "bf16", "select": "index"}, 1, 5, 1, 1, 4, 80, 40,
         24, {**at(76), **listed(1, 1, 4, 80, 64)})
    core("bf16_tree", {**window, "type": "bf16", "window": "12",
                       "score": "s + 0.1 * (k_pos - q)", "mask": "k < 24 or k % 2 == h % 2"}, 1, 4, 2, 2, 6, 30, 16,
         16, tree(6, 30))
    core("bf16_causal", {**full, "type": "bf16"}, 2, 4, 2, 2, 9, 13, 24, 20, varied, nan_rows)
    core("bf16_dot_window", {**window, "type": "bf16", "dot": "bf16", "window": "30", "scale": "0.05"},
         2, 4, 2, 1, 23, 43, 27, 36, {"in.q_start": np.array([20, 3], np.int32)}, tolerance="2e-4")
    core("bf16_f16_keys_window", {**window, "type": "bf16", "kv_type": "f16", "window": "6",
         "softcap": "4"}, 1, 4, 2, 1, 19, 19, 33, 17, sinks=True, spoil=tiny, as_type=True)
    core("bf16_bias_mask", {**full, "type": "bf16", "kv_type": "f32", "o_type": "f32"}, 1, 4, 1, 1, 5,
         21, 16, 16, {**at(16), **mask(4, 1, 21)})
    core("f16_decode", {**full, "type": "f16"}, 1, 8, 1, 1, 1, 90, 40, 24, at(89), tiny)
    core("f16_overflow", {**full, "type": "f16", "kv_type": "bf16"}, 1, 2, 1, 1, 6, 11, 8, 8, at(5),
         beyond_f16)
    core("f16_cross", {**cross, "type": "f16", "lookback": "1"}, 1, 2, 2, 1, 7, 12, 16, 8, seg,
         as_type=True)
    core("f16_keys_latent", {**latent, **full, "kv_type": "f16"}, 1, 5, 1, 1, 4, 24, 40, 24, at(20))
    core("bf16_keys_heads", {"form": "mla", **window, "window": "8", "kv_type": "bf16"}, 1, 3, 3, 1,
         11, 11, 16, 24)
    core("f16_keys_mask", {**full, "kv_type": "f16", "causal": "false",
         "mask": "(q & 3) == (k & 3) or k <= first", "scalars": "first=2"}, 1, 2, 2, 2, 20, 20, 32, 32,
         spoil=tiny)


# --- Layers: those of block/ whose keys and values are stored in i8 ---


def norm(x, w, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * w


def rope(x, first):
    """By halves; angles of base 10000."""
    half = x.shape[-1] // 2
    at = first + np.arange(x.shape[-2])[:, None]
    angle = at * 10000.0 ** (-np.arange(half) / half)
    cos, sin = (f(angle).astype(np.float32).astype(np.float64) for f in (np.cos, np.sin))
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)


class Tie(Exception):
    """An element lies between two codes."""


def rounded(x):
    """Values of i8. Rounding in f32 must not choose another code than this does."""
    code, _, value = stored(x, "i8")
    exact = x * (127 / np.abs(x).max(-1, keepdims=True))
    if np.abs(exact - np.floor(exact) - 0.5).min() < 5e-5:
        raise Tie
    assert np.abs(code - exact).max() <= 0.50001
    return value


def llama(meta, tensors, rows, kind):
    """A layer in double: y. kind: of keys and values, rotated after RoPE where it is i8."""
    w = {key[2:-7]: x.astype(np.float64) for key, x in tensors.items() if key.startswith("w.")}
    hq, hk, eps = (float(meta[f]) for f in ("heads", "kv_heads", "norm_eps"))
    hq, hk = int(hq), int(hk)
    x = rows.astype(np.float64)

    def heads(name, count):
        y = norm(x, w["norm1"], eps) @ w[name].T
        return y.reshape(*y.shape[:2], count, -1).transpose(0, 2, 1, 3)

    q, k, v = rope(heads("q_proj", hq), 0), rope(heads("k_proj", hk), 0), heads("v_proj", hk)
    if kind == "i8":
        q, k, v = turned(q, q.shape[-1]), rounded(turned(k, k.shape[-1])), rounded(v)
    k, v = (np.repeat(y, hq // hk, 1) for y in (k, v))
    s = q @ k.transpose(0, 1, 3, 2) / math.sqrt(q.shape[-1])
    s = np.where(np.tri(s.shape[-2], dtype=bool), s, -np.inf)
    p = np.exp(s - s.max(-1, keepdims=True))
    o = (p / p.sum(-1, keepdims=True)) @ v
    x = x + o.transpose(0, 2, 1, 3).reshape(*x.shape[:2], -1) @ w["o_proj"].T
    y = norm(x, w["norm2"], eps)
    gate = y @ w["gate_proj"].T
    return x + (gate / (1 + np.exp(-gate)) * (y @ w["up_proj"].T)) @ w["down_proj"].T


def layers(out):
    """transformers' layer of block/llama_step: without rounding this is what it gives."""
    meta, tensors = read(HERE / "block" / "llama_step.safetensors")
    rows, first = np.concatenate([tensors["in.x"], tensors["in.x_new"]], 1), tensors["in.x"].shape[1]
    same = llama(meta, tensors, rows, "f32")[:, first:]
    assert np.abs(same - tensors["out.y_new"]).max() < 1e-5
    del meta["case"]
    own = {**meta, "kv_type": "i8", "dot": "f32", "tolerance": "2e-5"}
    given = {key: x for key, x in tensors.items() if not key.startswith("out.")}
    for seed in range(100):
        try:
            rows = np.random.default_rng(seed).standard_normal(rows.shape).astype(np.float32)
            y = llama(meta, tensors, rows, "i8").astype(np.float32)
            break
        except Tie:
            pass
    same = llama(meta, tensors, rows, "f32")[:, first:]
    given["in.x"], given["in.x_new"] = rows[:, :first], rows[:, first:]
    assert np.abs(y[:, first:] - same).max() > 1e-3, "the rounding shows"
    write(out, "i8_layer_step", own, {**given, "out.y_new": y[:, first:]})
    del own["pos_start"]
    given = {key: x for key, x in given.items() if key.startswith("w.")}
    write(out, "i8_layer", own, {**given, "in.x": rows, "out.y": y})


# --- Other goldens in other types, and random ones ---


def types_at(rng):
    own = rng.choice(["f32", "bf16", "f16"])
    kept = rng.choice(["same", "f32", "bf16", "f16", "i8", "i8"])
    meta = {"type": own}
    if kept != "same":
        meta["kv_type"] = kept
    if kept == "i8":
        meta["rotate"] = str(rng.choice(["true", "false", "True"]))
        if rng.random() < 0.7:
            meta["dot"] = "f32"
    elif own == kept == "f32" or (own == "f32" and kept == "same"):
        meta["type"] = "bf16"
    if rng.random() < 0.3:
        meta["o_type"] = "f32"
    return {k: str(x) for k, x in meta.items()}


def converted(out, path, rng):
    """Whether the case is a core, and was written."""
    meta, tensors = read(path)
    if meta.get("level", "core") != "core":
        return False
    q, k, v = (tensors.get(f"in.{x}") for x in "qkv")
    extra = {key: x for key, x in tensors.items()
             if not key.startswith("out.") and key not in ("in.q", "in.k", "in.v")}
    own = {key: x for key, x in meta.items() if key not in ("case", "tolerance", "kernel", "backend")}
    finish(out, f"{path.parent.name}_{path.stem}", {**own, **types_at(rng)}, q, k, v, extra,
           as_type=rng.random() < 0.5)
    return True


def random_case(out, name, rng):
    form = rng.choice(["regular", "regular", "heads", "shared"])
    op = str(rng.choice(["full_self", "sliding_self", "segment_cross"]))
    meta = {"op": op, **types_at(rng)}
    b, hk = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    hq, hv = hk * int(rng.integers(1, 5)), int(rng.choice([1, hk]))
    d, dv = int(rng.integers(1, 90)), int(rng.integers(1, 70))
    lq, lk = int(rng.choice([1, 2, 17, 40])), int(rng.choice([1, 9, 60, 130]))
    if form != "regular":
        meta["form"], hk, hv = "mla", hq, 1
    if form == "shared":
        hk, dv = 1, int(rng.integers(1, 9)) * 8
        d = dv + int(rng.choice([4, 8, 24, 64]))
        meta["key"], meta["scale"] = "shared", "0.2"
    extra = {}
    if op == "segment_cross":
        meta["lookback"] = str(rng.choice([0, 3, 90]))
        extra["in.seg_id"] = rng.integers(-2, lk + 2, (b, lq)).astype(np.int32)
    elif op == "sliding_self":
        meta["window"] = str(rng.choice([0, 7, 50, 2**31 - 1]))
        if rng.random() < 0.3:
            meta["causal"], meta["right_window"] = "false", str(rng.choice([0, 9]))
    elif rng.random() < 0.3:
        meta["causal"] = "False"
    if rng.random() < 0.5:
        extra["in.kv_len"] = rng.integers(0, lk + 1, b).astype(np.int32)
    if rng.random() < 0.7:
        extra["in.q_start"] = rng.integers(-3, lk, b).astype(np.int32)
    if rng.random() < 0.3:
        extra["in.key_padding_mask"] = (rng.random((b, lk)) < 0.3).astype(np.uint8)
    if rng.random() < 0.3:
        meta["softcap"] = str(rng.choice([2, 30]))
    kind = rng.choice(["none", "none", "bool", "bias", "expr", "side"])
    if kind in ("bool", "bias"):
        shape = [n if rng.random() < 0.6 else 1 for n in (b, hq, lq, lk)][int(rng.integers(0, 4)) :]
        bits = rng.random(shape)
        extra["in.attn_mask"] = ((bits > 0.3).astype(np.uint8) if kind == "bool"
                                 else np.where(bits < 0.2, -np.inf, bits).astype(np.float32))
    if kind == "expr":
        meta["score"] = str(rng.choice(["s + 0.02 * (k - q)", "8 * tanh(s / 8)", "s * 0.5 - 0.1 * h"]))
        meta["mask"] = str(rng.choice(["k % 4 != h % 4", "q - k <= 20 or k < 3", "k // 8 == q // 8"]))
    if kind == "side":
        meta["score"], meta["tensors"] = "s + slope[h] * bias[b][k]", "slope=f32[heads];bias=f32[batch][kv_len]"
        extra["side.slope"] = rng.standard_normal(hq).astype(np.float32)
        extra["side.bias"] = rng.standard_normal((b, lk)).astype(np.float32)

    def spoil(q, k, v):
        for x in (k, v):
            x *= np.float32(2.0) ** rng.integers(-3, 3, x.shape[:-1] + (1,)).astype(np.float32)
            x[rng.random(x.shape[:-1]) < 0.05] = 0
        if rng.random() < 0.15:
            v *= np.float32(rng.choice([2.0**-20, 2.0**-26, 1e5, 1e-30, 1e30]))
        if rng.random() < 0.2:
            q[0, 0, -1, 0] = np.nan
        if "in.kv_len" in extra:
            for i in range(b):
                k[i, :, extra["in.kv_len"][i] :] = np.nan
                v[i, :, extra["in.kv_len"][i] :] = np.inf
        if "in.key_padding_mask" in extra:
            for i in range(b):
                k[i, :, extra["in.key_padding_mask"][i] == 1] = np.nan

    case(out, name, meta, b, hq, hk, hv, lq, lk, d, dv, extra, spoil, bool(rng.random() < 0.3),
         bool(rng.random() < 0.5))


def main():
    if len(sys.argv) < 2:
        made(HERE / "stored")
        layers(HERE / "stored")
        return
    out = pathlib.Path(sys.argv[1])
    count, seed = (int(x) for x in (sys.argv[2:] + ["40", "1"][len(sys.argv[2:]) :]))
    rng = np.random.default_rng(seed)
    for path in sorted([*(HERE / "flex").glob("*"), *(HERE / "onnx").glob("*")]):
        converted(out, path, rng)
    for i in range(count):
        random_case(out, f"random_{seed}_{i}", rng)


if __name__ == "__main__":
    main()
