"""llama.cpp beside the product, by its Python package xllamacpp (wheels for CPUs, nothing to build).

usage: llamacpp.py check DIR
           llama.cpp, on an f32 copy of the GGUF, against reference.safetensors: a second opinion on
           the dequantised weights, the order of q_proj's and k_proj's rows, and the tokenizer
       llamacpp.py time GGUF TOKENS_FILE THREADS GENERATE
           prints llama.cpp's tokens/s for prompt and generation, once
       llamacpp.py copy DIR KIND
           makes DIR/KIND.gguf, with the matrices of the GGUF as f32, bf16 or q8_0
       llamacpp.py speed DIR TOKENS_FILE [--threads N] [--rounds N] [--generate N]
           tokens/s of the programs DIR/chat-KIND, and of llama.cpp on the same files: the Q4_1 one,
           its copies in q8_0 and bf16, and f32 weights; medians of interleaved rounds

Ends with status 3 where xllamacpp is not installed; speed then still reports the product.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import urllib.request

import numpy as np

import gguf
import safetensors
from reference import tokenizer
from tokenizer import chat
from weights import MEMBER

try:
    import xllamacpp
except ImportError:
    xllamacpp = None

TOLERANCE = 1e-3
# What splits words from digits, spaces, contractions and scripts.
TEXTS = ["Hello, world!", "  two  spaces\n\n and\tlines  ", "I'm here; they'll see 1234 x 5.67",
         "na\u00efve caf\u00e9 \u65e5\u672c\u8a9e \u0434\u043e\u043c \U0001f600", "a\u00b2 \u0661\u0662 \u00a0x"]


def server(path, threads, exact=False):
    """As llama.cpp comes, or exact: without its f16 cache and its flash attention, which rounds to f16
    (both show as 1e-2 in a log probability)."""
    p = xllamacpp.CommonParams()
    p.model.path = path
    p.n_ctx, p.n_parallel, p.verbosity, p.warmup = 1024, 1, -1, True
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = threads
    if exact:
        p.cache_type_k = p.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        p.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    return xllamacpp.Server(p)


def complete(peer, prompt, count, **options):
    return peer.handle_completions(
        {"prompt": prompt, "n_predict": count, "temperature": 0, "cache_prompt": False, **options})


def tokenize(peer, text):
    body = json.dumps({"content": text, "add_special": False, "parse_special": True}).encode()
    request = urllib.request.Request(peer.listening_address + "/tokenize", body, {"Content-Type": "application/json"})
    # A local address: no proxy.
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        return json.load(answer)["tokens"]


KINDS = {"f32": gguf.F32, "bf16": gguf.BF16, "q8_0": gguf.Q8_0}


def copy(folder, kind):
    """The GGUF in another type; the file itself: kind = gguf."""
    q4 = os.path.join(folder, os.path.basename(MEMBER))
    if kind == "gguf":
        return q4
    path = os.path.join(folder, kind + ".gguf")
    if not os.path.exists(path):
        gguf.Reader(q4).write(path + ".new", KINDS[kind])
        os.rename(path + ".new", path)
    return path


def check(folder):
    reference = safetensors.read(os.path.join(folder, "reference.safetensors"))
    prompt, answer = reference["prompt"].tolist(), reference["answer"].tolist()
    peer = server(copy(folder, "f32"), os.cpu_count(), exact=True)
    tok = tokenizer(folder)
    for text in TEXTS + [chat(text) for text in TEXTS]:
        other, own = tokenize(peer, text), tok.encode(text)
        if other != own or tok.decode(own) != text:
            raise SystemExit(f"llama.cpp: {text!r} is {other}, here {own}: {tok.decode(own)!r}")
    steps = complete(peer, prompt, len(answer), n_probs=20)["choices"][0]["logprobs"]["content"]
    if [step["id"] for step in steps] != answer:
        raise SystemExit("llama.cpp: its greedy answer differs")
    worst = 0
    for row, step in zip(reference["logits"][len(prompt) - 1 :], steps):
        logprob = row - row.max() - np.log(np.exp(row - row.max()).sum())
        for other in step["top_logprobs"]:
            worst = max(worst, abs(logprob[other["id"]] - other["logprob"]))
    print(f"xllamacpp {xllamacpp.__version__}: {len(steps)} tokens agree, greatest difference of a log "
          f"probability {worst:.2e}, allowed {TOLERANCE:g}")
    if not worst <= TOLERANCE:
        raise SystemExit(1)


def ids_of(path):
    with open(path) as f:
        return [int(word) for word in f.read().split()]


def time_once(path, tokens, threads, generate):
    t = complete(server(path, threads), ids_of(tokens), generate)["timings"]
    print(f"prompt: {t['prompt_n']} tokens, {t['prompt_per_second']:.1f}")
    print(f"generation: {t['predicted_n']} tokens, {t['predicted_per_second']:.1f}")


def measure(command, threads):
    """(prompt tokens/s, generation tokens/s) of a program that prints them as time_once does."""
    run = subprocess.run(command, capture_output=True, text=True,
                         env={**os.environ, "OMP_NUM_THREADS": str(threads)})
    found = dict(re.findall(r"^(prompt|generation): \d+ tokens, ([\d.]+)", run.stdout + run.stderr, re.M))
    if run.returncode or len(found) != 2:
        raise SystemExit(f"{' '.join(command)}: status {run.returncode}\n{run.stderr[-1000:]}")
    return float(found["prompt"]), float(found["generation"])


def speed(args):
    # Each run is a process of its own, alone on the machine as far as we can tell.
    rest = [args.tokens, str(args.threads), str(args.generate)]
    runs = {}
    for name, kind in (("Q4_1 file", "gguf"), ("q8_0", "q8_0"), ("bf16", "bf16"), ("f32", "f32")):
        weights = os.path.join(args.dir, "model.safetensors") if kind == "f32" else copy(args.dir, kind)
        runs[f"product, {name}"] = [os.path.join(args.dir, "chat-" + kind), weights, args.tokens,
                                    "--generate", str(args.generate)]
        if xllamacpp:
            runs[f"llama.cpp, {name}"] = [sys.executable, __file__, "time", copy(args.dir, kind), *rest]
    times = {name: [] for name in runs}
    for _ in range(args.rounds):
        for name, command in runs.items():
            times[name].append(measure(command, args.threads))
    print(f"{len(ids_of(args.tokens))} tokens prompt, {args.generate} generated, {args.threads} threads, tokens/s:")
    for name, pairs in times.items():
        print(f"  {name:24} prompt {statistics.median(p for p, _ in pairs):7.1f}"
              f"   generation {statistics.median(g for _, g in pairs):7.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check").add_argument("dir")
    once = commands.add_parser("time")
    once.add_argument("gguf")
    once.add_argument("tokens")
    once.add_argument("threads", type=int)
    once.add_argument("generate", type=int)
    copied = commands.add_parser("copy")
    copied.add_argument("dir")
    copied.add_argument("kind", choices=KINDS)
    timed = commands.add_parser("speed")
    for name in ("dir", "tokens"):
        timed.add_argument(name)
    timed.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    timed.add_argument("--rounds", type=int, default=3)
    timed.add_argument("--generate", type=int, default=40)
    args = parser.parse_args()
    if args.command == "copy":
        print(copy(args.dir, args.kind))
        return
    if args.command == "speed":
        speed(args)
    elif xllamacpp and args.command == "time":
        time_once(args.gguf, args.tokens, args.threads, args.generate)
    elif xllamacpp:
        check(args.dir)
    if not xllamacpp:
        print("llama.cpp: the Python package xllamacpp is not installed", file=sys.stderr)
        sys.stdout.flush()
        sys.exit(3)


if __name__ == "__main__":
    main()
    # The server's threads do not always end by themselves.
    sys.stdout.flush()
    os._exit(0)
