/* model.c - a generated whole model against what transformers' class gives (tests/golden/model),
 * and what it says of wrong files and arguments.
 *
 * usage: model CASE [PATH]   the case's expected.bin and weights (PATH: other weights)
 *        model --errors PATH ..    opens each, prints the message
 *        model --packed CASE PATH ..    opens the case with each file of packed weights, likewise
 *        model --save CASE PATH    packs, and writes such a file
 * Compiled with -DMODEL_HEADER='"x_model.h"' -DMODEL_OPEN=x_model_open, and -DPAGED=1 where keys
 * lie in pages of 16. */
#include MODEL_HEADER
#include "golden.h"

#include <stddef.h>
#include <string.h>

#ifndef CAPACITY
#define CAPACITY 0 /* of longrope: what the model is opened for */
#endif
#ifndef PAGED
#define PAGED 0
#endif

typedef struct expected {
    int32_t items, vocab, width, has_logits, has_pooled;
    int32_t *begin, *ids, *types;
    float *x; /* of models without ids */
    float *hidden, *logits, *pooled;
} expected;

static expected read_expected(const char *folder) {
    char path[1000];
    snprintf(path, sizeof path, "%s/expected.bin", folder);
    FILE *f = fopen(path, "rb");
    expected e = {0};
    if (!f || fread(&e, 4, 5, f) != 5) exit(2);
    e.begin = take(f, (size_t)e.items + 1);
    const size_t rows = (size_t)e.begin[e.items];
    e.ids = take(f, rows);
    e.types = take(f, rows);
    if (!e.vocab) e.x = take(f, rows * (size_t)e.width);
    e.hidden = take(f, rows * (size_t)e.width);
    if (e.has_logits) e.logits = take(f, rows * (size_t)e.vocab);
    if (e.has_pooled) e.pooled = take(f, (size_t)(e.items * e.width));
    fclose(f);
    return e;
}

typedef struct outputs {
    float *hidden, *logits, *pooled;
} outputs;

static outputs make_outputs(const expected *e) {
    const size_t rows = (size_t)e->begin[e->items];
    return (outputs){calloc(rows * (size_t)e->width, 4), calloc(rows * (size_t)e->vocab + 1, 4),
                     calloc((size_t)(e->items * e->width), 4)};
}

static attn_model_args args_of(const expected *e, const outputs *o, int32_t *all) {
    attn_model_args a = ATTN_MODEL_ARGS_INIT;
    const int32_t rows = e->begin[e->items];
    for (int32_t i = 0; i < rows; i++) all[i] = i;
    a.items = e->items, a.begin = e->begin, a.ids = e->x ? NULL : e->ids;
    a.x = e->x, a.x_row = e->x ? e->width : 0;
    for (int32_t i = 0; i < rows; i++)
        if (e->types[i] && !e->x) a.token_types = e->types; /* else all are 0 */
    a.hidden = o->hidden;
    if (e->has_logits) a.logits = o->logits, a.logit_rows = all, a.logit_count = rows;
    return a;
}

static int same(const outputs *a, const outputs *b, const expected *e) {
    const size_t rows = (size_t)e->begin[e->items];
    return !memcmp(a->hidden, b->hidden, 4 * rows * (size_t)e->width) &&
           !memcmp(a->logits, b->logits, 4 * rows * (size_t)e->vocab);
}

/* All items in one call; then each alone, and on several threads: the same bits. */
static outputs at_once(const attn_model *m, const expected *e) {
    int32_t all[512];
    const size_t rows = (size_t)e->begin[e->items];
    const outputs o = make_outputs(e), p = make_outputs(e);
    attn_model_args a = args_of(e, &o, all);
    check(forward(m, &a) == ATTN_OK, "a call");
    near(o.hidden, e->hidden, rows * (size_t)e->width, "hidden");
    if (e->has_logits) near(o.logits, e->logits, rows * (size_t)e->vocab, "logits");
    a = args_of(e, &p, all);
    a.threads = 3;
    check(forward(m, &a) == ATTN_OK && same(&o, &p, e), "threads give the same bits");
    for (int32_t i = 0; i < e->items; i++) {
        const int32_t first = e->begin[i], begin[2] = {0, e->begin[i + 1] - first};
        a = args_of(e, &p, all);
        a.items = 1, a.begin = begin;
        if (a.x) a.x = e->x + first * e->width;
        if (a.ids) a.ids = e->ids + first;
        if (a.token_types) a.token_types = e->types + first;
        a.hidden = p.hidden + first * e->width;
        if (a.logits) a.logits = p.logits + first * e->vocab, a.logit_count = begin[1];
        check(forward(m, &a) == ATTN_OK, "an item alone");
    }
    check(same(&o, &p, e), "items alone have the same bits");
    return o;
}

