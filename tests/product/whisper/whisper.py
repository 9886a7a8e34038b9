"""whisper-tiny.en: its weights out of a CTranslate2 file, sound to rows, and a float64 model in numpy.

usage: whisper.py convert DIR OUT         DIR: config.json, model.bin (CTranslate2's) -> OUT:
                                          config.json, model.safetensors, as transformers has them
       whisper.py rows OUT WAV FILE       the conv stem's rows of a 16 kHz mono WAV, raw f32
                                          [1500, 384], before positions
       whisper.py check OUT ROWS IDS LOGITS   IDS: token ids that the program chose, a line; LOGITS:
                                          raw f32 [ids, vocab] that it chose them by: against float64
       whisper.py text OUT IDS            the ids as text

The convolutions and the log-mel spectrogram are the caller's; here they are numpy's, in float64."""
import json
import os
import struct
import sys
import wave

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "smollm2"))
import safetensors

TOLERANCE = 1e-4  # of a logit, whose values are up to 30
RATE, SECONDS, HOP, FFT, MELS = 16000, 30, 160, 400, 80
PROMPT = [50257, 50362]  # <|startoftranscript|> <|notimestamps|>
END = 50256
CONFIG = {
    "model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"],
    "d_model": 384, "encoder_layers": 4, "decoder_layers": 4, "encoder_attention_heads": 6,
    "decoder_attention_heads": 6, "encoder_ffn_dim": 1536, "decoder_ffn_dim": 1536,
    "vocab_size": 51864, "num_mel_bins": MELS, "max_source_positions": 1500,
    "max_target_positions": 448, "activation_function": "gelu", "scale_embedding": False,
}


# --- CTranslate2's file: names, shapes and data, one after the other ---

class Reader:
    def __init__(self, path):
        with open(path, "rb") as f:
            self.data, self.at = f.read(), 0

    def number(self, kind):
        value, = struct.unpack_from("<" + kind, self.data, self.at)
        self.at += struct.calcsize(kind)
        return value

    def text(self):
        size = self.number("H")
        self.at += size
        return self.data[self.at - size:self.at].rstrip(b"\0").decode()

    def array(self):
        shape = [self.number("I") for _ in range(self.number("B"))]
        kind = (np.float32, np.int8, np.int16, np.int32, np.float16)[self.number("B")]
        size = self.number("I")
        self.at += size
        return np.frombuffer(self.data[self.at - size:self.at], kind).reshape(shape)


def variables(path):
    r = Reader(path)
    version, spec = r.number("I"), r.text()
    r.number("I")
    if version != 6 or spec != "WhisperSpec":
        sys.exit(f"{path}: version {version} of {spec}, and 6 of WhisperSpec is read")
    return {r.text(): r.array() for _ in range(r.number("I"))}


def put_linear(out, v, name, parts):
    """A fused matrix is cut into its parts; keys have no bias in transformers, and 0 here."""
    w = np.split(v[name + "/weight"], len(parts))
    b = np.split(v[name + "/bias"], len(parts))
    for part, weight, bias in zip(parts, w, b):
        out[part + ".weight"] = weight
        if part.endswith("k_proj"):
            assert not bias.any()
        else:
            out[part + ".bias"] = bias


def put_norm(out, v, name, to):
    out[to + ".weight"], out[to + ".bias"] = v[name + "/gamma"], v[name + "/beta"]


def put_layer(out, v, name, to, decoder):
    own = [f"{to}.self_attn.{p}_proj" for p in "qkv"]
    put_norm(out, v, name + "/self_attention/layer_norm", to + ".self_attn_layer_norm")
    put_linear(out, v, name + "/self_attention/linear_0", own)
    put_linear(out, v, name + "/self_attention/linear_1", [to + ".self_attn.out_proj"])
    if decoder:
        cross = to + ".encoder_attn."
        put_norm(out, v, name + "/attention/layer_norm", to + ".encoder_attn_layer_norm")
        put_linear(out, v, name + "/attention/linear_0", [cross + "q_proj"])
        put_linear(out, v, name + "/attention/linear_1", [cross + "k_proj", cross + "v_proj"])
        put_linear(out, v, name + "/attention/linear_2", [cross + "out_proj"])
    put_norm(out, v, name + "/ffn/layer_norm", to + ".final_layer_norm")
    put_linear(out, v, name + "/ffn/linear_0", [to + ".fc1"])
    put_linear(out, v, name + "/ffn/linear_1", [to + ".fc2"])


def convert(folder, to):
    v, out = variables(os.path.join(folder, "model.bin")), {}
    for side in ("encoder", "decoder"):
        for i in range(CONFIG[side + "_layers"]):
            put_layer(out, v, f"{side}/layer_{i}", f"model.{side}.layers.{i}", side == "decoder")
        put_norm(out, v, side + "/layer_norm", f"model.{side}.layer_norm")
        out[f"model.{side}.embed_positions.weight"] = v[side + "/position_encodings/encodings"]
    out["model.decoder.embed_tokens.weight"] = v["decoder/embeddings/weight"]
    for conv in ("conv1", "conv2"):
        for part in ("weight", "bias"):
            out[f"model.encoder.{conv}.{part}"] = v[f"encoder/{conv}/{part}"]
    safetensors.write(os.path.join(to, "model.safetensors"), out)
    with open(os.path.join(to, "config.json"), "w") as f:
        json.dump(CONFIG, f, indent=1)


def weights(folder):
    found = safetensors.read(os.path.join(folder, "model.safetensors"))
    return {name[len("model."):]: t.astype(np.float64) for name, t in found.items()}


