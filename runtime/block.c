/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* block.c - layers: from a spec to the best linked layer, weights by name, caches, checked calls.
 */
#include "cpu.h"
#include "dispatch.h"
#include "spec.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct attn_block {
    const attn_block_kernel *kernel;
    attn_plan *core, *expanded; /* expanded may be null */
    bool reference;
};

enum { HEADER_BYTES = 64 }; /* of packed weights */

static uint64_t packed_bytes(const attn_block_kernel *k) {
    uint64_t bytes = HEADER_BYTES;
    attn_carve(NULL, &bytes, attn_times((uint64_t)k->packed_floats, sizeof(float)));
    return bytes;
}

/* --- Create --- */

attn_status attn_block_create(attn_block **out, const attn_spec *spec, uint32_t flags) {
    if (!out) return ATTN_E_ARGUMENT;
    *out = NULL;
    if (!spec || (flags & ~(uint32_t)ATTN_REFERENCE)) return ATTN_E_ARGUMENT;
    if (spec->struct_size != sizeof *spec) return ATTN_E_ABI;
    attn_spec resolved = *spec;
    attn_status status = attn_spec_resolve(&resolved, NULL);
    if (status != ATTN_OK) return status;
    if (resolved.level != ATTN_LEVEL_BLOCK) return ATTN_E_SPEC;
    const attn_block_kernel *best = NULL;
    for (int i = 0; i < attn_block_registry_count; i++) {
        const attn_block_kernel *k = attn_block_registry[i];
        if (k->abi != ATTN_KERNEL_ABI) return ATTN_E_ABI;
        if (!attn_isa_allowed(k->isa) || !attn_spec_same(k->spec, &resolved)) continue;
        if (!best || k->isa > best->isa) best = k;
    }
    if (!best) return ATTN_E_NO_KERNEL;
    if (!attn_size_fits(packed_bytes(best))) return ATTN_E_MEMORY;
    attn_block *block = calloc(1, sizeof *block);
    if (!block) return ATTN_E_MEMORY;
    block->kernel = best;
    block->reference = flags & ATTN_REFERENCE;
    status = attn_plan_of_kernel(&block->core, best->core, flags);
    if (status == ATTN_OK && best->expanded)
        status = attn_plan_of_kernel(&block->expanded, best->expanded, flags);
    if (status != ATTN_OK) {
        attn_block_destroy(block);
        return status;
    }
    const char *verbose = getenv("ATTN_VERBOSE");
    if (verbose && *verbose && *verbose != '0')
        fprintf(stderr, "attn: %s (core %s)\n", best->name, best->core->name);
    *out = block;
    return ATTN_OK;
}

void attn_block_destroy(attn_block *block) {
    if (!block) return;
    attn_plan_destroy(block->core);
    attn_plan_destroy(block->expanded);
    free(block);
}

const char *attn_block_name(const attn_block *block) {
    return block->kernel->name;
}

/* --- Weights --- */

int32_t attn_block_weights(const attn_block *block, attn_tensor *list, int32_t capacity) {
    int32_t n = 0;
    for (int32_t i = 0; i < block->kernel->weight_count; i++) {
        const attn_weight *w = &block->kernel->weights[i];
        if (!w->used) continue;
        if (n < capacity)
            list[n] = (attn_tensor){w->name, NULL, w->rank, {w->dim[0], w->dim[1], w->dim[2], 0}};
        n++;
    }
    return n;
}

enum { PIECES = 3, MAX_WEIGHTS = 64 };

static const struct {
    const char *suffix;
    const char *piece[PIECES];
} names[] = {
#define NAME(suffix, ...) {suffix, {__VA_ARGS__}},
#include "weight_names.def"
};

/* The list of everything that is wrong with the given weights. */
typedef struct problems {
    char *text;
    size_t size, length;
    int count;
} problems;