/* Some tokens of each item, then the rest one by one, by a cache. */
static void steps(const attn_model *m, const expected *e) {
    attn_model_cache cache;
    size_t bytes;
    int32_t all[512], from[16] = {0};
    const outputs o = make_outputs(e);
    const size_t rows = (size_t)e->begin[e->items];
    check(attn_model_cache_bytes(m, e->items, 16, &bytes) == ATTN_OK, "cache bytes");
    check(attn_model_cache_init(m, &cache, e->items, 16, room(bytes), bytes) == ATTN_OK, "cache");
    for (int32_t left = 1, call = 0; left; call++) {
        int32_t begin[17] = {0}, ids[512];
        left = 0;
        for (int32_t i = 0; i < e->items; i++) {
            const int32_t count = e->begin[i + 1] - e->begin[i] - from[i];
            const int32_t now = call == 0 && count > 3 ? 3 : count > 1 ? 1 : count;
            memcpy(ids + begin[i], e->ids + e->begin[i] + from[i], (size_t)now * 4);
            begin[i + 1] = begin[i] + now;
            left += count - now;
        }
        outputs step = make_outputs(e);
        attn_model_args a = args_of(e, &step, all);
        a.begin = begin, a.ids = ids, a.token_types = NULL, a.cache = &cache, a.threads = 2;
        a.logit_count = begin[e->items];
        check(forward(m, &a) == ATTN_OK, "a step");
        for (int32_t i = 0; i < e->items; i++)
            for (int32_t t = begin[i]; t < begin[i + 1]; t++, from[i]++) {
                const int32_t to = e->begin[i] + from[i];
                memcpy(o.hidden + to * e->width, step.hidden + t * e->width, 4 * (size_t)e->width);
                memcpy(o.logits + to * e->vocab, step.logits + t * e->vocab, 4 * (size_t)e->vocab);
            }
    }
    near(o.hidden, e->hidden, rows * (size_t)e->width, "stepped hidden");
    near(o.logits, e->logits, rows * (size_t)e->vocab, "stepped logits");
    attn_model_args a = args_of(e, &o, all);
    check(forward(m, &a) == ATTN_OK, "a call without the cache");
    a.cache = &cache;
    check(forward(m, &a) == ATTN_E_CACHE, "no room in the cache");
}

