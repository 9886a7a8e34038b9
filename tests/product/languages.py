"""What the generated modules do: my (cores, one with expressions), layer, llama and bert, whose
folders are on sys.path, against numpy in double and each other. Prints what is wrong."""
import importlib.machinery
import importlib.util
import os
import sys
import tempfile
import threading

import numpy as np

golden = sys.argv[1]
wrong = 0


def check(name, ok):
    global wrong
    if not ok:
        wrong += 1
        print(f"FAIL {name}")


def refused(name, kind, text, call):
    try:
        call()
    except kind as e:
        check(f"{name}: '{e}' must have: {text}", text in str(e))
    else:
        check(f"{name}: not refused", False)


def attention(q, k, v, visible, score=lambda s, h: s):
    q, k, v = (x.astype(np.float64) for x in (q, k, v))
    out, sums = np.zeros(q.shape[:3] + v.shape[3:]), np.zeros(q.shape[:3])
    for b, h in np.ndindex(q.shape[:2]):
        key = h * k.shape[1] // q.shape[1]
        s = score(q[b, h] @ k[b, key].T / np.sqrt(q.shape[3]), h)
        s = np.where(visible, s, -np.inf)
        w = np.exp(s - s.max(-1, keepdims=True))
        out[b, h] = w @ v[b, key] / w.sum(-1, keepdims=True)
        sums[b, h] = np.log(w.sum(-1)) + s.max(-1)
    return out, sums


def near(x, y, bound=2e-5):
    return x.shape == y.shape and np.abs(x - y).max(initial=0) < bound


