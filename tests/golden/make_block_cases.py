#!/usr/bin/env python3
"""Writes whole layers of Hugging Face transformers' models as golden files of level = block.

    pip install torch transformers==5.23.0 && tests/golden/make_block_cases.py [NAME..]

Cases with experts were written with transformers 5.24.0. With names, only these are written.
Each case is one decoder or encoder layer of a small random model, run by its own class on random
rows in double precision (transformers rounds angles and norms to f32 inside), eager attention.
Weights, norms and biases are random, rounded to f32. Names are this project's; what a model fuses
in another order (gpt_neox: q, k, v a head) is put into rows of q, k, v. Falcon's and phi3's fused
weights go in as they are.
"""

import pathlib
import sys

import numpy as np
import torch
import transformers as hf

import casefile

OUT = pathlib.Path(__file__).parent / "block"
BATCH, ROWS = 2, 21
D, HEADS, KV = 32, 4, 2


def write(name, meta, tensors):
    if sys.argv[1:] and name not in sys.argv[1:]:
        return
    meta = {"case": name, "level": "block", **{k: str(v) for k, v in meta.items()}}
    print(name, casefile.write(OUT / f"{name}.safetensors", meta, tensors))


def randomise(module):
    """Values that f32 holds, none of them what a forgotten weight would be."""
    for name, p in module.named_parameters():
        scale = 0.25 if p.dim() > 1 else 0.4
        p.data = (torch.randn(p.shape) * scale).to(torch.float32).double()
        if "norm" in name and name.endswith("weight"):
            p.data = (p.data + 0.7).float().double()


def mask(rows, keys, visible):
    q, k = torch.arange(rows)[:, None], torch.arange(keys)[None, :]
    return torch.zeros(1, 1, rows, keys).masked_fill(~visible(q, k), -1e300)


def causal(window=None):
    return lambda q, k: (k <= q) & (k >= q - (ROWS if window is None else window))


def f32(t):
    return t.detach().to(torch.float32).numpy()


def choices(router, x):
    found = router(x)
    if len(found) == 2:  # llama4: weights of all, 0 of those that are not chosen
        return found[0].topk(router.top_k).indices.sort(-1).values
    return found[2].sort(-1).values


def near(router, x, nudged):
    """Weights jump where a score comes within the band of sparsemixer."""
    usual, other = router(x)[1], router(nudged)[1]
    return (usual.sort(-1).values - other.sort(-1).values).abs().max() < 0.05


def steady(router, x):
    """No choice of experts is so near another one that rounding decides: it is the same where rows
    are changed by far more than that. And most experts are chosen."""
    usual = choices(router, x)
    nudged = [x + 1e-3 * torch.randn(x.shape) for _ in range(8)]
    same = all((choices(router, other) == usual).all() for other in nudged)
    if isinstance(router, hf.models.phimoe.modeling_phimoe.PhimoeTopKRouter):
        same = same and all(near(router, x, other) for other in nudged)
    return same and len(usual.unique()) > usual.shape[-1]


def make(name, model, layer, meta, weights, inputs=None, visible=None, call=None, rope=None,
         edit=None, router=None, prepare=None, seed=0):
    """weights: ours -> a module, whose weight and bias go in, or a tensor."""
    torch.manual_seed(sum(name.encode()) + seed)
    randomise(layer.eval())
    if prepare:
        prepare()
    rows = []
    if router:
        router.register_forward_pre_hook(lambda module, args: rows.append(args[0]))
    x = torch.randn(BATCH, ROWS, D).float().double()
    position = torch.arange(ROWS)[None].expand(BATCH, ROWS)
    args = {}
    if visible is not False:
        args["attention_mask"] = mask(ROWS, ROWS, visible or causal())
    if rope is not False:
        args["position_embeddings"] = rope(x, position) if rope else model.rotary_emb(x, position)
    with torch.no_grad():
        y = call(layer, x, args) if call else layer(x, **args)
        if router and not steady(router, rows[0]):
            return make(name, model, layer, meta, weights, inputs, visible, call, rope, edit,
                        router, prepare, seed + 1)
    tensors = {"in.x": f32(x), "out.y": f32(y[0] if isinstance(y, tuple) else y)}
    for ours, part in (weights() if callable(weights) else weights).items():
        if isinstance(part, torch.Tensor):
            tensors[f"w.{ours}"] = f32(part)
            continue
        tensors[f"w.{ours}.weight"] = f32(part.weight)
        if getattr(part, "bias", None) is not None:
            tensors[f"w.{ours}.bias"] = f32(part.bias)
    tensors.update(inputs or {})
    if edit:
        edit(tensors)
    write(name, meta, tensors)


def config(cls, **fields):
    base = dict(
        hidden_size=D, num_attention_heads=HEADS, num_hidden_layers=2, intermediate_size=48,
        vocab_size=16, attn_implementation="eager", experts_implementation="eager", pad_token_id=0,
        bos_token_id=0, eos_token_id=0,
    )
    return cls(**{**base, **fields})


def llama_weights(layer):
    a, m = layer.self_attn, layer.mlp
    return {
        "norm1": layer.input_layernorm, "norm2": layer.post_attention_layernorm,
        "q_proj": a.q_proj, "k_proj": a.k_proj, "v_proj": a.v_proj, "o_proj": a.o_proj,
        "gate_proj": m.gate_proj, "up_proj": m.up_proj, "down_proj": m.down_proj,
    }


