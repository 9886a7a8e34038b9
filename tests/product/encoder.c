/* encoder.c - a generated model of an encoder and a decoder against what transformers' class gives
 * (tests/golden/model), and what it says of wrong arguments.
 *
 * usage: encoder CASE        the case's expected.bin and weights
 *        encoder --errors PATH ..    opens each, prints the message
 * Compiled with -DMODEL_HEADER='"x_model.h"' -DMODEL_OPEN=x_model_open -DPACKED='"path"'. */
#include MODEL_HEADER
#include "golden.h"

#include <string.h>

typedef struct expected {
    int32_t items, vocab, width, rows; /* the encoder is given rows of floats */
    int32_t *from, *begin;             /* [items + 1] of the encoder's rows, and the decoder's */
    int32_t *sources, *ids;
    float *x; /* or sources */
    float *encoded, *hidden, *logits;
} expected;

static expected read_expected(const char *folder) {
    char path[1000];
    snprintf(path, sizeof path, "%s/expected.bin", folder);
    FILE *f = fopen(path, "rb");
    expected e = {0};
    if (!f || fread(&e, 4, 4, f) != 4) exit(2);
    e.from = take(f, (size_t)e.items + 1);
    e.begin = take(f, (size_t)e.items + 1);
    const size_t encoded = (size_t)(e.from[e.items] * e.width), rows = (size_t)e.begin[e.items];
    if (e.rows)
        e.x = take(f, encoded);
    else
        e.sources = take(f, (size_t)e.from[e.items]);
    e.ids = take(f, rows);
    e.encoded = take(f, encoded);
    e.hidden = take(f, rows * (size_t)e.width);
    e.logits = take(f, rows * (size_t)e.vocab);
    fclose(f);
    return e;
}

static attn_status encode(const attn_model *m, attn_model_args *a) {
    return run_call(m, a, 1);
}

typedef struct outputs {
    float *encoded, *hidden, *logits;
} outputs;

static outputs make_outputs(const expected *e) {
    const size_t rows = (size_t)e->begin[e->items], encoded = (size_t)e->from[e->items];
    return (outputs){calloc(encoded * (size_t)e->width, 4), calloc(rows * (size_t)e->width, 4),
                     calloc(rows * (size_t)e->vocab, 4)};
}

static int same(const outputs *a, const outputs *b, const expected *e) {
    const size_t rows = (size_t)e->begin[e->items], encoded = (size_t)e->from[e->items];
    return !memcmp(a->encoded, b->encoded, 4 * encoded * (size_t)e->width) &&
           !memcmp(a->hidden, b->hidden, 4 * rows * (size_t)e->width) &&
           !memcmp(a->logits, b->logits, 4 * rows * (size_t)e->vocab);
}

/* Items first..first + count - 1 as both stacks are given them; begins are the caller's. */
static attn_model_args encoder_args(const expected *e, const outputs *o, int32_t first,
                                    int32_t count, int32_t *from, attn_model_cache *cross) {
    attn_model_args a = ATTN_MODEL_ARGS_INIT;
    for (int32_t i = 0; i <= count; i++) from[i] = e->from[first + i] - e->from[first];
    a.items = count, a.begin = from, a.cross = cross;
    a.ids = e->rows ? NULL : e->sources + e->from[first];
    a.x = e->rows ? e->x + e->from[first] * e->width : NULL;
    a.x_row = e->rows ? e->width : 0;
    a.hidden = o->encoded + e->from[first] * e->width;
    return a;
}

static attn_model_args decoder_args(const expected *e, const outputs *o, int32_t first,
                                    int32_t count, int32_t *begin, int32_t *all,
                                    attn_model_cache *cross) {
    attn_model_args a = ATTN_MODEL_ARGS_INIT;
    for (int32_t i = 0; i <= count; i++) begin[i] = e->begin[first + i] - e->begin[first];
    for (int32_t i = 0; i < begin[count]; i++) all[i] = i;
    a.items = count, a.begin = begin, a.cross = cross;
    a.ids = e->ids + e->begin[first];
    a.hidden = o->hidden + e->begin[first] * e->width;
    a.logits = o->logits + e->begin[first] * e->vocab;
    a.logit_rows = all, a.logit_count = begin[count];
    return a;
}