static void items(const attn_model *m, const expected *e) { /* forked, and taken back */
    attn_model_cache cache, one, bad;
    char why[ATTN_MESSAGE_MAX];
    size_t bytes;
    int32_t all[512];
    const int32_t rows = e->begin[e->items], slots[] = {0, 2}, descend[] = {2, 0};
    const outputs o = make_outputs(e);
    attn_model_cache_bytes(m, e->items, rows, &bytes);
    check(attn_model_cache_init(m, &cache, e->items, rows, room(bytes), bytes) == ATTN_OK, "cache");
    attn_model_cache_bytes(m, 1, rows, &bytes);
    check(attn_model_cache_init(m, &one, 1, rows, room(bytes), bytes) == ATTN_OK, "one");
    attn_model_args a = args_of(e, &o, all);
    a.cache = &cache;
    check(forward(m, &a) == ATTN_OK, "a call with a cache");
    const int32_t held = e->begin[1];
    check(attn_model_cache_keep(m, &cache, 0, held - 3, descend, 2) == ATTN_E_ARGUMENT &&
              attn_model_cache_keep(m, &cache, e->items, 0, NULL, 0) == ATTN_E_ARGUMENT &&
              attn_model_cache_keep(m, NULL, 0, 0, NULL, 0) == ATTN_E_ARGUMENT &&
              attn_model_cache_fork(NULL, &cache, 0, &one, 0) == ATTN_E_ARGUMENT &&
              attn_model_cache_fork(m, &cache, 0, &one, 1) == ATTN_E_ARGUMENT,
          "items that are wrong");
    bad = one, bad.layers--;
    check(attn_model_cache_fork_check(m, &cache, 0, &bad, 0, why, sizeof why) == ATTN_E_CACHE &&
              strstr(why, "to has struct_size"),
          why);
    check(attn_model_cache_keep_check(m, &cache, 0, held + 1, NULL, 0, why, sizeof why) ==
                  ATTN_E_ARGUMENT &&
              strstr(why, "tokens is"),
          why);
    attn_cache *last = &cache.layer[cache.layers - 1];
    const int32_t length = last->length[0];
    last->length[0] = -1; /* one layer refuses: none is changed */
    check(attn_model_cache_keep(m, &cache, 0, 1, NULL, 0) == ATTN_E_CACHE &&
              cache.layer[0].length[0] == held,
          "a layer that refuses");
    int32_t ones[17]; /* a row of each item */
    for (int32_t i = 0; i <= e->items; i++) ones[i] = i;
    a.begin = ones, a.logit_count = 1;
    last->length[0] = held - 1;
    if (cache.layers > 1)
        check(attn_model_check(m, &a, why, sizeof why) == ATTN_E_CACHE &&
                  strstr(why, "must be as many in all layers"),
              why);
    last->length[0] = length;
    void *key = last->k;
    memset(key, 0, 4);
    a.hidden = key; /* outputs in the cache, and rows that are read after it was written */
    check(forward(m, &a) == ATTN_E_ARGUMENT, "outputs in the cache");
    a.hidden = (float *)(void *)cache.layer;
    check(forward(m, &a) == ATTN_E_ARGUMENT, "outputs over cache.layer");
    a.hidden = o.hidden, a.logit_rows = key;
    check(forward(m, &a) == ATTN_E_ARGUMENT, "logit_rows in the cache");
    attn_cache layer[64];
    attn_model_cache view;
    check(attn_model_cache_view(m, &cache, 1, e->items, &view, layer) == ATTN_E_ARGUMENT &&
              attn_model_cache_view_check(m, &cache, 0, 1, NULL, layer, why, sizeof why) ==
                  ATTN_E_ARGUMENT &&
              !strcmp(why, "view is null"),
          why);
    check(attn_model_cache_view(m, &cache, 1, e->items - 1, &view, layer) == ATTN_OK &&
              view.items == e->items - 1 && view.layer[0].length == cache.layer[0].length + 1 &&
              attn_model_cache_keep(m, &view, 0, 0, NULL, 0) == ATTN_OK &&
              cache.layer[0].length[0] == held && !last->length[1],
          "a view of items");
    check(attn_model_cache_fork(m, &cache, 0, &one, 0) == ATTN_OK &&
              attn_model_cache_keep(m, &one, 0, held - 3, slots, 2) == ATTN_OK,
          "a fork, and what is kept of it");
    for (int32_t i = 0; i < one.layers; i++)
        check(one.layer[i].length[0] == held - 1 && cache.layer[i].length[0] == held, "lengths");
}

/* Positions that rows have anyway, a mask that shows all, and such as are refused. */
static void places(const attn_model *m, const expected *e) {
    int32_t all[512], at[512], most = 0;
    static uint8_t seen[1 << 16];
    const outputs o = make_outputs(e), p = make_outputs(e);
    attn_model_args a = args_of(e, &o, all);
    check(forward(m, &a) == ATTN_OK, "a call");
    for (int32_t i = 0; i < e->items; i++) {
        if (e->begin[i + 1] - e->begin[i] > most) most = e->begin[i + 1] - e->begin[i];
        for (int32_t t = e->begin[i]; t < e->begin[i + 1]; t++) at[t] = t - e->begin[i];
    }
    a = args_of(e, &p, all), a.position = at;
    check(forward(m, &a) == ATTN_OK && same(&o, &p, e), "positions as they are anyway");
    memset(seen, 1, sizeof seen);
    a.mask = (attn_mask){seen, ATTN_MASK_BOOL, 2, {most, most}, {most, 1}};
    const attn_status mask = forward(m, &a);
    if (mask == ATTN_OK)
        near(p.hidden, e->hidden, (size_t)(e->begin[e->items] * e->width), "hidden under a mask");
    a.mask.data = p.hidden;
    if (mask == ATTN_OK) check(forward(m, &a) == ATTN_E_ARGUMENT, "a mask in outputs");
    a.mask.data = seen, a.mask.dim[0]++;
    check(mask == ATTN_OK ? forward(m, &a) == ATTN_E_SHAPE : mask == ATTN_E_UNUSED, /* flex */
          "a mask, and one of other rows");
    a = args_of(e, &p, all), a.position = at, at[1] = -1;
    check(forward(m, &a) == ATTN_E_LENGTH, "a position below 0");
    at[1] = INT32_MAX;
    check(forward(m, &a) == ATTN_E_LENGTH, "a position that is too large");
    const outputs zeros = make_outputs(e);
    a.hidden = zeros.hidden, a.position = (int32_t *)(void *)zeros.hidden;
    check(forward(m, &a) == ATTN_E_ARGUMENT, "positions in outputs");
    a = args_of(e, &p, all), a.struct_size = offsetof(attn_model_args, position);
    check(forward(m, &a) == ATTN_OK && same(&o, &p, e), "a caller from before positions");
}

