/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
#include "op.h"

#include <stdio.h>

static attn_op_reach around(int64_t back, int64_t ahead) {
    const bool bounded = back < ATTN_FAR && ahead < ATTN_FAR;
    return (attn_op_reach){back, ahead, bounded ? back + ahead + 1 : ATTN_FAR};
}

/* --- full_self: the past and itself, or everything --- */

static attn_op_reach full_reach(const attn_spec *s) {
    return around(ATTN_FAR, s->causal ? 0 : ATTN_FAR);
}

static void full_words(const attn_spec *s, char text[ATTN_OP_WORDS_MAX]) {
    snprintf(text, ATTN_OP_WORDS_MAX, "%s",
             s->causal ? "query position p sees the keys 0 .. p" : "every query sees every key");
}

/* --- sliding_self: a window around itself --- */

static attn_op_reach sliding_reach(const attn_spec *s) {
    return around(s->window, s->causal ? 0 : s->right_window);
}

static void sliding_words(const attn_spec *s, char text[ATTN_OP_WORDS_MAX]) {
    const int32_t ahead = s->causal ? 0 : s->right_window;
    const int n =
        snprintf(text, ATTN_OP_WORDS_MAX, "query position p sees the keys p - %d .. p", s->window);
    if (ahead) snprintf(text + n, ATTN_OP_WORDS_MAX - (size_t)n, " + %d", ahead);
}

/* --- segment_cross: the key of its segment, and some before --- */

static attn_op_reach segment_reach(const attn_spec *s) {
    return around(s->lookback, 0);
}

static void segment_words(const attn_spec *s, char text[ATTN_OP_WORDS_MAX]) {
    snprintf(text, ATTN_OP_WORDS_MAX,
             "a query of segment g sees the keys g - %d .. g that exist; a negative g sees none",
             s->lookback);
}

/* In the order of attn_op. */
static const attn_op_rule rules[] = {
    {.fields = ATTN_IN_SELF, .second_output = true, .reach = full_reach, .words = full_words},
    {.fields = ATTN_IN_SELF | ATTN_IN_SLIDING, .reach = sliding_reach, .words = sliding_words},
    {.fields = ATTN_IN_CROSS, .segments = true, .reach = segment_reach, .words = segment_words},
};
enum { RULES = sizeof rules / sizeof *rules };

const attn_op_rule *attn_op_of(const attn_spec *spec) {
    const bool known = spec->op >= 0 && spec->op < RULES; /* else attn_spec_resolve refuses it */
    return &rules[known ? spec->op : 0];
}

attn_keys attn_op_keys(const attn_spec *spec, int64_t place, int64_t kv_len) {
    const attn_op_rule *rule = attn_op_of(spec);
    const attn_op_reach reach = rule->reach(spec);
    attn_keys k = {place - reach.back, place + reach.ahead};
    if (rule->keys) k = rule->keys(spec, place);
    if (k.first < 0) k.first = 0;
    if (k.last > kv_len - 1) k.last = kv_len - 1;
    return k;
}

bool attn_op_has_edges(const attn_spec *spec) {
    const attn_op_rule *rule = attn_op_of(spec);
    const attn_op_reach reach = rule->reach(spec);
    return !rule->segments && (reach.back < ATTN_FAR || reach.ahead < ATTN_FAR);
}

int32_t attn_op_few_keys(const attn_spec *spec) {
    if (spec->select == ATTN_SELECT_INDEX) return 0; /* lists say which, and how many */
    const attn_op_rule *rule = attn_op_of(spec);
    const int64_t most = rule->reach(spec).most;
    return rule->segments && most <= ATTN_FEW_KEYS ? (int32_t)most : 0;
}

int64_t attn_op_kept(const attn_spec *spec) {
    if (spec->select == ATTN_SELECT_INDEX) return ATTN_FAR; /* lists name keys by number */
    const attn_op_rule *rule = attn_op_of(spec);
    return !rule->segments && spec->causal ? rule->reach(spec).back : ATTN_FAR;
}
