"""Reads GGUF version 3, the parts that SmolLM2's file uses, and copies one with tensors of another type.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; block layouts: ggml-common.h.
"""
import struct

import numpy as np

STRING, ARRAY = 8, 9
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
F32, F16, Q4_0, Q4_1, Q8_0, BF16 = 0, 1, 2, 3, 8, 30
# Tensor types: elements and bytes of one block.
BLOCKS = {F32: (1, 4), F16: (1, 2), Q4_0: (32, 18), Q4_1: (32, 20), Q8_0: (32, 34), BF16: (1, 2)}


def _nibbles(packed):
    """16 bytes hold 32 elements: the low nibbles are the first 16."""
    return np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32)


def _half(columns):
    return np.ascontiguousarray(columns).view(np.float16).astype(np.float32)


def dequantise(blocks, kind):
    """blocks: uint8 [n, bytes of a block]. Returns f32 [n, elements of a block], as ggml does."""
    if kind == F32:
        return np.ascontiguousarray(blocks).view(np.float32)
    if kind == F16:
        return _half(blocks)
    if kind == Q4_0:
        return _half(blocks[:, :2]) * (_nibbles(blocks[:, 2:]) - 8)
    if kind == Q4_1:
        return _half(blocks[:, :2]) * _nibbles(blocks[:, 4:]) + _half(blocks[:, 2:4])
    return _half(blocks[:, :2]) * blocks[:, 2:].view(np.int8).astype(np.float32)


def quantise(x, kind):
    """x: f32 [.., columns]. Bytes, as ggml's quantize_row_q8_0_ref and ggml_fp32_to_bf16 give."""
    if kind == F32:
        return x.tobytes()
    if kind == BF16:
        bits = x.view(np.uint32)
        return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16).tobytes()
    x = x.reshape(-1, 32)
    d = np.abs(x).max(axis=1, keepdims=True) / np.float32(127)
    scaled = x * np.divide(1, d, out=np.zeros_like(d), where=d != 0, dtype=np.float32)
    codes = np.trunc(scaled + np.copysign(np.float32(0.5), scaled)).astype(np.int8)
    return np.concatenate([d.astype(np.float16).view(np.uint8), codes.view(np.uint8)], axis=1).tobytes()


class Reader:
    """meta: {key: value}. tensors: {name: (shape as [rows, .., columns], type, offset)}."""

    def __init__(self, path):
        self.data = np.memmap(path, np.uint8, "r")
        self.at = 0
        if bytes(self.data[:4]) != b"GGUF":
            raise SystemExit(f"{path}: not a GGUF file")
        self.at = 4
        version, tensors, keys = self._scalar("I"), self._scalar("Q"), self._scalar("Q")
        if version != 3:
            raise SystemExit(f"{path}: GGUF version {version}, this reader knows 3")
        self.meta = {}
        self.end_of_meta = self.at
        for _ in range(keys):
            key = self._string()
            self.meta[key] = self._value(self._scalar("I"))
        self.end_of_meta = self.at
        self.tensors = {}
        for _ in range(tensors):
            name = self._string()
            shape = [self._scalar("Q") for _ in range(self._scalar("I"))]
            kind, offset = self._scalar("I"), self._scalar("Q")
            if kind not in BLOCKS:
                raise SystemExit(f"{path}: {name} has tensor type {kind}, known are {list(BLOCKS)}")
            self.tensors[name] = (shape[::-1], kind, offset)
        align = self.meta.get("general.alignment", 32)
        self.base = -(-self.at // align) * align

    def _scalar(self, code):
        size = struct.calcsize("<" + code)
        self.at += size
        return struct.unpack("<" + code, bytes(self.data[self.at - size : self.at]))[0]

    def _string(self):
        size = self._scalar("Q")
        self.at += size
        return bytes(self.data[self.at - size : self.at]).decode()

    def _value(self, kind):
        if kind == STRING:
            return self._string()
        if kind == ARRAY:
            kind, count = self._scalar("I"), self._scalar("Q")
            return [self._value(kind) for _ in range(count)]
        return self._scalar(SCALARS[kind])

    def tensor(self, name):
        """The tensor as f32."""
        shape, kind, offset = self.tensors[name]
        elements, size = BLOCKS[kind]
        start = self.base + offset
        count = int(np.prod(shape)) // elements
        blocks = self.data[start : start + count * size].reshape(count, size)
        return dequantise(blocks, kind).reshape(shape)

    def write(self, path, kind):
        """The same model with every matrix of another type, and vectors as f32."""
        with open(path, "wb") as out:
            out.write(bytes(self.data[: self.end_of_meta]))
            offset = 0
            for name, (shape, _, _) in self.tensors.items():
                own = kind if len(shape) > 1 else F32
                elements, size = BLOCKS[own]
                raw = name.encode()
                out.write(struct.pack("<Q", len(raw)) + raw + struct.pack("<I", len(shape)))
                out.write(struct.pack(f"<{len(shape)}QIQ", *shape[::-1], own, offset))
                offset += -(-size * int(np.prod(shape)) // elements // 32) * 32
            for name, (shape, _, _) in self.tensors.items():
                out.write(b"\0" * (-out.tell() % 32))
                out.write(quantise(self.tensor(name), kind if len(shape) > 1 else F32))