static void problem(problems *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void problem(problems *p, const char *fmt, ...) {
    if (p->text && p->length < p->size) {
        va_list ap;
        va_start(ap, fmt);
        const char *separator = p->count ? "\n" : "";
        p->length += (size_t)snprintf(p->text + p->length, p->size - p->length, "%s", separator);
        if (p->length < p->size)
            p->length += (size_t)vsnprintf(p->text + p->length, p->size - p->length, fmt, ap);
        va_end(ap);
    }
    p->count++;
}

static bool ends_in(const char *name, size_t n, const char *suffix, size_t m) {
    if (m > n || memcmp(name + n - m, suffix, m)) return false;
    return m == n || name[n - m - 1] == '.';
}

/* Index of the weight BASE.kind; -1: the layer takes none of this name. */
static int weight_named(const attn_block_kernel *k, const char *base, const char *kind) {
    for (int i = 0; i < k->weight_count; i++) {
        const size_t n = strlen(base);
        if (!strncmp(k->weights[i].name, base, n) && !strcmp(k->weights[i].name + n, kind))
            return i;
    }
    return -1;
}

/* The weights that a tensor's name stands for; 0: none. */
static int find_weights(const attn_block_kernel *k, const char *name, int found[PIECES]) {
    const size_t n = strlen(name);
    size_t longest = 0;
    int count = 0;
    for (int i = 0; i < k->weight_count; i++) {
        const size_t m = strlen(k->weights[i].name);
        if (m <= longest || !ends_in(name, n, k->weights[i].name, m)) continue;
        longest = m;
        found[0] = i;
        count = 1;
    }
    static const char *const kinds[] = {".weight", ".bias"};
    for (int t = 0; t < 2; t++) {
        const size_t kind = strlen(kinds[t]);
        if (n <= kind || strcmp(name + n - kind, kinds[t])) continue;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            const size_t m = strlen(names[i].suffix);
            if (m + kind <= longest || !ends_in(name, n - kind, names[i].suffix, m)) continue;
            int piece[PIECES], pieces = 0;
            while (pieces < PIECES && names[i].piece[pieces]) {
                piece[pieces] = weight_named(k, names[i].piece[pieces], kinds[t]);
                if (piece[pieces] < 0) break;
                pieces++;
            }
            if (!pieces || (pieces < PIECES && names[i].piece[pieces])) continue;
            longest = m + kind;
            memcpy(found, piece, sizeof piece);
            count = pieces;
        }
    }
    return count;
}

static void put_dims(char *out, size_t size, int32_t rank, const int64_t *dim) {
    size_t n = 0;
    out[0] = 0;
    for (int i = 0; i < rank && i < 4 && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%lld", i ? ", " : "", (long long)dim[i]);
}

/* Points the weights of one tensor into it. */
static void take(const attn_block_kernel *k, const attn_tensor *t, const float **weight,
                 problems *p) {
    int found[PIECES];
    const int pieces = find_weights(k, t->name, found);
    if (!pieces) {
        problem(p, "%s: unknown weight", t->name);
        return;
    }
    if (pieces == 1 && !k->weights[found[0]].used) return;
    const attn_weight *first = &k->weights[found[0]];
    int64_t want[4] = {0, first->dim[1], first->dim[2], 0};
    for (int i = 0; i < pieces; i++) want[0] += k->weights[found[i]].dim[0];
    bool same = t->rank == first->rank && t->data;
    for (int i = 0; same && i < t->rank; i++) same = t->dim[i] == want[i];
    if (!same) {
        char got[96], expected[96];
        put_dims(got, sizeof got, t->rank, t->dim);
        put_dims(expected, sizeof expected, first->rank, want);
        problem(p, "%s: must be [%s], got [%s]%s", t->name, expected, got,
                t->data ? "" : " without data");
        return;
    }
    const float *data = t->data;
    for (int i = 0; i < pieces; i++) {
        const attn_weight *w = &k->weights[found[i]];
        if (weight[found[i]]) problem(p, "%s: gives %s a second time", t->name, w->name);
        weight[found[i]] = data;
        int64_t size = 1;
        for (int d = 0; d < w->rank; d++) size *= w->dim[d];
        data += size;
    }
}

/* --- Packed weights: a header, then what the layer's own code lays out. --- */

typedef struct packed_header {
    char magic[8];
    uint32_t abi, isa;
    uint64_t floats;
    uint64_t layer;    /* hash of the layer's name: spec, ISA and tiles */
    uint64_t checksum; /* of the floats */
    uint64_t zero[3];
} packed_header;
_Static_assert(sizeof(packed_header) == HEADER_BYTES, "the floats stay aligned");

static const char magic[8] = "ATTNPAK";

static uint64_t mix(uint64_t hash, uint64_t value) { /* FNV-1a, eight bytes at a time */
    hash = (hash ^ value) * 0x100000001b3u;
    return hash ^ hash >> 29;
}

static uint64_t checksum(const float *data, int64_t count) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (int64_t i = 0; i < count; i += 2) {
        uint64_t pair = 0;
        memcpy(&pair, data + i, i + 1 < count ? 8 : 4);
        hash = mix(hash, pair);
    }
    return hash;
}

