"""Tiny whole models of transformers' own classes, with random weights, and what they give in double.

    python make_model_cases.py [NAME..]        needs torch, transformers and safetensors

Writes tests/golden/model/NAME: config.json, the weights (model.safetensors, or two files and their
index), and expected.bin, which tests/product/model.c reads: i32 [items, vocab, width, logits?,
pooled?], i32 begin [items + 1], i32 ids [rows], i32 types [rows], f32 hidden [rows][width], f32
logits [rows][vocab], f32 pooled [items][width]. Each item is run alone, as a batch of one."""
import json
import os
import struct
import sys

import torch
import transformers
from safetensors.torch import save_file

HERE = os.path.dirname(os.path.abspath(__file__))
SMALL = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, head_dim=8, vocab_size=61, max_position_embeddings=64)
LENGTHS = [7, 1, 13]


def without(d, *keys):
    return {k: v for k, v in d.items() if k not in keys}


CASES = {
    # untied; in two files
    "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM,
              dict(SMALL, tie_word_embeddings=False), torch.float32),
    # tied, biases; bf16
    "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM,
              dict(without(SMALL, "head_dim"), tie_word_embeddings=True), torch.bfloat16),
    # scaled embedding, 1 + weight, soft caps
    "gemma2": (transformers.Gemma2Config, transformers.Gemma2ForCausalLM,
               dict(SMALL, query_pre_attn_scalar=8, sliding_window=5, final_logit_softcapping=3.0,
                    tie_word_embeddings=True), torch.float32),
    # layernorm without bias, scaled logits
    "cohere2": (transformers.Cohere2Config, transformers.Cohere2ForCausalLM,
                dict(without(SMALL, "head_dim"), logit_scale=0.25, sliding_window=5,
                     tie_word_embeddings=True), torch.float16),
    # tables, norm of embedded rows, pooler
    "bert": (transformers.BertConfig, transformers.BertModel,
             dict(without(SMALL, "num_key_value_heads", "head_dim"), type_vocab_size=2),
             torch.float32),
}


def randomise(model, dtype):
    """Weights that matter, norms and biases too, as the file holds them."""
    for name, p in model.named_parameters():
        scale = 0.3 if p.dim() > 1 else 0.2
        noise = torch.randn_like(p) * scale
        norm = "norm" in name.lower() and name.endswith("weight")
        p.data = (noise + (1.0 if norm and not model.config.model_type.startswith("gemma") else 0.0))
        p.data = p.data.to(dtype).to(torch.float64)


def save(model, folder, name, dtype):
    tensors = {k: v.to(dtype).contiguous().clone() for k, v in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        tensors.pop("lm_head.weight", None)
    if name != "llama":
        return save_file(tensors, os.path.join(folder, "model.safetensors"), {"format": "pt"})
    files = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    keys = sorted(tensors)
    parts = [keys[::2], keys[1::2]]
    for file, part in zip(files, parts):
        save_file({k: tensors[k] for k in part}, os.path.join(folder, file), {"format": "pt"})
    index = {"metadata": {"total_size": 0},
             "weight_map": {k: f for f, part in zip(files, parts) for k in part}}
    with open(os.path.join(folder, "model.safetensors.index.json"), "w") as out:
        json.dump(index, out, indent=1)
        out.write("\n")


def run(model, ids, types):
    extra = {"token_type_ids": types[None]} if model.config.model_type == "bert" else {}
    with torch.no_grad():
        out = model(input_ids=ids[None], output_hidden_states=True, **extra)
    bert = model.config.model_type == "bert"
    hidden = out.last_hidden_state[0] if bert else out.hidden_states[-1][0]
    return hidden, None if bert else out.logits[0], out.pooler_output[0] if bert else None


def make(name):
    config_class, model_class, fields, dtype = CASES[name]
    folder = os.path.join(HERE, name)
    os.makedirs(folder, exist_ok=True)
    torch.manual_seed(7)
    config = config_class(**fields)
    config._attn_implementation = "eager"
    model = model_class(config).double().eval()
    randomise(model, dtype)
    model.tie_weights() if config.tie_word_embeddings else None
    save(model, folder, name, dtype)
    text = {"model_type": name, **fields}
    if name == "llama":
        text["rope_theta"] = 10000.0
    with open(os.path.join(folder, "config.json"), "w") as out:
        json.dump(text, out, indent=1)
        out.write("\n")
    rows = sum(LENGTHS)
    ids = torch.randint(0, config.vocab_size, (rows,))
    types = torch.randint(0, 2, (rows,)) if name == "bert" else torch.zeros(rows, dtype=torch.long)
    begin = [0]
    for n in LENGTHS:
        begin.append(begin[-1] + n)
    got = [run(model, ids[a:b], types[a:b]) for a, b in zip(begin, begin[1:])]
    logits, pooled = got[0][1] is not None, got[0][2] is not None
    with open(os.path.join(folder, "expected.bin"), "wb") as out:
        out.write(struct.pack("<5i", len(LENGTHS), config.vocab_size, config.hidden_size, logits,
                              pooled))
        out.write(struct.pack(f"<{len(begin)}i", *begin))
        out.write(struct.pack(f"<{rows}i", *ids.tolist()))
        out.write(struct.pack(f"<{rows}i", *types.tolist()))
        for part in range(3):
            if got[0][part] is None:
                continue
            parts = [g[part].reshape(-1) for g in got]
            values = torch.cat(parts).float().tolist()
            out.write(struct.pack(f"<{len(values)}f", *values))


for case in sys.argv[1:] or CASES:
    make(case)
