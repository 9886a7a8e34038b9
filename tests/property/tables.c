/* tables.c - page tables: what is refused of them, what of them is looked at, and rows that are
 * stored into pages. That kernels over pages give the bits of dense ones is sweep.c's. */
#include "property.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { B = 2, LQ = 3, LK = 40, PAGE = 16, EACH = 3, POOL = 8, D = 8, HEADS = 2 };
enum { TOKEN = D, HEAD = PAGE * D, STEP = HEADS * PAGE * D, SIZE = POOL * STEP };

enum core { WINDOW, CROSS, LISTS, INTEGERS, DENSE, CORES };
static const char *const fields[CORES] = {
    [WINDOW] = "op=sliding_self;window=20;heads=2;head_dim=8;layout=paged;page=16",
    [CROSS] = "op=segment_cross;lookback=1;heads=2;head_dim=8;layout=paged;page=16",
    [LISTS] = "heads=2;head_dim=8;layout=paged;page=16;select=index",
    [INTEGERS] = "heads=2;head_dim=8;kv_type=i8;rotate=true;layout=paged;page=16",
    [DENSE] = "heads=2;head_dim=8;kv_type=i8;rotate=true",
};

/* Good arguments over pages 0 .. 7 of one pool, which is K and V, for a test to spoil. */
typedef struct table_test {
    arena *a;
    const kernel_lib *lib;
    attn_plan *plan[CORES];
    kernel_spec spec[CORES];
    float pool[SIZE], q[B * HEADS * LQ * D], o[B * HEADS * LQ * D];
    int32_t table[B * EACH], start[B], len[B], seg[B * LQ];
    int32_t list[B * HEADS * LQ * 4], count[B * LQ];
    attn_args args;
    int checks, failures;
} table_test;

static void expect(table_test *t, bool ok, const char *what, const char *more) {
    t->checks++;
    if (ok) return;
    t->failures++;
    printf("FAIL tables: %s: %s\n", what, more);
}

/* Rows at positions 37 .. 39 of 40 keys, and at 2 .. 4 of 5. */
static void prepare(table_test *t, enum core k) {
    static const int32_t table[B * EACH] = {3, 5, 1, 0, -7, 99};
    attn_args *a = &t->args;
    memcpy(t->table, table, sizeof table);
    t->len[0] = LK, t->len[1] = 5;
    for (int b = 0; b < B; b++) t->start[b] = t->len[b] - LQ;
    for (int i = 0; i < B * LQ; i++) t->seg[i] = i % LQ; /* keys 0 .. 2 */
    for (int i = 0; i < B * HEADS * LQ * D; i++) t->o[i] = 77;
    *a = ATTN_ARGS_INIT;
    a->batch = B, a->q_len = LQ, a->kv_len_max = LK;
    a->q = (attn_view){t->q, HEADS * LQ * D, LQ * D, D};
    a->k = a->v = (attn_view){t->pool, STEP, HEAD, TOKEN};
    a->o = (attn_out){t->o, HEADS * LQ * D, LQ * D, D};
    a->kv_len = t->len, a->q_start = t->start;
    a->lse_batch = HEADS * LQ, a->lse_head = LQ;
    for (int i = 0; i < B * HEADS * LQ * 4; i++) t->list[i] = (int32_t[4]){1, -3, 40, 1}[i % 4];
    for (int i = 0; i < B * LQ; i++) t->count[i] = 4;
    if (k == LISTS) {
        a->index = t->list, a->index_row = 4, a->index_head = 4 * LQ;
        a->index_batch = 4 * LQ * HEADS;
        a->index_count = t->count, a->index_count_batch = LQ;
    }
    if (k == CROSS) a->seg = t->seg, a->seg_batch = LQ;
    a->pages = t->table, a->pages_batch = EACH, a->page_count = POOL;
    const attn_extent e = {sizeof e, B, LQ, LK, 0};
    t->lib->workspace(t->plan[k], &e, &a->workspace_bytes);
    a->workspace = attn_align(arena_alloc(t->a, a->workspace_bytes + 64));
}

