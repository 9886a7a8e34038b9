/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
#include "layout.h"

/* In the order of attn_layout. */
static const attn_layout_rule rules[] = {
    {.scales = true}, /* dense */
};
enum { RULES = sizeof rules / sizeof *rules };

const attn_layout_rule *attn_layout_of(const attn_spec *spec) {
    const bool known = spec->layout >= 0 && spec->layout < RULES; /* else resolve refuses it */
    return &rules[known ? spec->layout : 0];
}

static int64_t place_of(const attn_spec *spec, int64_t key) {
    const attn_layout_rule *rule = attn_layout_of(spec);
    return rule->place ? rule->place(key) : key;
}

int64_t attn_layout_at(const attn_spec *spec, const attn_view *view, int64_t b, int64_t head,
                       int64_t key) {
    return b * view->batch + head * view->head + place_of(spec, key) * view->token;
}

int64_t attn_layout_rows(const attn_spec *spec, int64_t keys) {
    return keys > 0 ? place_of(spec, keys - 1) + 1 : 0;
}