static attn_model_cache make_cross(const attn_model *m, int32_t items, int32_t capacity) {
    attn_model_cache c;
    size_t bytes = 0;
    check(attn_model_cross_bytes(m, items, capacity, &bytes) == ATTN_OK, "bytes of keys");
    check(attn_model_cross_init(m, &c, items, capacity, room(bytes), bytes) == ATTN_OK, "keys");
    return c;
}

static attn_model_cache make_cache(const attn_model *m, int32_t items, int32_t capacity) {
    attn_model_cache c;
    size_t bytes = 0;
    check(attn_model_cache_bytes(m, items, capacity, &bytes) == ATTN_OK, "bytes of a cache");
    check(attn_model_cache_init(m, &c, items, capacity, room(bytes), bytes) == ATTN_OK, "a cache");
    return c;
}

static int32_t longest(const int32_t *begin, int32_t items) {
    int32_t most = 0;
    for (int32_t i = 0; i < items; i++)
        if (begin[i + 1] - begin[i] > most) most = begin[i + 1] - begin[i];
    return most;
}

/* Both calls for some items. */
static void run_items(const attn_model *m, const expected *e, const outputs *o, int32_t first,
                      int32_t count, int32_t threads) {
    int32_t from[17], begin[17], all[512];
    attn_model_cache cross = make_cross(m, count, longest(e->from, e->items));
    attn_model_args a = encoder_args(e, o, first, count, from, &cross);
    a.threads = threads;
    check(encode(m, &a) == ATTN_OK, "the encoder's call");
    a = decoder_args(e, o, first, count, begin, all, &cross);
    a.threads = threads;
    check(forward(m, &a) == ATTN_OK, "the decoder's call");
}

/* All items at once; then each alone, and on several threads: the same bits. */
static outputs at_once(const attn_model *m, const expected *e) {
    const size_t rows = (size_t)e->begin[e->items], encoded = (size_t)e->from[e->items];
    const outputs o = make_outputs(e), p = make_outputs(e), q = make_outputs(e);
    run_items(m, e, &o, 0, e->items, 1);
    near(o.encoded, e->encoded, encoded * (size_t)e->width, "encoded");
    near(o.hidden, e->hidden, rows * (size_t)e->width, "hidden");
    near(o.logits, e->logits, rows * (size_t)e->vocab, "logits");
    run_items(m, e, &p, 0, e->items, 3);
    check(same(&o, &p, e), "threads give the same bits");
    for (int32_t i = 0; i < e->items; i++) run_items(m, e, &q, i, 1, 1);
    check(same(&o, &q, e), "items alone have the same bits");
    return o;
}

/* Some tokens of each item, then the rest one by one, by a cache; keys of the encoder's in views,
 * and encoded once more over longer ones. */
