#!/usr/bin/env python3
"""Writes golden cases of long sums and of numbers at the ends of f32's range.

    tests/golden/make_extreme_cases.py

Answers are the formula in double, with sums by math.fsum: nothing of this project computes them.
Needs Python 3 and nothing else.
"""

import math
import pathlib
import random
import struct

from casefile import write_raw

OUT = pathlib.Path(__file__).parent / "extremes"
MOST = struct.unpack("<f", b"\xff\xff\x7f\x7f")[0]  # the largest float


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def flat(x):
    return [z for y in x for z in flat(y)] if isinstance(x, list) else [x]


def shape(x):
    return [len(x)] + shape(x[0]) if isinstance(x, list) else []


def write(name, meta, tensors, ints=()):
    meta = {"level": "core", "form": "regular", "op": "full_self", "causal": "false", **meta}
    packed = {}
    for key, x in tensors.items():
        numbers = flat(x)
        raw = struct.pack("<%d%s" % (len(numbers), "i" if key in ints else "f"), *numbers)
        packed[key] = ("I32" if key in ints else "F32", shape(x), raw)
    write_raw(OUT / f"{name}.safetensors", {"case": name, **meta}, packed)


def attend(scores, v, sink=-math.inf):
    """o and lse of a row; scores of -inf are hidden."""
    seen = [(s, row) for s, row in zip(scores, v) if s != -math.inf]
    if not seen:
        return [0.0] * len(v[0]), sink
    if any(math.isnan(s) for s, _ in seen) or math.isnan(sink):
        return [math.nan] * len(v[0]), math.nan
    most = max([s for s, _ in seen] + [sink])
    p = [math.exp(s - most) for s, _ in seen]
    total = math.fsum(p + [math.exp(sink - most)])
    # P / total first: V may be the largest float.
    o = [math.fsum(a / total * row[d] for a, (_, row) in zip(p, seen)) for d in range(len(v[0]))]
    return [f32(min(max(x, -MOST), MOST)) for x in o], most + math.log(total)


def core(name, source, q, k, v, scale=1.0, bias=None, sink=None, meta=None, more=None, keys=None,
         ints=()):
    """A case of one head. bias[i][j] is added to the scores; keys(i): those that row i sees."""
    o, lse, done = [], [], {}
    for i, row in enumerate(q):
        at = (tuple(row), tuple(bias[i]) if bias else None, tuple(keys(i)) if keys else None)
        if at not in done:
            scores = [scale * math.fsum(a * b for a, b in zip(row, key)) for key in k]
            if bias:
                scores = [-math.inf if b <= -1e30 else s + b for s, b in zip(scores, bias[i])]
            if keys:
                scores = [s if j in keys(i) else -math.inf for j, s in enumerate(scores)]
            done[at] = attend(scores, v, -math.inf if sink is None else sink)
        o.append(done[at][0])
        lse.append(done[at][1])
    tensors = {"in.q": [[q]], "in.k": [[k]], "in.v": [[v]], "out.o": [[o]], "out.lse": [[lse]]}
    tensors.update(more or {})
    if sink is not None:
        tensors["in.sinks"] = [sink]
    fields = {"source": source, "scale": scale, **(meta or {})}
    if sink is not None:
        fields["sinks"] = "true"
    write(name, fields, tensors, ints)


def with_mask(name, source, bias, **rest):
    core(name, source, bias=bias, meta={"backend": "sdpa"}, more={"in.attn_mask": [[bias]]}, **rest)


