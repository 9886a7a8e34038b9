#!/usr/bin/env python3
"""Times other libraries on the bench's cases, beside ours, on the same inputs.

    make bench-peers            needs numpy; each peer that is not installed is skipped, and named
    python3 tests/bench/peers.py [--folder build/bench] [--case P1,P2] [--threads N] [--rounds N]
                                 [--only-layers | --only-cores] [--no-flex] [--no-compile]
                                 [--json PATH]

Ours is kernels.so of the bench's folder through ctypes. Each library is in a process of its own, and
all but the one whose turn it is are stopped: the threads of a pool spin after a call, and would be
measured as the next contender's. In each round every contender runs once, in turn, after a warm-up; the table shows medians and bests of wall-clock times, what the peers' best
way takes against ours, and how far their output is from ours. A peer gets its favourite layout,
prepared outside of the timing. torch's first compilation of a FlexAttention kernel takes a minute.

Whole layers (cases B*) run against the same layer in PyTorch: fused qkv and gate|up projections,
SDPA, RoPE tables made beforehand, and for a step preallocated caches whose last row it writes;
eager, through torch.compile, and compiled with weights frozen (packed for MKL). A prefill keeps no
cache, neither ours nor theirs.

Where keys and values are stored in fewer bytes (kv_type) a peer gets the same values in the same
type: PyTorch and ONNX Runtime all of Q, K, V in it, ggml K and V alone; ggml's kind of i8 is q8_0,
with a scale for each 32. Who has no such type is skipped, and named. ggml is any shared library that
has ggml_flash_attn_ext: the one that GGML_LIBRARY names, libggml-cpu where the loader finds it, or
the one in the Python package xllamacpp.
"""

import argparse
import ctypes as C
import ctypes.util
import importlib.util
import json
import os
import multiprocessing
import pathlib
import re
import signal
import statistics
import subprocess
import sys
import time

DEFAULT_CASES = ("P1,P2,P3,P4,P5,D1,D2,M1,P1_alibi,P1_softcap,"
                 + ",".join(f"{case}_{kind}" for case in ("P2", "D1", "D2", "M1")
                            for kind in ("bf16", "f16", "i8")))
# What outputs may differ by, by the type of keys: peers round Q and P to it.
APART = {"f32": 1e-2, "f16": 2e-2, "bf16": 1e-1, "i8": 1e-1}


def skip(what, why):
    print(f"{what}: skipped: {why}")


def reason(error):
    return (str(error).splitlines() or [type(error).__name__])[0][:160]


def optional(name):
    """The module, or None with the reason printed."""
    try:
        return __import__(name)
    except Exception as error:  # a broken installation fails in its own ways
        skip(name, reason(error))
        return None


# --- attn.h in ctypes. ---


class View(C.Structure):
    _fields_ = [("data", C.c_void_p)] + [(n, C.c_int64) for n in ("batch", "head", "token")]


class Scales(C.Structure):
    _fields_ = View._fields_


class Mask(C.Structure):
    _fields_ = [("data", C.c_void_p), ("type", C.c_int32), ("rank", C.c_int32),
                ("dim", C.c_int64 * 4), ("stride", C.c_int64 * 4)]


class Side(C.Structure):
    _fields_ = [("data", C.c_void_p), ("count", C.c_int64)]


class Extent(C.Structure):
    _fields_ = [("struct_size", C.c_uint32)] + [
        (n, C.c_int32) for n in ("batch", "q_len", "kv_len_max", "threads")]


class Args(C.Structure):
    _fields_ = [
        ("struct_size", C.c_uint32), ("batch", C.c_int32), ("q_len", C.c_int32),
        ("kv_len_max", C.c_int32), ("threads", C.c_int32),
        ("q", View), ("k", View), ("v", View), ("o", View),
        ("lse", C.c_void_p), ("lse_batch", C.c_int64), ("lse_head", C.c_int64),
        ("q_start", C.c_void_p), ("kv_len", C.c_void_p),
        ("seg", C.c_void_p), ("seg_batch", C.c_int64),
        ("key_padding", C.c_void_p), ("key_padding_batch", C.c_int64),
        ("mask", Mask), ("sinks", C.c_void_p),
        ("side", C.c_void_p), ("side_count", C.c_int32), ("scalar_count", C.c_int32),
        ("scalars", C.c_void_p), ("workspace", C.c_void_p), ("workspace_bytes", C.c_size_t),
        ("k_scale", Scales), ("v_scale", Scales)]


class Tensor(C.Structure):
    _fields_ = [("name", C.c_char_p), ("data", C.c_void_p), ("rank", C.c_int32),
                ("dim", C.c_int64 * 4), ("type", C.c_int32)]


class Cache(C.Structure):
    _fields_ = [("struct_size", C.c_uint32), ("batch", C.c_int32), ("capacity", C.c_int32),
                ("k", C.c_void_p), ("v", C.c_void_p), ("length", C.c_void_p),
                ("start", C.c_void_p), ("layer", C.c_uint64)]


