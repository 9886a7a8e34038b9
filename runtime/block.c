/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* block.c - layers: from a spec to the best linked layer, weights by name, caches, checked calls.
 */
#include "cpu.h"
#include "dispatch.h"
#include "mode.h"
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

attn_status attn_block_find(const attn_spec *spec, const attn_block_kernel **out) {
    const attn_block_kernel *best = NULL;
    for (int i = 0; i < attn_block_registry_count; i++) {
        const attn_block_kernel *k = attn_block_registry[i];
        if (k->abi != ATTN_KERNEL_ABI) return ATTN_E_ABI;
        if (!attn_isa_allowed(k->isa) || !attn_spec_same(k->spec, spec)) continue;
        if (!best || k->isa > best->isa) best = k;
    }
    if (out) *out = best;
    return best ? ATTN_OK : ATTN_E_NO_KERNEL;
}

static void destroy(attn_block *block) {
    if (!block) return;
    attn_own_plan_destroy(block->core);
    attn_own_plan_destroy(block->expanded);
    free(block);
}

static __attribute__((noinline)) attn_status create(attn_block **out, const attn_spec *spec,
                                                    uint32_t flags) {
    attn_spec resolved;
    attn_status status = attn_spec_take(NULL, spec, flags, &resolved);
    if (status != ATTN_OK) return status;
    if (resolved.level != ATTN_LEVEL_BLOCK) return ATTN_E_SPEC;
    const attn_block_kernel *best;
    status = attn_block_find(&resolved, &best);
    if (status != ATTN_OK) return status;
    if (!attn_arithmetic_ok() || !best->arithmetic_ok()) return ATTN_E_ARITHMETIC;
    if (!attn_size_fits(packed_bytes(best))) return ATTN_E_MEMORY;
    attn_block *block = calloc(1, sizeof *block);
    if (!block) return ATTN_E_MEMORY;
    block->kernel = best;
    block->reference = flags & ATTN_REFERENCE;
    status = attn_plan_of_kernel(&block->core, best->core, flags);
    if (status == ATTN_OK && best->expanded)
        status = attn_plan_of_kernel(&block->expanded, best->expanded, flags);
    if (status != ATTN_OK) {
        destroy(block);
        return status;
    }
    const char *verbose = getenv("ATTN_VERBOSE");
    if (verbose && *verbose && *verbose != '0')
        fprintf(stderr, "attn: %s (core %s)\n", best->name, best->core->name);
    *out = block;
    return ATTN_OK;
}

attn_status attn_own_block_create(attn_block **out, const attn_spec *spec, uint32_t flags) {
    if (!out) return ATTN_E_ARGUMENT;
    *out = NULL;
    const attn_mode mode = attn_mode_enter();
    const attn_status status = create(out, spec, flags);
    attn_mode_leave(mode);
    return status;
}

attn_status attn_block_create(attn_block **out, const attn_spec *spec, uint32_t flags) {
    return attn_own_block_create(out, spec, flags);
}

void attn_block_destroy(attn_block *block) {
    destroy(block);
}

const char *attn_block_name(const attn_block *block) {
    return block ? block->kernel->name : "";
}

/* --- Weights --- */

