/* block_call.c - runs of a generated layer, in guarded memory. */
#include "block_call.h"
#include "guard.h"
#include "plan/isa.h"
#include "types.h"

#include <stdlib.h>
#include <string.h>

/* Everything of one run. */
typedef struct session {
    arena *a;
    const kernel_lib *lib;
    const block_case *c;
    const block_run *run;
    attn_block *block;
    attn_cache cache;
    guard packed, memory, y, workspace;
    int32_t width, keys;
} session;

static bool failed(session *s, const char *what, attn_status status, const char **why) {
    *why = arena_printf(s->a, "%s: %s", what, s->lib->status_text(status));
    return false;
}

static bool create(session *s, const char **why) {
    const char *isa = isa_table[s->run->isa].name;
    setenv("ATTN_ISA", isa, 1);
    attn_status st = s->lib->block_create(&s->block, &s->c->spec->core, s->run->flags);
    if (st != ATTN_OK) return failed(s, "attn_block_create", st, why);
    const char *name = s->lib->block_name(s->block);
    if (strstr(name, arena_printf(s->a, "__%s", isa))) return true;
    *why = arena_printf(s->a, "ATTN_ISA=%s gave the layer %s", isa, name);
    return false;
}

static bool pack(session *s, const char **why) {
    const block_case *c = s->c;
    attn_tensor *t = arena_alloc(s->a, ((size_t)c->weight_count + 1) * sizeof *t);
    for (int i = 0; i < c->weight_count; i++) {
        t[i] = (attn_tensor){.name = c->weight[i].name, .data = c->weight[i].data};
        t[i].rank = c->weight[i].rank;
        if (c->weight[i].stored) t[i].data = c->weight[i].stored, t[i].type = c->weight[i].type;
        memcpy(t[i].dim, c->weight[i].dim, sizeof t[i].dim);
    }
    const size_t bytes = s->lib->block_packed_bytes(s->block);
    char message[2048];
    s->packed = guard_alloc(bytes, 64, false);
    attn_status st = s->lib->block_pack(s->block, t, c->weight_count, s->packed.data, bytes,
                                        message, sizeof message);
    if (st != ATTN_OK) {
        *why = arena_printf(s->a, "attn_block_pack: %s", message);
        return false;
    }
    if (!guard_intact(&s->packed)) {
        *why = "attn_block_pack wrote outside of its memory";
        return false;
    }
    guard_seal(&s->packed);
    st = s->lib->block_check(s->block, s->packed.data, bytes);
    return st == ATTN_OK || failed(s, "attn_block_check", st, why);
}

static bool has_kv(const session *s) {
    return s->c->spec->core.kv_dim != ATTN_UNSET;
}

static bool make_cache(session *s, const char **why) {
    size_t bytes;
    attn_status st = s->lib->cache_bytes(s->block, s->c->batch, s->keys, &bytes);
    if (st != ATTN_OK) return failed(s, "attn_cache_bytes", st, why);
    s->memory = guard_alloc(bytes, 64, false);
    st = s->lib->cache_init(s->block, &s->cache, s->c->batch, s->keys, s->memory.data, bytes);
    return st == ATTN_OK || failed(s, "attn_cache_init", st, why);
}

/* Rows first .. first + count of each item; a row past an item's length does not exist. */
static bool call(session *s, int32_t first, int32_t count, const char **why) {
    const block_case *c = s->c;
    attn_block_args a = ATTN_BLOCK_ARGS_INIT;
    int32_t *rows = arena_alloc(s->a, ((size_t)c->batch + 1) * sizeof *rows);
    for (int32_t b = 0; b < c->batch; b++) {
        const int32_t left = (c->length ? c->length[b] : c->tokens) - first;
        rows[b] = left < 0 ? 0 : left > count ? count : left;
    }
    a.batch = c->batch, a.tokens = count, a.threads = s->run->threads;
    const int64_t at = (int64_t)first * s->width, item = (int64_t)c->tokens * s->width;
    a.x = c->x + at, a.x_batch = item, a.x_token = s->width;
    a.y = (float *)(void *)s->y.data + at, a.y_batch = item, a.y_token = s->width;
    a.count = rows;
    a.cache = s->memory.data ? &s->cache : NULL;
    a.key_padding = c->key_padding, a.key_padding_batch = s->keys;
    if (c->mask) a.mask = *c->mask;
    if (has_kv(s) && first == 0) {
        a.kv = c->kv, a.kv_tokens = c->kv_tokens, a.kv_token = c->spec->core.kv_dim;
        a.kv_batch = (int64_t)c->kv_tokens * a.kv_token;
    }
    if (c->seg) a.seg = c->seg + first;
    a.seg_batch = a.q_pos_batch = a.q_pad_batch = c->tokens, a.kv_pos_batch = c->kv_tokens;
    const int32_t *position = c->q_pos ? c->q_pos + first : NULL;
    if (has_kv(s)) a.q_pos = position;
    if (!has_kv(s)) a.q_position = position, a.q_position_batch = c->tokens;
    if (c->index) {
        const int64_t each = c->index_each;
        a.index = c->index + first * each, a.index_row = each, a.index_head = c->tokens * each;
        a.index_batch = c->spec->core.kv_heads * a.index_head;
        a.index_count = c->index_count + first, a.index_count_batch = c->tokens;
    }
    if (a.kv) a.kv_pos = c->kv_pos;
    if (c->q_pad) a.q_pad = c->q_pad + first;
    a.side = c->side, a.side_count = c->spec->tensor_count;
    a.scalars = c->scalars, a.scalar_count = c->spec->scalar_count;
    a.packed = s->packed.data;
    size_t bytes;
    attn_status st = s->lib->block_workspace(s->block, &a, &bytes);
    if (st != ATTN_OK) return failed(s, "attn_block_workspace", st, why);
    guard workspace = guard_alloc(bytes, 64, false);
    a.workspace = workspace.data, a.workspace_bytes = bytes;
    st = first == 0 ? s->lib->block_prefill(s->block, &a) : s->lib->block_step(s->block, &a);
    const bool intact = guard_intact(&workspace);
    guard_free(&workspace);
    if (st != ATTN_OK) return failed(s, first ? "attn_block_step" : "attn_block_prefill", st, why);
    if (!intact) *why = "wrote outside of its workspace";
    return intact;
}

