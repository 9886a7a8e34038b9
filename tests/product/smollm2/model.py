"""The Llama architecture in float64, written from its description: no line is shared with attn-gen.

x += Wo attention(rope(Wq a), rope(Wk a), Wv a), a = rms(x);  x += Wdown (silu(Wgate b) * Wup b), b = rms(x).
RoPE turns the pairs (i, i + head_dim / 2), as Hugging Face's Llama does.
"""
import numpy as np


def rms(x, weight, eps):
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + eps) * weight


def rope(x, first, base):
    """x [tokens, heads, head_dim], the first token at position `first`."""
    half = x.shape[-1] // 2
    angle = (first + np.arange(len(x)))[:, None] * base ** (-np.arange(half) / half)
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)


def attention(q, k, v):
    """q [n, heads, d], k and v [m, kv_heads, d]: the last n of m tokens ask; causal."""
    n, heads, width = q.shape
    group = heads // k.shape[1]
    k, v = np.repeat(k, group, axis=1), np.repeat(v, group, axis=1)
    s = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(width)
    hidden = np.arange(len(k)) > np.arange(len(k) - n, len(k))[:, None]
    s = np.where(hidden, -np.inf, s)
    p = np.exp(s - s.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    return np.einsum("hqk,khd->qhd", p, v)


class Model:
    def __init__(self, config, weights):
        self.config = config
        self.w = {name: array.astype(np.float64) for name, array in weights.items()}

    def layer(self, i, x, cache):
        c = self.config
        heads, kv_heads = c["num_attention_heads"], c["num_key_value_heads"]
        w = lambda name: self.w[f"model.layers.{i}.{name}.weight"]
        a = rms(x, w("input_layernorm"), c["rms_norm_eps"])
        q = (a @ w("self_attn.q_proj").T).reshape(len(x), heads, -1)
        k = (a @ w("self_attn.k_proj").T).reshape(len(x), kv_heads, -1)
        v = (a @ w("self_attn.v_proj").T).reshape(len(x), kv_heads, -1)
        old_k, old_v = cache.get(i, (k[:0], v[:0]))
        q = rope(q, len(old_k), c["rope_theta"])
        k = np.concatenate([old_k, rope(k, len(old_k), c["rope_theta"])])
        v = np.concatenate([old_v, v])
        cache[i] = k, v
        x = x + attention(q, k, v).reshape(len(x), -1) @ w("self_attn.o_proj").T
        b = rms(x, w("post_attention_layernorm"), c["rms_norm_eps"])
        gate, up = b @ w("mlp.gate_proj").T, b @ w("mlp.up_proj").T
        return x + (gate / (1 + np.exp(-gate)) * up) @ w("mlp.down_proj").T

    def logits(self, tokens, cache=None):
        """One row a token. cache: a dict that a first call fills and later calls go on from."""
        cache = {} if cache is None else cache
        x = self.w["model.embed_tokens.weight"][tokens]
        for i in range(self.config["num_hidden_layers"]):
            x = self.layer(i, x, cache)
        x = rms(x, self.w["model.norm.weight"], self.config["rms_norm_eps"])
        return x @ self.w["model.embed_tokens.weight"].T
