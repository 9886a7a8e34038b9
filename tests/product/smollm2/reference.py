"""What the product is held to, from the float64 model in model.py.

usage: reference.py encode DIR TEXT
           prints the token ids of a message in its chat form
       reference.py write DIR [--prompt TEXT] [--generate N]
           writes the greedy answer and the logits of every position of prompt and answer:
           prompt.txt, sequence.txt (token ids), answer.txt, reference.safetensors
       reference.py check-logits DIR FILE
           compares raw f32 [positions, vocab] with them
       reference.py decode DIR
           prints the text of token ids as they come on standard input
       reference.py check-text DIR FILE
           compares the text of the ids in FILE with the answer

DIR is what weights.py made.
"""
import argparse
import json
import os
import sys

import numpy as np

import gguf
import safetensors
from model import Model
from tokenizer import Tokenizer, chat
from weights import MEMBER

PROMPT = "Give me three tips for a good night's sleep."
TOLERANCE = 1e-3
POSITIONS = 64  # at least


def tokenizer(folder):
    return Tokenizer(gguf.Reader(os.path.join(folder, os.path.basename(MEMBER))).meta)


def load(folder):
    with open(os.path.join(folder, "config.json")) as f:
        config = json.load(f)
    return Model(config, safetensors.read(os.path.join(folder, "model.safetensors")))


def greedy(model, prompt, most, eos):
    """The answer's ids, and the logits that each was taken from, computed with a cache."""
    cache, ids, rows = {}, [], []
    row = model.logits(prompt, cache)[-1]
    while True:
        rows.append(row)
        best = int(row.argmax())
        if best == eos or len(ids) == most:
            return ids, np.array(rows)
        ids.append(best)
        row = model.logits([best], cache)[-1]


def write(folder, message, most):
    tok, model = tokenizer(folder), load(folder)
    prompt = tok.encode(chat(message))
    answer, cached = greedy(model, prompt, most, tok.eos)
    sequence = prompt + answer
    logits = model.logits(sequence)
    if len(sequence) < POSITIONS:
        raise SystemExit(f"reference: {len(sequence)} positions, needed are {POSITIONS}: ask for more text")
    drift = np.abs(logits[len(prompt) - 1 :] - cached).max()
    if drift > 1e-9:
        raise SystemExit(f"reference: with and without a cache differ by {drift:g}")
    # A text can be required only where no step is a near tie.
    top = np.sort(cached, axis=1)[:, -2:]
    margin = (top[:, 1] - top[:, 0]).min()
    if margin < 2 * TOLERANCE:
        raise SystemExit(f"reference: two tokens are {margin:g} apart: take another prompt")
    for name, ids in (("prompt.txt", prompt), ("sequence.txt", sequence)):
        with open(os.path.join(folder, name), "w") as f:
            print(*ids, file=f)
    with open(os.path.join(folder, "answer.txt"), "w") as f:
        f.write(tok.decode(answer) + "\n")
    safetensors.write(os.path.join(folder, "reference.safetensors"), {
        "logits": logits, "prompt": np.array(prompt, np.int32), "answer": np.array(answer, np.int32)})
    print(tok.decode(answer))
    print(f"{len(prompt)} + {len(answer)} tokens; with and without a cache: {drift:.0e} apart; "
          f"the two best tokens: {margin:.4f} apart or more")


def check_logits(folder, path):
    expected = safetensors.read(os.path.join(folder, "reference.safetensors"))["logits"]
    actual = np.fromfile(path, np.float32)
    if actual.size != expected.size:
        raise SystemExit(f"reference: {path}: {actual.size} values, expected {expected.size}")
    error = np.abs(actual.reshape(expected.shape) - expected).max(axis=1)
    print(f"{len(error)} positions, greatest error of a logit {error.max():.2e} "
          f"(position {error.argmax()}), allowed {TOLERANCE:g}")
    if not error.max() <= TOLERANCE:
        raise SystemExit(1)


def check_text(folder, path):
    with open(os.path.join(folder, "answer.txt")) as a, open(path) as b:
        expected = a.read()
        actual = tokenizer(folder).decode([int(word) for word in b.read().split()]) + "\n"
    if actual != expected:
        raise SystemExit(f"reference: the text differs\nexpected: {expected!r}\nactual:   {actual!r}")
    print("the text matches")


def decode(folder):
    """Whole characters, as soon as their last token is there."""
    tok, ids, shown = tokenizer(folder), [], 0
    for line in sys.stdin:
        ids.append(int(line))
        text = tok.decode(ids)
        if not text.endswith("\ufffd"):
            print(text[shown:], end="", flush=True)
            shown = len(text)
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, argument in (("encode", "text"), ("write", None), ("check-logits", "file"), ("check-text", "file"), ("decode", None)):
        command = commands.add_parser(name)
        command.add_argument("dir")
        if argument:
            command.add_argument(argument)
    commands.choices["write"].add_argument("--prompt", default=PROMPT)
    commands.choices["write"].add_argument("--generate", type=int, default=40)
    args = parser.parse_args()
    if args.command == "encode":
        print(*tokenizer(args.dir).encode(chat(args.text)))
    elif args.command == "write":
        write(args.dir, args.prompt, args.generate)
    elif args.command == "decode":
        decode(args.dir)
    elif args.command == "check-logits":
        check_logits(args.dir, args.file)
    else:
        check_text(args.dir, args.file)


if __name__ == "__main__":
    main()