class BlockArgs(C.Structure):
    _fields_ = [
        ("struct_size", C.c_uint32), ("batch", C.c_int32), ("tokens", C.c_int32),
        ("threads", C.c_int32),
        ("x", C.c_void_p), ("x_batch", C.c_int64), ("x_token", C.c_int64),
        ("y", C.c_void_p), ("y_batch", C.c_int64), ("y_token", C.c_int64),
        ("count", C.c_void_p), ("cache", C.c_void_p),
        ("key_padding", C.c_void_p), ("key_padding_batch", C.c_int64), ("mask", Mask),
        ("kv", C.c_void_p), ("kv_batch", C.c_int64), ("kv_token", C.c_int64),
        ("kv_tokens", C.c_int32), ("kv_count", C.c_void_p),
        ("seg", C.c_void_p), ("seg_batch", C.c_int64),
        ("q_pos", C.c_void_p), ("kv_pos", C.c_void_p),
        ("q_pos_batch", C.c_int64), ("kv_pos_batch", C.c_int64),
        ("q_pad", C.c_void_p), ("q_pad_batch", C.c_int64),
        ("side", C.c_void_p), ("side_count", C.c_int32), ("scalar_count", C.c_int32),
        ("scalars", C.c_void_p), ("packed", C.c_void_p), ("workspace", C.c_void_p),
        ("workspace_bytes", C.c_size_t)]


def spec_address(lib, case):
    first = C.addressof(C.c_uint32.in_dll(lib, "bench_layer"))
    return first + case["layer"] * C.c_uint32.from_address(first).value  # its struct_size


def aligned(size):
    """Bytes, and the first address in them that is a multiple of 64. numpy asks for huge pages for
    what is empty, as it did for the peers' weights; not for zeros."""
    memory = np.empty(size + 64, np.uint8)
    return memory, (memory.ctypes.data + 63) // 64 * 64