int64_t block_cache_row(const attn_spec *s, const attn_cache *c, int64_t heads, int64_t b,
                        int64_t head, int64_t key) {
    if (s->layout != ATTN_LAYOUT_PAGED) return (b * heads + head) * c->capacity + key;
    const int64_t page = c->pages[b * c->pages_batch + key / s->page];
    return (page * s->page + key % s->page) * heads + head;
}

/* Copies a member of the cache out, item by item and head by head: the case's order. */
static float *copy_part(const session *s, const void *data, const float *scale, int64_t heads,
                        int64_t width) {
    const attn_spec *spec = &s->c->spec->core;
    const int32_t type = attn_spec_types(spec).k;
    const int64_t keys = block_keys(s->c), rows = s->c->batch * heads * keys;
    float *to = arena_alloc(s->a, (size_t)(rows * width + 1) * sizeof *to);
    for (int64_t i = 0; i < rows; i++) {
        const int64_t at =
            block_cache_row(spec, &s->cache, heads, i / keys / heads, i / keys % heads, i % keys);
        for (int64_t d = 0; d < width; d++)
            to[i * width + d] =
                attn_load(data, type, at * width + d) * (attn_type_scaled(type) ? scale[at] : 1);
    }
    return to;
}

static void copy_caches(session *s, block_outcome *out) {
    const attn_spec *spec = &s->c->spec->core;
    const attn_cache *c = &s->cache;
    out->cache_k = copy_part(s, c->k, c->k_scale, spec->kv_heads, attn_spec_k_dim(spec));
    if (block_cache_v_size(s->c))
        out->cache_v = copy_part(s, c->v, c->v_scale, spec->v_heads, spec->v_dim);
}

static bool run_rows(session *s, const char **why) {
    const block_run *r = s->run;
    const int32_t tokens = s->c->tokens;
    int32_t first = r->prefill < tokens ? r->prefill : tokens;
    if ((first < tokens || r->caches) && !make_cache(s, why)) return false;
    if (!call(s, 0, first, why)) return false;
    for (int32_t some; first < tokens; first += some) {
        some = r->step < tokens - first ? r->step : tokens - first;
        if (!call(s, first, some, why)) return false;
    }
    return true;
}

static bool run(session *s, block_outcome *out, const char **why) {
    const block_case *c = s->c;
    if (!create(s, why) || !pack(s, why)) return false;
    const size_t rows = (size_t)c->batch * (size_t)c->tokens * (size_t)s->width;
    s->y = guard_alloc(rows * sizeof(float), sizeof(float), false);
    if (!run_rows(s, why)) return false;
    if (!guard_intact(&s->y) || (s->memory.data && !guard_intact(&s->memory))) {
        *why = "wrote outside of y or the cache";
        return false;
    }
    out->y = arena_alloc(s->a, rows * sizeof(float) + 1);
    memcpy(out->y, s->y.data, rows * sizeof(float));
    if (s->run->caches) copy_caches(s, out);
    out->kernel = arena_strdup(s->a, s->lib->block_name(s->block));
    return true;
}

bool run_block_case(arena *a, const kernel_lib *lib, const block_case *c, const block_run *r,
                    block_outcome *out, const char **why) {
    session s = {.a = a, .lib = lib, .c = c, .run = r};
    s.width = block_width(&c->spec->core);
    s.keys = block_keys(c);
    *out = (block_outcome){0};
    const bool ok = run(&s, out, why);
    if (s.block) lib->block_destroy(s.block);
    guard *all[] = {&s.packed, &s.memory, &s.y};
    for (int i = 0; i < 3; i++)
        if (all[i]->data) guard_free(all[i]);
    return ok;
}
