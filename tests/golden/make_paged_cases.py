#!/usr/bin/env python3
"""Writes stored/paged_*.safetensors: some of stored/, their keys in pages in a random order, and
pages that nobody needs full of 0x7f. Nothing is computed: answers are those of the dense cases."""

import pathlib
import random
import struct

from casefile import read_raw, write_raw

HERE = pathlib.Path(__file__).parent / "stored"
CASES = {"i8_rotated_decode": 16, "i8_gqa_causal": 16, "i8_rotated_window": 16,
         "i8_shared_latent": 32, "f16_cross": 16, "f16_decode": 64, "bf16_bias_mask": 16, "i8_index_window": 16,
         "bf16_tree": 16}
BYTES = {"F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I8": 1, "U8": 1}


def pool(tensor, table, pages, page, lengths):
    dtype, (batch, heads, keys, *width), raw = tensor
    row = BYTES[dtype] * (width[0] if width else 1)
    out = bytearray(b"\x7f" * (pages * heads * page * row))
    for b in range(batch):
        for h in range(heads):
            for k in range(lengths[b]):
                at = (table[b][k // page] * heads + h) * page + k % page
                source = ((b * heads + h) * keys + k) * row
                out[at * row : (at + 1) * row] = raw[source : source + row]
    return dtype, [pages, heads, page, *width], bytes(out)


def main():
    for name, page in CASES.items():
        meta, tensors = read_raw(HERE / f"{name}.safetensors")
        batch, _, keys = tensors["in.k"][1][:3]
        lengths = [keys] * batch
        if "in.kv_len" in tensors:
            lengths = struct.unpack(f"<{batch}i", tensors["in.kv_len"][2])
        each = -(-keys // page)
        order = list(range(sum(-(-n // page) for n in lengths) + 2))
        random.Random(name).shuffle(order)
        pages, table = len(order), []
        for n in lengths:
            used = -(-n // page)
            table.append([order.pop() for _ in range(used)] + [-1] * (each - used))
        for key in ("in.k", "in.v", "in.k_scale", "in.v_scale"):
            if key in tensors:
                tensors[key] = pool(tensors[key], table, pages, page, lengths)
        entries = [x for row in table for x in row]
        tensors["in.pages"] = ("I32", [batch, each], struct.pack(f"<{len(entries)}i", *entries))
        meta = {**meta, "case": f"paged_{name}", "layout": "paged", "page": str(page),
                "kv_len_max": str(keys)}
        write_raw(HERE / f"paged_{name}.safetensors", meta, tensors)


if __name__ == "__main__":
    main()