static packed_header header_of(const attn_block_kernel *k) {
    packed_header h = {.abi = ATTN_KERNEL_ABI, .isa = k->isa, .floats = (uint64_t)k->packed_floats};
    memcpy(h.magic, magic, sizeof magic);
    h.layer = 0xcbf29ce484222325u;
    for (const char *c = k->name; *c; c++) h.layer = mix(h.layer, (unsigned char)*c);
    return h;
}

static const float *payload(const void *packed) {
    return (const float *)(const void *)((const char *)packed + sizeof(packed_header));
}

size_t attn_block_packed_bytes(const attn_block *block) {
    return (size_t)packed_bytes(block->kernel);
}

attn_status attn_block_pack(const attn_block *block, const attn_tensor *tensors, int32_t count,
                            void *packed, size_t packed_bytes, char *message, size_t message_size) {
    if (message && message_size) *message = 0;
    if (!block || !packed || count < 0 || (count && !tensors)) return ATTN_E_ARGUMENT;
    if ((uintptr_t)packed % 64 || packed_bytes < attn_block_packed_bytes(block))
        return ATTN_E_ARGUMENT;
    const attn_block_kernel *k = block->kernel;
    const float *weight[MAX_WEIGHTS] = {NULL};
    if (k->weight_count > MAX_WEIGHTS) return ATTN_E_ABI;
    problems p = {message, message_size, 0, 0};
    for (int32_t i = 0; i < count; i++) {
        if (!tensors[i].name) return ATTN_E_ARGUMENT;
        take(k, &tensors[i], weight, &p);
    }
    for (int32_t i = 0; i < k->weight_count; i++) {
        if (weight[i] || !k->weights[i].used) continue;
        char dims[96];
        put_dims(dims, sizeof dims, k->weights[i].rank, k->weights[i].dim);
        problem(&p, "%s: missing, [%s]", k->weights[i].name, dims);
    }
    if (p.count) return ATTN_E_WEIGHTS;
    float *data = (float *)(void *)((char *)packed + sizeof(packed_header));
    memset(packed, 0, attn_block_packed_bytes(block));
    k->pack(weight, data);
    packed_header h = header_of(k);
    h.checksum = checksum(data, k->packed_floats);
    memcpy(packed, &h, sizeof h);
    return ATTN_OK;
}

static bool header_fits(const attn_block *block, const void *packed) {
    packed_header h = header_of(block->kernel), got;
    memcpy(&got, packed, sizeof got);
    h.checksum = got.checksum;
    return !memcmp(&h, &got, sizeof h);
}

