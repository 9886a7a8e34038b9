"""SmolLM2's tokenizer: byte-level BPE with GPT-2's splitting and single digits, and its chat form."""
import re
import unicodedata

# GPT-2's pattern without digits, for text whose characters beyond ASCII went through _plain.
WORDS = re.compile(
    r"'s|'t|'re|'ve|'m|'ll|'d| ?[A-Za-z]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+", re.ASCII)
SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"


def _byte_letters():
    """GPT-2's printable stand-in for each byte."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in keep]
    return {**{b: chr(b) for b in keep}, **{b: chr(256 + i) for i, b in enumerate(rest)}}


def _plain(char):
    if char.isascii():
        return char
    if char.isspace():
        return "\t"
    return {"L": "x", "N": "0"}.get(unicodedata.category(char)[0], "!")


class Tokenizer:
    """Made from a GGUF file's metadata."""

    def __init__(self, meta):
        if (meta["tokenizer.ggml.model"], meta["tokenizer.ggml.pre"]) != ("gpt2", "smollm"):
            raise SystemExit("tokenizer: not SmolLM's")
        self.tokens = meta["tokenizer.ggml.tokens"]
        self.ids = {token: i for i, token in enumerate(self.tokens)}
        merges = (tuple(pair.split(" ")) for pair in meta["tokenizer.ggml.merges"])
        self.rank = {pair: i for i, pair in enumerate(merges)}
        types = meta["tokenizer.ggml.token_type"]
        self.special = {t for t, kind in zip(self.tokens, types) if kind == 3}
        self.eos = meta["tokenizer.ggml.eos_token_id"]
        self.letter = _byte_letters()
        self.byte = {letter: b for b, letter in self.letter.items()}
        self.split = re.compile("(" + "|".join(map(re.escape, sorted(self.special))) + ")")

    def encode(self, text):
        """Token ids; special tokens in the text count as such."""
        out = []
        for part in self.split.split(text):
            if part in self.special:
                out.append(self.ids[part])
                continue
            plain = "".join(map(_plain, part))
            # Each digit stands alone; words are split within what lies between.
            for piece in re.finditer(r"[0-9]|[^0-9]+", plain):
                inner = [(0, 1)] if piece[0].isdigit() else [w.span() for w in WORDS.finditer(piece[0])]
                for start, end in inner:
                    out += self._word(part[piece.start() + start : piece.start() + end])
        return out

    def _word(self, word):
        parts = [self.letter[b] for b in word.encode()]
        while len(parts) > 1:
            ranks = [self.rank.get(pair, len(self.rank)) for pair in zip(parts, parts[1:])]
            best = min(ranks)
            if best == len(self.rank):
                break
            i = ranks.index(best)
            parts[i : i + 2] = [parts[i] + parts[i + 1]]
        return [self.ids[p] for p in parts]

    def raw(self, token):
        """The token's bytes."""
        text = self.tokens[token]
        return text.encode() if text in self.special else bytes(self.byte[c] for c in text)

    def decode(self, tokens):
        return b"".join(map(self.raw, tokens)).decode(errors="replace")


def chat(message):
    """One user message in the Instruct model's chat template, up to where the answer starts."""
    return (f"<|im_start|>system\n{SYSTEM}<|im_end|>\n"
            f"<|im_start|>user\n{message}<|im_end|>\n<|im_start|>assistant\n")
