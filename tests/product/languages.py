"""What the generated modules do: my (cores, one with expressions), layer, users (items of different
lengths, pages, lists), llama, bert and t5, whose folders are on sys.path, against numpy in double and
each other. Prints what is wrong."""
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


def users():
    import users
    r = np.random.default_rng(3)
    items, rows, n = 4, 9, 40
    begin, start, length = [0, 3, 3, 4, rows], [37, 0, 20, 35], [40, 0, 21, 40]
    q = r.standard_normal((4, rows, 16), np.float32)
    k = r.standard_normal((items, 2, n, 16), np.float32)
    v = r.standard_normal((items, 2, n, 8), np.float32)
    common = {"q_begin": begin, "q_start": start, "kv_len": length}

    def alone(plan, b, **more):
        at = slice(begin[b], begin[b + 1])
        return plan.run(q[None, :, at], k[b:b + 1], v[b:b + 1], q_start=start[b:b + 1],
                        kv_len=length[b:b + 1], lse=True, **{
                            name: x[None, ..., at, :] if x.ndim > 1 else x[None, at]
                            for name, x in more.items()})

    def same(name, plan, got, **more):
        o, lse = got
        check(f"{name}: shapes", o.shape == (4, rows, 8) and lse.shape == (4, rows))
        for b in range(items):
            one, sums = alone(plan, b, **more)
            at = slice(begin[b], begin[b + 1])
            check(f"{name}: item {b} alone", np.array_equal(one[0], o[:, at]) and
                  np.array_equal(sums[0], lse[:, at]))
    with users.Plan(0) as plan:
        whole = plan.run(q, k, v, lse=True, **common)
        same("ragged", plan, whole)
        i = np.arange(5)[:, None] + 35
        check("values", near(whole[0][None, :, 4:], attention(q[None, :, 4:], k[3:], v[3:],
                                                              np.arange(n) <= i)[0]))
        refused("q_begin", ValueError, "q_begin: must end with the number of rows, 9",
                lambda: plan.run(q, k, v, q_begin=[0, 3]))
        refused("descends", users.Error, "q_begin", lambda: plan.run(
            q, k, v, q_begin=[0, 5, 3, 4, rows]))
        refused("rows", ValueError, "q: must be [4, rows, 16]",
                lambda: plan.run(q[None], k, v, q_begin=begin))
        refused("seg", ValueError, "q_position: must be [9]",
                lambda: plan.run(q, k, v, q_begin=begin, q_position=[[0] * rows]))
    with users.Plan(1) as plan:
        table = np.array([(i * 5 + 3) % 13 for i in range(items * 3)], np.int32).reshape(items, 3)
        pools = [np.full((14, 16, 2, w), np.nan, np.float32) for w in (16, 8)]
        for pool, x in zip(pools, (k, v)):
            for b, j in np.ndindex(items, n):
                pool[table[b, j // 16], j % 16] = x[b, :, j]
        k_pool, v_pool = (pool.transpose(0, 2, 1, 3) for pool in pools)
        got = plan.run(q, k_pool, v_pool, pages=table, kv_len_max=n, lse=True, **common)
        check("pages", all(np.array_equal(x, y) for x, y in zip(got, whole)))
    with users.Plan(3) as plan:
        index = r.integers(-1, n + 1, (2, rows, 30)).astype(np.int32)
        count = np.array([30] * 5 + [7] * 4, np.int32)
        got = plan.run(q, k, v, index=index, index_count=count, lse=True, **common)
        same("lists", plan, got, index=index, index_count=count)
        refused("lists", ValueError, "index_count: 30 is more than the 29 that index has",
                lambda: plan.run(q, k, v, index=index[..., 1:], index_count=count, **common))
    w = {}
    for name, shape in (("q_proj", (32, 32)), ("k_proj", (16, 32)), ("v_proj", (16, 32)),
                        ("o_proj", (32, 32))):
        w[f"{name}.weight"] = r.standard_normal(shape, np.float32) / 6
        w[f"{name}.bias"] = np.zeros(shape[0], np.float32)
    w["norm1.weight"], w["norm1.bias"] = np.ones(32, np.float32), np.zeros(32, np.float32)
    x = r.standard_normal((23, 32), np.float32)
    with users.Layer(5, w) as layer:
        y = layer.prefill(x[None, :20])[0]
        cache = layer.cache(2, n, page_count=5)
        check("no pages", cache.pages.shape == (2, 3) and (cache.pages < 0).all())
        refused("a page", users.Error, "pages[0][0] is -1",
                lambda: layer.prefill(x, cache, q_begin=[0, 20, 23]))
        cache.pages[0, :2], cache.pages[1, 0] = [4, 0], 2
        got = layer.prefill(x, cache, q_begin=[0, 20, 23])
        check("ragged layer", np.array_equal(got[:20], y) and list(cache.length) == [20, 3])
        cache.pages[1, 1] = 3
        cache.fork(cache, 0, 1)
        check("fork", list(cache.pages[1, :2]) == [4, 3] and list(cache.length) == [20, 20])
        cache.truncate(1, 18)
        cache.keep(1, 16, [1])
        check("keep", cache.length[1] == 17 and cache.first_page(1) == 0)
        cache.truncate(1, 16)
        cache.own_page(1, 0, 1)
        cache.truncate(0, 16)
        two = layer.step(x[[0, 0]], cache, q_begin=[0, 1, 2])
        check("a fork's step", cache.pages[1, 0] == 1 and np.array_equal(two[0], two[1]))
        refused("truncate", users.Error, "item", lambda: cache.truncate(2, 0))
        refused("keep", users.Error, "slots", lambda: cache.keep(0, 16, [4]))
        refused("own_page", users.Error, "n is 9", lambda: cache.own_page(0, 9, 1))
        refused("q_begin", ValueError, "q_begin: must end with the number of rows, 23",
                lambda: layer.prefill(x, q_begin=[0, 20]))
        refused("count", users.Error, "count",
                lambda: layer.prefill(x, q_begin=[0, 20, 23], count=[20, 3]))
        check("own pages", (layer.cache(2, n).pages >= 0).all())
    with users.Layer(6, w) as layer:
        some = x[:7]
        index = np.broadcast_to(np.arange(7, dtype=np.int32), (2, 7, 7)).copy()
        got = layer.prefill(some, q_begin=[0, 7], index=index, index_count=[7] * 7)
        check("listed layer", np.array_equal(
            got, layer.prefill(some[None], index=index[None], index_count=[[7] * 7])[0]))
        check("all keys", near(got, users.Layer(5, w).prefill(some[None])[0], 1e-4))
        check("no table", layer.cache(1, 9).pages is None)


def encoders():
    import t5
    with open(f"{golden}/t5/expected.bin", "rb") as file:
        data = file.read()
    items, vocab, width, _ = np.frombuffer(data, np.int32, 4)
    at = 16

    def take(kind, *shape):
        nonlocal at
        x = np.frombuffer(data, kind, int(np.prod(shape)), at).reshape(shape)
        at += x.nbytes
        return x
    begin = [take(np.int32, items + 1) for _ in range(2)]
    source, ids = (take(np.int32, b[-1]) for b in begin)
    encoded = take(np.float32, begin[0][-1], width)
    take(np.float32, begin[1][-1], width)
    logits = take(np.float32, begin[1][-1], vocab)
    with t5.Model(f"{golden}/t5") as m:
        cross, cache = m.cross(items, 64), m.cache(items, 64)
        check("encoded", near(m.encode(source, begin=begin[0], cross=cross, hidden=True), encoded,
                              1e-3))
        check("cross", list(cross.lengths()) == list(np.diff(begin[0])))
        got = m.forward(ids, begin=begin[1], cross=cross, cache=cache, logits="all").logits
        check("decoded", near(got, logits, 1e-3))
        check("lengths", list(cache.lengths()) == list(np.diff(begin[1])))
        check("nothing wanted", m.encode(source, begin=begin[0], cross=cross) is None)
        check("rows alone", near(m.encode(source, begin=begin[0]), encoded, 1e-3))
        refused("no cross", t5.Error, "cross", lambda: m.forward(ids, begin=begin[1]))
        refused("room", t5.Error, "capacity is 64", lambda: m.encode(
            np.ones(65, np.int32), cross=m.cross(1, 64)))
        refused("position", ValueError, "position: must be [",
                lambda: m.forward(ids, begin=begin[1], cross=cross, position=[1]))


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


for part in (cores, layers, users, encoders, models, mismatches):
    part()
print(f"languages.py: {wrong} wrong")
sys.exit(wrong > 0)
