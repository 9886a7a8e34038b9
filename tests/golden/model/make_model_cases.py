"""Tiny whole models of transformers' own classes, with random weights, and what they give in double.

    python make_model_cases.py [NAME..]        needs torch, transformers and safetensors

Writes tests/golden/model/NAME: config.json, the weights (model.safetensors, or two files and their
index), and expected.bin, which tests/product/model.c reads: i32 [items, vocab, width, logits?,
pooled?], i32 begin [items + 1], i32 ids [rows], i32 types [rows], where vocab is 0 (a model that takes
rows) f32 x [rows][width], f32 hidden [rows][width], f32 logits [rows][vocab], f32 pooled
[items][width]. Each item is run alone, as a batch of one. What the classes round to f32 whatever their
weights are (angles, norms, softmax) stays in double here."""
import json
import os
import sys

import torch
import transformers
from safetensors.torch import save_file
from torch.overrides import TorchFunctionMode

from casefolder import begins, joined, open_case, write_config, write_expected

SMALL = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, head_dim=8, vocab_size=61, max_position_embeddings=64)
LENGTHS = [7, 1, 13]


class Double(TorchFunctionMode):
    """f32 is f64."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        wide = lambda x: torch.float64 if x is torch.float32 else x
        if func is torch.Tensor.float:
            func = torch.Tensor.double
        return func(*map(wide, args), **{k: wide(v) for k, v in (kwargs or {}).items()})


def without(d, *keys):
    return {k: v for k, v in d.items() if k not in keys}


def longrope(original):
    factors = {"short_factor": [1.0, 1.25, 1.5, 3.0], "long_factor": [1.5, 2.5, 4.0, 9.0]}
    return dict(without(SMALL, "head_dim"), original_max_position_embeddings=original,
                rope_scaling={"rope_type": "longrope", "rope_theta": 10000.0, **factors},
                pad_token_id=0, bos_token_id=1, eos_token_id=2, tie_word_embeddings=False)


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
    # Conv1D, a decoder's table of positions
    "gpt2": (transformers.GPT2Config, transformers.GPT2LMHeadModel,
             dict(n_embd=32, n_layer=2, n_head=4, n_positions=64, vocab_size=61), torch.float32),
    # q, k and v by key head
    "falcon": (transformers.FalconConfig, transformers.FalconForCausalLM,
               dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_kv_heads=2,
                    new_decoder_architecture=True, bias=True, vocab_size=61, alibi=False),
               torch.float32),
    # by head, with biases; a norm of embedded rows; ALiBi
    "bloom": (transformers.BloomConfig, transformers.BloomForCausalLM,
              dict(hidden_size=32, n_layer=2, n_head=4, vocab_size=61), torch.bfloat16),
    # rows beyond the positions, first ones that are none's
    "opt": (transformers.OPTConfig, transformers.OPTForCausalLM,
            dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_dim=48,
                 vocab_size=61, max_position_embeddings=64, word_embed_proj_dim=32),
            torch.float32),
    # a head with a bias
    "phi": (transformers.PhiConfig, transformers.PhiForCausalLM,
            dict(without(SMALL, "head_dim", "num_key_value_heads"), tie_word_embeddings=False),
            torch.float16),
    # multipliers; gate and up of all experts in one tensor
    "granitemoe": (transformers.GraniteMoeConfig, transformers.GraniteMoeForCausalLM,
                   dict(without(SMALL, "head_dim"), embedding_multiplier=3.0, logits_scaling=1.5,
                        attention_multiplier=0.25, residual_multiplier=0.5, num_local_experts=4,
                        num_experts_per_tok=2, tie_word_embeddings=False), torch.float32),
    # norms without weights
    "olmo": (transformers.OlmoConfig, transformers.OlmoForCausalLM,
             dict(without(SMALL, "head_dim"), tie_word_embeddings=False), torch.float32),
    # norms without biases, of embedded rows and after the last layer
    "modernbert": (transformers.ModernBertConfig, transformers.ModernBertModel,
                   dict(without(SMALL, "num_key_value_heads", "head_dim"), local_attention=6,
                        global_attn_every_n_layers=2, pad_token_id=0, bos_token_id=1,
                        eos_token_id=2, cls_token_id=1, sep_token_id=2), torch.float32),
    # token types without positions; tensors by their first names. Row 1 is ill-conditioned: noise of
    # 6e-8 after each linear and norm moves it by up to 1.6e-5, 2.5 to 9 times as far as other rows
    "nomic_bert": (transformers.NomicBertConfig, transformers.NomicBertModel,
                   dict(without(SMALL, "num_key_value_heads"), type_vocab_size=2), torch.float32),
    # longrope: the short factors up to 32 tokens, and the long ones
    "phi3": (transformers.Phi3Config, transformers.Phi3ForCausalLM, longrope(32), torch.float32),
    "phi3_long": (transformers.Phi3Config, transformers.Phi3ForCausalLM, longrope(4),
                  torch.float32),
    # rows of the caller's, normed
    "clip_vision_model": (transformers.CLIPVisionConfig, transformers.CLIPVisionModel,
                          dict(without(SMALL, "num_key_value_heads", "head_dim", "vocab_size",
                                       "max_position_embeddings"),
                               image_size=8, patch_size=4), torch.float32),
    # one set of weights for two layers, then one for the third; a matrix after the tables
    "albert": (transformers.AlbertConfig, transformers.AlbertModel,
               dict(without(SMALL, "num_key_value_heads", "head_dim"), num_hidden_layers=3,
                    num_hidden_groups=2, embedding_size=16, type_vocab_size=2), torch.float32),
    # a matrix before the tables, and one before the head
    "opt_350m": (transformers.OPTConfig, transformers.OPTForCausalLM,
                 dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_dim=48,
                      vocab_size=61, max_position_embeddings=64, word_embed_proj_dim=48,
                      do_layer_norm_before=False), torch.float16),
    # q, k and v by head in matrices [out, in]; tied
    "gpt_bigcode": (transformers.GPTBigCodeConfig, transformers.GPTBigCodeForCausalLM,
                    dict(n_embd=32, n_layer=2, n_head=4, n_positions=64, vocab_size=61,
                         multi_query=False), torch.float32),
    # norms of q and k a head in a tensor of its own
    "stablelm": (transformers.StableLmConfig, transformers.StableLmForCausalLM,
                 dict(without(SMALL, "head_dim"), qk_layernorm=True, use_parallel_residual=True,
                      tie_word_embeddings=False), torch.bfloat16),
    # rows of the caller's, normed before the layers where they are normed after their parts
    "wav2vec2": (transformers.Wav2Vec2Config, transformers.Wav2Vec2Model,
                 dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2,
                      num_attention_heads=4, num_conv_pos_embeddings=4,
                      num_conv_pos_embedding_groups=2, conv_dim=[8, 8], conv_stride=[2, 2],
                      conv_kernel=[3, 3], num_feat_extract_layers=2), torch.float32),
}


# What published files call tensors of classes that have renamed them.
PUBLISHED = {"granitemoe": {
    "block_sparse_moe.router.weight": "block_sparse_moe.router.layer.weight",
    "block_sparse_moe.experts.gate_up_proj": "block_sparse_moe.input_linear.weight",
    "block_sparse_moe.experts.down_proj": "block_sparse_moe.output_linear.weight"},
    "nomic_bert": {"layers.": "encoder.layers.", "embeddings.LayerNorm": "emb_ln",
                   "post_attention_layernorm": "norm1", "post_mlp_layernorm": "norm2",
                   "mlp.up_proj": "mlp.fc11", "mlp.gate_proj": "mlp.fc12",
                   "mlp.down_proj": "mlp.fc2", "self_attn.o_proj": "attn.out_proj",
                   "self_attn.": "attn."}}


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
    for new, old in PUBLISHED.get(name, {}).items():
        tensors = {k.replace(new, old): v for k, v in tensors.items()}
    if getattr(model.config, "tie_word_embeddings", False):
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


def run(model, ids, types, x):
    """Hidden rows, logits or None, pooled row or None."""
    kind = model.config.model_type
    with torch.no_grad():
        if kind == "wav2vec2":
            model.encoder.pos_conv_embed.forward = torch.zeros_like
            return model.encoder(x[None]).last_hidden_state[0], None, None
        if x is not None:
            inner = getattr(model, "vision_model", model)
            out = inner.encoder(inputs_embeds=inner.pre_layrnorm(x[None])).last_hidden_state
            out = inner.post_layernorm(out)[0]
            return out, None, out[0]
        if kind in ("bert", "albert"):
            out = model(input_ids=ids[None], token_type_ids=types[None])
            return out.last_hidden_state[0], None, out.pooler_output[0]
        more = {"token_type_ids": types[None]} if kind == "nomic_bert" else {}
        if kind == "opt":  # hidden rows are those before the matrix of the head
            model.model.decoder.project_out, out = None, model.model.decoder.project_out
            hidden = model.base_model(input_ids=ids[None]).last_hidden_state[0]
            model.model.decoder.project_out = out
        else:
            body = getattr(model, "model", model.base_model)
            hidden = body(input_ids=ids[None], **more).last_hidden_state[0]
        head = model.get_output_embeddings()
        return hidden, None if head is None else model(input_ids=ids[None]).logits[0], None


def expect(folder, model, name):
    config = model.config
    rows = sum(LENGTHS)
    vocab = 0 if name in ("clip_vision_model", "wav2vec2") else config.vocab_size
    ids = torch.randint(0, vocab or 9, (rows,))
    x = None if vocab else torch.randn(rows, config.hidden_size).double()
    types = torch.randint(0, 2 if name in ("bert", "nomic_bert", "albert") else 1, (rows,))
    begin = begins(LENGTHS)
    with Double():
        outputs = joined([run(model, ids[a:b], types[a:b], None if x is None else x[a:b])
                          for a, b in zip(begin, begin[1:])])
    given = [int(part is not None) for part in outputs]
    write_expected(folder, [[len(LENGTHS), vocab, config.hidden_size, *given[1:]], begin, ids, types, x,
                            *outputs])


def make(name):
    config_class, model_class, fields, dtype = CASES[name]
    folder, config = open_case(name, config_class, fields, 7)
    with Double():
        model = model_class(config).double().eval()
    randomise(model, dtype)
    model.tie_weights() if getattr(config, "tie_word_embeddings", False) else None
    save(model, folder, name, dtype)
    text = {"model_type": config.model_type, **fields}
    if name == "llama":
        text["rope_theta"] = 10000.0
    write_config(folder, text)
    expect(folder, model, name)


if __name__ == "__main__":
    for case in sys.argv[1:] or CASES:
        make(case)
