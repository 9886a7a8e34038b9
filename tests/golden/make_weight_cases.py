#!/usr/bin/env python3
"""Writes whole layers whose matrices are stored in every type of weights, as block/weights_*.

    pip install torch transformers==5.24.0 gguf numpy
    tests/golden/make_weight_cases.py GGML

GGML is the folder ggml/ of llama.cpp's sources, as for make_quant_cases.py: its own functions round
random weights to blocks and read these. transformers' classes then run on the values, in double,
as in make_block_cases.py. Blocks go in as bytes, `stored` says of which type (README.md).
"""

import pathlib
import sys

import numpy as np
import torch
import transformers as hf

GGML = pathlib.Path(sys.argv.pop(1)) if len(sys.argv) > 1 else sys.exit(__doc__)
import make_block_cases as layers  # which takes names of cases from sys.argv
import make_quant_cases as quants

LIB = quants.build(GGML)
FLOATS = {"bf16": torch.bfloat16, "f16": torch.float16}


def as_16_bits(x, kind):
    """Bits, and values in f32."""
    t = torch.from_numpy(np.ascontiguousarray(x)).to(FLOATS[kind])
    return t.view(torch.int16).numpy().view(np.uint16), t.to(torch.float32).numpy()


def blocks_of(x, kind):
    """Bytes [.., bytes of a row], and values in f32."""
    name = kind.replace("_k", "_K")
    elements, size = quants.TYPES[name][:2]
    rows = np.ascontiguousarray(x, np.float32).reshape(-1, elements)
    blocks = quants.quantise(LIB, name, rows)
    values = quants.dequantise(LIB, name, blocks).reshape(x.shape)
    return blocks.reshape(*x.shape[:-1], -1), values


def stored(x, kind):
    return as_16_bits(x, kind) if kind in FLOATS else blocks_of(x, kind)


class Case:
    """Rounds a layer's matrices before it runs, and puts them into the case as they are stored.

    types: canonical name of a matrix -> its type."""

    def __init__(self, types):
        self.types, self.bits = types, {}

    def round(self, name, tensor):
        if name in self.types:
            # As large as the other cases', whose rows have 32 elements.
            self.bits[name], values = stored(layers.f32(tensor * (32 / tensor.shape[-1]) ** 0.5),
                                             self.types[name])
            tensor.data.copy_(torch.from_numpy(values).double())

    def edit(self, tensors):
        for name, bits in self.bits.items():
            kind = self.types[name]
            assert tensors[f"w.{name}"].shape[:-1] == bits.shape[:-1]
            tensors[f"w.{name}"] = bits.view(np.float16) if kind == "f16" else bits

    def meta(self):
        return {"stored": ";".join(f"{n}={t}" for n, t in sorted(self.types.items())
                                   if t not in FLOATS)}


def llama(name, kind, width=64, ffn=96, head=32, heads=2, kv=1, rest=None, mixed=None):
    """rest: what matrices have whose rows are no whole blocks; mixed: weight_types by name."""
    c = layers.config(hf.LlamaConfig, hidden_size=width, num_attention_heads=heads,
                      num_key_value_heads=kv, head_dim=head, intermediate_size=ffn)
    m = hf.LlamaModel(c)
    weights = layers.llama_weights(m.layers[0])
    block = 256 if kind.endswith("_k") else 32
    types = {}
    for ours, module in weights.items():
        if "norm" in ours:
            continue
        own = (mixed or {}).get(ours.replace("gate", "up"))
        types[f"{ours}.weight"] = own or (kind if module.weight.shape[1] % block == 0 else rest)
    meta = {**layers.LLAMA, "heads": heads, "kv_heads": kv, "d_model": width, "head_dim": head,
            "ffn_dim": ffn, "weight_type": kind}
    if mixed:
        meta["weight_types"] = "; ".join(f"{n}={t}" for n, t in mixed.items())
    make(name, m, m.layers[0], meta, weights, types, width)


def make(name, model, layer, meta, weights, types, width, **others):
    case = Case(types)

    def prepare():
        for ours, part in (weights() if callable(weights) else weights).items():
            tensor = part if isinstance(part, torch.Tensor) else part.weight
            case.round(ours if isinstance(part, torch.Tensor) else f"{ours}.weight", tensor)

    layers.D, layers.ROWS = width, 9
    layers.make(name, model, layer, {**meta, **case.meta()}, weights, prepare=prepare,
                edit=case.edit, **others)


def gpt_oss():
    """Experts in mxfp4, the rest in bf16, as published files have them."""
    c = layers.config(hf.GptOssConfig, hidden_size=64, num_attention_heads=4, num_key_value_heads=2,
                      head_dim=16, intermediate_size=32, num_local_experts=4, num_experts_per_tok=2,
                      sliding_window=6, rms_norm_eps=1e-5,
                      layer_types=["sliding_attention", "full_attention"],
                      rope_parameters={"rope_type": "default", "rope_theta": 500.0})
    m = hf.GptOssModel(c)
    layer = m.layers[0]
    a, mlp = layer.self_attn, layer.mlp
    e = mlp.experts

    def weights():
        # Views of the class's own tensors, [experts, in, out], gate and up by turns.
        return {
            "norm1": layer.input_layernorm, "norm2": layer.post_attention_layernorm,
            "q_proj": a.q_proj, "k_proj": a.k_proj, "v_proj": a.v_proj, "o_proj": a.o_proj,
            "sinks": a.sinks, "router": mlp.router,
            "experts.gate_proj.weight": e.gate_up_proj[..., ::2].transpose(1, 2),
            "experts.gate_proj.bias": e.gate_up_proj_bias[..., ::2],
            "experts.up_proj.weight": e.gate_up_proj[..., 1::2].transpose(1, 2),
            "experts.up_proj.bias": e.gate_up_proj_bias[..., 1::2],
            "experts.down_proj.weight": e.down_proj.transpose(1, 2),
            "experts.down_proj.bias": e.down_proj_bias,
        }

    types = {f"experts.{p}_proj.weight": "mxfp4" for p in ("gate", "up", "down")}
    types.update({f"{p}_proj.weight": "bf16" for p in "qkvo"})
    meta = {
        "form": "regular", "op": "sliding_self", "window": 5, "heads": 4, "kv_heads": 2,
        "head_dim": 16, "d_model": 64, "norm": "rmsnorm", "norm_eps": 1e-5, "q_bias": "true",
        "rope": "half", "rope_base": 500, "sinks": "true", "ffn": "moe",
        "expert_act": "swiglu_clamped", "experts": 4, "top_k": 2, "expert_dim": 32,
        "router": "topk_softmax", "router_bias": "logits", "ffn_bias": "true",
        "weight_type": "bf16", "weight_types": "experts.up_proj=mxfp4; experts.down_proj=mxfp4",
    }
    make("weights_gpt_oss", m, layer, meta, weights, types, 64, visible=layers.causal(5),
         router=mlp.router)


def main():
    torch.set_default_dtype(torch.float64)
    for kind in ("bf16", "f16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "mxfp4"):
        llama(f"weights_{kind}", kind)
    for kind in ("q4_k", "q5_k", "q6_k"):
        llama(f"weights_{kind}", kind, width=256, ffn=64, head=16, heads=4, kv=2, rest="q8_0")
    llama("weights_mixed", "q4_k", width=256, ffn=256, head=16, heads=4, kv=2, rest="q8_0",
          mixed={"v_proj": "q6_k", "o_proj": "f16", "down_proj": "q5_k", "k_proj": "q5_0"})
    gpt_oss()


if __name__ == "__main__":
    main()