/* Layers whose keys lie in pages: one table for all of them, in any order. */
static void pages(const attn_model *m, const expected *e) {
    enum { EACH = 2, COUNT = 16 * EACH };
    attn_model_cache cache;
    size_t bytes;
    int32_t all[512];
    const outputs o = make_outputs(e);
    const size_t rows = (size_t)e->begin[e->items];
    const attn_status status = attn_model_cache_paged_bytes(m, e->items, 17, COUNT, &bytes);
    if (!PAGED) check(status == ATTN_E_UNUSED && !bytes, "pages of layers that have none");
    if (!PAGED) return;
    check(status == ATTN_OK &&
              attn_model_cache_paged_init(m, &cache, e->items, 17, COUNT, room(bytes), bytes) ==
                  ATTN_OK &&
              attn_model_cache_paged_bytes(m, e->items, 17, -1, &bytes) == ATTN_E_ARGUMENT,
          "a cache in pages");
    attn_model_args a = args_of(e, &o, all);
    a.cache = &cache;
    check(forward(m, &a) == ATTN_E_PAGE, "a table without pages");
    int32_t *table = cache.layer[0].pages;
    for (int32_t i = 0; i < EACH * e->items; i++) table[i] = i % EACH ? -1 : COUNT - 1 - i;
    for (int32_t i = 1; i < cache.layers; i++)
        check(cache.layer[i].pages == table, "layers of one table");
    check(forward(m, &a) == ATTN_OK, "a call over pages");
    near(o.hidden, e->hidden, rows * (size_t)e->width, "hidden over pages");
    check(attn_model_cache_own_page(m, &cache, 0, 0, COUNT - 1) == ATTN_E_PAGE &&
              attn_model_cache_own_page(m, &cache, 0, 0, 1) == ATTN_OK && table[0] == 1,
          "a page of an item's own");
    table[EACH] = 1;
    const int32_t held = e->begin[1], slots[] = {1};
    check(attn_model_cache_keep(m, &cache, 0, held - 2, slots, 1) == ATTN_E_PAGE &&
              cache.layer[0].length[0] == held,
          "a page of two items that is written");
}

static void pool(const attn_model *m, const expected *e) {
    int32_t all[512];
    const outputs o = make_outputs(e);
    attn_model_args a = args_of(e, &o, all);
    a.hidden = NULL, a.pooled = o.pooled;
    check(forward(m, &a) == ATTN_OK, "pooled rows");
    if (e->has_pooled) near(o.pooled, e->pooled, (size_t)(e->items * e->width), "pooled");
}

static int32_t told, told_all;
static void tell(void *ctx, int32_t done, int32_t all) {
    (void)ctx;
    if (done == told + 1) told = done;
    told_all = all;
}

