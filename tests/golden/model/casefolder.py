"""A case's folder, for the scripts that make them: its config.json, its class, its expected.bin."""
import json
import os
import struct

import torch

HERE = os.path.dirname(os.path.abspath(__file__))


def open_case(name, config_class, fields, seed):
    """The folder, and the config; random numbers of a case are the same each time."""
    folder = os.path.join(HERE, name)
    os.makedirs(folder, exist_ok=True)
    torch.manual_seed(seed)
    config = config_class(**fields)
    config._attn_implementation = config._experts_implementation = "eager"
    return folder, config


def write_config(folder, text):
    with open(os.path.join(folder, "config.json"), "w") as out:
        json.dump(text, out, indent=1)
        out.write("\n")


def begins(lengths):
    """Where items begin that lie in a row, and where the last one ends."""
    return [sum(lengths[:i]) for i in range(len(lengths) + 1)]


def joined(items):
    """Of what a model gave for each item: each part in a row; None where it gives none."""
    return [None if part[0] is None else torch.cat([x.reshape(-1) for x in part])
            for part in zip(*items)]


def write_expected(folder, parts):
    """One after the other: whole numbers as i32, others as f32; None: nothing."""
    with open(os.path.join(folder, "expected.bin"), "wb") as out:
        for part in parts:
            if part is not None:
                x = torch.as_tensor(part).reshape(-1)
                kind, values = ("f", x.float()) if x.is_floating_point() else ("i", x)
                out.write(struct.pack(f"<{len(x)}{kind}", *values.tolist()))