int32_t attn_block_weights(const attn_block *block, attn_tensor *list, int32_t capacity) {
    int32_t n = 0;
    for (int32_t i = 0; block && i < block->kernel->weight_count; i++) {
        const attn_weight *w = &block->kernel->weights[i];
        if (!w->used) continue;
        if (list && n < capacity)
            list[n] = (attn_tensor){
                .name = w->name, .rank = w->rank, .dim = {w->dim[0], w->dim[1], w->dim[2], 0}};
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
    if (t->type != ATTN_TYPE_F32) {
        problem(p, "%s: type is %d: must be ATTN_TYPE_F32, 0", t->name, t->type);
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

/* FNV-1a of a name. */
static uint64_t hash_name(const char *name, size_t length) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < length; i++) hash = mix(hash, (unsigned char)name[i]);
    return hash;
}

static packed_header header_of(const attn_block_kernel *k) {
    packed_header h = {.abi = ATTN_KERNEL_ABI, .isa = k->isa, .floats = (uint64_t)k->packed_floats};
    memcpy(h.magic, magic, sizeof magic);
    h.layer = hash_name(k->name, strlen(k->name));
    return h;
}

static const float *payload(const void *packed) {
    return (const float *)(const void *)((const char *)packed + sizeof(packed_header));
}

static size_t packed_size(const attn_block_kernel *k) {
    return (size_t)packed_bytes(k); /* create has seen that it fits */
}

size_t attn_block_packed_bytes(const attn_block *block) {
    return block ? packed_size(block->kernel) : 0;
}

static attn_status check_block(const attn_why *why, const attn_block *block) {
    return block ? ATTN_OK : attn_refuse(why, ATTN_E_ARGUMENT, "block is null");
}

static attn_status check_pack(const attn_why *why, const attn_block *block,
                              const attn_tensor *tensors, int32_t count, const void *packed,
                              size_t packed_bytes) {
    attn_status status = check_block(why, block);
    if (status == ATTN_OK) status = attn_check_range(why, "count", count, INT32_MAX);
    if (status != ATTN_OK) return status;
    if (count && !tensors)
        return attn_refuse(why, ATTN_E_ARGUMENT, "tensors is null: must hold count = %d tensors",
                           count);
    for (int32_t i = 0; i < count; i++)
        if (!tensors[i].name)
            return attn_refuse(why, ATTN_E_ARGUMENT, "tensors[%d].name is null", i);
    if (block->kernel->weight_count > MAX_WEIGHTS)
        return attn_refuse(why, ATTN_E_ABI, "block takes %d weights, and this runtime knows %d",
                           block->kernel->weight_count, MAX_WEIGHTS);
    return attn_check_memory(why, ATTN_E_ARGUMENT, "packed", packed, "packed_bytes", packed_bytes,
                             packed_size(block->kernel), "attn_block_packed_bytes");
}

static __attribute__((noinline)) attn_status pack(const attn_block_kernel *k,
                                                  const attn_tensor *tensors, int32_t count,
                                                  void *packed, problems *p) {
    const float *weight[MAX_WEIGHTS] = {NULL};
    for (int32_t i = 0; i < count; i++) take(k, &tensors[i], weight, p);
    for (int32_t i = 0; i < k->weight_count; i++) {
        if (weight[i] || !k->weights[i].used) continue;
        char dims[96];
        put_dims(dims, sizeof dims, k->weights[i].rank, k->weights[i].dim);
        problem(p, "%s: missing, [%s]", k->weights[i].name, dims);
    }
    if (p->count) return ATTN_E_WEIGHTS;
    float *data = (float *)(void *)((char *)packed + sizeof(packed_header));
    memset(packed, 0, packed_size(k));
    k->pack(weight, data);
    packed_header h = header_of(k);
    h.checksum = checksum(data, k->packed_floats);
    memcpy(packed, &h, sizeof h);
    return ATTN_OK;
}

attn_status attn_block_pack(const attn_block *block, const attn_tensor *tensors, int32_t count,
                            void *packed, size_t packed_bytes, char *message, size_t message_size) {
    const attn_why why = attn_why_begin(message, message_size);
    attn_status status = check_pack(&why, block, tensors, count, packed, packed_bytes);
    if (status != ATTN_OK) return status;
    problems p = {message, message_size, 0, 0};
    const attn_mode mode = attn_mode_enter();
    status = pack(block->kernel, tensors, count, packed, &p);
    attn_mode_leave(mode);
    return status;
}

/* What a run can tell of packed weights without reading all of them. */
static attn_status check_header(const attn_why *why, const attn_block_kernel *k,
                                const void *packed) {
    packed_header want = header_of(k), got;
    memcpy(&got, packed, sizeof got);
    want.checksum = got.checksum;
    if (!memcmp(&want, &got, sizeof want)) return ATTN_OK;
    const char *what = "its header is damaged";
    if (memcmp(got.magic, magic, sizeof magic))
        what = "attn_block_pack did not write it";
    else if (got.abi != want.abi)
        what = "a runtime of another version packed it";
    else if (got.isa != want.isa)
        what = "it was packed for another instruction set";
    else if (got.layer != want.layer || got.floats != want.floats)
        what = "it was packed for another layer";
    return attn_refuse(why, ATTN_E_PACKED, "packed is not for %s: %s", k->name, what);
}

static attn_status check_packed(const attn_why *why, const attn_block *block, const void *packed,
                                size_t packed_bytes) {
    attn_status status = check_block(why, block);
    if (status != ATTN_OK) return status;
    const size_t need = packed_size(block->kernel);
    status = attn_check_memory(why, ATTN_E_ARGUMENT, "packed", packed, "packed_bytes", need, need,
                               "attn_block_packed_bytes");
    if (status == ATTN_OK)
        status = attn_check_memory(why, ATTN_E_PACKED, "packed", packed, "packed_bytes",
                                   packed_bytes, need, "attn_block_packed_bytes");
    if (status == ATTN_OK) status = check_header(why, block->kernel, packed);
    if (status != ATTN_OK) return status;
    packed_header h;
    memcpy(&h, packed, sizeof h);
    if (checksum(payload(packed), block->kernel->packed_floats) == h.checksum) return ATTN_OK;
    return attn_refuse(why, ATTN_E_PACKED, "packed is damaged: its checksum differs");
}

attn_status attn_block_check(const attn_block *block, const void *packed, size_t packed_bytes) {
    return check_packed(NULL, block, packed, packed_bytes);
}

attn_status attn_packed_check(const attn_block *block, const void *packed, size_t packed_bytes,
                              char *message, size_t size) {
    const attn_why why = attn_why_begin(message, size);
    return check_packed(&why, block, packed, packed_bytes);
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
    if (!block || total < 0 || chunk < 0) return 0;
    const attn_spec *s = block->kernel->spec;
    const int64_t least = slides(s) && !s->expr_hash ? (int64_t)s->window + chunk : total;
    return least < total ? (int32_t)least : total;
}

/* Which spec a cache is for: the kernel's name up to "__", which says all of it and no instruction
 * set. */
static uint64_t cache_layer(const attn_block_kernel *k) {
    const char *end = strstr(k->name, "__");
    return hash_name(k->name, end ? (size_t)(end - k->name) : strlen(k->name));
}

/* Bytes of rows of so many heads for all items. */
static uint64_t rows_bytes(int32_t batch, int32_t capacity, int32_t heads, int32_t dim) {
    const uint64_t rows = attn_times((uint64_t)batch * (uint64_t)capacity, (uint64_t)heads);
    return attn_times(rows, (uint64_t)dim * sizeof(float));
}

static uint64_t k_bytes(const attn_block_kernel *k, const attn_cache *c) {
    return rows_bytes(c->batch, c->capacity, k->k_heads, k->k_dim);
}

static uint64_t v_bytes(const attn_block_kernel *k, const attn_cache *c) {
    return rows_bytes(c->batch, c->capacity, k->v_heads, k->v_dim);
}

/* Bytes of k, v, length and start; memory may be null (sizing). Where they are many, k and v must
 * not end up a power of two apart: attn.h, attn_args. */
static uint64_t cache_layout(const attn_block_kernel *k, attn_cache *c, char *memory) {
    enum { MANY = 1 << 20, APART = 64 << 10 };
    uint64_t used = 0;
    const uint64_t list = (uint64_t)c->batch * sizeof(int32_t), keys = k_bytes(k, c);
    const bool apart = keys >= MANY && k->v_dim;
    c->k = attn_carve(memory, &used, apart ? attn_plus(keys, APART) : keys);
    c->v = attn_carve(memory, &used, v_bytes(k, c));
    if (!k->v_dim) c->v = c->k;
    c->length = attn_carve(memory, &used, list);
    c->start = attn_carve(memory, &used, list);
    return used;
}

static uint64_t cache_size(const attn_block_kernel *k, int32_t batch, int32_t capacity) {
    attn_cache c = {.batch = batch, .capacity = capacity};
    return cache_layout(k, &c, NULL);
}

static attn_status check_cache_size(const attn_why *why, const attn_block *block, int32_t batch,
                                    int32_t capacity) {
    attn_status status = check_block(why, block);
    if (status == ATTN_OK) status = attn_check_range(why, "batch", batch, INT32_MAX);
    if (status == ATTN_OK) status = attn_check_range(why, "capacity", capacity, INT32_MAX);
    if (status != ATTN_OK) return status;
    const attn_block_kernel *k = block->kernel;
    const double rows = (double)batch * capacity;
    const double floats = rows * (k->k_heads * (double)k->k_dim + k->v_heads * (double)k->v_dim);
    if (floats <= 1e15) return attn_check_fits(why, "the cache", cache_size(k, batch, capacity));
    return attn_refuse(why, ATTN_E_ARGUMENT,
                       "batch is %d and capacity is %d: the cache would hold %.1e floats; must be "
                       "at most 1e15",
                       batch, capacity, floats);
}

attn_status attn_cache_bytes(const attn_block *block, int32_t batch, int32_t capacity,
                             size_t *bytes) {
    if (!bytes) return ATTN_E_ARGUMENT;
    *bytes = 0;
    const attn_status status = check_cache_size(NULL, block, batch, capacity);
    if (status == ATTN_OK) *bytes = (size_t)cache_size(block->kernel, batch, capacity);
    return status;
}

static attn_status check_cache_memory(const attn_why *why, const attn_block *block, int32_t batch,
                                      int32_t capacity, const void *memory, size_t bytes) {
    const attn_status status = check_cache_size(why, block, batch, capacity);
    if (status != ATTN_OK) return status;
    const size_t need = (size_t)cache_size(block->kernel, batch, capacity);
    if (!memory && batch > 0)
        return attn_refuse(why, ATTN_E_ARGUMENT,
                           "memory is null: %llu bytes are needed (attn_cache_bytes)",
                           (unsigned long long)need);
    return attn_check_memory(why, ATTN_E_CACHE, "memory", memory, "bytes", bytes, need,
                             "attn_cache_bytes");
}

attn_status attn_cache_memory_check(const attn_block *block, int32_t batch, int32_t capacity,
                                    const void *memory, size_t bytes, char *message, size_t size) {
    const attn_why why = attn_why_begin(message, size);
    return check_cache_memory(&why, block, batch, capacity, memory, bytes);
}

attn_status attn_cache_init(const attn_block *block, attn_cache *cache, int32_t batch,
                            int32_t capacity, void *memory, size_t bytes) {
    if (!cache) return ATTN_E_ARGUMENT;
    const attn_status status = check_cache_memory(NULL, block, batch, capacity, memory, bytes);
    if (status != ATTN_OK) return status;
    /* Callers from before types have no more of it. */
    const size_t size = offsetof(attn_cache, type);
    attn_cache c = {.struct_size = (uint32_t)size, .batch = batch, .capacity = capacity};
    cache_layout(block->kernel, &c, memory);
    c.layer = cache_layer(block->kernel);
    for (int32_t b = 0; b < batch; b++) c.length[b] = c.start[b] = 0;
    memcpy(cache, &c, size);
    return ATTN_OK;
}

static attn_status check_cache(const attn_why *why, const attn_block *block, const attn_cache *c,
                               int32_t batch) {
    const attn_status status = check_block(why, block);
    if (status != ATTN_OK) return status;
    if (!c) return attn_refuse(why, ATTN_E_CACHE, "cache is null");
    const size_t size = offsetof(attn_cache, type); /* of caches of f32 */
    if (c->struct_size != size)
        return attn_refuse(why, ATTN_E_CACHE,
                           "cache.struct_size is %u: must be %u, as attn_cache_init sets it",
                           (unsigned)c->struct_size, (unsigned)size);
    if (c->layer != cache_layer(block->kernel))
        return attn_refuse(why, ATTN_E_CACHE,
                           "cache.layer is another layer's: attn_cache_init has to be given the "
                           "block (or one of the same spec) that runs");
    if (c->batch != batch)
        return attn_refuse(why, ATTN_E_CACHE, "cache.batch is %d: must be the call's batch = %d",
                           c->batch, batch);
    if (c->capacity < 0)
        return attn_refuse(why, ATTN_E_CACHE, "cache.capacity is %d: must not be negative",
                           c->capacity);
    if (batch == 0) return ATTN_OK;
    const char *null = !c->k ? "k" : !c->v ? "v" : !c->length ? "length" : !c->start ? "start" : "";
    if (!*null) return ATTN_OK;
    return attn_refuse(why, ATTN_E_CACHE, "cache.%s is null: attn_cache_init sets it", null);
}

attn_status attn_cache_check(const attn_block *block, const attn_cache *cache, int32_t batch,
                             char *message, size_t size) {
    const attn_why why = attn_why_begin(message, size);
    return check_cache(&why, block, cache, batch);
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
        void *data;
        int32_t heads, dim;
    } part[2] = {{c->k, k->k_heads, k->k_dim}, {c->v, k->v_heads, k->v_dim}};
    const size_t keep = (size_t)(at->length - at->drop);
    for (int i = 0; i < 2 && at->drop > 0; i++) {
        const size_t head = (size_t)c->capacity * (size_t)part[i].dim;
        for (int32_t h = 0; h < part[i].heads && part[i].dim; h++) {
            float *rows =
                (float *)part[i].data + ((size_t)b * (size_t)part[i].heads + (size_t)h) * head;
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

static attn_block_extent extent_of(const attn_block *block, const attn_block_args *a) {
    const attn_spec *s = block->kernel->spec;
    attn_block_extent e = {.batch = a->batch, .tokens = a->tokens, .threads = a->threads};
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

/* Bytes of a call's workspace. */
static uint64_t call_bytes(const attn_block *block, const attn_block_extent *e) {
    own unused;
    return attn_plus(own_layout(block, e, NULL, &unused), block->kernel->workspace(e));
}

/* More than INT32_MAX / 2 rows in a call. */
static attn_status check_rows(const attn_why *why, const char *name, int32_t batch, int32_t rows) {
    if ((int64_t)batch * rows <= INT32_MAX / 2) return ATTN_OK;
    return attn_refuse(why, ATTN_E_ARGUMENT,
                       "%s is %d: batch * %s must be at most %d, and batch is "
                       "%d",
                       name, rows, name, INT32_MAX / 2, batch);
}

static attn_status check_extents(const attn_why *why, const attn_block *block,
                                 const attn_block_args *a) {
    attn_status status = attn_check_range(why, "batch", a->batch, INT32_MAX);
    if (status == ATTN_OK) status = attn_check_range(why, "tokens", a->tokens, INT32_MAX);
    if (status == ATTN_OK) status = attn_check_range(why, "kv_tokens", a->kv_tokens, INT32_MAX);
    if (status == ATTN_OK) status = attn_check_threads(why, a->threads);
    if (status == ATTN_OK) status = check_rows(why, "tokens", a->batch, a->tokens);
    if (status == ATTN_OK) status = check_rows(why, "kv_tokens", a->batch, a->kv_tokens);
    const attn_cache *c = a->cache;
    if (status == ATTN_OK && c) status = check_cache(why, block, c, a->batch);
    if (status != ATTN_OK) return status;
    const attn_spec *s = block->kernel->spec;
    const double widest = (double)s->heads * (attn_spec_k_dim(s) + (double)s->v_dim) +
                          4 * (double)(s->d_model > 0 ? s->d_model : s->q_dim) +
                          (double)(s->ffn_dim > 0 ? s->ffn_dim : 0);
    const double longest = (double)a->tokens + a->kv_tokens + (c ? c->capacity : 0);
    const attn_block_extent e = extent_of(block, a);
    if (a->batch * longest * widest < 1e15)
        return attn_check_fits(why, "the workspace", call_bytes(block, &e));
    return attn_refuse(why, ATTN_E_ARGUMENT,
                       "batch is %d and tokens, kv_tokens and cache.capacity are together %.0f: "
                       "rows would have %.1e elements; must be fewer than 1e15",
                       a->batch, longest, a->batch * longest * widest);
}

static attn_status check_call(const attn_why *why, const attn_block *block,
                              const attn_block_args *a) {
    const attn_status status = check_block(why, block);
    if (status != ATTN_OK) return status;
    if (!a) return attn_refuse(why, ATTN_E_ARGUMENT, "args is null");
    return attn_check_size(why, "args", a->struct_size, sizeof *a, "ATTN_BLOCK_ARGS_INIT");
}

attn_status attn_block_workspace(const attn_block *block, const attn_block_args *args,
                                 size_t *bytes) {
    if (!bytes) return ATTN_E_ARGUMENT;
    *bytes = 0;
    attn_status status = check_call(NULL, block, args);
    if (status == ATTN_OK) status = check_extents(NULL, block, args);
    if (status != ATTN_OK) return status;
    const attn_block_extent e = extent_of(block, args);
    *bytes = (size_t)call_bytes(block, &e);
    return ATTN_OK;
}

/* Floats of a row of x and y. */
static int32_t row_width(const attn_spec *s) {
    return s->op == ATTN_OP_SEGMENT_CROSS ? s->q_dim : s->d_model;
}

static attn_status unused(const attn_why *why, const char *name, const char *reason) {
    return attn_refuse(why, ATTN_E_UNUSED, "%s is given: must be left out, as %s", name, reason);
}

static attn_status check_pointers(const attn_why *why, const attn_block *block,
                                  const attn_block_args *a, bool reset) {
    const attn_spec *s = block->kernel->spec;
    const bool rows = a->batch > 0 && a->tokens > 0, cross = s->op == ATTN_OP_SEGMENT_CROSS;
    if (rows && (!a->x || !a->y))
        return attn_refuse(why, ATTN_E_ARGUMENT,
                           "%s is null: must hold floats, [batch, tokens, width] = [%d, %d, %d]",
                           a->x ? "y" : "x", a->batch, a->tokens, row_width(s));
    const size_t need = packed_size(block->kernel);
    attn_status status = attn_check_memory(why, ATTN_E_ARGUMENT, "packed", a->packed, "", need,
                                           need, "attn_block_pack fills it");
    if (status != ATTN_OK) return status;
    if (rows && cross && !a->seg)
        return attn_refuse(why, ATTN_E_ARGUMENT,
                           "seg is null: must hold int32, [batch, tokens] = [%d, %d], as the op is "
                           "segment_cross",
                           a->batch, a->tokens);
    if (!reset && !a->cache)
        return attn_refuse(why, ATTN_E_CACHE,
                           "cache is null: a step appends to the keys of a prefill");
    if (has_kv(s) && !a->kv && a->kv_tokens > 0 && a->batch > 0)
        return attn_refuse(
            why, ATTN_E_ARGUMENT,
            "kv is null: must hold floats, [batch, kv_tokens, kv_dim] = [%d, %d, %d]", a->batch,
            a->kv_tokens, s->kv_dim);
    static const char own_keys[] = "the layer's keys are its own rows";
    if (!has_kv(s) && a->kv) return unused(why, "kv", own_keys);
    if (!has_kv(s) && a->kv_tokens) return unused(why, "kv_tokens", own_keys);
    if (!has_kv(s) && a->kv_count) return unused(why, "kv_count", own_keys);
    if (!cross && a->seg) return unused(why, "seg", "the op is not segment_cross");
    if (!has_kv(s) && a->q_pos) return unused(why, "q_pos", own_keys);
    if (!has_kv(s) && a->kv_pos) return unused(why, "kv_pos", own_keys);
    if (!reset && !has_kv(s) && !s->causal)
        return attn_refuse(why, ATTN_E_ARGUMENT,
                           "a step: this layer is not causal, so that later keys would change the "
                           "rows that are already out; use attn_block_prefill");
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
static attn_status check_items(const attn_why *why, const attn_spec *s, const attn_block_args *a,
                               bool reset) {
    const attn_cache *c = a->cache;
    for (int32_t b = 0; b < a->batch; b++) {
        const int32_t count = count_of(a->count, b, a->tokens);
        const int32_t kv = count_of(a->kv_count, b, a->kv_tokens);
        attn_status status = attn_check_item(why, "count", b, count, "tokens", a->tokens);
        if (status == ATTN_OK)
            status = attn_check_item(why, "kv_count", b, kv, "kv_tokens", a->kv_tokens);
        if (status != ATTN_OK) return status;
        if (!c) continue;
        if (c->length[b] < 0 || c->length[b] > c->capacity)
            return attn_refuse(why, ATTN_E_CACHE,
                               "cache.length[%d] is %d: must be from 0 to cache.capacity = %d", b,
                               c->length[b], c->capacity);
        if (c->start[b] < 0)
            return attn_refuse(why, ATTN_E_CACHE, "cache.start[%d] is %d: must not be negative", b,
                               c->start[b]);
        const int32_t added = new_keys(s, a, b);
        const standing at = stand_in(s, a, b, reset);
        if (added > c->capacity - (at.length - at.drop))
            return attn_refuse(why, ATTN_E_CACHE,
                               "cache.capacity is %d: item %d keeps %d keys and gets %d more "
                               "(attn_cache_capacity)",
                               c->capacity, b, at.length - at.drop, added);
        if ((int64_t)at.start + at.length + added > INT32_MAX)
            return attn_refuse(why, ATTN_E_CACHE,
                               "cache.start[%d] is %d: positions would pass %d with %d keys held "
                               "and %d more",
                               b, at.start, INT32_MAX, at.length, added);
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
static attn_status run_form(const attn_block_kernel *k, attn_block_call *call, bool expanded) {
    const attn_block_args *a = call->args;
    bool any = false;
    call->extent.tokens = 0;
    for (int32_t b = 0; b < a->batch; b++) {
        const int32_t count = count_of(a->count, b, a->tokens);
        const bool here = expands(k, count) == expanded;
        any = any || here;
        call->count[b] = here ? count : 0;
        call->rows[b] = here ? attending(a, b, count) : 0;
        if (call->count[b] > call->extent.tokens) call->extent.tokens = call->count[b];
    }
    return any ? k->run(call) : ATTN_OK;
}

/* [batch, rows, width] of elements. */
static attn_area *add_rows(attn_areas *list, const char *name, const void *data, int64_t width,
                           size_t size, const attn_dim dim[2]) {
    attn_area *area = attn_areas_add(list, name, data, width * (int64_t)size);
    for (int i = 0; i < 2; i++)
        attn_area_repeat(area, dim[i].name, dim[i].count, dim[i].stride, size);
    return area;
}

/* What the call reads and writes must not lie in each other. */
static attn_status check_areas(const attn_why *why, const attn_block *block,
                               const attn_block_args *a, const attn_args *core, size_t workspace) {
    const attn_block_kernel *k = block->kernel;
    const int64_t width = row_width(k->spec), word = sizeof(float), list_bytes = a->batch * word;
    const attn_cache *c = a->cache;
    attn_areas list;
    list.count = 0;
    attn_area *y = add_rows(
        &list, "y", a->y, width, sizeof(float),
        (attn_dim[2]){{"y_token", a->tokens, a->y_token}, {"y_batch", a->batch, a->y_batch}});
    y->same_as = list.count; /* x, which comes next */
    y->written = true;
    add_rows(&list, "x", a->x, width, sizeof(float),
             (attn_dim[2]){{"x_token", a->tokens, a->x_token}, {"x_batch", a->batch, a->x_batch}});
    add_rows(&list, "kv", a->kv, k->spec->kv_dim, sizeof(float),
             (attn_dim[2]){{"kv_token", a->kv_tokens, a->kv_token},
                           {"kv_batch", a->batch, a->kv_batch}});
    const struct {
        const char *name;
        const void *data;
        int32_t count;
        size_t size;
        int64_t batch;
    } flat[] = {{"q_pos", a->q_pos, a->tokens, sizeof *a->q_pos, a->q_pos_batch},
                {"kv_pos", a->kv_pos, a->kv_tokens, sizeof *a->kv_pos, a->kv_pos_batch},
                {"q_pad", a->q_pad, a->tokens, sizeof *a->q_pad, a->q_pad_batch}};
    for (int i = 0; i < 3; i++)
        attn_area_repeat(attn_areas_add(&list, flat[i].name, flat[i].data,
                                        flat[i].count * (int64_t)flat[i].size),
                         flat[i].name, a->batch, flat[i].batch, flat[i].size);
    attn_areas_add(&list, "count", a->count, list_bytes);
    attn_areas_add(&list, "kv_count", a->kv_count, list_bytes);
    attn_areas_add(&list, "packed", a->packed, (int64_t)packed_size(k));
    attn_areas_add(&list, "workspace", a->workspace, (int64_t)workspace)->written = true;
    if (c) {
        attn_areas_add(&list, "cache.k", c->k, (int64_t)k_bytes(k, c))->written = true;
        attn_areas_add(&list, "cache.v", c->v, (int64_t)v_bytes(k, c))->written = true;
        attn_areas_add(&list, "cache.length", c->length, list_bytes)->written = true;
        attn_areas_add(&list, "cache.start", c->start, list_bytes)->written = true;
    }
    attn_areas_add_padding(&list, core->key_padding, core->kv_len_max, core->batch,
                           core->key_padding_batch);
    attn_areas_add_inputs(&list, k->core, core);
    return attn_check_areas(why, &list);
}

/* A call that has been checked. */
typedef struct checked {
    attn_block_call call;
    own own;
    uint64_t used; /* bytes of the workspace that are the runtime's own */
    int32_t keys;  /* most keys of an item */
} checked;

static attn_status check(const attn_why *why, const attn_block *block, const attn_block_args *a,
                         bool reset, checked *c) {
    attn_status status = check_call(why, block, a);
    if (status != ATTN_OK) return status;
    const attn_block_kernel *k = block->kernel;
    status = check_extents(why, block, a);
    if (status == ATTN_OK) status = check_pointers(why, block, a, reset);
    if (status == ATTN_OK) status = check_header(why, k, a->packed);
    if (status == ATTN_OK) status = check_items(why, k->spec, a, reset);
    if (status != ATTN_OK) return status;

    c->call = (attn_block_call){.args = a, .extent = extent_of(block, a)};
    c->used = own_layout(block, &c->call.extent, a->workspace, &c->own);
    const size_t need = (size_t)(c->used + k->workspace(&c->call.extent));
    status = attn_check_memory(why, ATTN_E_WORKSPACE, "workspace", a->workspace, "workspace_bytes",
                               a->workspace_bytes, need, "attn_block_workspace");
    if (status != ATTN_OK) return status;
    c->keys = longest_item(k->spec, a, reset);
    c->call.core = core_call(block, a, &c->own, c->keys);
    status = attn_inputs_check(why, k->core, &c->call.core);
    return status == ATTN_OK ? check_areas(why, block, a, &c->call.core, need) : status;
}

static __attribute__((noinline)) attn_status run(const attn_block *block, const attn_block_args *a,
                                                 bool reset) {
    checked c;
    attn_status status = check(NULL, block, a, reset, &c);
    if (status != ATTN_OK) return status;
    const attn_block_kernel *k = block->kernel;
    attn_block_call *call = &c.call;
    call->extent.threads = call->core.threads = attn_team_limit(a->threads);
    place_items(block, a, &c.own, reset);
    shift_padding(block, a, &c.own, c.keys, &call->core);
    call->row0 = c.own.row0, call->pos0 = c.own.pos0, call->held = c.own.held;
    call->count = c.own.count, call->rows = c.own.rows;
    if (a->cache) {
        const int64_t k_head = (int64_t)a->cache->capacity * k->k_dim;
        const int64_t v_head = (int64_t)a->cache->capacity * k->v_dim;
        call->k = (attn_out){a->cache->k, k->k_heads * k_head, k_head, k->k_dim};
        call->v = (attn_out){a->cache->v, k->v_heads * v_head, v_head, k->v_dim};
    }
    call->packed = payload(a->packed);
    call->run_core = block->reference ? run_reference : run_kernel;
    call->workspace = (char *)a->workspace + c.used;
    if (a->batch > 0) status = run_form(k, call, false);
    if (a->batch > 0 && status == ATTN_OK && k->expanded) status = run_form(k, call, true);
    const int32_t *length =
        status == ATTN_OK ? c.own.held : c.own.row0; /* new keys count, or not */
    for (int32_t b = 0; a->cache && b < a->batch; b++) a->cache->length[b] = length[b];
    return status;
}

static attn_status run_in_mode(const attn_block *block, const attn_block_args *a, bool reset) {
    const attn_mode mode = attn_mode_enter();
    const attn_status status = run(block, a, reset);
    attn_mode_leave(mode);
    return status;
}

attn_status attn_block_prefill(const attn_block *block, const attn_block_args *args) {
    return run_in_mode(block, args, true);
}

attn_status attn_block_step(const attn_block *block, const attn_block_args *args) {
    return run_in_mode(block, args, false);
}

attn_status attn_prefill_check(const attn_block *block, const attn_block_args *args, char *message,
                               size_t size) {
    const attn_why why = attn_why_begin(message, size);
    checked c;
    return check(&why, block, args, true, &c);
}

attn_status attn_step_check(const attn_block *block, const attn_block_args *args, char *message,
                            size_t size) {
    const attn_why why = attn_why_begin(message, size);
    checked c;
    return check(&why, block, args, false, &c);
}