def main():
    OUT.mkdir(exist_ok=True)
    r = random.Random(12)
    rows = lambda n, width, size=1.0: [[f32(r.uniform(-size, size)) for _ in range(width)]
                                       for _ in range(n)]
    tight = {"tolerance": "2e-06"}

    zeros = lambda n: [[0.0] * 4 for _ in range(n)]
    columns = [f32(1.9), f32(1 / 3), f32(-1.7), f32(0.123)]
    core("flat_prefill", "equal scores, V constant a column: O is V", zeros(40), zeros(8192),
         [columns] * 8192, meta=tight)
    core("flat_decode", "the same by one query", zeros(1), zeros(8192), [columns] * 8192, meta=tight)
    point = [[f32(0.3), 0.0, 0.0, 0.0]]
    core("flat_lse", "LSE of equal scores that are not 0", [[1.0, 0.0, 0.0, 0.0]] * 40, point * 8192,
         zeros(8192), meta={"tolerance": "1.5e-07"})  # of 1 + LSE: 1.5e-6, and rule 8 of CONTRACT.md allows 1.2e-6

    q, k, v = rows(2, 8), rows(6, 8), rows(6, 8)
    large = [[0.0, f32(3e38), 0.0, -1.0, 2.0, 0.0], [f32(2.5e38), 0.0, 0.0, f32(3e38), 0.0, 1.0]]
    with_mask("bias_3e38", "a finite bias that overflows in units of log 2", large, q=q, k=k, v=v)
    with_mask("bias_nan", "a NaN bias reaches the row that uses it, and no other",
              [[0.5, math.nan, 0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, -0.5, 0.0, 0.0]], q=q, k=k, v=v)
    q40 = rows(40, 8)
    bias40 = [[0.0] * 6 for _ in range(40)]
    bias40[7][2] = math.nan
    bias40[9][1] = f32(3e38)
    with_mask("bias_prefill", "both, among rows of a tile", bias40, q=q40, k=k, v=v)
    for value, name in ((3e38, "3e38"), (-3e38, "minus_3e38"), (math.nan, "nan")):
        core("sink_" + name, "a sink at the end of the range, or none at all", q, k, v, sink=f32(value))

    unit = lambda s: [[f32(x), 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0] for x in s]
    core("score_3e38", "finite scores that overflow in units of log 2", unit([1, -1, 0, 0.5] * 10),
         unit([3e38, 1.0, -3e38, 2.9e38, 0.0]), rows(5, 8))
    core("score_all_minus_3e38", "a row whose scores all are", unit([1]), unit([-3e38, -3e38]),
         rows(2, 8))
    core("score_pair_3e38", "products overflow, their sum does not",
         [[f32(1e20), f32(1e20)] + [0.0] * 6], [[f32(1e20), f32(-1e20)] + [0.0] * 6, [0.0] * 8],
         rows(2, 8))

    for n, name in ((1, "decode"), (40, "prefill")):
        spread = [[f32(s)] + [0.0] * 7 for s in (r.uniform(20, 30) for _ in range(300))]
        # P up to 2^53 over the reference 0, and a block's sum of it below 2^60: no redo, and P V is
        # beyond the largest float. Few rows of decode are dot products, which have a maximum of
        # their own: 20 are tiles, and 600 keys two parts of a split.
        times = 2 if name == "decode" else 1
        core("v_1e22_" + name, "a lazy maximum lets P reach 2^60", unit([1]) * (20 if n == 1 else n),
             [[f32(34 + (s[0] - 20) / 4)] + s[1:] for s in spread] * times,
             [[f32(1e22 * r.uniform(0.5, 1)) for _ in range(8)] for _ in range(300)] * times)
        core("v_1e37_" + name, "sums of V overflow, averages do not", unit([0]) * n, spread,
             [[f32(1e37 * r.uniform(0.5, 1)) for _ in range(8)] for _ in range(300)])
        core("v_most_" + name, "all of V is the largest float", unit([0]) * n, spread,
             [[MOST, -MOST] * 4] * 300)

    seen = lambda i: [j for j in (i // 2 - 1, i // 2) if 0 <= j < 6]
    segments = {"in.seg_id": [[i // 2 for i in range(12)]]}
    gather = {"op": "segment_cross", "lookback": 1, "causal": ""}
    gather = {key: x for key, x in gather.items() if x != ""}
    core("gather_v_most", "few keys: the largest floats", rows(12, 8), k, [[MOST, -MOST] * 4] * 6,
         meta=gather, more=segments, keys=seen, ints=("in.seg_id",))
    core("gather_score_3e38", "few keys: scores that overflow in units of log 2",
         unit([1] * 12), unit([3e38, 1.0, -3e38, 2.9e38, 0.0, -1.0]), rows(6, 8), meta=gather,
         more=segments, keys=seen, ints=("in.seg_id",))

    side = [0.0, f32(3e38), 1.0, f32(2.5e38), 0.0, -2.0]
    core("flex_3e38", "a score expression's finite addend", q, k, v, bias=[side] * 2,
         meta={"backend": "flex", "score": "s + big[k]", "tensors": "big=f32[kv_len]"},
         more={"side.big": side})
    side = [0.0, 1.0, math.nan, 0.0, 0.0, -2.0]
    core("flex_nan", "a score expression's NaN", q, k, v, bias=[side] * 2,
         meta={"backend": "flex", "score": "s + big[k]", "tensors": "big=f32[kv_len]"},
         more={"side.big": side})


main()
