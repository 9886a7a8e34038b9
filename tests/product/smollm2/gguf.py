"""Reads GGUF version 3, the parts that SmolLM2's file uses, and copies one with f32 tensors.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; block layouts: ggml-common.h.
"""
import struct

import numpy as np

STRING, ARRAY = 8, 9
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
F32, F16, Q4_0, Q4_1, Q8_0 = 0, 1, 2, 3, 8
# Tensor types: elements and bytes of one block.
BLOCKS = {F32: (1, 4), F16: (1, 2), Q4_0: (32, 18), Q4_1: (32, 20), Q8_0: (32, 34)}


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

    def write_f32(self, path):
        """The same model with every tensor as f32: for peers that shall use the same weights."""
        with open(path, "wb") as out:
            out.write(bytes(self.data[: self.end_of_meta]))
            offset = 0
            for name, (shape, _, _) in self.tensors.items():
                raw = name.encode()
                out.write(struct.pack("<Q", len(raw)) + raw + struct.pack("<I", len(shape)))
                out.write(struct.pack(f"<{len(shape)}QIQ", *shape[::-1], F32, offset))
                offset += -(-4 * int(np.prod(shape)) // 32) * 32
            for name in self.tensors:
                out.write(b"\0" * (-out.tell() % 32))
                out.write(self.tensor(name).tobytes())