static void refuse(table_test *t, enum core k, attn_status want, const char *says) {
    char text[ATTN_MESSAGE_MAX] = "?";
    expect(t, t->lib->plan_check(t->plan[k], &t->args, text, sizeof text) == want, says, text);
    expect(t, want == ATTN_OK ? !*text : strstr(text, says) != NULL, says, text);
    expect(t, t->lib->run(t->plan[k], &t->args) == want, says, "the call's own status");
    for (int i = 0; want != ATTN_OK && i < B * HEADS * LQ * D; i++)
        if (t->o[i] < 77 || t->o[i] > 77) {
            expect(t, false, says, "o was written");
            break;
        }
}

#define REFUSE(core, spoil, want, says) \
    do {                                \
        prepare(t, core);               \
        attn_args *a = &t->args;        \
        spoil;                          \
        (void)a;                        \
        refuse(t, core, want, says);    \
    } while (0)

static void check_tables(table_test *t) {
    REFUSE(WINDOW, (void)0, ATTN_OK, "");
    REFUSE(CROSS, (void)0, ATTN_OK, "");
    REFUSE(WINDOW, a->pages = NULL, ATTN_E_ARGUMENT,
           "pages is null: must hold int32, [batch, pages of kv_len_max] = [2, 3]");
    REFUSE(WINDOW, a->page_count = -1, ATTN_E_ARGUMENT, "page_count is -1: must be from 0 to");
    REFUSE(WINDOW, t->table[2] = POOL, ATTN_E_PAGE,
           "pages[0][2] is 8: must be from 0 to page_count - 1 = 7, as rows see keys of it");
    REFUSE(WINDOW, t->table[1] = -1, ATTN_E_PAGE, "pages[0][1] is -1");
    REFUSE(WINDOW, t->table[3] = INT32_MAX, ATTN_E_PAGE, "pages[1][0] is 2147483647");
    REFUSE(WINDOW, a->page_count = 0, ATTN_E_PAGE, "pages[0][1] is 5");
    /* What no row sees: before the window, behind kv_len, of other segments. */
    REFUSE(WINDOW, t->table[0] = -1, ATTN_OK, "");
    REFUSE(CROSS, (t->table[1] = -1, t->table[2] = 1000), ATTN_OK, "");
    REFUSE(CROSS, t->table[0] = -1, ATTN_E_PAGE, "pages[0][0] is -1");
    REFUSE(CROSS, (t->table[1] = -1, t->seg[2] = 17), ATTN_E_PAGE, "pages[0][1] is -1");
    REFUSE(WINDOW, t->len[1] = 0, ATTN_OK, "");
    REFUSE(WINDOW, (t->len[0] = t->len[1] = 0, a->page_count = 0), ATTN_OK, "");
    REFUSE(WINDOW, (a->kv_len = NULL, a->kv_len_max = 0, a->pages = NULL), ATTN_OK, "");
    REFUSE(WINDOW, (a->q_len = 0, a->pages = NULL), ATTN_OK, "");
    /* Pages that items share. */
    REFUSE(WINDOW, t->table[3] = 5, ATTN_OK, "");
    REFUSE(WINDOW, a->pages_batch = 0, ATTN_OK, "");
    /* Memory. */
    REFUSE(WINDOW, a->o.data = t->pool + 5 * STEP, ATTN_E_ARGUMENT, "o overlaps k");
    REFUSE(WINDOW, a->o.data = t->pool + 3 * STEP - D * 2, ATTN_OK, "");
    REFUSE(WINDOW, a->o.data = t->pool + 7 * STEP, ATTN_OK, "");
    REFUSE(WINDOW, a->o.data = t->pool + D * 5, ATTN_E_ARGUMENT, "o overlaps k");
    /* Lists of keys. */
    REFUSE(LISTS, (void)0, ATTN_OK, "");
    REFUSE(LISTS, a->index = NULL, ATTN_E_ARGUMENT, "index is null: must hold int32");
    REFUSE(LISTS, a->index_count = NULL, ATTN_E_ARGUMENT,
           "index_count is null: must hold int32, [batch, rows] = [2, 3]");
    REFUSE(LISTS, t->count[4] = -1, ATTN_E_LENGTH,
           "index_count of row 1 of item 1 is -1: must not be negative");
    REFUSE(WINDOW, a->index = t->list, ATTN_E_UNUSED,
           "index is given: must be null, as the spec's select is all");
    REFUSE(WINDOW, a->index_count = t->count, ATTN_E_UNUSED, "index_count is given");
    REFUSE(LISTS, (t->table[1] = t->table[2] = -1), ATTN_OK, ""); /* no list names them */
    REFUSE(LISTS, t->table[3] = -1, ATTN_E_PAGE, "pages[1][0] is -1");
    REFUSE(LISTS, (t->table[2] = 99, t->list[13] = 39), ATTN_E_PAGE, "pages[0][2] is 99");
    REFUSE(LISTS, a->lse = (float *)(void *)t->list, ATTN_E_ARGUMENT, "lse overlaps index");
    REFUSE(LISTS, a->lse = (float *)(void *)(t->count + 2), ATTN_E_ARGUMENT,
           "lse overlaps index_count");
    REFUSE(LISTS, (a->kv_len = NULL, a->kv_len_max = 0, a->index = a->index_count = NULL), ATTN_OK,
           "");
    REFUSE(WINDOW, a->lse = (float *)(void *)t->table, ATTN_E_ARGUMENT, "lse overlaps ");
}