static void steps(const attn_model *m, const expected *e, const outputs *once) {
    int32_t begin[17] = {0}, from[17], all[512], ids[512], held[17] = {0};
    attn_cache layer[64];
    attn_model_cache view, cross = make_cross(m, e->items, longest(e->from, e->items));
    attn_model_cache cache = make_cache(m, e->items, longest(e->begin, e->items));
    const outputs o = make_outputs(e);
    for (int32_t turn = 0; turn < 2; turn++)
        for (int32_t i = 0; i < e->items; i++) { /* item i's place: another's first, then its own */
            const int32_t item = turn ? i : e->items - 1 - i;
            check(attn_model_cache_view(m, &cross, i, 1, &view, layer) == ATTN_OK, "a view");
            attn_model_args a = encoder_args(e, &o, item, 1, from, &view);
            check(encode(m, &a) == ATTN_OK, "an item encoded beside others");
        }
    for (int32_t left = 1, call = 0; left; call++) {
        const outputs step = make_outputs(e);
        left = 0;
        for (int32_t i = 0; i < e->items; i++) {
            const int32_t count = e->begin[i + 1] - e->begin[i] - held[i];
            const int32_t now = call == 0 && count > 3 ? 3 : count > 1 ? 1 : count;
            memcpy(ids + begin[i], e->ids + e->begin[i] + held[i], (size_t)now * 4);
            begin[i + 1] = begin[i] + now;
            left += count - now;
        }
        attn_model_args a = ATTN_MODEL_ARGS_INIT;
        for (int32_t i = 0; i < begin[e->items]; i++) all[i] = i;
        a.items = e->items, a.begin = begin, a.ids = ids, a.cross = &cross, a.cache = &cache;
        a.hidden = step.hidden, a.logits = step.logits, a.threads = 2;
        a.logit_rows = all, a.logit_count = begin[e->items];
        check(forward(m, &a) == ATTN_OK, "a step");
        for (int32_t i = 0; i < e->items; i++)
            for (int32_t t = begin[i]; t < begin[i + 1]; t++, held[i]++) {
                const int32_t to = e->begin[i] + held[i];
                memcpy(o.hidden + to * e->width, step.hidden + t * e->width, 4 * (size_t)e->width);
                memcpy(o.logits + to * e->vocab, step.logits + t * e->vocab, 4 * (size_t)e->vocab);
            }
    }
    const size_t rows = (size_t)e->begin[e->items];
    near(o.hidden, e->hidden, rows * (size_t)e->width, "stepped hidden");
    near(o.logits, e->logits, rows * (size_t)e->vocab, "stepped logits");
    check(!memcmp(o.encoded, once->encoded, 4 * (size_t)(e->from[e->items] * e->width)),
          "items encoded beside others have the same bits");
    for (int32_t i = 0; i < cross.layers; i++)
        check(cross.layer[i].length[0] == e->from[1] && cache.layer[i].length[0] == e->begin[1],
              "lengths");
    attn_model_cache one = make_cross(m, 1, longest(e->from, e->items));
    check(attn_model_cache_fork(m, &cross, 0, &one, 0) == ATTN_OK &&
              one.layer[0].length[0] == e->from[1],
          "a fork of the encoder's keys");
    check(attn_model_cache_fork(m, &cross, 0, &cache, 0) == ATTN_E_CACHE, "a fork to another kind");
    check(attn_model_cache_keep(m, &cache, 0, 1, NULL, 0) == ATTN_OK &&
              cache.layer[0].length[0] == 1 && cross.layer[0].length[0] == e->from[1],
          "tokens taken back");
}

typedef attn_status call_check(const attn_model *, const attn_model_args *, char *, size_t);

static void refused(const attn_model *m, const attn_model_args *a, call_check *fn, attn_status want,
                    const char *says) {
    char why[ATTN_MESSAGE_MAX] = "";
    const attn_status got = fn(m, a, why, sizeof why);
    check(got == want && strstr(why, says), says);
    if (got != want || !strstr(why, says)) printf("  status %d: %s\n", got, why);
}