attn_status attn_block_check(const attn_block *block, const void *packed, size_t packed_bytes) {
    if (!block || !packed || (uintptr_t)packed % 64) return ATTN_E_ARGUMENT;
    if (packed_bytes < attn_block_packed_bytes(block) || !header_fits(block, packed))
        return ATTN_E_PACKED;
    packed_header h;
    memcpy(&h, packed, sizeof h);
    return checksum(payload(packed), block->kernel->packed_floats) == h.checksum ? ATTN_OK
                                                                                 : ATTN_E_PACKED;
}

/* --- Caches --- */

static bool slides(const attn_spec *s) {
    return s->op == ATTN_OP_SLIDING_SELF && s->causal;
}

/* Keys of a second input, rather than of the layer's own rows. */
static bool has_kv(const attn_spec *s) {
    return s->kv_dim != ATTN_UNSET;
}

int32_t attn_cache_capacity(const attn_block *block, int32_t total, int32_t chunk) {
    const attn_spec *s = block->kernel->spec;
    const int64_t least = slides(s) && !s->expr_hash ? (int64_t)s->window + chunk : total;
    return least < total ? (int32_t)least : total;
}

/* Bytes of rows of so many heads for all items. */
static uint64_t rows_bytes(int32_t batch, int32_t capacity, int32_t heads, int32_t dim) {
    const uint64_t rows = attn_times((uint64_t)batch * (uint64_t)capacity, (uint64_t)heads);
    return attn_times(rows, (uint64_t)dim * sizeof(float));
}

/* Bytes of k. Where they are many, k and v must not end up a power of two apart: attn.h, attn_args.
 */
static uint64_t k_bytes(const attn_block_kernel *k, int32_t batch, int32_t capacity) {
    enum { MANY = 1 << 20, APART = 64 << 10 };
    const uint64_t bytes = rows_bytes(batch, capacity, k->k_heads, k->k_dim);
    return bytes < MANY || !k->v_dim ? bytes : attn_plus(bytes, APART);
}

/* Shares out a cache's memory, or counts it (null). */
static uint64_t cache_layout(const attn_block_kernel *k, int32_t batch, int32_t capacity,
                             char *memory, attn_cache *c) {
    uint64_t used = 0;
    const uint64_t list = (uint64_t)batch * sizeof(int32_t);
    c->k = attn_carve(memory, &used, k_bytes(k, batch, capacity));
    c->v = attn_carve(memory, &used, rows_bytes(batch, capacity, k->v_heads, k->v_dim));
    if (!k->v_dim) c->v = c->k;
    c->length = attn_carve(memory, &used, list);
    c->start = attn_carve(memory, &used, list);
    return used;
}

attn_status attn_cache_bytes(const attn_block *block, int32_t batch, int32_t capacity,
                             size_t *bytes) {
    if (!block || !bytes || batch < 0 || capacity < 0) return ATTN_E_ARGUMENT;
    attn_cache unused;
    const uint64_t need = cache_layout(block->kernel, batch, capacity, NULL, &unused);
    if (!attn_size_fits(need)) return ATTN_E_ARGUMENT;
    *bytes = (size_t)need;
    return ATTN_OK;
}

attn_status attn_cache_init(const attn_block *block, attn_cache *cache, int32_t batch,
                            int32_t capacity, void *memory, size_t bytes) {
    size_t need;
    if (!cache || (!memory && batch > 0)) return ATTN_E_ARGUMENT;
    attn_status status = attn_cache_bytes(block, batch, capacity, &need);
    if (status != ATTN_OK) return status;
    if ((uintptr_t)memory % 64 || bytes < need) return ATTN_E_CACHE;
    const attn_block_kernel *k = block->kernel;
    *cache = (attn_cache){.struct_size = sizeof *cache, .batch = batch, .capacity = capacity};
    cache_layout(k, batch, capacity, memory, cache);
    cache->k_floats = k->k_heads * k->k_dim;
    cache->v_floats = k->v_heads * k->v_dim;
    for (int32_t b = 0; b < batch; b++) cache->length[b] = cache->start[b] = 0;
    return ATTN_OK;
}

