"""all-MiniLM-L6-v2 in ONNX Runtime, as its own optimizer writes a BERT: one Attention, two
SkipLayerNormalization and one BiasGelu a layer (com.microsoft's operators).

usage: onnx_runtime.py check DIR TOKENS EMBEDDINGS        EMBEDDINGS: ours, raw f32
       onnx_runtime.py speed DIR TOKENS ROUNDS THREADS    the fastest round, of all sentences in one
                                                          padded batch and of one after the other

Needs numpy, onnx and onnxruntime. DIR has model.safetensors; TOKENS a line of ids a sentence."""
import sys
import time

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

import minilm

HEADS, LAYERS, EPS, TOLERANCE = 12, 6, 1e-12, 2e-6


class Graph:
    def __init__(self, weights):
        self.w, self.nodes, self.values = weights, [], {}

    def value(self, name, array=None):
        """An initializer: a weight of the file, or an array of a new name."""
        if name not in self.values:
            array = self.w[name] if array is None else array
            self.values[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def node(self, kind, inputs, outputs, domain="com.microsoft", **attributes):
        self.nodes.append(helper.make_node(kind, inputs, outputs, domain=domain, **attributes))
        return outputs[0]

    def norm(self, x, skip, bias, name, to):
        return self.node("SkipLayerNormalization",
                         [x, skip, self.value(name + ".weight"), self.value(name + ".bias"),
                          self.value(bias)], [to], epsilon=EPS)

    def matmul(self, x, name, to):
        w = self.value(name + ".T", self.w[name + ".weight"].T)
        return self.node("MatMul", [x, w], [to], "")

    def layer(self, x, mask, i):
        p = f"encoder.layer.{i}."
        parts = [p + f"attention.self.{n}." for n in ("query", "key", "value")]
        qkv = self.value(p + "qkv", np.concatenate([self.w[n + "weight"].T for n in parts], 1))
        bias = self.value(p + "qkv.bias", np.concatenate([self.w[n + "bias"] for n in parts]))
        a = self.node("Attention", [x, qkv, bias, mask], [p + "a"], num_heads=HEADS)
        name = p + "attention.output."
        x = self.norm(self.matmul(a, name + "dense", p + "o"), x, name + "dense.bias",
                      name + "LayerNorm", p + "x")
        h = self.matmul(x, p + "intermediate.dense", p + "h")
        h = self.node("BiasGelu", [h, self.value(p + "intermediate.dense.bias")], [p + "g"])
        return self.norm(self.matmul(h, p + "output.dense", p + "d"), x, p + "output.dense.bias",
                         p + "output.LayerNorm", p + "y")


def session(weights, threads=0):
    g, e = Graph(weights), "embeddings."
    names = [e + "word_embeddings.weight", e + "position_embeddings.weight",
             e + "token_type_embeddings.weight", e + "LayerNorm.weight", e + "LayerNorm.bias"]
    x = g.node("EmbedLayerNormalization", ["ids", "types", *map(g.value, names), "mask"],
               ["x", "lengths"], epsilon=EPS)
    for i in range(LAYERS):
        x = g.layer(x, "lengths", i)
    g.node("Identity", [x], ["rows"], "")
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT32, ["batch", "rows"])
              for n in ("ids", "types", "mask")]
    out = helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["batch", "rows", "width"])
    graph = helper.make_graph(g.nodes, "minilm", inputs, [out], list(g.values.values()))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17),
                                                    helper.make_opsetid("com.microsoft", 1)])
    model.ir_version = 8
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(model.SerializeToString(), options,
                                        providers=["CPUExecutionProvider"])


def batch(ids):
    rows = max(map(len, ids))
    x = np.zeros((len(ids), rows), np.int32)
    mask = np.zeros_like(x)
    for i, line in enumerate(ids):
        x[i, :len(line)], mask[i, :len(line)] = line, 1
    return {"ids": x, "types": np.zeros_like(x), "mask": mask}


def pooled(run, feed):
    y, mask = run.run(["rows"], feed)[0], feed["mask"][:, :, None]
    mean = (y * mask).sum(1) / mask.sum(1)
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def check(folder, tokens, path):
    ids = minilm.ids_of(tokens)
    want = pooled(session(minilm.weights(folder)), batch(ids))
    got = np.fromfile(path, np.float32).reshape(want.shape)
    error = np.abs(got - want).max()
    print(f"{len(ids)} sentences, at most {error:.1e} from ONNX Runtime "
          f"{onnxruntime.__version__}'s, allowed {TOLERANCE:g}")
    sys.exit(not error <= TOLERANCE)


def fastest(rounds, work):
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def speed(folder, tokens, rounds, threads):
    ids, run = minilm.ids_of(tokens), session(minilm.weights(folder), int(threads))
    all_of, each = batch(ids), [batch([line]) for line in ids]
    print(f"{fastest(int(rounds), lambda: pooled(run, all_of)):.2f} "
          f"{fastest(int(rounds), lambda: [pooled(run, one) for one in each]):.2f}")


if __name__ == "__main__":
    {"check": check, "speed": speed}[sys.argv[1]](*sys.argv[2:])