/* What is refused, with its sentence. */
static void wrong(const attn_model *m, const expected *e) {
    int32_t all[512], ids[512], begin[17];
    const size_t rows = (size_t)e->begin[e->items];
    const outputs o = make_outputs(e);
    memcpy(ids, e->ids, 4 * rows);
    memcpy(begin, e->begin, 4 * ((size_t)e->items + 1));
    attn_model_args a = args_of(e, &o, all);
    ids[2] = e->vocab, a.ids = ids;
    check(forward(m, &a) == (e->x ? ATTN_E_UNUSED : ATTN_E_ARGUMENT), "an id that is none");
    a = args_of(e, &o, all), begin[1] = -1, a.begin = begin;
    check(forward(m, &a) == ATTN_E_LENGTH, "begin that falls");
    a = args_of(e, &o, all), a.ids = NULL, a.x = NULL;
    check(forward(m, &a) == ATTN_E_ARGUMENT, "no rows");
    a = args_of(e, &o, all), a.hidden_row = e->width - 1;
    check(forward(m, &a) == ATTN_E_ARGUMENT, "a stride that is too small");
    a = args_of(e, &o, all), a.hidden = e->x ? e->x : (float *)(void *)e->ids;
    check(forward(m, &a) == ATTN_E_ARGUMENT, "outputs in inputs");
    a = args_of(e, &o, all), a.struct_size--;
    check(forward(m, &a) == ATTN_E_ABI, "struct_size");
    a = args_of(e, &o, all), a.pooled = o.pooled;
    if (!e->has_pooled) check(forward(m, &a) == ATTN_E_UNUSED, "pooled without a pool");
    a = args_of(e, &o, all), all[0] = (int32_t)rows;
    if (e->has_logits) check(forward(m, &a) == ATTN_E_ARGUMENT, "logits of a row that is none");
    check(o.hidden[0] == 0 && o.logits[0] == 0, "nothing was written");
}

static attn_model_options packed_options(const char *path, uint32_t flags) {
    attn_model_options o = ATTN_MODEL_OPTIONS_INIT;
    o.packed = path, o.packed_flags = flags, o.threads = 2, o.progress = tell;
    o.capacity = CAPACITY;
    told = told_all = 0;
    return o;
}

/* What was packed, saved and mapped back: the same bits, and nothing is packed. */
static void packed(const attn_model *m, const expected *e, const char *weights) {
    char path[1100], why[4000];
    int32_t all[512];
    attn_model *mapped;
    const outputs o = make_outputs(e), p = make_outputs(e);
    snprintf(path, sizeof path, "%s.packed", PACKED);
    attn_model_args a = args_of(e, &o, all);
    check(forward(m, &a) == ATTN_OK && attn_model_save(m, path, why, sizeof why) == ATTN_OK, why);
    for (uint32_t flags = 0; flags < 4; flags++) {
        const attn_model_options x = packed_options(path, flags);
        if (MODEL_OPEN(&mapped, weights, &x, why, sizeof why) != ATTN_OK) {
            check(0, why);
            continue;
        }
        attn_model_info info = {.struct_size = sizeof info}, before = info;
        attn_model_describe(m, &before), attn_model_describe(mapped, &info);
        a = args_of(e, &p, all);
        check(forward(mapped, &a) == ATTN_OK && same(&o, &p, e), "mapped weights: the same bits");
        check(!told_all && info.packed_bytes < before.packed_bytes &&
                  info.packed_bytes + info.mapped_bytes > before.packed_bytes + before.mapped_bytes,
              "nothing was packed");
        check(flags != ATTN_MODEL_PACKED_TRUST ||
                  attn_model_save(mapped, path, why, sizeof why) == ATTN_OK,
              "saved once more, the old file mapped");
        attn_model_close(mapped);
    }
    attn_model_options x = packed_options(path, 0);
    remove(path);
    check(MODEL_OPEN(&mapped, weights, &x, why, sizeof why) == ATTN_E_PACKED &&
              strstr(why, "packed weights cannot be read: No such file") && !mapped,
          why);
    x = packed_options(path, ATTN_MODEL_PACKED_RENEW);
    check(MODEL_OPEN(&mapped, weights, &x, why, sizeof why) == ATTN_OK && told_all == told, why);
    attn_model_close(mapped);
    x = packed_options(path, 0);
    check(MODEL_OPEN(&mapped, weights, &x, why, sizeof why) == ATTN_OK && !told_all, why);
    attn_model_close(mapped);
    remove(path);
    x = packed_options("/dev/null/none", ATTN_MODEL_PACKED_RENEW);
    check(MODEL_OPEN(&mapped, weights, &x, why, sizeof why) == ATTN_E_PACKED &&
              strstr(why, "cannot be written: Not a directory"),
          why);
    FILE *other = fopen(path, "w"); /* another's file is not replaced */
    check(other && fputs("not packed weights\n", other) >= 0 && !fclose(other), "a file");
    x = packed_options(path, ATTN_MODEL_PACKED_RENEW);
    check(MODEL_OPEN(&mapped, weights, &x, why, sizeof why) == ATTN_E_PACKED &&
              strstr(why, "such a file is not replaced"),
          why);
    char kept[9] = "";
    check((other = fopen(path, "r")) && fgets(kept, sizeof kept, other) && !fclose(other) &&
              !strcmp(kept, "not pack"),
          "the file is as it was");
    remove(path);
#if CAPACITY
    x = packed_options(NULL, 0), x.capacity = 0; /* the short factors */
    check(MODEL_OPEN(&mapped, weights, &x, why, sizeof why) == ATTN_OK, why);
    check(forward(mapped, &a) == ATTN_E_LENGTH, "more tokens than the short factors are for");
    check(attn_model_save(mapped, path, why, sizeof why) == ATTN_OK, why);
    attn_model_close(mapped);
    x = packed_options(path, 0);
    check(MODEL_OPEN(&mapped, weights, &x, why, sizeof why) == ATTN_E_PACKED &&
              strstr(why, "it is stale"),
          "packed with other factors");
#endif
    x = packed_options(path, 4);
    check(MODEL_OPEN(&mapped, weights, &x, why, sizeof why) == ATTN_E_ARGUMENT, why);
    x = packed_options(NULL, 0), x.struct_size = offsetof(attn_model_options, threads);
    check(MODEL_OPEN(&mapped, weights, &x, why, sizeof why) == ATTN_OK, "options of before");
    attn_model_close(mapped);
    check(attn_model_save(NULL, path, why, sizeof why) == ATTN_E_ARGUMENT &&
              attn_model_save(m, NULL, NULL, 0) == ATTN_E_ARGUMENT,
          "a null");
}