/* Where an item stands before a call: keys held, the first one's position, keys to let go of. */
typedef struct standing {
    int32_t length, start, drop;
} standing;

static standing stand(const attn_spec *s, const attn_cache *c, int32_t b, int32_t count,
                      bool reset) {
    standing at = {0, 0, 0};
    if (!c || reset) return at;
    at.length = c->length[b];
    at.start = c->start[b];
    if (count > c->capacity - at.length && slides(s) && !s->expr_hash && at.length > s->window)
        at.drop = at.length - s->window;
    return at;
}

/* Moves the keys that stay to the front. */
static void let_go(const attn_block_kernel *k, attn_cache *c, int32_t b, const standing *at) {
    const struct {
        float *data;
        int32_t heads, dim;
    } part[2] = {{c->k, k->k_heads, k->k_dim}, {c->v, k->v_heads, k->v_dim}};
    const size_t keep = (size_t)(at->length - at->drop);
    for (int i = 0; i < 2 && at->drop > 0; i++) {
        const size_t head = (size_t)c->capacity * (size_t)part[i].dim;
        for (int32_t h = 0; h < part[i].heads && part[i].dim; h++) {
            float *rows = part[i].data + ((size_t)b * (size_t)part[i].heads + (size_t)h) * head;
            memmove(rows, rows + (size_t)at->drop * (size_t)part[i].dim,
                    keep * (size_t)part[i].dim * sizeof(float));
        }
    }
    c->length[b] = (int32_t)keep;
    c->start[b] = at->start + at->drop;
}

/* --- Calls --- */

static int32_t count_of(const int32_t *count, int32_t b, int32_t all) {
    return count ? count[b] : all;
}

/* New keys of an item. */
static int32_t new_keys(const attn_spec *s, const attn_block_args *a, int32_t b) {
    if (!has_kv(s)) return count_of(a->count, b, a->tokens);
    return a->kv ? count_of(a->kv_count, b, a->kv_tokens) : 0;
}

/* In which form an item runs goes by its own rows. Items of one form run together. */
static bool expands(const attn_block_kernel *k, int32_t count) {
    return k->expanded && count >= k->expand_from;
}

/* tokens: rows of the longest item. */
static attn_block_extent extent_of(const attn_block *block, const attn_block_args *a,
                                   int32_t tokens) {
    const attn_spec *s = block->kernel->spec;
    attn_block_extent e = {.batch = a->batch, .tokens = tokens, .threads = a->threads};
    e.kv_tokens = has_kv(s) ? a->kv_tokens : 0;
    e.cached = a->cache != NULL;
    e.keys = e.cached ? a->cache->capacity : has_kv(s) ? a->kv_tokens : a->tokens;
    const attn_extent core = {sizeof core, a->batch, a->tokens, e.keys, a->threads};
    e.core_bytes = attn_plan_workspace(block->core, &core);
    if (!expands(block->kernel, a->tokens)) return e;
    const uint64_t expanded = attn_plan_workspace(block->expanded, &core);
    if (expanded > e.core_bytes) e.core_bytes = expanded;
    return e;
}

/* The runtime's own part of the workspace; base may be null (sizing). */
typedef struct own {
    int32_t *row0, *pos0, *held, *count, *rows;
    uint8_t *padding; /* [batch][keys] of a cache that slides */
} own;

static uint64_t own_layout(const attn_block *block, const attn_block_extent *e, char *base,
                           own *o) {
    uint64_t used = 0;
    const uint64_t list = (uint64_t)e->batch * sizeof(int32_t);
    const bool sliding = slides(block->kernel->spec) && e->cached;
    o->row0 = attn_carve(base, &used, list);
    o->pos0 = attn_carve(base, &used, list);
    o->held = attn_carve(base, &used, list);
    o->count = attn_carve(base, &used, list);
    o->rows = attn_carve(base, &used, list);
    o->padding = NULL;
    if (sliding) o->padding = attn_carve(base, &used, (uint64_t)e->batch * (uint64_t)e->keys);
    return used;
}