/* What is refused, with its sentence. */
static void wrong(const attn_model *m, const expected *e) {
    int32_t from[17], begin[17], all[512];
    const outputs o = make_outputs(e);
    attn_model_cache cross = make_cross(m, e->items, longest(e->from, e->items));
    attn_model_cache cache = make_cache(m, e->items, longest(e->begin, e->items));
    attn_model_cache narrow = make_cross(m, e->items, longest(e->from, e->items) - 1), bad = cross;
    attn_model_args enc = encoder_args(e, &o, 0, e->items, from, &cross), a = enc;
    attn_model_args dec = decoder_args(e, &o, 0, e->items, begin, all, &cross);
    a.cache = &cache;
    refused(m, &a, attn_model_encode_check, ATTN_E_UNUSED, "cache is given: an encoder gives");
    a = enc, a.logits = o.logits, a.logit_count = 1, a.logit_rows = all;
    refused(m, &a, attn_model_encode_check, ATTN_E_UNUSED, "logits is given: an encoder gives");
    a = enc, a.token_types = e->ids;
    refused(m, &a, attn_model_encode_check, ATTN_E_UNUSED, "token_types is given");
    a = enc, a.cross = &cache;
    refused(m, &a, attn_model_encode_check, ATTN_E_CACHE, "cross.layer[0].layer is another");
    a = enc, a.ids = e->ids;
    if (e->rows)
        refused(m, &a, attn_model_encode_check, ATTN_E_UNUSED, "the encoder takes rows alone");
    bad.items--, a = enc, a.cross = &bad;
    refused(m, &a, attn_model_encode_check, ATTN_E_CACHE, "cross has ");
    a = enc, attn_model_encode_bytes(m, &a, &a.workspace_bytes);
    a.workspace = room(a.workspace_bytes), a.cross = &narrow;
    refused(m, &a, attn_model_encode_check, ATTN_E_CACHE, "cache.capacity is");
    a.cross = &cross, a.workspace_bytes--;
    refused(m, &a, attn_model_encode_check, ATTN_E_WORKSPACE, "workspace_bytes is");
    a = dec, a.cross = NULL;
    refused(m, &a, attn_model_check, ATTN_E_CACHE, "cross is null: must be what attn_model_encode");
    a = dec, a.cross = &bad;
    refused(m, &a, attn_model_check, ATTN_E_CACHE, "cross has ");
    a = dec, a.cache = &cross;
    refused(m, &a, attn_model_check, ATTN_E_CACHE, "cache.layer[0].layer is another");
    a = dec, a.x = o.hidden;
    refused(m, &a, attn_model_check, ATTN_E_ARGUMENT, "ids and x are both given");
    check(o.encoded[0] == 0 && o.hidden[0] == 0 && o.logits[0] == 0, "nothing was written");
}

/* Saved, and mapped back: the same bits. */
static void packed(const attn_model *m, const expected *e, const char *folder,
                   const outputs *once) {
    char why[4000];
    attn_model *mapped;
    attn_model_options x = ATTN_MODEL_OPTIONS_INIT;
    const outputs p = make_outputs(e);
    x.packed = PACKED;
    check(attn_model_save(m, PACKED, why, sizeof why) == ATTN_OK, why);
    const attn_status status = MODEL_OPEN(&mapped, folder, &x, why, sizeof why);
    check(status == ATTN_OK, why);
    if (status != ATTN_OK) return;
    run_items(mapped, e, &p, 0, e->items, 2);
    check(same(once, &p, e), "mapped weights: the same bits");
    attn_model_close(mapped);
}

static int run(const char *folder) {
    char why[4000];
    const expected e = read_expected(folder);
    attn_model *m;
    if (MODEL_OPEN(&m, folder, NULL, why, sizeof why) != ATTN_OK) return puts(why), 1;
    attn_model_info info = {.struct_size = sizeof info};
    check(attn_model_describe(m, &info) == ATTN_OK && info.width == e.width &&
              info.vocab == e.vocab && info.has_head && info.encoder_layers > 0 &&
              info.encoder_rows == e.rows,
          "description");
    const outputs once = at_once(m, &e);
    steps(m, &e, &once);
    wrong(m, &e);
    packed(m, &e, folder, &once);
    attn_model_close(m);
    printf("%d failed\n", failures);
    return failures != 0;
}

int main(int argc, char **argv) {
    char why[4000];
    attn_model *m;
    if (argc > 1 && argv[1][0] != '-') return run(argv[1]);
    for (int i = 2; i < argc; i++) {
        const attn_status status = MODEL_OPEN(&m, argv[i], NULL, why, sizeof why);
        printf("%d\n%s\n", status, why);
        attn_model_close(m);
    }
    return 0;
}