def cores():
    import my
    r = np.random.default_rng(1)
    n = 70
    q = r.standard_normal((2, 4, n, 32), np.float32)
    k, v = r.standard_normal((2, 2, 2, n, 32), np.float32)
    causal = np.tri(n, dtype=bool)
    with my.Plan(0) as plan:
        o, lse = plan.run(q, k, v, lse=True)
        want, sums = attention(q, k, v, causal)
        check("core", near(o, want) and near(lse, sums))
        check("kernel", "full_self" in plan.kernel(1))
        packed = np.stack([q, q])  # any strides
        check("strides", np.array_equal(plan.run(packed[1], k, v, threads=1), o))
        turned = np.ascontiguousarray(q.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3)
        check("transposed", np.array_equal(plan.run(turned, k, v), o))
        into = np.empty_like(q)
        check("out", plan.run(q, k, v, out=into) is into and np.array_equal(into, o))
        one = plan.run(q[:, :, -1:].copy(), k, v, q_start=[n - 1, n - 1], kv_len=np.array([n, n]))
        check("q_start", near(one, want[:, :, -1:]))
        padded = attention(q, k, v, causal & (np.arange(n) > 0) | np.eye(n, dtype=bool))[0]
        padding = np.zeros((2, n), bool)
        padding[:, 0] = True
        got = plan.run(q, k, v, key_padding=padding)
        check("key_padding", near(got[:, :, 1:], padded[:, :, 1:]) and not got[:, :, 0].any())
        bias = r.standard_normal((n, n), np.float32)
        check("mask", near(plan.run(q, k, v, mask=bias),
                           attention(q, k, v, causal, lambda s, h: s + bias)[0]))
        with my.Plan(0, reference=True) as reference:
            check("reference", near(o, reference.run(q, k, v)))
        parts = [None] * 6

        def part(i):
            parts[i] = plan.run(q, k, v, threads=1 + i % 3)
        threads = [threading.Thread(target=part, args=(i,)) for i in range(6)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        check("threads", all(np.array_equal(p, o) for p in parts))

        refused("dtype", TypeError, "q: must be of float32, got float64",
                lambda: plan.run(q.astype(float), k, v))
        refused("list", TypeError, "must be a numpy array", lambda: plan.run([1], k, v))
        refused("order", ValueError, "its last axis must be contiguous",
                lambda: plan.run(np.asfortranarray(q), k, v))
        refused("heads", ValueError, "k: must be [2, 2, kv_len, 32], got [2, 1,",
                lambda: plan.run(q, k[:, :1], v))
        refused("keys", ValueError, "v: must be [2, 2, 70, 32]",
                lambda: plan.run(q, k, v[:, :, 1:]))
        refused("length", my.Error, "kv_len[1] is 71: must be from 0 to kv_len_max = 70",
                lambda: plan.run(q, k, v, kv_len=[3, n + 1]))
        refused("floats", TypeError, "must be integers", lambda: plan.run(q, k, v, kv_len=[.5, 1]))
        refused("wide", ValueError, "2**31", lambda: plan.run(q, k, v, kv_len=[2**40, 1]))
        refused("unused", my.Error, "seg is given", lambda: plan.run(q, k, v, seg=[[0] * n] * 2))
        refused("mask's shape", my.Error, "mask.dim", lambda: plan.run(q, k, v, mask=bias[1:]))
        refused("read-only", ValueError, "read-only",
                lambda: plan.run(q, k, v, out=np.broadcast_to(o[:1], o.shape)))
        refused("side", ValueError, "sides: must be none", lambda: plan.run(q, k, v, sides={"a": q}))
        refused("threads", my.Error, "threads is -1", lambda: plan.run(q, k, v, threads=-1))
        refused("overlap", my.Error, "o overlaps q", lambda: plan.run(q, k, v, out=q[:, ::-1]))
    refused("closed", ValueError, "Plan: is closed", lambda: plan.run(q, k, v))
    refused("layer", ValueError, "layer: must be from 0 to 1", lambda: my.Plan(2))
    with my.Plan(1) as plan:
        slope = np.array([.5, .25, .125, .0625], np.float32)
        doc = np.arange(n, dtype=np.int32) // 40
        i, j = np.ogrid[:n, :n]
        sees = causal & (i - j <= 63) & (doc[:, None] == doc)
        want = attention(q, k, v, sees, lambda s, h: s + slope[h] * (j - i))[0]
        check("expressions", near(plan.run(q, k, v, sides={"slope": slope, "doc": doc}), want))
        refused("sides", ValueError, "sides: must be ['slope', 'doc'], got ['slope']",
                lambda: plan.run(q, k, v, sides={"slope": slope}))
        refused("side's shape", ValueError, "doc: must be [70], got [69]",
                lambda: plan.run(q, k, v, sides={"slope": slope, "doc": doc[1:]}))
        refused("side's type", TypeError, "slope: must be of float32, got float64",
                lambda: plan.run(q, k, v, sides={"slope": slope.astype(float), "doc": doc}))


def layers():
    import layer
    r = np.random.default_rng(2)
    names = {"q_proj": (32, 32), "k_proj": (16, 32), "v_proj": (16, 32), "o_proj": (32, 32),
             "gate_proj": (48, 32), "up_proj": (48, 32), "down_proj": (32, 48)}
    w = {f"model.layers.0.self_attn.{n}.weight" if n[1] == "_" else
         f"model.layers.0.mlp.{n}.weight": r.standard_normal(s, np.float32) / 6
         for n, s in names.items()}
    for n in ("input_layernorm", "post_attention_layernorm"):
        w[f"model.layers.0.{n}.weight"] = np.ones(32, np.float32)
    x = r.standard_normal((2, 9, 32), np.float32)
    with layer.Layer(0, w) as block:
        y = block.prefill(x)
        cache = block.cache(2, 9)
        parts = [block.prefill(x[:, :4], cache)] + [block.step(x[:, i:i + 1], cache)
                                                    for i in range(4, 9)]
        check("steps", near(np.concatenate(parts, 1), y, 1e-4) and list(cache.length) == [9, 9])
        check("reference", near(layer.Layer(0, w, reference=True).prefill(x), y, 1e-4))
        check("weights", block.weights()["up_proj.weight"] == (48, 32))
        refused("full", layer.Error, "capacity is 9", lambda: block.step(x[:, :1], cache))
        refused("rows", ValueError, "x: must be [batch, tokens, 32]", lambda: block.prefill(x[..., 1:]))
        refused("more", TypeError, "unknown arguments: ['maks']",
                lambda: block.prefill(x, maks=x))
        refused("padding", ValueError, "key_padding: must cover 9 positions, has 8",
                lambda: block.prefill(x, key_padding=np.zeros((2, 8), bool)))
    halves = {n: a.astype(np.float16) for n, a in w.items()}
    check("f16", near(layer.Layer(0, halves).prefill(x), y, 5e-2))
    bf16 = {n: ("bf16", (a.view(np.uint32) >> 16).astype(np.uint16), a.shape) for n, a in w.items()}
    check("bf16", near(layer.Layer(0, bf16).prefill(x), y, 3e-1))
    refused("blocks", ValueError, "is blocks of 32 elements in 34 bytes",
            lambda: layer.Layer(0, {"q_proj.weight": ("q8_0", np.zeros(34, np.uint8), (32, 32))}))
    some = dict(list(w.items())[1:])
    refused("missing", layer.Error, "missing", lambda: layer.Layer(0, some))


def models():
    import bert
    import llama
    steps = []
    with llama.Model(f"{golden}/llama", progress=lambda *at: steps.append(at)) as m:
        check("progress", steps[-1] == (2, 2))
        check("info", (m.layers, m.vocab, m.has_head) == (2, 61, 1))
        items = [[1, 2, 3], np.array([7], np.int32), [4, 5]]
        out = m.forward(items, logits="all", hidden=True)
        check("ragged", out.logits.shape == (6, 61) and out.hidden.shape == (6, m.width))
        alone = m.forward(items[0], logits=[2]).logits
        check("an item's bits", np.array_equal(alone[0], out.logits[2]))
        check("last", np.array_equal(m.forward(items).logits, out.logits[[2, 3, 5]]))
        cache = m.cache(3, 16)
        m.forward(items, cache=cache)
        check("lengths", list(cache.lengths()) == [3, 1, 2])
        cache.keep(0, 1)
        check("steps", near(m.forward(np.array([2, 3], np.int64), begin=[0, 2, 2, 2], cache=cache)
                            .logits, alone, 1e-4))
        cache.fork(cache, 0, 1)
        check("fork", list(cache.lengths()) == [3, 3, 2])
        refused("ids", llama.Error, "ids[1] is 61: must be from 0 to 60", lambda: m.forward([1, 61]))
        refused("begin", ValueError, "begin: must end with the number of rows, 2",
                lambda: m.forward([1, 2], begin=[0, 1]))
        refused("logits", ValueError, 'logits: must be "last"', lambda: m.forward([1], logits="no"))
        refused("room", llama.Error, "capacity is 16", lambda: m.forward([[1] * 20, [], []], cache=cache))
        refused("keep", llama.Error, "item", lambda: cache.keep(9, 1))
        with tempfile.TemporaryDirectory() as folder:
            packed = os.path.join(folder, "llama.packed")
            m.save(packed)
            at = []
            with llama.Model(f"{golden}/llama", packed=packed,
                             progress=lambda *how: at.append(how)) as again:
                check("packed", not at and np.array_equal(again.forward([1, 2, 3], logits=[2]).logits,
                                                          alone))
            refused("save", llama.Error, "nowhere", lambda: m.save("/nowhere/at/all"))
        refused("pooled", llama.Error, "pool", lambda: m.forward([1], pooled=True))
    refused("closed", ValueError, "Model: is closed", lambda: m.forward([1]))
    refused("file", llama.Error, "cannot be read", lambda: llama.Model("/nowhere"))
    with bert.Model(f"{golden}/bert") as m:
        out = m.forward([[1, 2, 3], [4, 5]], hidden=True, pooled=True,
                        token_types=[0, 0, 1, 0, 1])
        check("pooled", out.pooled.shape == (2, m.width) and np.isfinite(out.pooled).all())
        rows = m.forward([1, 2, 3], token_types=[0, 0, 1])
        check("by default", rows.logits is None and np.array_equal(rows.pooled[0], out.pooled[0]))


def mismatches():
    """A module and a library that do not fit each other: each says what."""
    folder = os.path.dirname(sys.modules["my"].__file__)
    with open(os.path.join(folder, "my.py"), encoding="utf-8") as file:
        text = file.read()
    for name, old, new, says in (
            ("struct", '        ("kv_len_max", ctypes.c_int32),\n', "", "attn_extent has"),
            ("abi", "\nKERNEL_ABI = ", "\nKERNEL_ABI = 9", "its ABI is"),
            ("function", '"attn_run": ("attn_run"', '"attn_run": ("attn_walk"', "attn_walk"),
            ("spec", '"heads": 4', '"heads": 8', "layer 0: heads is 4, and 8 in"),
            ("hash", "expr_hash=0x7", "expr_hash=0x6", "layer 1 has other expressions")):
        check(f"{name}: is there", old in text)
        module = importlib.util.module_from_spec(
            importlib.machinery.ModuleSpec("my_other", None, origin="my_other.py"))
        module.__file__ = os.path.join(folder, "my_other.py")
        exec(compile(text.replace(old, new), "my_other.py", "exec"), module.__dict__)
        refused(name, ImportError, says, module.load)
    other = importlib.util.module_from_spec(importlib.machinery.ModuleSpec("my_third", None))
    other.__file__ = os.path.join(folder, "my_third.py")
    exec(compile(text, "my_third.py", "exec"), other.__dict__)
    refused("another's", ImportError, "has no function my_create",
            lambda: other.load(sys.modules["llama"].load().path))
    refused("no library", OSError, "cannot open", lambda: other.load("/nowhere/libmy.so"))


for part in (cores, layers, models, mismatches):
    part()
print(f"languages.py: {wrong} wrong")
sys.exit(wrong > 0)