static bool cache_fits(const attn_block_kernel *k, const attn_cache *c, int32_t batch) {
    if (c->struct_size != sizeof *c || c->batch != batch || c->capacity < 0) return false;
    if (c->k_floats != k->k_heads * k->k_dim || c->v_floats != k->v_heads * k->v_dim) return false;
    return batch == 0 || (c->k && c->v && c->length && c->start);
}

static attn_status check_extents(const attn_block *block, const attn_block_args *a) {
    if (a->batch < 0 || a->tokens < 0 || a->kv_tokens < 0 || a->threads < 0 || a->threads > 65536)
        return ATTN_E_ARGUMENT;
    const attn_spec *s = block->kernel->spec;
    const attn_cache *c = a->cache;
    if ((int64_t)a->batch * a->tokens > INT32_MAX / 2) return ATTN_E_ARGUMENT;
    if ((int64_t)a->batch * a->kv_tokens > INT32_MAX / 2) return ATTN_E_ARGUMENT;
    if (c && !cache_fits(block->kernel, c, a->batch)) return ATTN_E_CACHE;
    const double widest = (double)s->heads * (attn_spec_k_dim(s) + (double)s->v_dim) +
                          4 * (double)(s->d_model > 0 ? s->d_model : s->q_dim) +
                          (double)(s->ffn_dim > 0 ? s->ffn_dim : 0);
    const double longest = (double)a->tokens + a->kv_tokens + (c ? c->capacity : 0);
    return a->batch * longest * widest < 1e15 ? ATTN_OK : ATTN_E_ARGUMENT;
}

attn_status attn_block_workspace(const attn_block *block, const attn_block_args *args,
                                 size_t *bytes) {
    if (!block || !args || !bytes) return ATTN_E_ARGUMENT;
    *bytes = 0;
    if (args->struct_size != sizeof *args) return ATTN_E_ABI;
    attn_status status = check_extents(block, args);
    if (status != ATTN_OK) return status;
    const attn_block_extent e = extent_of(block, args, args->tokens);
    own o;
    const uint64_t need = attn_plus(own_layout(block, &e, NULL, &o), block->kernel->workspace(&e));
    if (!attn_size_fits(need)) return ATTN_E_ARGUMENT;
    *bytes = (size_t)need;
    return ATTN_OK;
}

static attn_status check_pointers(const attn_spec *s, const attn_block_args *a, bool reset) {
    const bool rows = a->batch > 0 && a->tokens > 0, cross = s->op == ATTN_OP_SEGMENT_CROSS;
    if (rows && (!a->x || !a->y)) return ATTN_E_ARGUMENT;
    if (!a->packed || (uintptr_t)a->packed % 64) return ATTN_E_ARGUMENT;
    if (rows && cross && !a->seg) return ATTN_E_ARGUMENT;
    if (!reset && !a->cache) return ATTN_E_CACHE;
    if (has_kv(s) && !a->kv && a->kv_tokens > 0 && a->batch > 0) return ATTN_E_ARGUMENT;
    if (!has_kv(s) && (a->kv || a->kv_tokens || a->kv_count)) return ATTN_E_UNUSED;
    if (!cross && a->seg) return ATTN_E_UNUSED;
    if (!has_kv(s) && (a->q_pos || a->kv_pos)) return ATTN_E_UNUSED;
    /* Later keys would change the rows that are already out. */
    if (!reset && !has_kv(s) && !s->causal) return ATTN_E_ARGUMENT;
    return ATTN_OK;
}

/* Where an item of this call stands: a prefill, or new keys of a second input, start over. */
static standing stand_in(const attn_spec *s, const attn_block_args *a, int32_t b, bool reset) {
    return stand(s, a->cache, b, new_keys(s, a, b), reset || (has_kv(s) && a->kv));
}

