"""Safetensors: 8 bytes of header length, a JSON header, raw data. Needs numpy only."""
import json
import struct

import numpy as np

DTYPES = {"F32": np.float32, "F16": np.float16, "F64": np.float64, "I32": np.int32, "U8": np.uint8}


def write(path, tensors, metadata=None):
    """tensors: {name: array}."""
    names = {np.dtype(v): k for k, v in DTYPES.items()}
    # Widest elements first, so that every tensor is aligned to its own elements.
    order = sorted(tensors, key=lambda name: -tensors[name].dtype.itemsize)
    header = {"__metadata__": metadata} if metadata else {}
    offset = 0
    for name in order:
        array = tensors[name]
        header[name] = {
            "dtype": names[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % 64)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for name in order:
            out.write(np.ascontiguousarray(tensors[name]).data)


def read(path):
    """Returns {name: array}, mapped from the file."""
    data = np.memmap(path, np.uint8, "r")
    base = 8 + struct.unpack("<Q", bytes(data[:8]))[0]
    header = json.loads(bytes(data[8:base]))
    header.pop("__metadata__", None)
    out = {}
    for name, item in header.items():
        start, end = item["data_offsets"]
        array = data[base + start : base + end].view(DTYPES[item["dtype"]])
        out[name] = array.reshape(item["shape"])
    return out
