/* product.c - specs from the axes: all combinations of types, forms, ops and backends, and of them,
 * with layouts and more, a small set in which each two values of two axes stand together. */
#include "property.h"
#include <stdlib.h>
#include <string.h>

/* Values of an axis: a short name each, and its fields. */
enum { VALUES = 9 };
typedef struct axis {
    struct {
        const char *name, *fields;
    } value[VALUES];
} axis;

/* clang-format off */
static const axis axes[] = {
    {{{"regular", "form=regular;heads=4;kv_heads=2;head_dim=20;v_dim=12;"},
      {"mla", "form=mla;heads=3;retr_dim=16;kv_comp_dim=20;"},
      {"shared", "form=mla;key=shared;heads=5;retr_dim=8;kv_comp_dim=24;scale=0.2;"}}},
    {{{"full", "op=full_self;"}, {"sliding", "op=sliding_self;window=40;"},
      {"gather", "op=segment_cross;lookback=2;"}, {"cross", "op=segment_cross;lookback=90;"}}},
    {{{"plain", ""}, {"capped", "softcap=4;sinks=true;"},
      {"score", "backend=flex;score=s + 0.02 * (k - q);"},
      {"mask", "backend=flex;mask=(k + q) % 5 != h;"}}},
    {{{"f32", "type=f32;"}, {"bf16", "type=bf16;"}, {"f16", "type=f16;"}}},
    /* A kv_type, and what goes with it. */
    {{{"kf32", "kv_type=f32;"}, {"kbf16", "kv_type=bf16;"}, {"kf16", "kv_type=f16;"},
      {"kbf16-dot", "kv_type=bf16;dot=bf16;"}, {"ki8", "kv_type=i8;dot=f32;"},
      {"ki8-i16", "kv_type=i8;"}, {"ki8-i16-turned", "kv_type=i8;rotate=true;"},
      {"ki8-i8", "kv_type=i8;dot=i8;"}, {"ki8-turned", "kv_type=i8;rotate=true;dot=f32;"}}},
    /* From here on: for pairs alone. */
    {{{"dense", ""}, {"paged", "layout=paged;page=16;"}, {"index", "select=index;"},
      {"paged-index", "layout=paged;page=32;select=index;"}}},
    {{{"o", ""}, {"of32", "o_type=f32;"}}},
};
/* clang-format on */
enum { AXES = sizeof axes / sizeof *axes, IN_PRODUCT = 5 };

typedef struct tuple {
    int at[AXES];
} tuple;

static int values(int axis) {
    int n = 0;
    while (n < VALUES && axes[axis].value[n].name) n++;
    return n;
}

/* The next one, the last axis first; false: that was the last. */
static bool advance(tuple *t, int count) {
    for (int i = count - 1; i >= 0; i--) {
        if (++t->at[i] < values(i)) return true;
        t->at[i] = 0;
    }
    return false;
}

static const char *joined(arena *a, const tuple *t, int count, bool fields) {
    buf b = buf_new(a);
    for (int i = 0; i < count; i++)
        buf_printf(&b, "%s%s", !fields && i > 0 ? "," : "",
                   fields ? axes[i].value[t->at[i]].fields : axes[i].value[t->at[i]].name);
    return b.data;
}

static bool is_legal(arena *a, const tuple *t, int count) {
    kernel_spec kernel;
    diag d = {0};
    return property_try(a, "product", joined(a, t, count, true), &kernel, &d);
}

static void add(arena *a, property_rows *rows, const tuple *t, int count) {
    rows->row[rows->count++] =
        (property_spec){joined(a, t, count, false), joined(a, t, count, true), 0, 0, 0, 0};
}

/* All legal combinations of the first axes. */
static tuple *all(arena *a, int axis_count, int *count) {
    int most = 1;
    for (int i = 0; i < axis_count; i++) most *= values(i);
    tuple *list = arena_alloc(a, (size_t)most * sizeof *list), t = {{0}};
    *count = 0;
    arena *own = arena_new();
    do
        if (is_legal(own, &t, axis_count)) list[(*count)++] = t;
    while (advance(&t, axis_count));
    arena_free(own);
    return list;
}

typedef bool seen_pairs[AXES][VALUES][AXES][VALUES];

/* How many pairs of a combination are not seen yet; mark: they are now. */
static int unseen(seen_pairs seen, const tuple *t, bool mark) {
    int n = 0;
    for (int i = 0; i < AXES; i++)
        for (int j = i + 1; j < AXES; j++) {
            bool *pair = &seen[i][t->at[i]][j][t->at[j]];
            n += !*pair;
            if (mark) *pair = true;
        }
    return n;
}

property_rows property_product(arena *a) {
    property_rows rows = {0};
    int count;
    const tuple *list = all(a, IN_PRODUCT, &count);
    rows.row = arena_alloc(a, (size_t)count * sizeof *rows.row);
    for (int i = 0; i < count; i++) add(a, &rows, &list[i], IN_PRODUCT);
    return rows;
}

/* Always the one that has most pairs which none before has. */
property_rows property_pairs(arena *a) {
    static seen_pairs seen;
    property_rows rows = {0};
    int count;
    const tuple *list = all(a, AXES, &count);
    rows.row = arena_alloc(a, (size_t)count * sizeof *rows.row);
    memset(seen, 0, sizeof seen);
    for (;;) {
        int best = 0, most = 0;
        for (int i = 0; i < count; i++) {
            const int n = unseen(seen, &list[i], false);
            if (n > most) most = n, best = i;
        }
        if (!most) return rows;
        unseen(seen, &list[best], true);
        add(a, &rows, &list[best], AXES);
    }
}
