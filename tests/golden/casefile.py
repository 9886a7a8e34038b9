"""Golden files, which are safetensors, for the scripts that make them."""

import json
import struct

DTYPES = {"float32": "F32", "float16": "F16", "int8": "I8", "uint8": "U8", "int32": "I32",
          "uint16": "BF16", "int64": "I64", "bool": "BOOL", "float64": "F64"}
NUMPY = {dtype: name for name, dtype in DTYPES.items()}


def write_raw(path, meta, tensors, **style):
    """tensors: name -> (dtype, shape, bytes); style: of the header, as json.dumps takes it."""
    header, data = {"__metadata__": {k: str(v) for k, v in meta.items()}}, b""
    for key, (dtype, shape, raw) in sorted(tensors.items()):
        header[key] = {"dtype": dtype, "shape": list(shape),
                       "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, **style).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return len(data)


def read_raw(path):
    raw = path.read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + size])
    meta, tensors = header.pop("__metadata__"), {}
    for key, t in header.items():
        at, end = t["data_offsets"]
        tensors[key] = (t["dtype"], t["shape"], raw[8 + size + at : 8 + size + end])
    return meta, tensors


def write(path, meta, tensors, **style):
    """tensors: numpy's arrays."""
    import numpy as np
    return write_raw(path, meta, {key: (DTYPES[x.dtype.name], x.shape, np.ascontiguousarray(x).tobytes())
                                  for key, x in tensors.items()}, **style)


def read(path):
    import numpy as np
    meta, tensors = read_raw(path)
    return meta, {key: np.frombuffer(raw, NUMPY[dtype]).reshape(shape)
                  for key, (dtype, shape, raw) in tensors.items()}
