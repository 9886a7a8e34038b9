#!/usr/bin/env python3
"""Writes what ggml itself makes of blocks of weights, and rounds to, as quant.safetensors.

    pip install gguf numpy
    tests/golden/make_quant_cases.py GGML

GGML is the folder ggml/ of llama.cpp's sources (PyPI: in the archive of llama-cpp-python, under
vendor/llama.cpp); its src/ggml-quants.c is compiled without fused multiply-adds, and called. The
package gguf, which has the values of blocks in numpy, has to agree.

blocks.TYPE [n, bytes] and values.TYPE [n, elements]: blocks, hostile ones among them, and
dequantize_row_TYPE of each. rows [n, 32] and rounded.TYPE [n, bytes]: quantize_row_TYPE_ref;
rows.mxfp4: rows that are too large for the others. Metadata: hashes of the values of MANY random
blocks a type and of MANY rounded rows, all made by a generator that the test restates.
"""

import ctypes
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import gguf

from casefile import write

HERE = pathlib.Path(__file__).parent
MANY = 2000

# Elements and bytes of a block; where its f16 numbers stand, and what else scales it.
TYPES = {
    "q8_0": (32, 34, [0], []), "q4_0": (32, 18, [0], []), "q4_1": (32, 20, [0, 2], []),
    "q5_0": (32, 22, [0], []), "q5_1": (32, 24, [0, 2], []),
    "q4_K": (256, 144, [0, 2], range(4, 16)), "q5_K": (256, 176, [0, 2], range(4, 16)),
    "q6_K": (256, 210, [208], range(192, 208)), "mxfp4": (32, 17, [], [0]),
}
ROUNDED = ["q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "mxfp4"]


def build(ggml):
    out = pathlib.Path(tempfile.mkdtemp())
    (out / "stubs.c").write_text(
        "#include <stddef.h>\n#include <stdlib.h>\n"
        "void ggml_abort(const char *f, int l, const char *m, ...) { (void)f, (void)l, (void)m; abort(); }\n"
        "size_t ggml_row_size(int t, long n) { (void)t, (void)n; return 0; }\n"
        "const char *ggml_type_name(int t) { (void)t; return 0; }\n"
        "size_t ggml_type_size(int t) { (void)t; return 0; }\n"
    )
    subprocess.check_call(
        ["cc", "-O2", "-std=gnu11", "-ffp-contract=off", "-w", "-shared", "-fPIC", f"-I{ggml}/include",
         f"-I{ggml}/src", f"{ggml}/src/ggml-quants.c", str(out / "stubs.c"), "-o", str(out / "q.so"), "-lm"])
    return ctypes.CDLL(str(out / "q.so"))


def pointer(x):
    return x.ctypes.data_as(ctypes.c_void_p)


def dequantise(lib, name, blocks):
    blocks = np.ascontiguousarray(blocks)
    y = np.empty((len(blocks), TYPES[name][0]), np.float32)
    getattr(lib, f"dequantize_row_{name}")(pointer(blocks), pointer(y), ctypes.c_int64(y.size))
    with np.errstate(all="ignore"):
        other = gguf.dequantize(blocks, gguf.GGMLQuantizationType[name.upper()])
    assert np.array_equal(y, other, equal_nan=True), name
    return y


def quantise(lib, name, x):
    x = np.ascontiguousarray(x, np.float32)
    out = np.empty((len(x), TYPES[name][1]), np.uint8)
    getattr(lib, f"quantize_row_{name}_ref")(pointer(x), pointer(out), ctypes.c_int64(x.size))
    return out


def lcg(n, seed=1):
    """state = state * 1664525 + 1013904223, n times, mod 2^32."""
    out, state = np.empty(n, np.uint32), seed
    for i in range(n):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        out[i] = state
    return out


def hashed(words):
    """FNV-1a over 32-bit words, NaN as 0x7fc00000."""
    h = 0xCBF29CE484222325
    for w in words.ravel().tolist():
        h = ((h ^ w) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


def float_bits(x):
    return np.where(np.isnan(x), np.uint32(0x7FC00000), x.view(np.uint32))


def hostile_blocks(rng, name):
    elements, size, halves, scales = TYPES[name]
    # Scales: ordinary, largest, infinite, NaN, zero and minus zero, subnormal.
    numbers = [(0x2E66, 0xB01F), (0x7BFF, 0xFBFF), (0x7C00, 0x0000), (0x0000, 0x7E01),
               (0x8000, 0x8000), (0x0001, 0x83FF)]
    if elements == 256:
        numbers = [numbers[0], numbers[1], numbers[5]]
    blocks = rng.integers(0, 256, (len(numbers), size)).astype(np.uint8)
    for block, pair in zip(blocks, numbers):
        for at, half in zip(halves, pair):
            block[at : at + 2] = half & 255, half >> 8
    blocks[1] = np.where(np.isin(np.arange(size), [h + i for h in halves for i in (0, 1)]), blocks[1], 255)
    if name == "mxfp4":
        blocks[:, 0] = 0, 1, 2, 127, 254, 255
        blocks[:, 1:] = np.arange(16) | (15 - np.arange(16)) << 4
    return blocks


def hostile_rows(rng):
    step = np.arange(32, dtype=np.float32)
    rows = [
        rng.standard_normal(32) * 0.02,
        rng.standard_normal(32),
        np.zeros(32), -np.zeros(32), np.full(32, 0.3), np.full(32, -7.0),
        step - 15.5,  # halves
        (step - 16) / 2,  # ties, the largest negative
        np.where(step % 2, 8, -8) * np.where(step < 7, 0.5, 1),  # equal magnitudes, minus first
        np.where(step % 2, -127, 127) + 0.0,
        (step - 8) * 0.5 + np.float32(2.0**-20),
        step * np.float32(1e-45), (step - 9) * np.float32(1e-40),  # subnormal; 1 / d is infinite
        (step - 20) * np.float32(2.0**-126), (step - 3) * np.float32(2.0**-24),
        (step - 15) * np.float32(2.0**-17) * 15,  # subnormal scales
        np.where(step == 5, 300000, step), np.where(step == 31, -500000, -step),
        np.where(step == 3, np.float32(1024) - np.float32(2.0**-14), step),  # log2f rounds up
        np.where(step == 3, np.float32(0.25) - np.float32(2.0**-26), step / 1000),
    ]
    return np.array(rows, dtype=np.float32)


def wide_rows():
    top, step = np.finfo(np.float32).max, np.arange(32, dtype=np.float32)
    rows = [top * (step / 31), -top * (1 - step / 40), (step - 16) * np.float32(1e37)]
    return np.array(rows, dtype=np.float32)


def random_rows():
    state = lcg(MANY * 32).reshape(MANY, 32)
    scale = np.ldexp(np.float32(1), np.arange(MANY) % 61 - 76).astype(np.float32)
    return state.view(np.int32).astype(np.float32) * scale[:, None]


def main(ggml):
    lib = build(ggml)
    rng = np.random.default_rng(15)
    rows, wide, many = hostile_rows(rng), wide_rows(), random_rows()
    tensors, meta = {"rows": rows, "rows.mxfp4": wide}, {"many": MANY}
    for name, (_, size, _, _) in TYPES.items():
        key = name.lower()
        blocks = hostile_blocks(rng, name)
        tensors[f"blocks.{key}"] = blocks
        tensors[f"values.{key}"] = dequantise(lib, name, blocks)
        random = (lcg(MANY * size, 2) >> 24).astype(np.uint8).reshape(MANY, size)
        meta[f"values.{key}"] = hashed(float_bits(dequantise(lib, name, random)))
        if name not in ROUNDED:
            continue
        tensors[f"rounded.{key}"] = quantise(lib, name, np.vstack([rows, wide] if key == "mxfp4" else [rows]))
        meta[f"rounded.{key}"] = hashed(quantise(lib, name, many))
    write(HERE / "quant.safetensors", {"case": "quant", **meta}, tensors)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(pathlib.Path(sys.argv[1]))