LLAMA = dict(
    form="regular", op="full_self", heads=HEADS, kv_heads=KV, d_model=D, norm="rmsnorm",
    norm_eps=1e-6, q_bias="false", rope="half", ffn="swiglu", ffn_dim=48, ffn_bias="false",
)


def llama(name, rope, meta):
    c = config(hf.LlamaConfig, num_key_value_heads=KV, rope_parameters=rope)
    m = hf.LlamaModel(c)
    make(name, m, m.layers[0], {**LLAMA, **meta}, llama_weights(m.layers[0]))


def llamas():
    llama("llama_linear", {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0},
          dict(rope_scaling="linear", rope_factor=4))
    llama("llama3", {"rope_type": "llama3", "rope_theta": 500.0, "factor": 8.0,
                     "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                     "original_max_position_embeddings": 64},
          dict(rope_base=500, rope_scaling="llama3", rope_factor=8, rope_original=64))
    llama("llama_yarn", {"rope_type": "yarn", "rope_theta": 500.0, "factor": 4.0,
                         "original_max_position_embeddings": 256, "beta_fast": 16.0,
                         "beta_slow": 2.0},
          dict(rope_base=500, rope_scaling="yarn", rope_factor=4, rope_original=256, rope_low=2,
               rope_high=16))


def llama_step():
    """The last rows as a step, with what transformers' cache holds after it."""
    c = config(hf.LlamaConfig, num_key_value_heads=KV)
    m = hf.LlamaModel(c)
    cache, old = hf.DynamicCache(), 17
    call = lambda l, x, args: l(x, past_key_values=cache, **args)

    def split(tensors):
        x, y = tensors.pop("in.x"), tensors.pop("out.y")
        tensors["in.x"], tensors["in.x_new"], tensors["out.y_new"] = x[:, :old], x[:, old:], y[:, old:]
        tensors["out.cache_k"] = f32(cache.layers[0].keys)
        tensors["out.cache_v"] = f32(cache.layers[0].values)

    make("llama_step", m, m.layers[0], {**LLAMA, "pos_start": old}, llama_weights(m.layers[0]),
         call=call, edit=split)


def qwen3():
    c = config(hf.Qwen3Config, num_key_value_heads=KV, head_dim=12)
    m = hf.Qwen3Model(c)
    a = m.layers[0].self_attn
    weights = {**llama_weights(m.layers[0]), "q_norm": a.q_norm, "k_norm": a.k_norm}
    make("qwen3", m, m.layers[0], {**LLAMA, "head_dim": 12, "qk_norm": "true"}, weights)


def phi3():
    c = config(hf.Phi3Config, num_key_value_heads=KV, sliding_window=7, rms_norm_eps=1e-5)
    m = hf.Phi3Model(c)
    layer = m.layers[0]
    weights = {
        "norm1": layer.input_layernorm, "norm2": layer.post_attention_layernorm,
        "qkv": layer.self_attn.qkv_proj, "o_proj": layer.self_attn.o_proj,
        "w1": layer.mlp.gate_up_proj, "w2": layer.mlp.down_proj,
    }
    meta = {**LLAMA, "op": "sliding_self", "window": 6, "norm_eps": 1e-5}
    make("phi3_sliding", m, layer, meta, weights, visible=causal(6))


def longrope():
    """As many rows as need the long factors."""
    short, long = [1.0, 1.125, 1.25, 1.5], [1.0, 1.75, 6.5, 20.25]
    c = config(hf.Phi3Config, num_key_value_heads=KV, sliding_window=None, rms_norm_eps=1e-5,
               max_position_embeddings=64, original_max_position_embeddings=16,
               rope_parameters={"rope_type": "longrope", "rope_theta": 500.0,
                                "original_max_position_embeddings": 16, "short_factor": short,
                                "long_factor": long, "partial_rotary_factor": 1.0})
    m = hf.Phi3Model(c)
    layer = m.layers[0]
    weights = {
        "norm1": layer.input_layernorm, "norm2": layer.post_attention_layernorm,
        "qkv": layer.self_attn.qkv_proj, "o_proj": layer.self_attn.o_proj,
        "w1": layer.mlp.gate_up_proj, "w2": layer.mlp.down_proj, "rope_factors": torch.tensor(long),
    }
    meta = {**LLAMA, "norm_eps": 1e-5, "rope_base": 500, "rope_scaling": "longrope",
            "rope_factor": 4, "rope_original": 16}
    make("phi3_longrope", m, layer, meta, weights)


def gemma(name, cls, model, qk_norm, **fields):
    c = config(cls, num_key_value_heads=KV, head_dim=16, query_pre_attn_scalar=24, sliding_window=6,
               layer_types=["sliding_attention", "full_attention"], **fields)
    m = model(c)
    layer = m.layers[0]
    a = layer.self_attn
    weights = {
        **llama_weights(layer), "post_norm1": layer.post_attention_layernorm,
        "norm2": layer.pre_feedforward_layernorm, "post_norm2": layer.post_feedforward_layernorm,
    }
    meta = {**LLAMA, "op": "sliding_self", "window": 5, "head_dim": 16, "norm_offset": "true",
            "norm_place": "both", "ffn": "geglu_tanh", "scale": repr(24**-0.5)}
    rope = None
    if qk_norm:
        weights.update(q_norm=a.q_norm, k_norm=a.k_norm)
        meta["qk_norm"] = "true"
        rope = lambda x, p: m.rotary_emb(x, p, "sliding_attention")
    else:
        meta["softcap"] = 5
        # The class rounds norms and softmax to f32, 4.5e-6 from double; so does a kernel again.
        meta["tolerance"] = 3e-5
    make(name, m, layer, meta, weights, visible=causal(5), rope=rope)


def gemmas():
    gemma("gemma2", hf.Gemma2Config, hf.Gemma2Model, False, attn_logit_softcapping=5.0)
    gemma("gemma3", hf.Gemma3TextConfig, hf.Gemma3TextModel, True)


def olmo2():
    """Norms of the branches, before the residuals; one norm over all heads of q, of k."""
    c = config(hf.Olmo2Config, num_key_value_heads=KV, rms_norm_eps=1e-6,
               rope_parameters={"rope_type": "default", "rope_theta": 500.0})
    m = hf.Olmo2Model(c)
    layer = m.layers[0]
    a = layer.self_attn
    weights = {**llama_weights_no_norms(layer), "post_norm1": layer.post_attention_layernorm,
               "post_norm2": layer.post_feedforward_layernorm, "q_norm": a.q_norm,
               "k_norm": a.k_norm}
    meta = {**LLAMA, "norm_place": "branch", "qk_norm": "true", "qk_norm_over": "all",
            "rope_base": 500}
    make("olmo2", m, layer, meta, weights)


def olmo():
    c = config(hf.OlmoConfig, num_key_value_heads=KV)
    m = hf.OlmoModel(c)
    layer = m.layers[0]
    meta = {**LLAMA, "norm": "layernorm", "norm_bare": "true", "norm_eps": 1e-5,
            "tolerance": 3e-5}  # the class normalises in f32
    make("olmo", m, layer, meta, llama_weights_no_norms(layer))


def granite():
    c = config(hf.GraniteConfig, num_key_value_heads=KV, residual_multiplier=0.22,
               attention_multiplier=0.3)
    m = hf.GraniteModel(c)
    meta = {**LLAMA, "residual_scale": 0.22, "scale": 0.3}
    make("granite", m, m.layers[0], meta, llama_weights(m.layers[0]))


def hunyuan():
    c = config(hf.HunYuanDenseV1Config, num_key_value_heads=KV, head_dim=12, rms_norm_eps=1e-5,
               rope_parameters={"rope_type": "default", "rope_theta": 10000.0})
    m = hf.HunYuanDenseV1Model(c)
    layer = m.layers[0]
    a = layer.self_attn
    weights = {**llama_weights(layer), "q_norm": a.query_layernorm, "k_norm": a.key_layernorm}
    meta = {**LLAMA, "head_dim": 12, "norm_eps": 1e-5, "qk_norm": "true", "qk_norm_place": "after"}
    make("hunyuan", m, layer, meta, weights)


def cohere():
    c = config(hf.CohereConfig, num_key_value_heads=KV, use_qk_norm=True,
               rope_parameters={"rope_type": "default", "rope_theta": 10000.0})
    m = hf.CohereModel(c)
    layer = m.layers[0]
    a = layer.self_attn
    weights = {**llama_weights_no_norm2(layer), "q_norm": a.q_norm, "k_norm": a.k_norm}
    meta = {**LLAMA, "norm": "layernorm", "norm_bias": "false", "norm_eps": 1e-5,
            "rope": "interleaved", "residual": "parallel", "shared_norm": "true",
            "qk_norm": "true", "qk_norm_kind": "layernorm", "qk_norm_weights": "heads"}
    make("cohere_qk_norm", m, layer, meta, weights)


def arcee():
    c = config(hf.ArceeConfig, num_key_value_heads=KV, hidden_act="relu2", rms_norm_eps=1e-5)
    m = hf.ArceeModel(c)
    layer = m.layers[0]
    meta = {**LLAMA, "norm_eps": 1e-5, "ffn": "relu2"}
    make("arcee", m, layer, meta,
         ungated(layer, layer.input_layernorm, layer.post_attention_layernorm))


def apertus():
    c = config(hf.ApertusConfig, num_key_value_heads=KV, hidden_act="xielu", rms_norm_eps=1e-5,
               rope_parameters={"rope_type": "default", "rope_theta": 500.0})
    m = hf.ApertusModel(c)
    layer = m.layers[0]
    a, act = layer.self_attn, layer.mlp.act_fn
    act.beta.data, act.eps.data = torch.tensor(0.5), torch.tensor(-1e-6)  # they are bf16's
    weights = lambda: {
        **ungated(layer, layer.attention_layernorm, layer.feedforward_layernorm),
        "q_norm": a.q_norm, "k_norm": a.k_norm,
        "act_fn.alpha_p": act.alpha_p, "act_fn.alpha_n": act.alpha_n,
    }
    meta = {**LLAMA, "norm_eps": 1e-5, "ffn": "xielu", "qk_norm": "true", "rope_base": 500}
    make("apertus", m, layer, meta, weights)


def ministral3():
    """Positions go through several factors of the queries."""
    c = config(hf.Ministral3Config, num_key_value_heads=KV, head_dim=8, rms_norm_eps=1e-5,
               sliding_window=None, max_position_embeddings=64,
               rope_parameters={"rope_type": "default", "rope_theta": 10000.0,
                                "llama_4_scaling_beta": 0.3,
                                "original_max_position_embeddings": 5})
    m = hf.Ministral3Model(c)
    meta = {**LLAMA, "head_dim": 8, "norm_eps": 1e-5, "q_growth": 0.3, "q_growth_every": 5}
    make("ministral3", m, m.layers[0], meta, llama_weights(m.layers[0]),
         call=lambda l, x, args: l(x, position_ids=torch.arange(ROWS)[None], **args))


def llama4():
    """A layer of experts with RoPE, whose q and k are normed; and one without, whose queries grow."""
    c = config(hf.Llama4TextConfig, num_key_value_heads=KV, head_dim=8, intermediate_size=12,
               intermediate_size_mlp=48, num_local_experts=6, num_experts_per_tok=2, moe_layers=[0],
               no_rope_layers=[1, 0], floor_scale=4, attn_scale=0.3, rms_norm_eps=1e-5,
               attn_temperature_tuning=True, use_qk_norm=True,
               rope_parameters={"rope_type": "default", "rope_theta": 500.0})
    m = hf.Llama4TextModel(c)
    layer = m.layers[0]
    f = layer.feed_forward
    s, e = f.shared_expert, f.experts
    weights = lambda: {
        **attention_weights(layer), "router": f.router,
        "experts.gate_proj.weight": e.gate_up_proj[..., :12].transpose(1, 2),
        "experts.up_proj.weight": e.gate_up_proj[..., 12:].transpose(1, 2),
        "experts.down_proj.weight": e.down_proj.transpose(1, 2),
        "shared_expert.gate_proj": s.gate_proj, "shared_expert.up_proj": s.up_proj,
        "shared_expert.down_proj": s.down_proj,
    }
    # The class rotates and norms in f32.
    meta = {**MOE, "head_dim": 8, "norm_eps": 1e-5, "rope": "interleaved", "rope_base": 500,
            "router": "sigmoid", "router_input": "true", "shared_experts": 1, "qk_norm": "true",
            "qk_norm_place": "after", "qk_norm_weights": "none", "tolerance": 3e-5}
    make("llama4_moe", m, layer, meta, weights, router=f.router)
    layer = m.layers[1]
    layer.mlp = layer.feed_forward
    meta = {**LLAMA, "head_dim": 8, "norm_eps": 1e-5, "rope": "none", "q_growth": 0.3,
            "q_growth_every": 4, "q_growth_offset": 1}
    make("llama4_no_rope", m, layer, meta, llama_weights(layer))


def afmoe():
    c = config(hf.AfmoeConfig, num_key_value_heads=KV, head_dim=8, num_dense_layers=2,
               layer_types=["sliding_attention", "full_attention"], sliding_window=6,
               rms_norm_eps=1e-5)
    m = hf.AfmoeModel(c)
    layer = m.layers[0]
    a = layer.self_attn
    weights = {
        **llama_weights(layer), "post_norm1": layer.post_attention_layernorm,
        "norm2": layer.pre_mlp_layernorm, "post_norm2": layer.post_mlp_layernorm,
        "q_norm": a.q_norm, "k_norm": a.k_norm, "o_gate": a.gate_proj,
    }
    meta = {**LLAMA, "op": "sliding_self", "window": 5, "head_dim": 8, "norm_eps": 1e-5,
            "norm_place": "both", "qk_norm": "true", "o_gate": "channel"}
    make("afmoe", m, layer, meta, weights, visible=causal(5))


def ungated(layer, norm1, norm2):
    a, m = layer.self_attn, layer.mlp
    return {
        "norm1": norm1, "norm2": norm2, "q_proj": a.q_proj, "k_proj": a.k_proj,
        "v_proj": a.v_proj, "o_proj": a.o_proj, "up_proj": m.up_proj, "down_proj": m.down_proj,
    }


def clip():
    c = hf.CLIPVisionConfig(hidden_size=D, num_attention_heads=HEADS, num_hidden_layers=2,
                            intermediate_size=48, attn_implementation="eager")
    m = hf.CLIPVisionModel(c)
    layer = m.encoder.layers[0]
    a = layer.self_attn
    weights = {
        "q_proj": a.q_proj, "k_proj": a.k_proj, "v_proj": a.v_proj, "o_proj": a.out_proj,
        "norm1": layer.layer_norm1, "norm2": layer.layer_norm2, "up_proj": layer.mlp.fc1,
        "down_proj": layer.mlp.fc2,
    }
    meta = dict(form="regular", op="full_self", causal="false", heads=HEADS, d_model=D,
                rope="none", ffn="quick_gelu", ffn_dim=48)
    make("clip", m, layer, meta, weights, rope=False, visible=lambda q, k: q == q)


def expert_weights(part, f):
    """Experts as [experts, out, in], gate and up one after the other."""
    return {
        "experts.gate_proj.weight": part.gate_up_proj[:, :f],
        "experts.up_proj.weight": part.gate_up_proj[:, f:],
        "experts.down_proj.weight": part.down_proj,
    }


def attention_weights(layer):
    a = layer.self_attn
    return {
        "norm1": layer.input_layernorm, "norm2": layer.post_attention_layernorm,
        "q_proj": a.q_proj, "k_proj": a.k_proj, "v_proj": a.v_proj, "o_proj": a.o_proj,
    }


MOE = {k: v for k, v in LLAMA.items() if k != "ffn_dim"} | dict(
    ffn="moe", experts=6, top_k=2, expert_dim=12)


def qwen3_moe():
    c = config(hf.Qwen3MoeConfig, num_key_value_heads=KV, head_dim=12, num_experts=6,
               num_experts_per_tok=2, moe_intermediate_size=12, norm_topk_prob=True)
    m = hf.Qwen3MoeModel(c)
    layer = m.layers[0]
    a, f = layer.self_attn, layer.mlp
    weights = lambda: {
        **attention_weights(layer), "q_norm": a.q_norm, "k_norm": a.k_norm, "router": f.gate,
        **expert_weights(f.experts, 12),
    }
    meta = {**MOE, "head_dim": 12, "qk_norm": "true", "norm_topk": "true"}
    make("qwen3_moe", m, layer, meta, weights, router=f.gate)


def qwen2_moe():
    c = config(hf.Qwen2MoeConfig, num_key_value_heads=KV, num_experts=6, num_experts_per_tok=2,
               moe_intermediate_size=12, shared_expert_intermediate_size=24, norm_topk_prob=False)
    m = hf.Qwen2MoeModel(c)
    layer = m.layers[0]
    f = layer.mlp
    s = f.shared_expert
    weights = lambda: {
        **attention_weights(layer), "router": f.gate, **expert_weights(f.experts, 12),
        "shared_expert.gate_proj": s.gate_proj, "shared_expert.up_proj": s.up_proj,
        "shared_expert.down_proj": s.down_proj, "shared_expert_gate": f.shared_expert_gate,
    }
    meta = {**MOE, "q_bias": "true", "o_bias": "false", "shared_experts": 2, "shared_gate": "true"}
    make("qwen2_moe", m, layer, meta, weights, router=f.gate)


def mixtral():
    c = config(hf.MixtralConfig, num_key_value_heads=KV, num_local_experts=6, num_experts_per_tok=2,
               intermediate_size=12, rms_norm_eps=1e-5, sliding_window=None)
    m = hf.MixtralModel(c)
    layer = m.layers[0]
    f = layer.mlp
    weights = lambda: {
        **attention_weights(layer), "router": f.gate, **expert_weights(f.experts, 12),
    }
    meta = {**MOE, "norm_eps": 1e-5, "norm_topk": "true", "rope_base": 1e6}
    make("mixtral", m, layer, meta, weights, router=f.gate)


def phimoe():
    c = config(hf.PhimoeConfig, num_key_value_heads=KV, num_local_experts=6, num_experts_per_tok=2,
               intermediate_size=12, rms_norm_eps=1e-5, attention_bias=True,
               router_jitter_noise=0.15,
               rope_parameters={"rope_type": "default", "rope_theta": 1e6})
    m = hf.PhimoeModel(c)
    layer = m.layers[0]
    f = layer.mlp
    weights = lambda: {
        **attention_weights(layer), "router": f.router, **expert_weights(f.experts, 12),
    }
    meta = {**MOE, "norm": "layernorm", "norm_eps": 1e-5, "q_bias": "true", "rope_base": 1e6,
            "router": "sparsemixer", "router_jitter": 0.15}
    make("phimoe", m, layer, meta, weights, router=f.router)


def deepseek(name, lora, moe=False, eps=1e-6):
    rope = {"rope_type": "yarn", "rope_theta": 1000.0, "factor": 8.0, "mscale": 1.0,
            "mscale_all_dim": 0.5, "original_max_position_embeddings": 128, "beta_fast": 32,
            "beta_slow": 1}
    c = config(hf.DeepseekV3Config, num_key_value_heads=HEADS, q_lora_rank=lora, kv_lora_rank=20,
               qk_nope_head_dim=10, qk_rope_head_dim=8, v_head_dim=14, first_k_dense_replace=1,
               rope_interleave=True, rope_parameters=rope, max_position_embeddings=1024,
               n_routed_experts=8, n_group=4, topk_group=2, num_experts_per_tok=3,
               n_shared_experts=2, moe_intermediate_size=10, routed_scaling_factor=2.5,
               norm_topk_prob=True, rms_norm_eps=eps)
    m = hf.DeepseekV3Model(c)
    layer = m.layers[1 if moe else 0]
    a, f = layer.self_attn, layer.mlp
    if moe:
        f, gate, experts = f.shared_experts, f.gate, f.experts
    weights = {
        "norm1": layer.input_layernorm, "norm2": layer.post_attention_layernorm,
        "kv_a_proj_with_mqa": a.kv_a_proj_with_mqa, "kv_a_layernorm": a.kv_a_layernorm,
        "kv_b_proj": a.kv_b_proj, "o_proj": a.o_proj,
        "gate_proj": f.gate_proj, "up_proj": f.up_proj, "down_proj": f.down_proj,
    }
    if lora:
        weights.update(q_a_proj=a.q_a_proj, q_a_layernorm=a.q_a_layernorm, q_b_proj=a.q_b_proj)
    else:
        weights.update(q_proj=a.q_proj)
    log = np.log(8.0)
    m_all = 0.1 * 0.5 * log + 1
    meta = dict(form="mla", key="shared", op="full_self", heads=HEADS, d_model=D, head_dim=10,
                v_head_dim=14, kv_comp_dim=20, retr_dim=8, norm="rmsnorm", norm_eps=1e-6,
                rope="interleaved", rope_base=1000, rope_scaling="yarn", rope_factor=8,
                rope_original=128, rope_mscale=repr(float((0.1 * log + 1) / m_all)), ffn="swiglu",
                ffn_dim=48, ffn_bias="false", scale=repr(float(m_all**2 / 18**0.5)))
    if lora:
        meta["q_lora_rank"] = lora
    if eps != 1e-6:
        meta.update(norm_eps=eps, latent_eps=1e-6)
    if not moe:
        make(name, m, layer, meta, weights)
        return
    for part in ("gate_proj", "up_proj", "down_proj"):
        weights["shared_expert." + part] = weights.pop(part)
    del meta["ffn_dim"]
    meta.update(ffn="moe", experts=8, top_k=3, expert_dim=10, router="sigmoid", norm_topk="true",
                router_bias="selection", router_scale=2.5, groups=4, group_top=2, shared_experts=2)

    def correct():
        gate.e_score_correction_bias.copy_(torch.randn(8) * 0.2)

    make(name, m, layer, meta, lambda: {
        **weights, "router": gate, "e_score_correction_bias": gate.e_score_correction_bias,
        **expert_weights(experts, 10)}, router=gate, prepare=correct)


def gpt_neox(name, parallel):
    c = config(hf.GPTNeoXConfig, use_parallel_residual=parallel, hidden_act="gelu",
               rope_parameters={"rope_type": "default", "rope_theta": 10000.0,
                                "partial_rotary_factor": 0.5})
    m = hf.GPTNeoXModel(c)
    layer = m.layers[0]

    def weights():
        fused, d = layer.attention.query_key_value, D // HEADS
        return {
            "norm1": layer.input_layernorm, "norm2": layer.post_attention_layernorm,
            "qkv.weight": fused.weight.view(HEADS, 3, d, D).transpose(0, 1).reshape(3 * D, D),
            "qkv.bias": fused.bias.view(HEADS, 3, d).transpose(0, 1).reshape(3 * D),
            "o_proj": layer.attention.dense, "up_proj": layer.mlp.dense_h_to_4h,
            "down_proj": layer.mlp.dense_4h_to_h,
        }

    meta = dict(form="regular", op="full_self", heads=HEADS, d_model=D, norm="layernorm",
                rope="half", rope_dim=4, ffn="gelu", ffn_dim=48,
                residual="parallel" if parallel else "serial")
    make(name, m, layer, meta, weights)


def phi():
    c = config(hf.PhiConfig, num_key_value_heads=HEADS, hidden_act="gelu_new",
               rope_parameters={"rope_type": "default", "rope_theta": 10000.0,
                                "partial_rotary_factor": 0.5})
    m = hf.PhiModel(c)
    layer = m.layers[0]
    a = layer.self_attn
    weights = {
        "norm1": layer.input_layernorm, "q_proj": a.q_proj, "k_proj": a.k_proj,
        "v_proj": a.v_proj, "o_proj": a.dense, "up_proj": layer.mlp.fc1, "down_proj": layer.mlp.fc2,
    }
    meta = dict(form="regular", op="full_self", heads=HEADS, d_model=D, rope="half", rope_dim=4,
                residual="parallel", shared_norm="true", ffn="gelu_tanh", ffn_dim=48)
    make("phi", m, layer, meta, weights)


def cohere2():
    c = config(hf.Cohere2Config, num_key_value_heads=KV, sliding_window=6,
               layer_types=["sliding_attention", "full_attention"])
    m = hf.Cohere2Model(c)
    layer = m.layers[0]
    weights = llama_weights_no_norm2(layer)
    meta = {**LLAMA, "op": "sliding_self", "window": 5, "norm": "layernorm", "norm_bias": "false",
            "norm_eps": 1e-5, "rope": "interleaved", "residual": "parallel", "shared_norm": "true"}
    make("cohere2", m, layer, meta, weights, visible=causal(5))


def llama_weights_no_norm2(layer):
    return {"norm1": layer.input_layernorm, **llama_weights_no_norms(layer)}


def llama_weights_no_norms(layer):
    a, m = layer.self_attn, layer.mlp
    return {
        "q_proj": a.q_proj, "k_proj": a.k_proj, "v_proj": a.v_proj, "o_proj": a.o_proj,
        "gate_proj": m.gate_proj, "up_proj": m.up_proj, "down_proj": m.down_proj,
    }


def glm():
    c = config(hf.GlmConfig, num_key_value_heads=KV, head_dim=8, attention_bias=True,
               rms_norm_eps=1e-5,
               rope_parameters={"rope_type": "default", "rope_theta": 10000.0,
                                "partial_rotary_factor": 0.5})
    m = hf.GlmModel(c)
    layer = m.layers[0]
    a = layer.self_attn
    weights = {
        "norm1": layer.input_layernorm, "norm2": layer.post_attention_layernorm,
        "q_proj": a.q_proj, "k_proj": a.k_proj, "v_proj": a.v_proj, "o_proj": a.o_proj,
        "w1": layer.mlp.gate_up_proj, "w2": layer.mlp.down_proj,
    }
    meta = {**LLAMA, "norm_eps": 1e-5, "q_bias": "true", "o_bias": "false", "rope": "interleaved",
            "rope_dim": 4}
    make("glm", m, layer, meta, weights)


def glm4_moe():
    """The class's own defaults: heads of hidden_size / heads, rounded down, of whose columns an odd
    number has angles; one more is rotated."""
    c = config(hf.Glm4MoeConfig, num_attention_heads=3, num_key_value_heads=1,
               first_k_dense_replace=2, rope_parameters={
                   "rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5})
    m = hf.Glm4MoeModel(c)
    meta = {**LLAMA, "heads": 3, "kv_heads": 1, "head_dim": 10, "norm_eps": 1e-5, "rope_dim": 6,
            "rope_base": 10000 ** (6 / 5)}
    make("glm4_moe_odd", m, m.layers[0], meta, llama_weights(m.layers[0]))


def bert():
    c = config(hf.BertConfig, hidden_act="gelu")
    m = hf.BertModel(c)
    layer = m.encoder.layer[0]
    a = layer.attention
    weights = {
        "q_proj": a.self.query, "k_proj": a.self.key, "v_proj": a.self.value,
        "o_proj": a.output.dense, "norm1": a.output.LayerNorm,
        "up_proj": layer.intermediate.dense, "down_proj": layer.output.dense,
        "norm2": layer.output.LayerNorm,
    }
    padding = np.zeros((BATCH, ROWS), np.uint8)
    padding[1, 13:] = 1
    meta = dict(form="regular", op="full_self", causal="false", heads=HEADS, d_model=D,
                norm_place="post", norm_eps=1e-12, rope="none", ffn="gelu", ffn_dim=48)

    def call(layer, x, args):
        hidden = torch.zeros(BATCH, 1, 1, ROWS).masked_fill(
            torch.tensor(padding).bool()[:, None, None], -1e300)
        return layer(x, attention_mask=hidden)

    make("bert_pad", m, layer, meta, weights, {"in.key_padding_mask": padding}, visible=False,
         call=call, rope=False)


def modernbert(name, number):
    c = config(hf.ModernBertConfig, local_attention=8, num_hidden_layers=3,
               layer_types=["full_attention", "sliding_attention", "sliding_attention"])
    m = hf.ModernBertModel(c)
    layer = m.layers[number]

    def weights():
        wi = layer.mlp.Wi.weight  # act(first half) * second half
        first = {"norm1": layer.attn_norm} if number else {}
        return {**first, "norm2": layer.mlp_norm, "qkv": layer.attn.Wqkv,
                "o_proj": layer.attn.Wo, "w1.weight": wi, "w2": layer.mlp.Wo}

    meta = dict(form="regular", causal="false", heads=HEADS, d_model=D, norm_bias="false",
                q_bias="false", rope="half", ffn="geglu", ffn_dim=48, ffn_bias="false")
    if number:
        meta |= dict(op="sliding_self", window=4, right_window=4)
    else:
        meta |= dict(op="full_self", skip_norm1="true", rope_base=160000)
    make(name, m, layer, meta, weights,
         visible=lambda q, k: (q - k).abs() <= (4 if number else ROWS),
         rope=lambda x, p: m.rotary_emb(x, p, c.layer_types[number]))


def opt():
    c = config(hf.OPTConfig, ffn_dim=48, do_layer_norm_before=True, activation_function="relu",
               word_embed_proj_dim=D)
    m = hf.OPTModel(c)
    layer = m.decoder.layers[0]
    a = layer.self_attn
    weights = {
        "q_proj": a.q_proj, "k_proj": a.k_proj, "v_proj": a.v_proj, "o_proj": a.out_proj,
        "norm1": layer.self_attn_layer_norm, "norm2": layer.final_layer_norm,
        "up_proj": layer.fc1, "down_proj": layer.fc2,
    }
    meta = dict(form="regular", op="full_self", heads=HEADS, d_model=D, rope="none", ffn="relu",
                ffn_dim=48)
    make("opt", m, layer, meta, weights, rope=False)


def falcon():
    c = config(hf.FalconConfig, multi_query=True, parallel_attn=True, bias=False, alibi=False,
               new_decoder_architecture=False, ffn_hidden_size=48)
    m = hf.FalconModel(c)
    layer = m.h[0]
    weights = {"norm1": layer.input_layernorm, "qkv": layer.self_attention.query_key_value,
               "o_proj": layer.self_attention.dense, "up_proj": layer.mlp.dense_h_to_4h,
               "down_proj": layer.mlp.dense_4h_to_h}
    meta = dict(form="regular", op="full_self", heads=HEADS, kv_heads=1, d_model=D, q_bias="false",
                rope="half", residual="parallel", shared_norm="true", ffn="gelu", ffn_dim=48,
                ffn_bias="false")
    make("falcon", m, layer, meta, weights, call=lambda l, x, args: l(x, alibi=None, **args))


def gpt_oss():
    rope = {"rope_type": "yarn", "rope_theta": 150.0, "factor": 32.0, "beta_fast": 32.0,
            "beta_slow": 1.0, "truncate": False, "original_max_position_embeddings": 4096}
    c = config(hf.GptOssConfig, num_key_value_heads=KV, head_dim=8, sliding_window=6,
               rope_parameters=rope, num_local_experts=2, num_experts_per_tok=1,
               layer_types=["sliding_attention", "full_attention"])
    m = hf.GptOssModel(c)
    layer = m.layers[0]
    a = layer.self_attn
    weights = lambda: {
        "norm1": layer.input_layernorm, "q_proj": a.q_proj, "k_proj": a.k_proj,
        "v_proj": a.v_proj, "o_proj": a.o_proj, "sinks": a.sinks,
    }
    meta = dict(form="regular", op="sliding_self", window=5, heads=HEADS, kv_heads=KV, head_dim=8,
                d_model=D, norm="rmsnorm", norm_eps=1e-5, q_bias="true", sinks="true", rope="half",
                rope_base=150, rope_scaling="yarn", rope_factor=32, rope_original=4096,
                rope_truncate="false", ffn="external")
    make("gpt_oss", m, layer, meta, weights, visible=causal(5),
         call=lambda l, x, args: x + a(l.input_layernorm(x), **args)[0])


def gpt_oss_moe():
    c = config(hf.GptOssConfig, num_key_value_heads=KV, head_dim=8, intermediate_size=12,
               rope_parameters={"rope_type": "default", "rope_theta": 150.0}, num_local_experts=6,
               num_experts_per_tok=2, layer_types=["full_attention", "full_attention"])
    m = hf.GptOssModel(c)
    layer = m.layers[0]
    f = layer.mlp
    e = f.experts

    def large():
        """Gates and ups beyond the limits too."""
        e.gate_up_proj.data *= 4

    weights = lambda: {
        **attention_weights(layer), "sinks": layer.self_attn.sinks, "router": f.router,
        "experts.gate_proj.weight": e.gate_up_proj[..., ::2].transpose(1, 2),
        "experts.up_proj.weight": e.gate_up_proj[..., 1::2].transpose(1, 2),
        "experts.down_proj.weight": e.down_proj.transpose(1, 2),
        "experts.gate_proj.bias": e.gate_up_proj_bias[:, ::2],
        "experts.up_proj.bias": e.gate_up_proj_bias[:, 1::2],
        "experts.down_proj.bias": e.down_proj_bias,
    }
    meta = {**MOE, "norm_eps": 1e-5, "head_dim": 8, "q_bias": "true", "sinks": "true",
            "rope_base": 150, "expert_act": "swiglu_clamped", "ffn_bias": "true",
            "router": "topk_softmax", "router_bias": "logits", "tolerance": 3e-5}
    make("gpt_oss_moe", m, layer, meta, weights, router=f.router, prepare=large)


def whisper_cross():
    c = hf.WhisperConfig(d_model=D, encoder_attention_heads=HEADS, decoder_attention_heads=HEADS,
                         encoder_layers=1, decoder_layers=1, decoder_ffn_dim=48, vocab_size=16,
                         pad_token_id=0,
                         bos_token_id=0, eos_token_id=0, decoder_start_token_id=0,
                         attn_implementation="eager")
    m = hf.WhisperModel(c)
    layer = m.decoder.layers[0]
    a = layer.encoder_attn
    torch.manual_seed(3)
    kv = torch.randn(BATCH, 9, D).float().double()
    weights = {"norm1": layer.encoder_attn_layer_norm, "q_proj": a.q_proj, "k_proj": a.k_proj,
               "v_proj": a.v_proj, "o_proj": a.out_proj}
    meta = dict(form="regular", op="full_self", causal="false", heads=HEADS, d_model=D, kv_dim=D,
                q_bias="true", k_bias="false", v_bias="true", o_bias="true", rope="none",
                ffn="none")
    make("whisper_cross", m, layer, meta, weights, {"in.kv": f32(kv)}, visible=False, rope=False,
         call=lambda l, x, args: x + a(l.encoder_attn_layer_norm(x), key_value_states=kv)[0])


def main():
    OUT.mkdir(exist_ok=True)
    torch.set_default_dtype(torch.float64)
    llamas()
    llama_step()
    qwen3()
    phi3()
    longrope()
    gemmas()
    deepseek("deepseek_v3", 24)
    deepseek("deepseek_v3_no_lora", None)
    deepseek("deepseek_v3_moe", 24, moe=True)
    deepseek("deepseek_v3_eps", 24, eps=0.25)
    olmo2()
    olmo()
    granite()
    hunyuan()
    cohere()
    arcee()
    apertus()
    clip()
    ministral3()
    llama4()
    afmoe()
    qwen3_moe()
    qwen2_moe()
    mixtral()
    phimoe()
    gpt_neox("gpt_neox_parallel", True)
    gpt_neox("gpt_neox_serial", False)
    phi()
    cohere2()
    glm()
    glm4_moe()
    bert()
    modernbert("modernbert", 1)
    modernbert("modernbert_first", 0)
    opt()
    falcon()
    gpt_oss()
    gpt_oss_moe()
    whisper_cross()


if __name__ == "__main__":
    main()