/* Most keys of an item once the new ones are there. */
static int32_t longest_item(const attn_spec *s, const attn_block_args *a, bool reset) {
    int32_t longest = 0;
    for (int32_t b = 0; b < a->batch; b++) {
        const standing at = stand_in(s, a, b, reset);
        const int32_t held = at.length - at.drop + new_keys(s, a, b);
        if (held > longest) longest = held;
    }
    return longest;
}

/* Lengths and room, item by item. */
static attn_status check_items(const attn_spec *s, const attn_block_args *a, bool reset) {
    const attn_cache *c = a->cache;
    for (int32_t b = 0; b < a->batch; b++) {
        const int32_t count = count_of(a->count, b, a->tokens);
        const int32_t kv = count_of(a->kv_count, b, a->kv_tokens);
        if (count < 0 || count > a->tokens || kv < 0 || kv > a->kv_tokens) return ATTN_E_LENGTH;
        if (!c) continue;
        if (c->length[b] < 0 || c->length[b] > c->capacity || c->start[b] < 0) return ATTN_E_CACHE;
        const int32_t added = new_keys(s, a, b);
        const standing at = stand_in(s, a, b, reset);
        if (added > c->capacity - (at.length - at.drop)) return ATTN_E_CACHE;
        if ((int64_t)at.start + at.length + added > INT32_MAX) return ATTN_E_CACHE;
    }
    return ATTN_OK;
}

/* The core's call, but for tensors that the layer makes. */
static attn_args core_call(const attn_block *block, const attn_block_args *a, const own *o,
                           int32_t keys) {
    const attn_spec *s = block->kernel->spec;
    attn_args c = ATTN_ARGS_INIT;
    c.batch = a->batch, c.q_len = a->tokens, c.kv_len_max = keys, c.threads = a->threads;
    c.q_start = has_kv(s) ? NULL : o->row0;
    c.kv_len = o->held;
    c.seg = a->seg, c.seg_batch = a->seg_batch;
    c.key_padding = a->key_padding, c.key_padding_batch = a->key_padding_batch;
    c.mask = a->mask;
    c.side = a->side, c.side_count = a->side_count;
    c.scalars = a->scalars, c.scalar_count = a->scalar_count;
    return c;
}

/* Fills row0, pos0 and held, and makes room in the cache. */
static void place_items(const attn_block *block, const attn_block_args *a, const own *o,
                        bool reset) {
    const attn_spec *s = block->kernel->spec;
    for (int32_t b = 0; b < a->batch; b++) {
        const standing at = stand_in(s, a, b, reset);
        if (a->cache) let_go(block->kernel, a->cache, b, &at);
        o->row0[b] = at.length - at.drop;
        o->pos0[b] = at.start + at.length;
        o->held[b] = o->row0[b] + new_keys(s, a, b);
    }
}

/* Padding counts absolute positions; a cache that has moved on counts from its first key. Keys that
 * the window hides from the new rows have none. */
static void shift_padding(const attn_block *block, const attn_block_args *a, const own *o,
                          int32_t keys, attn_args *core) {
    if (!a->key_padding || !o->padding) return;
    const int32_t window = block->kernel->spec->window;
    for (int32_t b = 0; b < a->batch; b++) {
        const int32_t first = o->row0[b] > window ? o->row0[b] - window : 0;
        memcpy(o->padding + (size_t)b * (size_t)keys + first,
               a->key_padding + b * a->key_padding_batch + (o->pos0[b] - o->row0[b]) + first,
               (size_t)(o->held[b] - first));
    }
    core->key_padding = o->padding;
    core->key_padding_batch = keys;
}

/* Rows that attend: padding at an item's end is as if it were not there. */
static int32_t attending(const attn_block_args *a, int32_t b, int32_t count) {
    const uint8_t *pad = a->q_pad ? a->q_pad + b * a->q_pad_batch : NULL;
    while (pad && count > 0 && pad[count - 1]) count--;
    return count;
}