/* --- Rows stored into pages --- */

typedef struct stores {
    float from[B * HEADS * LQ * D];
    int8_t pool[SIZE], dense[B * HEADS * LQ * D];
    float pool_scale[SIZE / D], dense_scale[B * HEADS * LQ];
    int32_t table[B * EACH], first[B];
} stores;

static attn_rows rows_of(stores *s) {
    static const int32_t table[B * EACH] = {3, 5, 1, -1, 6, 99};
    memcpy(s->table, table, sizeof table);
    s->first[0] = 15, s->first[1] = 16; /* over the end of a page; at the start of one */
    return (attn_rows){.struct_size = sizeof(attn_rows),
                       .batch = B,
                       .tokens = LQ,
                       .from = {s->from, HEADS * LQ * D, LQ * D, D},
                       .to = {s->pool, STEP, HEAD, TOKEN},
                       .scale = {s->pool_scale, STEP / D, PAGE, 1},
                       .pages = s->table,
                       .pages_batch = EACH,
                       .page_count = POOL,
                       .first = s->first};
}

static void refuse_rows(table_test *t, enum core k, const attn_rows *r, attn_status want,
                        const char *says) {
    char text[ATTN_MESSAGE_MAX] = "?";
    const attn_operand v = ATTN_OPERAND_V;
    expect(t, t->lib->store_check(t->plan[k], v, r, text, sizeof text) == want, says, text);
    expect(t, want == ATTN_OK ? !*text : strstr(text, says) != NULL, says, text);
    expect(t, t->lib->store_rows(t->plan[k], v, r) == want, says, "the call's own status");
}

#define ROWS(core, spoil, want, says)         \
    do {                                      \
        attn_rows r = rows_of(s);             \
        spoil;                                \
        refuse_rows(t, core, &r, want, says); \
    } while (0)

