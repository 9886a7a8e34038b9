/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
#include "layout.h"

/* In the order of attn_layout. */
static const attn_layout_rule rules[] = {
    {.scales = true}, /* dense */
    {.scales = true,
     .paged = true,
     .words = "key j lies in row j % page of page pages[b][j / page]"},
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

int64_t attn_layout_at(const attn_spec *spec, const attn_view *view, const attn_page_table *pages,
                       int64_t b, int64_t head, int64_t key) {
    if (!attn_layout_of(spec)->paged)
        return b * view->batch + head * view->head + place_of(spec, key) * view->token;
    const int64_t page = pages->data[b * pages->batch + key / spec->page];
    return page * view->batch + head * view->head + key % spec->page * view->token;
}

int32_t attn_layout_pages(const attn_spec *spec, int32_t keys) {
    if (!attn_layout_of(spec)->paged) return 0;
    return keys / spec->page + (keys % spec->page > 0);
}

int64_t attn_layout_rows(const attn_spec *spec, int64_t keys) {
    if (attn_layout_of(spec)->paged) return (keys + spec->page - 1) / spec->page * spec->page;
    return keys > 0 ? place_of(spec, keys - 1) + 1 : 0;
}

int64_t attn_layout_together(const attn_spec *spec, int64_t keys) {
    return attn_layout_of(spec)->paged ? spec->page : attn_layout_rows(spec, keys);
}