static attn_status run_kernel(const attn_kernel *kernel, const attn_args *args,
                              const int32_t *rows) {
    return attn_run_checked(kernel, args, rows, false);
}

static attn_status run_reference(const attn_kernel *kernel, const attn_args *args,
                                 const int32_t *rows) {
    return attn_run_checked(kernel, args, rows, true);
}

/* Runs the items of one form. */
static attn_status run_form(const attn_block *block, attn_block_call *call, bool expanded) {
    const attn_block_args *a = call->args;
    int32_t longest = 0;
    bool any = false;
    for (int32_t b = 0; b < a->batch; b++) {
        const int32_t count = count_of(a->count, b, a->tokens), rows = attending(a, b, count);
        const bool here = expands(block->kernel, count) == expanded;
        any = any || here;
        call->count[b] = here ? count : 0;
        call->rows[b] = here ? rows : 0;
        if (call->count[b] > longest) longest = call->count[b];
    }
    if (!any) return ATTN_OK;
    call->extent = extent_of(block, a, longest);
    return block->kernel->run(call);
}

static attn_status run(const attn_block *block, const attn_block_args *a, bool reset) {
    if (!block || !a) return ATTN_E_ARGUMENT;
    if (a->struct_size != sizeof *a) return ATTN_E_ABI;
    const attn_block_kernel *k = block->kernel;
    attn_status status = check_extents(block, a);
    if (status == ATTN_OK) status = check_pointers(k->spec, a, reset);
    if (status == ATTN_OK && !header_fits(block, a->packed)) status = ATTN_E_PACKED;
    if (status == ATTN_OK) status = check_items(k->spec, a, reset);
    if (status != ATTN_OK) return status;

    attn_block_call call = {.args = a, .extent = extent_of(block, a, a->tokens)};
    own o;
    const uint64_t used = own_layout(block, &call.extent, a->workspace, &o);
    const uint64_t need = attn_plus(used, k->workspace(&call.extent));
    if (!attn_size_fits(need)) return ATTN_E_ARGUMENT;
    if (need > 0 && (!a->workspace || (uintptr_t)a->workspace % 64 || a->workspace_bytes < need))
        return ATTN_E_WORKSPACE;
    const int32_t keys = longest_item(k->spec, a, reset);
    call.core = core_call(block, a, &o, keys);
    status = attn_plan_check(block->core, &call.core);
    if (status != ATTN_OK) return status;

    place_items(block, a, &o, reset);
    shift_padding(block, a, &o, keys, &call.core);
    call.row0 = o.row0, call.pos0 = o.pos0, call.held = o.held;
    call.count = o.count, call.rows = o.rows;
    if (a->cache) {
        const int64_t k_head = (int64_t)a->cache->capacity * k->k_dim;
        const int64_t v_head = (int64_t)a->cache->capacity * k->v_dim;
        call.k = (attn_out){a->cache->k, k->k_heads * k_head, k_head, k->k_dim};
        call.v = (attn_out){a->cache->v, k->v_heads * v_head, v_head, k->v_dim};
    }
    call.packed = payload(a->packed);
    call.run_core = block->reference ? run_reference : run_kernel;
    call.workspace = (char *)a->workspace + used;
    if (a->batch > 0) status = run_form(block, &call, false);
    if (a->batch > 0 && status == ATTN_OK && k->expanded) status = run_form(block, &call, true);
    const int32_t *length = status == ATTN_OK ? o.held : o.row0; /* the new keys count, or not */
    for (int32_t b = 0; a->cache && b < a->batch; b++) a->cache->length[b] = length[b];
    return status;
}

attn_status attn_block_prefill(const attn_block *block, const attn_block_args *args) {
    return run(block, args, true);
}

attn_status attn_block_step(const attn_block *block, const attn_block_args *args) {
    return run(block, args, false);
}
