/* specs.c - the specs that the property test sweeps. */
#include "property.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
const property_spec property_specs[] = {
    /* regular, sdpa */
    {"tiny", "heads=1;head_dim=1", 0, 0, 0, 0},
    {"gqa3_dv5", "heads=3;kv_heads=1;head_dim=3;v_dim=5", 0, 0, 0, 0},
    {"plain64", "heads=3;head_dim=64", 0, 0, 0, 0},
    {"gqa8_d128", "heads=8;kv_heads=1;head_dim=128", 0, 0, 0, 0},
    {"hk2_hv3", "heads=6;kv_heads=2;v_heads=3;head_dim=40;v_dim=24;causal=false", 0, 0, 0, 0},
    {"softcap_gqa5", "heads=5;kv_heads=1;head_dim=17;v_dim=33;softcap=5", 0, 0, 0, 0},
    {"sinks_gqa7", "heads=7;kv_heads=1;head_dim=72;sinks=true", 0, 0, 0, 0},
    {"sinks_d12", "heads=2;head_dim=12;sinks=true", 0, 0, 0, 0},
    {"d192_dv128", "heads=2;head_dim=192;v_dim=128", 0, 0, 0, 0},
    {"d256_all", "heads=2;kv_heads=1;head_dim=256;causal=false;scale=0.3", 0, 0, 0, 0},
    {"window0", "op=sliding_self;heads=4;kv_heads=2;head_dim=8;window=0", 0, 0, 0, 0},
    {"window1", "op=sliding_self;heads=2;head_dim=80;window=1", 0, 0, 0, 0},
    {"window5_right0", "op=sliding_self;heads=3;head_dim=96;v_dim=64;causal=false;window=5;"
                       "right_window=0", 0, 0, 0, 0},
    {"window1000", "op=sliding_self;heads=2;head_dim=64;window=1000;softcap=30;sinks=true",
     0, 0, 0, 0},
    {"window5_right300", "op=sliding_self;heads=2;kv_heads=1;head_dim=16;causal=false;window=5;"
                         "right_window=300", 0, 0, 0, 0},
    {"window_all", "op=sliding_self;heads=2;head_dim=32;window=2147483647", 0, 0, 0, 0},
    {"window_all_right_all", "op=sliding_self;heads=1;head_dim=24;causal=false;window=2147483647;"
                             "right_window=2147483647", 0, 0, 0, 0},
    {"cross0", "op=segment_cross;heads=4;head_dim=64", 0, 0, 0, 0},
    {"cross1", "op=segment_cross;heads=3;kv_heads=1;head_dim=17;v_dim=8;lookback=1", 0, 0, 0, 0},
    {"cross3", "op=segment_cross;heads=8;kv_heads=1;head_dim=40;lookback=3;softcap=2", 0, 0, 0, 0},
    {"cross20", "op=segment_cross;heads=2;head_dim=96;v_dim=72;lookback=20", 0, 0, 0, 0},
    {"cross200", "op=segment_cross;heads=2;head_dim=128;lookback=200;sinks=true", 0, 0, 0, 0},
    {"cross_all", "op=segment_cross;heads=2;head_dim=24;lookback=2147483647", 0, 0, 0, 0},
    {"negative_scale", "heads=2;head_dim=20;scale=-0.4;causal=false", 0, 0, 0, 0},
    {"zero_scale", "heads=2;head_dim=20;scale=0", 0, 0, 0, 0},

    /* 16 bits: keys and values, or all */
    {"bf16_d12_dv44", "heads=4;kv_heads=1;head_dim=12;v_dim=44;kv_type=bf16", 0, 0, 0, 0},
    {"f16_d64_sinks", "heads=3;head_dim=64;sinks=true;kv_type=f16", 0, 0, 0, 0},
    {"bf16_gqa8_dv40", "heads=8;kv_heads=1;head_dim=72;v_dim=40;softcap=20;type=bf16", 0, 0, 0, 0},
    {"f16_window40", "op=sliding_self;heads=4;kv_heads=2;head_dim=33;window=40;type=f16;kv_type=bf16", 0, 0, 0, 0},
    {"bf16_cross3", "op=segment_cross;heads=4;kv_heads=2;head_dim=20;lookback=3;type=bf16;kv_type=f16", 0, 0, 0, 0},
    {"f16_cross100", "op=segment_cross;heads=2;head_dim=32;lookback=100;kv_type=f16", 0, 0, 0, 0},
    {"bf16_mla", "form=mla;heads=4;retr_dim=16;kv_comp_dim=40;kv_type=bf16", 0, 0, 0, 0},
    {"f16_mla_shared", "form=mla;key=shared;heads=5;retr_dim=32;kv_comp_dim=64;scale=0.2;type=f16", 0, 0, 0, 0},
    {"f16_alibi", "backend=flex;heads=3;head_dim=64;type=f16;score=s + 0.02 * (k - q);mask=k <= q and q - k <= 90", 0, 0, 0, 0},
    {"bf16_flex_window", "op=sliding_self;backend=flex;heads=2;head_dim=16;window=30;type=bf16;kv_type=f32", 0, 0, 0, 0},
    {"f16_flex_cross", "op=segment_cross;backend=flex;heads=2;head_dim=24;lookback=1;type=f16;o_type=f32", 0, 0, 0, 0},

    /* K and V in 8 bits with a scale a row: dot = f32 leaves the bound no room */
    {"i8_d12", "heads=4;kv_heads=2;head_dim=12;kv_type=i8;rotate=true;dot=f32", 0, 0, 0, 0},
    {"i8_d64_sinks", "heads=3;head_dim=64;sinks=true;kv_type=i8", 0, 0, 0, 0},
    {"i8_gqa8_dv40", "heads=8;kv_heads=1;head_dim=72;v_dim=40;softcap=20;kv_type=i8;rotate=true;dot=f32", 0, 0, 0, 0},
    {"i8_window40", "op=sliding_self;heads=4;kv_heads=2;head_dim=33;window=40;kv_type=i8;dot=f32", 0, 0, 0, 0},
    {"i8_cross3", "op=segment_cross;heads=4;kv_heads=2;head_dim=20;lookback=3;kv_type=i8;rotate=true;dot=f32", 0, 0, 0, 0},
    {"i8_cross100", "op=segment_cross;heads=2;head_dim=32;lookback=100;kv_type=i8;dot=i8;scale=0.02", 0, 0, 0, 0},
    {"i8_mla", "form=mla;heads=4;retr_dim=16;kv_comp_dim=40;kv_type=i8;rotate=true;dot=f32", 0, 0, 0, 0},
    {"i8_mla_shared", "form=mla;key=shared;heads=5;retr_dim=8;kv_comp_dim=64;scale=0.2;kv_type=i8;rotate=true;dot=f32", 0, 0, 0, 0},
    {"i8_alibi", "backend=flex;heads=3;head_dim=64;kv_type=i8;dot=f32;score=s + 0.02 * (k - q);mask=k <= q and q - k <= 90", 0, 0, 0, 0},
    {"i8_flex_window", "op=sliding_self;backend=flex;heads=2;head_dim=16;window=30;kv_type=i8;dot=f32", 0, 0, 0, 0},
    /* products of integers, where an instruction set has them */
    {"i16_gqa8_dv40", "heads=8;kv_heads=1;head_dim=72;v_dim=40;softcap=20;kv_type=i8;rotate=true", 0, 0, 0, 0},
    {"i16_alibi", "backend=flex;heads=3;head_dim=64;kv_type=i8;score=s + 0.02 * (k - q);mask=k <= q and q - k <= 90", 0, 0, 0, 0},
    {"dot8_gqa3_dv136", "heads=6;kv_heads=2;head_dim=160;v_dim=136;kv_type=i8;dot=i8;scale=0.02", 0, 0, 0, 0},
    {"dot8_window40", "op=sliding_self;heads=4;kv_heads=2;head_dim=33;window=40;kv_type=i8;dot=i8;scale=0.02", 0, 0, 0, 0},
    {"i8_flex_cross", "op=segment_cross;backend=flex;heads=2;head_dim=24;lookback=1;kv_type=i8;rotate=true", 0, 0, 0, 0},

    {"i8_bf16_gqa4", "heads=8;kv_heads=2;head_dim=40;type=bf16;kv_type=i8;rotate=true;dot=f32", 0, 0, 0, 0},
    {"i8_f16_mla_shared", "form=mla;key=shared;heads=3;retr_dim=8;kv_comp_dim=32;scale=0.2;type=f16;kv_type=i8", 0, 0, 0, 0},
    {"i8_f16_flex_cross", "op=segment_cross;backend=flex;heads=2;head_dim=24;lookback=90;type=f16;o_type=f32;kv_type=i8;dot=f32", 0, 0, 0, 0},

    /* products of pairs of bf16, where an instruction set has them: a small scale leaves q little room */
    {"pairs_d33_dv40", "heads=4;kv_heads=2;head_dim=33;v_dim=40;type=bf16;dot=bf16;scale=0.02", 0, 0, 0, 0},
    {"pairs_window75", "op=sliding_self;heads=2;head_dim=64;window=75;kv_type=bf16;dot=bf16;scale=0.02", 0, 0, 0, 0},
    {"pairs_cross100", "op=segment_cross;heads=20;kv_heads=1;head_dim=24;lookback=100;type=bf16;dot=bf16;softcap=3;sinks=true", 0, 0, 0, 0},
    {"pairs_mla_mask", "form=mla;backend=flex;heads=3;retr_dim=15;kv_comp_dim=20;type=bf16;o_type=f32;dot=bf16;scale=0.05;mask=k <= q and (k + q) % 3 != h", 0, 0, 0, 0},
    {"pairs_paged", "heads=18;kv_heads=1;head_dim=20;type=f16;kv_type=bf16;dot=bf16;causal=false;scale=0.02;layout=paged;page=16", 0, 0, 0, 0},

    /* mla */
    {"paged_gqa4", "heads=8;kv_heads=2;head_dim=40;v_dim=24;layout=paged;page=16", 0, 0, 0, 0},
    {"paged_bf16_window", "op=sliding_self;heads=3;head_dim=33;window=70;kv_type=bf16;layout=paged;page=32", 0, 0, 0, 0},
    {"paged_i16_sinks", "heads=4;kv_heads=1;head_dim=24;kv_type=i8;rotate=true;sinks=true;layout=paged;page=16", 0, 0, 0, 0},
    {"paged_cross3", "op=segment_cross;heads=4;kv_heads=2;head_dim=20;lookback=3;type=bf16;kv_type=i8;dot=f32;layout=paged;page=16", 0, 0, 0, 0},
    {"paged_cross100", "op=segment_cross;heads=2;head_dim=24;lookback=100;layout=paged", 0, 0, 0, 0},
    {"paged_mla_shared", "form=mla;key=shared;heads=5;retr_dim=8;kv_comp_dim=24;scale=0.2;backend=flex;mask=k <= q and q - k <= 200;layout=paged;page=32", 0, 0, 0, 0},
    {"index_gqa4", "heads=8;kv_heads=2;v_heads=4;head_dim=20;v_dim=24;select=index", 0, 0, 0, 0},
    {"index_paged_i8", "op=sliding_self;heads=4;kv_heads=1;head_dim=24;window=300;kv_type=i8;rotate=true;sinks=true;layout=paged;page=16;select=index", 0, 0, 0, 0},
    {"index_gqa70_f16", "heads=70;kv_heads=1;head_dim=20;v_dim=12;kv_type=f16;sinks=true;select=index", 0, 0, 0, 0},
    {"index_cross", "op=segment_cross;heads=2;head_dim=24;lookback=60;type=bf16;select=index", 0, 0, 0, 0},
    {"index_mla_flex", "form=mla;key=shared;heads=20;retr_dim=8;kv_comp_dim=24;scale=0.2;backend=flex;score=s + 0.02 * (k - q);mask=(k + q) % 3 != h % 3;kv_type=f16;layout=paged;select=index", 0, 0, 0, 0},
    {"mla_full", "form=mla;heads=4;head_dim=16;retr_dim=16;kv_comp_dim=32", 0, 0, 0, 0},
    {"mla_full_shared", "form=mla;key=shared;heads=5;head_dim=32;retr_dim=8;kv_comp_dim=64;"
                        "scale=0.15", 0, 0, 0, 0},
    {"mla_sliding_shared", "form=mla;op=sliding_self;key=shared;heads=2;head_dim=32;retr_dim=24;"
                           "kv_comp_dim=40;window=25;scale=0.2", 0, 0, 0, 0},
    {"mla_cross3", "form=mla;op=segment_cross;heads=3;head_dim=16;retr_dim=24;kv_comp_dim=48;"
                   "lookback=3", 0, 0, 0, 0},
    {"mla_flex_full_576", "form=mla;backend=flex;key=shared;heads=4;head_dim=128;retr_dim=64;"
                          "kv_comp_dim=512;scale=0.07", 0, 0, 0, 0},
    {"mla_flex_sliding", "form=mla;op=sliding_self;backend=flex;heads=3;head_dim=16;retr_dim=64;"
                         "kv_comp_dim=128;window=5;score=s - 0.02 * (q - k)", 0, 0, 0, 0},
    {"mla_flex_cross", "form=mla;op=segment_cross;backend=flex;key=shared;heads=2;head_dim=16;"
                       "retr_dim=24;kv_comp_dim=40;lookback=0;scale=0.125", 0, 0, 0, 0},

    /* regular, flex: no expression, then every operator family */
    {"flex_plain", "backend=flex;heads=4;kv_heads=2;head_dim=64;softcap=8;sinks=true", 0, 0, 0, 0},
    {"alibi", "op=sliding_self;backend=flex;heads=3;head_dim=64;window=1000;"
              "score=s + slope[h] * (k - q);tensor=slope=f32[heads]", 0, 0, 0, 0},
    {"cross_score", "op=segment_cross;backend=flex;heads=2;head_dim=40;lookback=20;"
                    "score=s - 0.01 * abs(q - k)", 0, 0, 0, 0},
    {"document", "backend=flex;heads=2;head_dim=32;causal=false;"
                 "mask=doc[q] == doc[k] and k <= q;tensor=doc=i32[kv_len]", 0, 3, 0, 0},
    {"prefix", "backend=flex;heads=2;head_dim=16;causal=false;mask=k < prefix or k <= q;"
               "scalar=prefix=i32", 0, 200, 0, 0},
    {"blocks", "backend=flex;heads=2;head_dim=48;causal=false;"
               "mask=q // 128 == k // 128 or k < prefix;scalar=prefix=i32", 0, 40, 0, 0},
    {"bits", "backend=flex;heads=4;kv_heads=2;head_dim=8;causal=false;"
             "mask=(q & 3) == (k & 3) or k >> 4 << 4 == (q & ~15 | h << 5)", 0, 0, 0, 0},
    {"relative_table", "backend=flex;heads=4;head_dim=32;score=s + table[h][clamp(q - k + 63, 0, "
                       "126)];tensor=table=f32[heads][127]", 0, 0, 0, 1},
    {"softcap_score", "backend=flex;heads=2;head_dim=72;softcap=20;causal=false;"
                      "score=3 * tanh(s / 3) + sigmoid(s)", 0, 0, 0, 0},
    {"moved_factors", "backend=flex;heads=2;head_dim=40;softcap=20;tensor=slope=f32[heads];"
                      "score=-0.5 * (s / 0.7 - slope[h] * (q - k) + where(k % 3 == 0, 0.1, -1e4))",
     0, 0, 0, 0},
    {"capped", "backend=flex;heads=3;kv_heads=1;head_dim=24;score=-12 * tanh(-(s / 12))",
     0, 0, 0, 0},
    {"functions", "backend=flex;heads=2;head_dim=24;score=s + 0.3 * sin((q - k) % 32 * 0.2) * "
                  "cos(k % 16 * 0.3) + 0.1 * log(1 + abs(q - k)) - sqrt(1 + s * s) + "
                  "exp(-abs(s)) + exp2(min(s, 0.0))", 0, 0, 0, 0},
    {"floor_division", "backend=flex;heads=2;head_dim=16;causal=false;"
                       "mask=(q - k) // 3 % 5 != 2 or k % (q % 3) == 1", 0, 0, 0, 0},
    {"batch_lengths", "backend=flex;heads=2;head_dim=32;causal=false;"
                      "mask=k < len[b] and (k <= q or k < 4);tensor=len=i32[batch]", 0, 300, 1, 0},
    {"where_inf", "backend=flex;heads=3;head_dim=17;causal=false;"
                  "score=where(k <= q and (k + h) % 4 != 1, s * 0.5 + bias[b][h], -inf);"
                  "tensor=bias=f32[batch][heads]", 0, 0, 1, 0},
    {"nested_index", "backend=flex;heads=4;head_dim=32;score=s + table[bucket[k]][h];"
                     "tensor=bucket=i32[kv_len];tensor=table=f32[8][heads]", 0, 7, 0, 1},
    {"not_or", "op=sliding_self;backend=flex;heads=2;head_dim=64;window=400;causal=false;"
               "right_window=400;mask=not (k > q or q - k > window // 8) or not k % 7 != 0",
     0, 0, 0, 0},
    {"key_positions", "backend=flex;heads=2;head_dim=24;causal=false;mask=k_pos <= q + 3 and "
                      "q - k_pos < 40 or k < 2;score=s - 0.01 * abs(q - k_pos)", 0, 0, 0, 0},
    {"names", "backend=flex;heads=4;kv_heads=2;head_dim=16;causal=false;"
              "mask=k - q_start < q_len and k + 1 <= kv_len and (h < kv_heads or k % 2 == 0 or "
              "head_dim < heads)", 0, 0, 0, 0},
    {"scalars", "backend=flex;heads=2;head_dim=40;causal=false;"
                "score=clamp(s * gain, -cap, cap) + max(0.1 * h, min(s, 1.0));"
                "mask=k >= first;scalar=gain=f32;scalar=cap=f32;scalar=first=i32", 0, 30, 0, 0},
    {"nested_where", "backend=flex;heads=2;head_dim=80;"
                     "score=where(k % 3 == 0, s + 1, where(q % 2 == 0, s - 1.5, s * 0.75))",
     0, 0, 0, 0},
    {"block_table", "backend=flex;heads=2;head_dim=32;causal=false;"
                    "mask=allow[clamp(q // 16, 0, 63)][k // 16] != 0;tensor=allow=i32[64][65]",
     0, 1, 0, 0},
    {"band", "backend=flex;heads=2;head_dim=64;v_dim=17;causal=false;mask=k <= q + 7 and "
             "k >= q - 30", 0, 0, 0, 0},
    {"wrap", "backend=flex;heads=2;head_dim=16;causal=false;mask=(k * 65537 * 65539 + q) % 3 != 0",
     0, 0, 0, 0},
    {"float_mask", "backend=flex;heads=2;head_dim=16;causal=false;mask=k * 0.5 <= q + 0.25",
     0, 0, 0, 0},
    {"sliding_document", "op=sliding_self;backend=flex;heads=4;kv_heads=1;head_dim=96;window=90;"
                         "sinks=true;softcap=15;mask=doc[k] <= 1 or doc[k] == h;"
                         "tensor=doc=i32[kv_len]", 0, 3, 0, 0},
};
/* clang-format on */
const int property_spec_count = (int)(sizeof property_specs / sizeof *property_specs);

enum { MAX_INPUTS = 64 };

bool property_try(arena *a, const char *name, const char *fields, kernel_spec *kernel, diag *d) {
    spec_input *in = arena_alloc(a, MAX_INPUTS * sizeof *in);
    int count = 0;
    for (const char *p = fields; *p && count < MAX_INPUTS; count++) {
        size_t n = strcspn(p, ";"), eq = strcspn(p, "=");
        lua_val *v = arena_alloc(a, sizeof *v);
        v->kind = LUA_VAL_STRING;
        v->string = arena_strndup(a, p + eq + 1, n - eq - 1);
        const char *field = arena_strndup(a, p, eq);
        in[count] = (spec_input){.field = field, .value = v, .from_flag = true};
        in[count].where = arena_printf(a, "%s.%s", name, field);
        p += n + (p[n] == ';');
    }
    return kernel_spec_build(a, in, count, name, kernel, d);
}

void property_kernel(arena *a, const property_spec *row, kernel_spec *kernel) {
    diag d = {0};
    if (property_try(a, row->name, row->fields, kernel, &d)) return;
    fprintf(stderr, "%s\n", d.text);
    exit(2);
}