class Ours:
    """A case's call of its kernel. Keeps what the call points to."""

    def __init__(self, lib, case, data, threads):
        self.lib, self.keep, self.plan = lib, [data], C.c_void_p()
        self.check(lib.attn_plan_create(C.byref(self.plan), spec_address(lib, case), 0))
        extent = Extent(C.sizeof(Extent), 1, case["q_len"], case["kv_len"], threads)
        size = C.c_size_t()
        self.check(lib.attn_workspace(self.plan, C.byref(extent), C.byref(size)))
        a = self.args = Args(C.sizeof(Args), 1, case["q_len"], case["kv_len"], threads)
        self.out = np.empty((case["heads"], case["q_len"], case["v_dim"]), np.float32)
        stored = data["stored"]
        a.q, a.k, a.v, a.o = (self.view(x)
                              for x in (data["q"], stored["k"], stored["v"], self.out))
        for name, scale in stored.items():
            if name.endswith("_scale"):
                setattr(a, name, Scales(scale.ctypes.data, 0, scale.shape[1], 1))
        start = np.array([case["kv_len"] - case["q_len"]], np.int32)
        a.q_start = start.ctypes.data
        work, a.workspace = aligned(size.value)
        a.workspace_bytes = size.value
        self.keep += [start, work]
        if "alibi" in data:
            side = (Side * 1)(Side(data["alibi"].ctypes.data, case["heads"]))
            a.side, a.side_count = C.addressof(side), 1
            self.keep.append(side)

    def check(self, status):
        if status:
            raise RuntimeError(self.lib.attn_status_text(status).decode())

    @staticmethod
    def view(x):
        return View(x.ctypes.data, 0, *(stride // x.itemsize for stride in x.strides[:2]))

    def name(self, case):
        return self.lib.attn_plan_kernel(self.plan, case["q_len"]).decode()

    def __call__(self):
        self.check(self.lib.attn_run(self.plan, C.byref(self.args)))
        return self.out


def layer_key(case):
    """Cases of one layer: they share its weights."""
    return case["spec"]


class OursLayer:
    """A case's call of its layer. Packed weights are made once a layer."""

    packed = {}

    def __init__(self, lib, case, data, threads):
        self.lib, self.keep, self.held = lib, [data], case["kv_len"] - case["q_len"]
        if layer_key(case) not in self.packed:
            self.packed.clear()  # the layer before: cases come layer by layer
            self.packed[layer_key(case)] = self.pack(case, data["weights"])
        self.block, memory, packed = self.packed[layer_key(case)]
        x, batch, width = data["x"], case["batch"], case["d_model"]
        self.out = np.empty_like(x)
        a = self.args = BlockArgs(C.sizeof(BlockArgs), batch, case["q_len"], threads)
        a.x, a.y = x.ctypes.data, self.out.ctypes.data
        a.x_batch = a.y_batch = case["q_len"] * width
        a.x_token = a.y_token = width
        a.packed = packed
        self.keep.append(memory)
        if self.held:
            self.fill_cache(case, data)
        size = C.c_size_t()
        self.check(lib.attn_block_workspace(self.block, C.byref(a), C.byref(size)))
        work, a.workspace = aligned(size.value)
        a.workspace_bytes = size.value
        self.keep.append(work)

    def pack(self, case, weights):
        block = C.c_void_p()
        self.check(self.lib.attn_block_create(C.byref(block), spec_address(self.lib, case), 0))
        tensors = (Tensor * len(weights))(*[
            Tensor(name.encode(), w.ctypes.data, w.ndim, (C.c_int64 * 4)(*w.shape))
            for name, w in weights.items()])
        size = self.lib.attn_block_packed_bytes(block)
        memory, packed = aligned(size)
        message = C.create_string_buffer(1024)
        status = self.lib.attn_block_pack_typed(block, tensors, len(tensors), packed, size,
                                                message, len(message))
        if status:
            raise RuntimeError(message.value.decode())
        return block, memory, packed

    def fill_cache(self, case, data):
        """[batch, heads, kv_len, width], all but the last row of it held."""
        self.cache, size = Cache(), C.c_size_t()
        self.check(self.lib.attn_cache_bytes(self.block, case["batch"], case["kv_len"],
                                             C.byref(size)))
        memory, at = aligned(size.value)
        self.check(self.lib.attn_cache_init(self.block, C.byref(self.cache), case["batch"],
                                            case["kv_len"], at, size.value))
        for name in "kv":
            C.memmove(getattr(self.cache, name), data[name].ctypes.data, data[name].nbytes)
        self.length = (C.c_int32 * case["batch"]).from_address(self.cache.length)
        self.args.cache = C.addressof(self.cache)
        self.keep.append(memory)

    check = Ours.check

    def name(self, case):
        return self.lib.attn_block_name(self.block).decode()

    def __call__(self):
        run = self.lib.attn_block_prefill
        if self.held:
            run = self.lib.attn_block_step
            for b in range(len(self.length)):
                self.length[b] = self.held
        self.check(run(self.block, C.byref(self.args)))
        return self.out


def load(folder):
    lib = C.CDLL(str(pathlib.Path(folder, "kernels.so").resolve()))
    lib.attn_status_text.restype = lib.attn_plan_kernel.restype = C.c_char_p
    lib.attn_plan_create.argtypes = [C.c_void_p, C.c_void_p, C.c_uint32]
    lib.attn_plan_kernel.argtypes = [C.c_void_p, C.c_int32]
    lib.attn_workspace.argtypes = lib.attn_run.argtypes = None
    lib.attn_block_name.restype = C.c_char_p
    lib.attn_block_name.argtypes = lib.attn_block_packed_bytes.argtypes = [C.c_void_p]
    lib.attn_block_packed_bytes.restype = C.c_size_t
    lib.attn_block_create.argtypes = [C.c_void_p, C.c_void_p, C.c_uint32]
    lib.attn_block_pack_typed.argtypes = [C.c_void_p, C.c_void_p, C.c_int32, C.c_void_p, C.c_size_t,
                                          C.c_char_p, C.c_size_t]
    lib.attn_cache_bytes.argtypes = [C.c_void_p, C.c_int32, C.c_int32, C.c_void_p]
    lib.attn_cache_init.argtypes = [C.c_void_p, C.c_void_p, C.c_int32, C.c_int32, C.c_void_p,
                                    C.c_size_t]
    lib.attn_block_workspace.argtypes = [C.c_void_p, C.c_void_p, C.c_void_p]
    lib.attn_block_prefill.argtypes = lib.attn_block_step.argtypes = [C.c_void_p, C.c_void_p]
    return lib


def kv_type(case):
    """What keys and values are stored in."""
    found = re.search(r"kv_type=(\w+)", case["spec"])
    return found.group(1) if found else "f32"


def bf16_codes(x):
    bits = x.view(np.uint32)
    return (bits + 0x7fff + (bits >> 16 & 1) >> 16).astype(np.uint16)


def store(x, kind):
    """[heads, tokens, width] as it is stored, its scales if it has some, and the values."""
    if kind == "bf16":
        codes = bf16_codes(x)
        return codes, None, (codes.astype(np.uint32) << 16).view(np.float32)
    if kind == "f16":
        return x.astype(np.float16), None, x.astype(np.float16).astype(np.float32)
    if kind == "i8":
        most = np.abs(x).max(2, keepdims=True)
        codes = np.rint(x * (np.float32(127) / most)).astype(np.int8)
        scale = (most / np.float32(127)).astype(np.float32)
        return codes, np.ascontiguousarray(scale[:, :, 0]), codes * scale
    return x, None, x


def inputs(case):
    """q, k, v as [heads, tokens, width], values; v may be columns of k. stored: as ours takes them."""
    rng = np.random.default_rng(1)
    normal = lambda *shape: rng.standard_normal(shape, np.float32)
    data = {"q": normal(case["heads"], case["q_len"], case["dim"]),
            "k": normal(case["kv_heads"], case["kv_len"], case["dim"])}
    stored = data["stored"] = {}
    stored["k"], stored["k_scale"], data["k"] = store(data["k"], kv_type(case))
    if case["shares_v"]:
        stored["v"], data["v"] = (x[:, :, :case["v_dim"]] for x in (stored["k"], data["k"]))
    else:
        v = normal(case["v_heads"], case["kv_len"], case["v_dim"])
        stored["v"], stored["v_scale"], data["v"] = store(v, kv_type(case))
    for name in [n for n, x in stored.items() if x is None]:
        del stored[name]
    if "slope[h]" in case["spec"]:
        heads = np.arange(1, case["heads"] + 1)
        data["alibi"] = (2.0 ** (-8 * heads / case["heads"])).astype(np.float32)
    return data


layer_weights = {}


def weights_of(case):
    """Named as the reference system names them; as large as PyTorch makes new layers'."""
    rng = np.random.default_rng(2)
    if layer_key(case) not in layer_weights:
        layer_weights.clear()
        d, f = case["d_model"], case["ffn_dim"]
        made = layer_weights[layer_key(case)] = {}
        for name, out, width in (("qkv", 3 * d, d), ("proj", d, d), ("w1", 2 * f, d),
                                 ("w2", d, f)):
            for kind, shape in (("weight", (out, width)), ("bias", (out,))):
                w = made[f"{name}.{kind}"] = rng.standard_normal(shape, np.float32)
                w *= np.float32((3 * width) ** -0.5)
        for name in ("ln1", "ln2"):
            made[f"{name}.weight"] = 1 + rng.standard_normal(d, np.float32) / 32
            made[f"{name}.bias"] = rng.standard_normal(d, np.float32) / 32
    return layer_weights[layer_key(case)]


def layer_inputs(case):
    """x [batch, tokens, d_model], weights, and for steps k, v [batch, heads, kv_len, head_dim]."""
    rng = np.random.default_rng(1)
    weights = weights_of(case)
    data = {"x": rng.standard_normal((case["batch"], case["q_len"], case["d_model"]), np.float32),
            "weights": weights}
    if case["q_len"] == 1:
        shape = (case["batch"], case["heads"], case["kv_len"], case["dim"])
        data["k"], data["v"] = (rng.standard_normal(shape, np.float32) for _ in "kv")
    return data


def rope_tables(case):
    """Cosines and sines [tokens, head_dim / 2] of the new tokens' positions."""
    pairs = np.arange(case["dim"] // 2)
    position = np.arange(case["kv_len"] - case["q_len"], case["kv_len"])
    angle = position[:, None] * 10000.0 ** (-2.0 * pairs / case["dim"])
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


def softcap(case):
    return 30.0 if "softcap=30" in case["spec"] or "tanh" in case["spec"] else 0.0


# --- Contenders: name -> a function that runs the case and returns O as [heads, Lq, Dv]. ---


def dense_mask(case, data):
    """Bool or float [Lq, Lk] or [heads, Lq, Lk] where causal alone does not say it; else None."""
    q = np.arange(case["q_len"])[:, None] + case["kv_len"] - case["q_len"]
    k = np.arange(case["kv_len"])[None, :]
    if "alibi" in data:
        bias = data["alibi"][:, None, None] * (k - q)
        return np.where(k <= q, bias, -np.inf).astype(np.float32)
    if case["window"] >= 0:
        return (k <= q) & (q - k <= case["window"])
    return None


def is_causal(case):
    return bool(case["causal"]) and case["q_len"] > 1


def torch_type(torch, case):
    kinds = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}
    kind = kinds.get(kv_type(case))
    if not kind:
        skip(f"{case['name']}: torch", f"no attention over keys in {kv_type(case)}")
    return kind


def torch_sdpa(torch, case, data):
    if softcap(case):
        return {}
    kind = torch_type(torch, case)
    if not kind:
        return {}
    q, k, v = (torch.from_numpy(data[n])[None].to(kind) for n in "qkv")
    mask = dense_mask(case, data)
    options = {"enable_gqa": case["heads"] != case["kv_heads"], "scale": case["scale"]}
    if mask is not None:
        options["attn_mask"] = torch.from_numpy(mask)
    elif is_causal(case):
        options["is_causal"] = True
    sdpa = torch.nn.functional.scaled_dot_product_attention
    return {"torch SDPA": lambda: sdpa(q, k, v, **options)[0].float().numpy()}


def torch_layer(torch, case, data, options):
    """The layer as one would write it: eager, and compiled for these shapes."""
    F = torch.nn.functional
    heads, dim, held = case["heads"], case["dim"], case["kv_len"] - case["q_len"]

    class Layer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for name, w in data["weights"].items():
                self.register_buffer(name.replace(".", "_"), torch.from_numpy(w))
            for name, table in zip(("cos", "sin"), rope_tables(case)):
                self.register_buffer(name, torch.from_numpy(table))

        def rotated(self, rows):  # [batch, heads, tokens, dim], interleaved pairs
            even, odd, cos, sin = rows[..., 0::2], rows[..., 1::2], self.cos, self.sin
            return torch.stack((even * cos - odd * sin, odd * cos + even * sin), -1).flatten(-2)

        def forward(self, x, *caches):
            batch, tokens, width = x.shape
            rows = F.layer_norm(x, (width,), self.ln1_weight, self.ln1_bias, 1e-5)
            qkv = F.linear(rows, self.qkv_weight, self.qkv_bias)
            qkv = qkv.view(batch, tokens, 3, heads, dim).permute(2, 0, 3, 1, 4)
            q, k, v = qkv.unbind(0)
            q, k = self.rotated(q), self.rotated(k)
            if caches:
                caches[0][:, :, held:] = k
                caches[1][:, :, held:] = v
                k, v = caches
            o = F.scaled_dot_product_attention(q, k, v, is_causal=not caches)
            o = o.transpose(1, 2).reshape(batch, tokens, width)
            x = x + F.linear(o, self.proj_weight, self.proj_bias)
            rows = F.layer_norm(x, (width,), self.ln2_weight, self.ln2_bias, 1e-5)
            gate, up = F.linear(rows, self.w1_weight, self.w1_bias).chunk(2, -1)
            return x + F.linear(F.silu(gate) * up, self.w2_weight, self.w2_bias)

    layer, x = Layer().eval(), torch.from_numpy(data["x"])
    caches = [torch.from_numpy(data[n].copy()) for n in "kv"] if held else []

    def contender(run):
        return lambda: run(x, *caches).numpy()

    made = {"torch eager": contender(layer)}
    if not options.no_compile:
        torch.compiler.reset()  # the limit on recompilations is one for all cases
        made["torch compiled"] = contender(torch.compile(layer, dynamic=False))
        made["torch frozen"] = contender(
            torch.compile(Layer().eval(), dynamic=False, options={"freezing": True}))
    return made


flex_compiled = []


def torch_flex(torch, case, data):
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention
    if case["shares_v"] or case["v_dim"] != case["dim"] or kv_type(case) != "f32":
        return {}
    if not flex_compiled:
        # One compilation a case: past the limit, 8, the later ones would run uncompiled.
        torch._dynamo.config.recompile_limit = 64
        flex_compiled.append(torch.compile(flex_attention, dynamic=False))
    q, k, v = (torch.from_numpy(np.ascontiguousarray(data[n]))[None] for n in "qkv")
    window, cap = case["window"], softcap(case)
    options = {"enable_gqa": case["heads"] != case["kv_heads"], "scale": case["scale"]}
    if is_causal(case):
        def visible(b, h, i, j):
            return (j <= i) & (i - j <= window) if window >= 0 else j <= i
        options["block_mask"] = create_block_mask(visible, None, None, case["q_len"],
                                                  case["kv_len"], device="cpu")
    if "alibi" in data:
        slope = torch.from_numpy(data["alibi"])
        options["score_mod"] = lambda s, b, h, i, j: s + slope[h] * (j - i)
    elif cap:
        options["score_mod"] = lambda s, b, h, i, j: cap * torch.tanh(s / cap)
    return {"torch Flex": lambda: flex_compiled[0](q, k, v, **options)[0].numpy()}


def tokens(x):
    """[heads, tokens, width] -> [1, tokens, heads * width]"""
    return np.ascontiguousarray(x.transpose(1, 0, 2).reshape(1, x.shape[1], -1))


class Ort:
    """ONNX Runtime: one model of one node for each way to say a case."""

    def __init__(self, ort, onnx, threads):
        self.ort, self.onnx = ort, onnx
        self.options = ort.SessionOptions()
        self.options.intra_op_num_threads = threads
        self.options.log_severity_level = 4

    def session(self, op, domain, version, feeds, names, outputs, **attributes):
        helper = self.onnx.helper
        kinds = {"float32": 1, "int32": 6, "bool": 9, "float16": 10}
        node = helper.make_node(op, names, outputs, domain=domain, **attributes)
        graph = helper.make_graph(
            [node], "case",
            [helper.make_tensor_value_info(n, kinds[x.dtype.name], x.shape)
             for n, x in feeds.items()],
            [helper.make_tensor_value_info(n, kinds[feeds["q"].dtype.name], None) for n in outputs])
        opsets = [helper.make_opsetid("", max(version, 21))]
        if domain:
            opsets.append(helper.make_opsetid(domain, 1))
        model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
        session = self.ort.InferenceSession(model.SerializeToString(), self.options,
                                            providers=["CPUExecutionProvider"])
        return lambda: session.run(outputs[:1], feeds)[0].astype(np.float32, copy=False)

    def attention(self, case, data):
        feeds = {n: np.ascontiguousarray(data[n])[None] for n in "qkv"}
        names = ["q", "k", "v"]
        mask = dense_mask(case, data)
        if mask is not None:
            feeds["mask"] = mask if mask.ndim == 2 else mask[None]
            names.append("mask")
        run = self.session("Attention", "", 23, feeds, names, ["o"], scale=case["scale"],
                           is_causal=int(mask is None and is_causal(case)),
                           softcap=softcap(case))
        return lambda: run()[0]

    def multi_head(self, case, data):
        if (case["heads"] != case["kv_heads"] or case["shares_v"] or softcap(case)
                or dense_mask(case, data) is not None):
            return None
        feeds = {n: tokens(data[n]) for n in "qkv"}
        run = self.session("MultiHeadAttention", "com.microsoft", 21, feeds, ["q", "k", "v"],
                           ["o"], num_heads=case["heads"], scale=case["scale"],
                           unidirectional=int(is_causal(case)))
        return lambda: self.split(run(), case)

    def grouped(self, case, data):
        """Causal only. Keys before the queries are its past."""
        if not case["causal"] or case["shares_v"] or "alibi" in data or case["cross"]:
            return None
        past = case["kv_len"] - case["q_len"]
        feeds = {"q": tokens(data["q"]),
                 "k": tokens(data["k"][:, past:]), "v": tokens(data["v"][:, past:]),
                 "past_k": np.ascontiguousarray(data["k"][:, :past])[None],
                 "past_v": np.ascontiguousarray(data["v"][:, :past])[None],
                 "lens": np.array([case["kv_len"] - 1], np.int32),
                 "total": np.array(case["kv_len"], np.int32)}
        window = {"local_window_size": case["window"] + 1} if case["window"] >= 0 else {}
        run = self.session("GroupQueryAttention", "com.microsoft", 21, feeds, list(feeds),
                           ["o", "present_k", "present_v"], num_heads=case["heads"],
                           kv_num_heads=case["kv_heads"], scale=case["scale"],
                           softcap=softcap(case), **window)
        return lambda: self.split(run(), case)

    @staticmethod
    def split(o, case):
        return o.reshape(case["q_len"], case["heads"], -1).transpose(1, 0, 2)

    def contenders(self, case, data):
        if kv_type(case) not in ("f32", "f16"):
            skip(f"{case['name']}: onnxruntime", f"no attention over keys in {kv_type(case)} on CPUs")
            return {}
        if kv_type(case) == "f16":
            data = {n: x.astype(np.float16) for n, x in data.items() if n in "qkv"}
        ways = {"ORT Attention": self.attention, "ORT MHA": self.multi_head,
                "ORT GQA": self.grouped}
        made = {}
        for name, way in ways.items():
            try:
                run = way(case, data)
            except Exception as error:
                skip(f"{case['name']}: {name}", reason(error))
                continue
            if run:
                made[name] = run
        return made


def our_makers(options):
    lib = load(options.folder)

    def make(case, data):
        return {"ours": (OursLayer if case["whole"] else Ours)(lib, case, data, options.threads)}
    return {False: [make], True: [make]}


def torch_makers(options):
    torch = optional("torch")
    if not torch:
        return None
    torch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)
    print("torch", torch.__version__)
    cores = [lambda case, data: torch_sdpa(torch, case, data)]
    if not options.no_flex:
        cores.append(lambda case, data: torch_flex(torch, case, data))
    return {False: cores, True: [lambda case, data: torch_layer(torch, case, data, options)]}


def onnx_makers(options):
    onnx, ort = optional("onnx"), optional("onnxruntime")
    if ort and not onnx:
        skip("onnxruntime", "the models are made with onnx, which is not installed")
    if not onnx or not ort:
        return None
    print("onnxruntime", ort.__version__)
    return {False: [Ort(ort, onnx, options.threads).contenders], True: []}


class Ggml:
    """ggml's flash attention, through ctypes: K and V in a type of its own, Q and O in f32."""

    kinds = {"f32": ("f32", 0), "f16": ("f16", 1), "i8": ("q8_0", 8), "bf16": ("bf16", 30)}

    class Params(C.Structure):
        _fields_ = [("size", C.c_size_t), ("memory", C.c_void_p), ("no_alloc", C.c_bool)]

    def __init__(self, lib, threads):
        self.lib, self.threads = lib, threads
        for name in ("init", "new_tensor_4d", "flash_attn_ext", "new_graph", "get_data"):
            getattr(lib, f"ggml_{name}").restype = C.c_void_p
        lib.ggml_init.argtypes = [self.Params]
        lib.ggml_new_tensor_4d.argtypes = [C.c_void_p, C.c_int] + 4 * [C.c_int64]
        lib.ggml_flash_attn_ext.argtypes = 5 * [C.c_void_p] + 3 * [C.c_float]
        lib.ggml_new_graph.argtypes = lib.ggml_get_data.argtypes = [C.c_void_p]
        lib.ggml_free.argtypes = [C.c_void_p]
        lib.ggml_build_forward_expand.argtypes = 2 * [C.c_void_p]
        lib.ggml_graph_compute_with_ctx.argtypes = [C.c_void_p, C.c_void_p, C.c_int]
        lib.ggml_quantize_chunk.argtypes = [C.c_int, C.c_void_p, C.c_void_p] + 3 * [C.c_int64] + [
            C.c_void_p]
        lib.ggml_quantize_chunk.restype = C.c_size_t
        self.ctx = None

    def tensor(self, x, kind):
        """Of [heads, tokens, width]; its rows in a type."""
        x = np.ascontiguousarray(x, np.float32)
        made = self.lib.ggml_new_tensor_4d(self.ctx, kind, *x.shape[::-1], 1)
        to = self.lib.ggml_get_data(made)
        if kind == 8:
            rows = x.shape[0] * x.shape[1]
            self.lib.ggml_quantize_chunk(kind, x.ctypes.data, to, 0, rows, x.shape[2], None)
            return made
        stored = {0: x, 1: x.astype(np.float16)}.get(kind)
        stored = bf16_codes(x) if stored is None else stored
        C.memmove(to, stored.ctypes.data, stored.nbytes)
        return made

    def contenders(self, case, data):
        if "alibi" in data or case["cross"]:
            return {}
        name, kind = self.kinds[kv_type(case)]
        if self.ctx:
            self.lib.ggml_free(self.ctx) # the memory of the last one first
        size = sum(data[n].nbytes for n in "qkv") + (64 << 20)
        size += 2 * case["kv_len"] * (case["q_len"] + 64) + 4 * case["heads"] * case["q_len"] * (
            case["v_dim"] + 16)
        self.ctx = self.lib.ggml_init(self.Params(size, None, False))
        q, k, v = (self.tensor(data[n], 0 if n == "q" else kind) for n in "qkv")
        mask, seen = None, dense_mask(case, data)
        if seen is None and is_causal(case):
            q_at = np.arange(case["q_len"])[:, None] + case["kv_len"] - case["q_len"]
            seen = np.arange(case["kv_len"])[None, :] <= q_at
        if seen is not None:
            rows = np.zeros((1, (case["q_len"] + 63) // 64 * 64, case["kv_len"]), np.float32)
            rows[0, :case["q_len"]][~seen] = -np.inf
            mask = self.tensor(rows, 1)
        o = self.lib.ggml_flash_attn_ext(self.ctx, q, k, v, mask, case["scale"], 0.0,
                                         softcap(case))
        graph = self.lib.ggml_new_graph(self.ctx)
        self.lib.ggml_build_forward_expand(graph, o)
        shape = (case["q_len"], case["heads"], case["v_dim"])
        floats = C.POINTER(C.c_float)

        def run():
            if self.lib.ggml_graph_compute_with_ctx(self.ctx, graph, self.threads):
                raise RuntimeError("ggml_graph_compute_with_ctx failed")
            at = C.cast(self.lib.ggml_get_data(o), floats)
            return np.ctypeslib.as_array(at, shape).transpose(1, 0, 2)
        return {f"ggml {name}": run}


def ggml_libraries():
    """Paths that may be of a ggml."""
    if os.environ.get("GGML_LIBRARY"):
        yield os.environ["GGML_LIBRARY"]
    found = ctypes.util.find_library("ggml-cpu") or ctypes.util.find_library("ggml")
    if found:
        yield found
    spec = importlib.util.find_spec("xllamacpp")
    for place in (spec and spec.submodule_search_locations) or []:
        for folder in (pathlib.Path(place), pathlib.Path(place + ".libs")):
            yield from sorted(str(path) for path in folder.glob("*.so*"))


def ggml_makers(options):
    for path in ggml_libraries():
        try:
            lib = C.CDLL(path)
            lib.ggml_flash_attn_ext, lib.ggml_graph_compute_with_ctx
        except (OSError, AttributeError) as error:
            skip(f"ggml: {path}", reason(error))
            continue
        print("ggml", path)
        return {False: [Ggml(lib, options.threads).contenders], True: []}
    skip("ggml", "not installed: no shared library with ggml_flash_attn_ext (GGML_LIBRARY names one)")
    return None


# --- A process a library. ---


def try_once(case, name, run, ours):
    """Runs it once for warm-up. The largest difference from ours, or None if it does not run."""
    try:
        out = run()
    except Exception as error:
        skip(f"{case['name']}: {name}", reason(error))
        return None, None
    return float(np.abs(out.reshape(ours.shape) - ours).max()) if ours is not None else 0.0, out


def prepare(makers, case, expected):
    """Contenders of this process for a case, their distances from ours, and ours' output."""
    data = layer_inputs(case) if case["whole"] else inputs(case)
    contenders, distance, out = {}, {}, None
    for make in makers[case["whole"]]:
        for name, run in make(case, data).items():
            far, out = try_once(case, name, run, expected)
            if far is not None:
                contenders[name], distance[name] = run, far
    return contenders, distance, out.copy() if expected is None and out is not None else None


def turn(run, whole, warm):
    """Seconds of a contender's turn. Short layers run up to five times."""
    if warm:
        run()  # its own data are warm, as for the others
    seconds, first = [], time.perf_counter()
    for n in range(5 if whole else 1):
        start = time.perf_counter()
        if n and start - first > 0.02:
            break
        run()
        seconds.append(time.perf_counter() - start)
    return seconds


def work(pipe, makers_of, options):
    """The child's side: answers what `Library` asks, until there is nobody to ask."""
    C.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: stopped, it would stay for ever
    global np
    np = optional("numpy")
    makers = makers_of(options)
    pipe.send(makers is not None)
    contenders, case = {}, None
    while makers:
        request, *rest = pipe.recv()
        if request == "case":
            contenders.clear()  # the memory of the last one first
            case, expected = rest
            contenders, distance, out = prepare(makers, case, expected)
            kernel = contenders["ours"].name(case) if "ours" in contenders else None
            pipe.send((distance, out, kernel))
        else:
            name, warm = rest
            pipe.send(turn(contenders[name], case["whole"], warm))


class Library:
    """A process with a library's contenders, which runs only while it is asked something."""

    def __init__(self, makers, options):
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("fork").Process(
            target=work, args=(theirs, makers, options), daemon=True)
        self.process.start()
        theirs.close()
        self.able = self.answer()

    def answer(self):
        try:
            answer = self.pipe.recv()
        except EOFError:
            self.process.join()
            return None
        os.kill(self.process.pid, signal.SIGSTOP)
        return answer

    def ask(self, *request):
        """Null if the process has died."""
        if not self.process.is_alive():
            return None
        os.kill(self.process.pid, signal.SIGCONT)
        self.pipe.send(request)
        return self.answer()

    def end(self):
        self.process.kill()


# --- Timing. ---


def race(turns, rounds):
    """Seconds of each contender, interleaved by rounds; those whose process dies are left out."""
    times = {name: [] for name in turns}
    for _ in range(rounds):
        for name, library in turns.items():
            warm = not times[name] or times[name][-1] < 0.3
            times[name] += library.ask("run", name, warm) or []
    return {name: seconds for name, seconds in times.items() if seconds}


def run_case(case, libraries, options):
    if case["cross"] or "seg[" in case["spec"]:
        skip(case["name"], "no peer has this operation")
        return []
    turns, distance, expected, kernel = {}, {}, None, None
    for library in libraries:
        answer = library.ask("case", case, expected)
        if not answer:
            skip(case["name"], "a library's process has ended")
            continue
        far, out, name = answer
        if expected is None:
            if out is None:
                return []
            expected, kernel = out, name
        distance.update(far)
        turns.update({contender: library for contender in far})
    times = race(turns, options.rounds)
    rows = []
    for name, seconds in times.items():
        median, best = statistics.median(seconds), min(seconds)
        rows.append({"case": case["name"], "contender": name, "threads": options.threads,
                     "seconds": median, "best_seconds": best,
                     "gflops": case["flops"] / median * 1e-9,
                     "gbs": case["bytes"] / median * 1e-9 if case["q_len"] == 1 else None,
                     "times_ours": median / statistics.median(times["ours"]),
                     "best_times_ours": best / min(times["ours"]),
                     "max_abs_difference": distance[name],
                     "allowed_difference": APART[kv_type(case)]})
    rows[0]["kernel"] = kernel
    return rows


def print_rows(rows):
    for r in rows:
        gbs = f"{r['gbs']:7.1f}" if r["gbs"] else "      -"
        note = "" if r["max_abs_difference"] < r["allowed_difference"] / 10 else "  DIFFERS"
        print(f"{r['case']:<12} {r['contender']:<14} {r['seconds'] * 1e3:10.3f} "
              f"{r['gflops']:7.1f} {gbs} {r['times_ours']:7.2f} {r['best_times_ours']:7.2f}  "
              f"{r['max_abs_difference']:8.1e}{note}", flush=True)


def parse():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--folder", default="build/bench", help="with bench and kernels.so")
    p.add_argument("--case", help=f"default: {DEFAULT_CASES} and all layers of one thread")
    p.add_argument("--only-layers", action="store_true", help="of the default cases")
    p.add_argument("--only-cores", action="store_true", help="of the default cases")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--no-flex", action="store_true", help="no FlexAttention: it compiles long")
    p.add_argument("--no-compile", action="store_true", help="layers: no torch.compile")
    p.add_argument("--json", metavar="PATH")
    return p.parse_args()


def pin(threads):
    """Before any library starts its threads: those inherit it."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if hasattr(os, "sched_setaffinity") and threads == 1:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def chosen(options, cases):
    if options.case:
        return options.case.split(",")
    layers = [n for n, case in cases.items() if case["whole"] and case["threads"] == 1]
    return ([] if options.only_layers else DEFAULT_CASES.split(",")) + (
        [] if options.only_cores else layers)


def main():
    options = parse()
    pin(options.threads)
    sys.stdout.reconfigure(line_buffering=True)  # processes print in turn
    if not importlib.util.find_spec("numpy"):
        skip("peers", "numpy is not installed")
        return
    listed = subprocess.run([os.path.join(options.folder, "bench"), "--list"], check=True,
                            capture_output=True, text=True).stdout
    cases = {case["name"]: case for case in json.loads(listed)}
    names = chosen(options, cases)
    unknown = [n for n in names if n not in cases]
    if unknown:
        sys.exit(f"peers.py: no such case: {', '.join(unknown)}")
    made = [Library(makers, options)
            for makers in (our_makers, torch_makers, onnx_makers, ggml_makers)]
    libraries = [library for library in made if library.able]
    if not made[0].able:
        sys.exit(f"peers.py: {options.folder}/kernels.so does not load")
    print(f"{options.threads} thread(s), {options.rounds} rounds, wall clock\n")
    print("case         contender              ms    GF/s    GB/s   /ours   /best  differs by")
    rows = []
    for name in names:
        found = run_case(cases[name], libraries, options)
        print_rows(found)
        rows += found
    for library in made:
        library.end()
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"results": rows}, indent=1) + "\n")
    if any(not r["max_abs_difference"] < r["allowed_difference"] for r in rows):
        sys.exit("peers.py: outputs differ by more than rounding")


if __name__ == "__main__":
    main()
