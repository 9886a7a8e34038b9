#!/usr/bin/env python3
"""Converts the ONNX Attention conformance cases (opset 23 and later) to golden files.

    pip install onnx==1.23.2 && tests/golden/make_onnx_cases.py

Inputs are the cases' own, widened to f32; the expected output is onnx's reference evaluation of
them in double precision. Mapped to the contract:
    past_key, past_value      concatenated before K and V
    nonpad_kv_seqlen          in.kv_len
    is_causal                 causal, with q_start = length of the past, or kv_len - Lq, or 0
    left/right_window_size    op sliding_self
    attn_mask                 in.attn_mask of the same rank; padded as onnx does where it is short
    3-D inputs                split into heads
Cases that differ in nothing but ONNX's other outputs are written once.
"""

import pathlib
import sys

import numpy as np
from onnx.backend.test.case.node import attention
from onnx.reference.ops.op_attention import _compute_attention

from casefile import write

OUT = pathlib.Path(__file__).parent / "onnx"
INT_MAX = 2**31 - 1


def collect():
    """name, attributes and inputs by name, of every case."""
    cases = []

    def expect(node, inputs, outputs, name, **_):
        given = [n for n in node.input if n]
        attrs = {a.name: a.i or a.f for a in node.attribute}
        cases.append((name, attrs, dict(zip(given, inputs)), outputs[0]))

    attention.expect = expect
    for seed, export in enumerate(sorted(n for n in dir(attention.Attention) if n[:6] == "export")):
        np.random.seed(seed)
        getattr(attention.Attention, export)()
    return cases


def to_heads(x, heads):
    """[B, L, H * D] -> [B, H, L, D]"""
    if x.ndim == 4:
        return x
    return x.reshape(x.shape[0], x.shape[1], heads, -1).transpose(0, 2, 1, 3)


def mask_of(mask, keys):
    short = keys - mask.shape[-1]
    fill = False if mask.dtype == np.bool_ else -np.inf
    mask = np.pad(mask, [(0, 0)] * (mask.ndim - 1) + [(0, short)], constant_values=fill)
    return mask.astype(np.uint8 if mask.dtype == np.bool_ else np.float32)


def fields(attrs, meta):
    """op, causal and windows."""
    causal = bool(attrs.get("is_causal", 0))
    left, right = attrs.get("left_window_size", -1), attrs.get("right_window_size", -1)
    meta["causal"] = "true" if causal else "false"
    if left < 0 and (right < 0 or causal):
        meta["op"] = "full_self"
        return
    meta["op"] = "sliding_self"
    meta["window"] = str(left if left >= 0 else INT_MAX)
    if not causal:
        meta["right_window"] = str(right if right >= 0 else INT_MAX)


def convert(name, attrs, inputs):
    meta = {"case": name, "form": "regular", "backend": "sdpa", "level": "core"}
    fields(attrs, meta)
    if "scale" in attrs:
        meta["scale"] = repr(float(np.float32(attrs["scale"])))
    if attrs.get("softcap", 0) > 0:
        meta["softcap"] = repr(float(np.float32(attrs["softcap"])))
    q = to_heads(inputs["Q"], attrs.get("q_num_heads"))
    k = to_heads(inputs["K"], attrs.get("kv_num_heads"))
    v = to_heads(inputs["V"], attrs.get("kv_num_heads"))
    batch, past = q.shape[0], 0
    if "past_key" in inputs:
        past = inputs["past_key"].shape[2]
        k = np.concatenate((inputs["past_key"], k), axis=2)
        v = np.concatenate((inputs["past_value"], v), axis=2)
    t = {"in.q": q.astype(np.float32), "in.k": k.astype(np.float32), "in.v": v.astype(np.float32)}
    start = np.full(batch, past, np.int64)
    if "nonpad_kv_seqlen" in inputs:
        t["in.kv_len"] = inputs["nonpad_kv_seqlen"].astype(np.int64)
        start = t["in.kv_len"] - q.shape[2]
    if start.any():
        t["in.q_start"] = start
    if "attn_mask" in inputs:
        t["in.attn_mask"] = mask_of(inputs["attn_mask"], k.shape[2])
    return meta, t


def evaluate(attrs, inputs):
    """onnx's reference in double precision."""
    wide = {n: x.astype(np.float64) if x.dtype.kind in "fV" else x for n, x in inputs.items()}
    known = {"scale", "is_causal", "q_num_heads", "kv_num_heads", "softcap"}
    known |= {"left_window_size", "right_window_size"}
    args = {n: a for n, a in attrs.items() if n in known}
    y = _compute_attention(**wide, **args, _validate_attention25=False)[0]
    return to_heads(y, attrs.get("q_num_heads"))


def main():
    OUT.mkdir(exist_ok=True)
    seen, written = set(), 0
    for name, attrs, inputs, output in collect():
        meta, tensors = convert(name, attrs, inputs)
        shapes = {n: (x.shape, x.dtype.name) for n, x in tensors.items()}
        kinds = [x.dtype.name for x in inputs.values()]
        key = repr(({k: v for k, v in meta.items() if k != "case"}, shapes, kinds))
        if key in seen and "nan" not in name and "poison" not in name:
            continue
        seen.add(key)
        want = evaluate(attrs, inputs)
        narrow = output.dtype.name != "float32"
        given = to_heads(output, attrs.get("q_num_heads")).astype(np.float64)
        if not np.allclose(want, given, rtol=2e-2 if narrow else 1e-5, atol=2e-2 if narrow else 1e-5):
            sys.exit(f"{name}: the double-precision evaluation differs from the case's output")
        tensors["out.o"] = want.astype(np.float32)
        write(OUT / f"{name.removeprefix('test_')}.safetensors", meta, tensors,
              separators=(",", ":"), sort_keys=True)
        written += 1
    print(f"{written} cases")


if __name__ == "__main__":
    main()