static int save(const char *weights, const char *path) {
    char why[4000];
    attn_model *m;
    const attn_model_options x = packed_options(path, ATTN_MODEL_PACKED_RENEW);
    const attn_status status = MODEL_OPEN(&m, weights, &x, why, sizeof why);
    if (status != ATTN_OK) puts(why);
    attn_model_close(m);
    return status != ATTN_OK;
}

static int run(const char *folder, const char *path) {
    char why[4000];
    const expected e = read_expected(folder);
    attn_model *m;
    attn_model_options options = ATTN_MODEL_OPTIONS_INIT;
    options.progress = tell;
    options.capacity = CAPACITY;
    if (MODEL_OPEN(&m, path, &options, why, sizeof why) != ATTN_OK) return puts(why), 1;
    check(told > 0 && told == told_all, "progress was told");
    attn_model_info info = {.struct_size = sizeof info};
    check(attn_model_describe(m, &info) == ATTN_OK && info.width == e.width &&
              info.vocab == e.vocab && info.has_head == e.has_logits,
          "description");
    at_once(m, &e);
    if (e.has_logits) steps(m, &e), items(m, &e);
    if (info.has_pool) pool(m, &e);
    wrong(m, &e);
    places(m, &e);
    if (e.has_logits) pages(m, &e);
    packed(m, &e, path);
    attn_model_close(m);
    attn_model_close(NULL);
    printf("%d failed\n", failures);
    return failures != 0;
}

int main(int argc, char **argv) {
    char why[4000];
    attn_model *m;
    if (argc > 1 && argv[1][0] != '-') return run(argv[1], argc > 2 ? argv[2] : argv[1]);
    if (argc == 4 && !strcmp(argv[1], "--save")) return save(argv[2], argv[3]);
    const int is_packed = argc > 2 && !strcmp(argv[1], "--packed");
    for (int i = 2 + is_packed; i < argc; i++) {
        const attn_model_options x = packed_options(argv[i], 0);
        const attn_status status = is_packed ? MODEL_OPEN(&m, argv[2], &x, why, sizeof why)
                                             : MODEL_OPEN(&m, argv[i], NULL, why, sizeof why);
        printf("%d\n%s\n", status, why);
        attn_model_close(m);
    }
    return 0;
}