static void check_rows(table_test *t, stores *s) {
    ROWS(INTEGERS, (void)0, ATTN_OK, "");
    ROWS(INTEGERS, r.pages = NULL, ATTN_E_ARGUMENT, "pages is null: must hold int32");
    ROWS(INTEGERS, s->table[1] = POOL, ATTN_E_PAGE,
         "pages[0][1] is 8: must be from 0 to page_count - 1 = 7, as rows go to it");
    ROWS(INTEGERS, r.first = NULL, ATTN_E_PAGE, "pages[1][0] is -1");
    ROWS(INTEGERS, s->first[1] = -1, ATTN_E_LENGTH, "first[1] is -1: must be from 0 to");
    ROWS(INTEGERS, r.page_count = -2, ATTN_E_ARGUMENT, "page_count is -2");
    ROWS(INTEGERS, r.to.token = D - 1, ATTN_E_ARGUMENT, "to.token is 7: rows of to overlap");
    ROWS(INTEGERS, r.struct_size = offsetof(attn_rows, pages), ATTN_E_ARGUMENT, "pages is null");
    ROWS(DENSE, r.first = NULL, ATTN_E_UNUSED,
         "pages is given: must be null, as the spec's layout is not paged");
    ROWS(DENSE, r.pages = NULL, ATTN_E_UNUSED, "first is given: must be null");
    ROWS(INTEGERS, (r.tokens = 0, r.pages = NULL), ATTN_OK, "");
}

/* The rows are those of a dense store, and nothing else is written. */
static void check_stored(table_test *t, stores *s, attn_operand which) {
    const attn_rows paged = rows_of(s);
    attn_rows dense = paged;
    dense.to = (attn_out){s->dense, HEADS * LQ * D, LQ * D, D};
    dense.scale = (attn_scales_out){s->dense_scale, HEADS * LQ, LQ, 1};
    dense.pages = dense.first = NULL;
    memset(s->pool, 0x5a, sizeof s->pool);
    for (int i = 0; i < SIZE / D; i++) s->pool_scale[i] = 77;
    const char *what = which == ATTN_OPERAND_K ? "K stored in pages" : "V stored in pages";
    expect(t, t->lib->store_rows(t->plan[INTEGERS], which, &paged) == ATTN_OK, what, "status");
    expect(t, t->lib->store_rows(t->plan[DENSE], which, &dense) == ATTN_OK, what, "dense status");
    for (int b = 0; b < B; b++)
        for (int h = 0; h < HEADS; h++)
            for (int i = 0; i < LQ; i++) {
                const int key = s->first[b] + i, page = s->table[b * EACH + key / PAGE];
                const int at = (page * HEADS + h) * PAGE + key % PAGE;
                const int row = (b * HEADS + h) * LQ + i;
                expect(t, !memcmp(s->pool + at * D, s->dense + row * D, D), what, "other codes");
                expect(t, !memcmp(&s->pool_scale[at], &s->dense_scale[row], sizeof(float)), what,
                       "another scale");
                memset(s->pool + at * D, 0x5a, D);
                s->pool_scale[at] = 77;
            }
    bool clean = true;
    for (int i = 0; i < SIZE; i++)
        clean = clean && s->pool[i] == 0x5a && !(s->pool_scale[i / D] < 77) &&
                !(s->pool_scale[i / D] > 77);
    expect(t, clean, what, "wrote elsewhere");
}

int property_tables(const property_options *o) {
    arena *a = arena_new();
    table_test *t = arena_alloc(a, sizeof *t);
    stores *s = arena_alloc(a, sizeof *s);
    rng r = {7};
    int failures = 1;
    t->a = a;
    for (int i = 0; i < B * HEADS * LQ * D; i++) s->from[i] = rng_normal(&r);
    t->lib = property_plans(a, "tables", &o->build, fields, CORES, t->spec, t->plan);
    if (t->lib) {
        check_tables(t);
        check_rows(t, s);
        check_stored(t, s, ATTN_OPERAND_K);
        check_stored(t, s, ATTN_OPERAND_V);
        for (int k = 0; k < CORES; k++) t->lib->plan_destroy(t->plan[k]);
        printf("property: %d checks of page tables, %d failed\n", t->checks, t->failures);
        failures = t->failures;
    }
    arena_free(a);
    return failures;
}
