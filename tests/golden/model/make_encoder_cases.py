"""Tiny models of an encoder and a decoder, of transformers' own classes, with random weights, and what
they give in double.

    python make_encoder_cases.py [NAME..]        needs torch, transformers and safetensors

Writes tests/golden/model/NAME: config.json, model.safetensors, and expected.bin, which
tests/product/encoder.c reads: i32 [items, vocab, width, rows?], i32 from [items + 1], i32 begin
[items + 1], then, where the encoder is given rows, f32 x [encoder rows][width], else i32 ids of it
[encoder rows], i32 ids of the decoder [rows], f32 encoded [encoder rows][width], f32 hidden
[rows][width], f32 logits [rows][vocab]. Each item is run alone, as a batch of one; one item of each
kind fills the encoder's positions."""
import os
import sys

import torch
import transformers
from safetensors.torch import save_file

from casefolder import begins, joined, open_case, write_config, write_expected

FROM, LENGTHS = [9, 24, 1], [7, 4, 11]  # rows of each item: the encoder's, the decoder's
WIDTH, VOCAB, POSITIONS = 32, 61, 24
BOTH = dict(d_model=WIDTH, vocab_size=VOCAB, encoder_layers=2, decoder_layers=2,
            encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=48,
            decoder_ffn_dim=40)
TOKENS = dict(pad_token_id=1, bos_token_id=0, eos_token_id=2, decoder_start_token_id=2)

CASES = {
    # rows of the caller's and a table of positions
    "whisper": (transformers.WhisperConfig, transformers.WhisperForConditionalGeneration,
                dict(BOTH, num_mel_bins=8, max_source_positions=POSITIONS, max_target_positions=16,
                     **TOKENS), torch.float32),
    # ids and a shared embedding, scaled and normed; norms after their part; logits with a bias
    "bart": (transformers.BartConfig, transformers.BartForConditionalGeneration,
             dict(BOTH, max_position_embeddings=POSITIONS, scale_embedding=True, **TOKENS),
             torch.bfloat16),
    # biases of distances, in buckets; norms without biases; logits scaled
    "t5": (transformers.T5Config, transformers.T5ForConditionalGeneration,
           dict(d_model=WIDTH, vocab_size=VOCAB, d_kv=8, d_ff=40, num_layers=2, num_heads=4,
                num_decoder_layers=2, relative_attention_num_buckets=8,
                relative_attention_max_distance=16, feed_forward_proj="gated-gelu",
                pad_token_id=0, eos_token_id=1, decoder_start_token_id=0), torch.float32),
}


def randomise(model, dtype):
    """Weights that matter, norms and biases too, as the file holds them."""
    for name, p in list(model.named_parameters()) + list(model.named_buffers()):
        if not p.is_floating_point():
            continue
        norm = "norm" in name and name.endswith("weight")
        noise = torch.randn(p.shape) * (0.3 if p.dim() > 1 else 0.2) + (1.0 if norm else 0.0)
        p.data = noise.to(dtype).to(torch.float64)


def whisper_encoder(encoder, x):
    """The class takes spectrograms of one length alone; this is it after its stem."""
    h = x + encoder.embed_positions.weight[:x.shape[1]]
    for layer in encoder.layers:
        h = layer(h, None)
        h = h[0] if isinstance(h, tuple) else h
    return encoder.layer_norm(h)


def whisper_stem(encoder, mel):
    x = torch.nn.functional.gelu(encoder.conv1(mel))
    return torch.nn.functional.gelu(encoder.conv2(x)).permute(0, 2, 1)


def rows_of(model, n):
    """Rows for the encoder, of a whole spectrogram where n are all that it takes."""
    encoder = model.model.encoder
    mel = torch.randn(1, model.config.num_mel_bins, 2 * n).double()
    x = whisper_stem(encoder, mel)
    if n == model.config.max_source_positions:
        again = encoder(mel).last_hidden_state - whisper_encoder(encoder, x)
        assert again.abs().max() < 1e-12
    return x.float().double()


def run(model, source, ids):
    """Encoded rows, hidden rows, logits."""
    with torch.no_grad():
        rows = source.is_floating_point()
        encoded = (whisper_encoder(model.model.encoder, source) if rows else
                   model.get_encoder()(input_ids=source).last_hidden_state)
        hidden = model.get_decoder()(input_ids=ids, encoder_hidden_states=encoded,
                                     use_cache=False).last_hidden_state
        wrapped = transformers.modeling_outputs.BaseModelOutput(last_hidden_state=encoded)
        logits = model(encoder_outputs=wrapped, decoder_input_ids=ids, use_cache=False).logits
    return encoded[0], hidden[0], logits[0]


def make(name):
    config_class, model_class, fields, dtype = CASES[name]
    folder, config = open_case(name, config_class, fields, 11)
    model = model_class(config).double().eval()
    randomise(model, dtype)
    model.tie_weights()
    tensors = {k: v.to(dtype).contiguous().clone() for k, v in model.state_dict().items()}
    if getattr(config, "tie_word_embeddings", True):
        tensors = {k: v for k, v in tensors.items() if k not in ("proj_out.weight", "lm_head.weight")}
    save_file(tensors, os.path.join(folder, "model.safetensors"), {"format": "pt"})
    write_config(folder, {"model_type": config.model_type, **fields})
    rows = name == "whisper"
    with torch.no_grad():
        sources = [rows_of(model, n) if rows else torch.randint(3, VOCAB, (1, n)) for n in FROM]
    ids = [torch.randint(3, VOCAB, (1, n)) for n in LENGTHS]
    outputs = joined([run(model, s, i) for s, i in zip(sources, ids)])
    write_expected(folder, [[len(FROM), VOCAB, WIDTH, int(rows)], begins(FROM), begins(LENGTHS),
                            *sources, *ids, *outputs])


for case in sys.argv[1:] or CASES:
    make(case)