# --- Sound to rows ---

def mel_filters():
    """Slaney's scale: linear to 1000 Hz, logarithmic above; each filter of area 1."""
    def hertz(m):
        return np.where(m < 15, m * 200 / 3, 1000 * np.exp((m - 15) * np.log(6.4) / 27))
    top = 15 + 27 * np.log(RATE / 2 / 1000) / np.log(6.4)
    edge = hertz(np.linspace(0, top, MELS + 2))
    f = np.linspace(0, RATE / 2, FFT // 2 + 1)
    up = (f - edge[:-2, None]) / np.diff(edge)[:-1, None]
    down = (edge[2:, None] - f) / np.diff(edge)[1:, None]
    return np.maximum(0, np.minimum(up, down)) * 2 / (edge[2:] - edge[:-2])[:, None]


def log_mel(sound):
    x = np.pad(np.pad(sound, (0, RATE * SECONDS - len(sound))), FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(x, FFT)[::HOP][:-1]
    power = np.abs(np.fft.rfft(frames * np.hanning(FFT + 1)[:-1])) ** 2
    spectrum = np.log10(np.maximum(mel_filters() @ power.T, 1e-10))
    return (np.maximum(spectrum, spectrum.max() - 8) + 4) / 4


def erf(x):
    from math import erf as of
    return np.vectorize(of)(x)


def gelu(x):
    return x * 0.5 * (1 + erf(x / np.sqrt(2)))


def convolve(x, w, b, step):
    """x [in, n], w [out, in, 3], one column of zeros on each side."""
    x = np.pad(x, ((0, 0), (1, 1)))
    columns = [x[:, k:k + x.shape[1] - 2:step] for k in range(3)]
    return gelu(sum(w[:, :, k] @ columns[k] for k in range(3)) + b[:, None])


def rows(folder, path, to):
    with wave.open(path) as f:
        if (f.getframerate(), f.getnchannels(), f.getsampwidth()) != (RATE, 1, 2):
            sys.exit(f"{path}: must be mono, {RATE} Hz, of 16 bits")
        sound = np.frombuffer(f.readframes(f.getnframes()), "<i2") / 32768.0
    w = weights(folder)
    x = convolve(log_mel(sound[:RATE * SECONDS]), w["encoder.conv1.weight"],
                 w["encoder.conv1.bias"], 1)
    x = convolve(x, w["encoder.conv2.weight"], w["encoder.conv2.bias"], 2)
    x.T.astype(np.float32).tofile(to)


# --- The model in float64 ---

def norm(x, w, name):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * w[name + ".weight"] + w[name + ".bias"]


def linear(x, w, name):
    return x @ w[name + ".weight"].T + w.get(name + ".bias", 0)


def attend(x, keys, w, name, causal):
    heads = CONFIG["encoder_attention_heads"]
    q, k, v = (linear(y, w, f"{name}.{p}_proj").reshape(len(y), heads, -1).swapaxes(0, 1)
               for p, y in (("q", x), ("k", keys), ("v", keys)))
    s = q @ k.swapaxes(1, 2) / np.sqrt(q.shape[-1])
    if causal:
        s = np.where(np.tril(np.ones(s.shape[1:], bool)), s, -np.inf)
    s = np.exp(s - s.max(-1, keepdims=True))
    a = (s / s.sum(-1, keepdims=True) @ v).swapaxes(0, 1).reshape(len(x), -1)
    return linear(a, w, name + ".out_proj")


def run(x, w, side, memory=None):
    for i in range(CONFIG[side + "_layers"]):
        p = f"{side}.layers.{i}."
        a = norm(x, w, p + "self_attn_layer_norm")
        x = x + attend(a, a, w, p + "self_attn", memory is not None)
        if memory is not None:
            a = norm(x, w, p + "encoder_attn_layer_norm")
            x = x + attend(a, memory, w, p + "encoder_attn", False)
        a = norm(x, w, p + "final_layer_norm")
        x = x + linear(gelu(linear(a, w, p + "fc1")), w, p + "fc2")
    return norm(x, w, side + ".layer_norm")


def logits(w, stem, ids):
    memory = run(stem + w["encoder.embed_positions.weight"], w, "encoder")
    table = w["decoder.embed_tokens.weight"]
    x = table[ids] + w["decoder.embed_positions.weight"][:len(ids)]
    return run(x, w, "decoder", memory) @ table.T


def read_ids(path):
    with open(path) as f:
        return [int(word) for word in f.read().split()]


def check(folder, stem, ids_path, path):
    w, ids = weights(folder), read_ids(ids_path)
    x = np.fromfile(stem, np.float32).reshape(-1, CONFIG["d_model"]).astype(np.float64)
    want = logits(w, x, PROMPT + ids[:-1])[len(PROMPT) - 1:]
    got = np.fromfile(path, np.float32).reshape(want.shape)
    error = np.abs(got - want).max()
    same = (want.argmax(-1) == ids).all()
    print(f"{len(ids)} steps, greatest error of a logit {error:.1e}, allowed {TOLERANCE:g}; "
          f"the ids are {'' if same else 'NOT '}those of float64")
    sys.exit(not (error <= TOLERANCE and same))


def text(folder, path):
    from tokenizers import Tokenizer
    t = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    print(t.decode(read_ids(path)).strip())


if __name__ == "__main__":
    {"convert": convert, "rows": rows, "check": check, "text": text}[sys.argv[1]](*sys.argv[2:])
