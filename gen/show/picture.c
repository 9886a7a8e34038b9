#include "picture.h"

#include "markup.h"
#include "op.h"
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    /* Drawing units: one is a pixel where the picture is as wide as a phone. */
    GRID_WIDTH = 300,
    GRID_LOW = 120,
    GRID_HIGH = 400,
    /* Example lengths, in keys: at least, at most, and a multiple of every tile. */
    LENGTH_MIN = 768,
    LENGTH_MAX = 9216,
    LENGTH_STEP = 384,
    GATHER_KEYS = 48,
    /* Elements of the detail. */
    DETAIL_KEYS = 48,
    DETAIL_ROWS = 32,
    PIECES_MAX = 12000, /* more, and elements are drawn in the detail alone */
    COLUMNS = 96
};

static int32_t min32(int32_t a, int32_t b) {
    return a < b ? a : b;
}

static int32_t max32(int32_t a, int32_t b) {
    return a > b ? a : b;
}

/* One and a half times `reach`, in whole tiles. */
static int32_t example_length(int64_t reach) {
    int64_t n = reach + reach / 2;
    if (n > LENGTH_MAX) n = LENGTH_MAX;
    if (n < LENGTH_MIN) n = LENGTH_MIN;
    return (int32_t)((n + LENGTH_STEP - 1) / LENGTH_STEP * LENGTH_STEP);
}

explain_extent picture_extent(const kernel_spec *k, const explain_extent *want) {
    explain_extent e = *want;
    const int64_t most = attn_op_of(&k->core)->reach(&k->core).most;
    const bool gathers = attn_op_few_keys(&k->core) > 0;
    const int32_t queries_a_key = gathers ? 4 : 1;
    const int32_t keys = gathers           ? GATHER_KEYS
                         : most < ATTN_FAR ? example_length(most)
                                           : LENGTH_MIN;
    if (e.kv_len < 0) e.kv_len = e.q_len >= 0 ? max32(1, e.q_len / queries_a_key) : keys;
    if (e.q_len < 0) e.q_len = e.kv_len * queries_a_key;
    return e;
}

/* --- Paths. --- */

/* Path data, broken over lines; in elements, x: keys, y: query rows. */
typedef struct path {
    buf b;
    size_t line; /* where the last line starts */
    int pieces;
} path;

static path path_new(arena *a) {
    return (path){buf_new(a), 0, 0};
}

static void path_add(path *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void path_add(path *p, const char *fmt, ...) {
    char text[80];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (p->b.len - p->line + strlen(text) > COLUMNS) {
        buf_puts(&p->b, "\n");
        p->line = p->b.len;
    }
    buf_puts(&p->b, text);
}

static void path_rect(path *p, int32_t x, int32_t y, int32_t w, int32_t h) {
    path_add(p, "M%d %dh%dv%dh%dz", x, y, w, h, -w);
    p->pieces++;
}

static const char *path_text(path *p) {
    return p->b.len ? p->b.data : "M0 0";
}

/* --- Elements: runs of visible keys, stacked to polygons where a row has one run. --- */
typedef struct stack {
    path *out;
    int32_t y0, rows;
    int32_t lo[PLAN_MAX_VECTORS * 64], hi[PLAN_MAX_VECTORS * 64];
} stack;

static void step(stack *s, char axis, int32_t by) {
    if (by) path_add(s->out, "%c%d", axis, by);
}

/* The outline: down the right sides, then up the left ones. */
static void stack_flush(stack *s) {
    if (!s->rows) return;
    path_add(s->out, "M%d %d", s->lo[0], s->y0);
    int32_t x = s->lo[0], down = 0;
    for (int32_t r = 0; r < s->rows; r++, down++) {
        if (x == s->hi[r] + 1) continue;
        step(s, 'v', down);
        step(s, 'h', s->hi[r] + 1 - x);
        x = s->hi[r] + 1;
        down = 0;
    }
    step(s, 'v', down);
    int32_t up = 0;
    for (int32_t r = s->rows - 1; r > 0; r--) {
        if (x != s->lo[r]) {
            step(s, 'v', -up);
            step(s, 'h', s->lo[r] - x);
            x = s->lo[r];
            up = 0;
        }
        up++;
    }
    if (x != s->lo[0]) {
        step(s, 'v', -up);
        step(s, 'h', s->lo[0] - x);
    }
    path_add(s->out, "z");
    s->out->pieces += 1 + s->rows / 4;
    s->rows = 0;
}

static void stack_row(stack *s, int32_t y, int32_t lo, int32_t hi) {
    const int32_t n = s->rows;
    const bool fits = n && s->y0 + n == y && n < (int32_t)(sizeof s->lo / sizeof *s->lo) &&
                      lo <= s->hi[n - 1] && hi >= s->lo[n - 1];
    if (!fits) {
        stack_flush(s);
        s->y0 = y;
    }
    s->lo[s->rows] = lo;
    s->hi[s->rows++] = hi;
}

typedef struct drawing {
    arena *a;
    const kernel_spec *k;
    const explain_extent *e;
    const example *x; /* null: none is needed */
    int32_t start, rows, block;
    path full, partial, seen;
    work count;
    /* The tile with most of both: where the detail looks. */
    attn_tile_box best;
    double best_share;
} drawing;

static bool visible(const drawing *d, int32_t i, int32_t key) {
    return work_visible(d->k, d->e, d->x, 0, i, key);
}

/* Adds the visible elements of a box of rows and keys; answers how many there are. */
static int64_t draw_elements(drawing *d, int32_t i0, int32_t i1, int32_t k0, int32_t k1,
                             path *out) {
    stack s = {.out = out};
    int64_t count = 0;
    for (int32_t i = i0; i <= i1; i++) {
        int runs = 0;
        int32_t lo = 0, hi = -1;
        for (int32_t key = k0; key <= k1 + 1; key++) {
            const bool on = key <= k1 && visible(d, i, key);
            if (on && hi < lo) lo = key, hi = key;
            if (on) hi = key, count++;
            if (on || hi < lo) continue;
            if (runs++) stack_flush(&s);
            stack_row(&s, i, lo, hi);
            lo = 0, hi = -1;
        }
        if (runs > 1) stack_flush(&s);
    }
    stack_flush(&s);
    return count;
}

static void draw_tile(drawing *d, const attn_tile_box *t) {
    path scratch = path_new(d->a);
    path *out = d->seen.pieces > PIECES_MAX ? &scratch : &d->seen;
    const int64_t n = draw_elements(d, t->q0, t->q1, t->k0, t->k1, out);
    const double area = (double)(t->q1 - t->q0 + 1) * (t->k1 - t->k0 + 1), share = (double)n / area;
    const double mixed = share < 0.5 ? share : 1 - share;
    if (mixed <= d->best_share) return;
    d->best_share = mixed;
    d->best = *t;
}

/* Tiles of a row of tiles; neighbours of one class are one rectangle. */
static void draw_tile_row(drawing *d, int32_t i0, int32_t i1) {
    attn_tile_class run_class = ATTN_TILE_NONE;
    int32_t run = 0;
    bool end = false;
    for (int32_t k0 = 0; !end; k0 += d->block) {
        end = k0 >= d->e->kv_len;
        const int32_t k1 = min32(k0 + d->block, d->e->kv_len) - 1;
        const attn_tile_box box = {0, d->k->core.heads - 1, d->start + i0, d->start + i1, k0, k1};
        const attn_tile_class class = end ? ATTN_TILE_NONE : work_class(d->k, d->e, d->x, &box);
        if (class == ATTN_TILE_SOME) draw_tile(d, &(attn_tile_box){0, 0, i0, i1, k0, k1});
        if (class == run_class && !end) continue;
        path *out = run_class == ATTN_TILE_ALL ? &d->full : &d->partial;
        if (run_class != ATTN_TILE_NONE)
            path_rect(out, run, i0, min32(k0, d->e->kv_len) - run, i1 - i0 + 1);
        run = k0;
        run_class = class;
    }
}

static void draw_tiles(drawing *d) {
    for (int32_t i = 0; i < d->e->q_len; i += d->rows)
        draw_tile_row(d, i, min32(i + d->rows, d->e->q_len) - 1);
}

/* Without tiles, a kernel's queries fetch their own keys. */
static void draw_gathered(drawing *d) {
    draw_elements(d, 0, d->e->q_len - 1, 0, d->e->kv_len - 1, &d->seen);
    d->best = (attn_tile_box){0, 0, 0, d->e->q_len - 1, 0, d->e->kv_len - 1};
    d->best_share = 1;
}

/* Where in the chosen tile to look: the place with most of both kinds. */
static void aim(const drawing *d, int32_t *x, int32_t *y) {
    double most = -1;
    for (int32_t k0 = d->best.k0; k0 <= d->best.k1; k0 += 8)
        for (int32_t i0 = d->best.q0; i0 <= d->best.q1; i0 += 8) {
            const int32_t kx = max32(0, min32(k0 - 8, d->e->kv_len - DETAIL_KEYS));
            const int32_t iy = max32(0, min32(i0 - 8, d->e->q_len - DETAIL_ROWS));
            int seen = 0;
            for (int32_t i = iy; i < iy + DETAIL_ROWS && i < d->e->q_len; i++)
                for (int32_t key = kx; key < kx + DETAIL_KEYS && key < d->e->kv_len; key++)
                    seen += visible(d, i, key);
            const double share = (double)seen / (DETAIL_KEYS * DETAIL_ROWS);
            const double mixed = share < 0.5 ? share : 1 - share;
            if (mixed <= most) continue;
            most = mixed;
            *x = kx;
            *y = iy;
        }
}

/* --- The table. --- */

/* Labels at multiples of a power of two, at most about six. */
static lua_val *ticks(arena *a, int32_t first, int32_t n, int size) {
    lua_val *list = lua_val_table(a);
    int64_t every = 1;
    while (every * 6 < n) every *= 2;
    int64_t at = first >= 0 ? (first + every - 1) / every * every : -(-first / every * every);
    for (; at < (int64_t)first + n; at += every) {
        lua_val *row = lua_val_table(a);
        const double x = ((double)(at - first) + 0.5) * size / n;
        lua_val_set_string(a, row, "at", arena_printf(a, "%.1f", x));
        lua_val_set_string(a, row, "label", arena_printf(a, "%lld", (long long)at));
        lua_val_push(a, list, row);
    }
    return list;
}

/* Lines between tiles, where they would not hide what they divide. */
static const char *grid(const drawing *d) {
    path p = path_new(d->a);
    const int32_t nq = d->e->q_len / d->rows, nk = d->e->kv_len / d->block;
    if (nq > 72 || nk > 72) return path_text(&p);
    for (int32_t k = d->block; k < d->e->kv_len; k += d->block)
        path_add(&p, "M%d 0v%d", k, d->e->q_len);
    for (int32_t i = d->rows; i < d->e->q_len; i += d->rows)
        path_add(&p, "M0 %dh%d", i, d->e->kv_len);
    return path_text(&p);
}

static const char *element_grid(arena *a, int32_t keys, int32_t rows) {
    path p = path_new(a);
    for (int32_t k = 1; k < keys; k++) path_add(&p, "M%d 0v%d", k, rows);
    for (int32_t i = 1; i < rows; i++) path_add(&p, "M0 %dh%d", i, keys);
    return path_text(&p);
}

static void detail(drawing *d, lua_val *t) {
    arena *a = d->a;
    const int32_t keys = min32(DETAIL_KEYS, d->e->kv_len), rows = min32(DETAIL_ROWS, d->e->q_len);
    lua_val *row = lua_val_table(a);
    int32_t x = 0, y = 0;
    aim(d, &x, &y);
    const bool crowded = d->seen.pieces > PIECES_MAX;
    if (crowded) { /* the detail's elements alone */
        d->seen = path_new(a);
        draw_elements(d, y, y + rows - 1, x, x + keys - 1, &d->seen);
    }
    lua_val_set_bool(a, row, "fixed", crowded);
    lua_val_set_int(a, row, "x", x);
    lua_val_set_int(a, row, "y", y);
    lua_val_set_int(a, row, "keys", keys);
    lua_val_set_int(a, row, "rows", rows);
    lua_val_set_int(a, row, "height", (GRID_WIDTH * rows + keys / 2) / keys);
    lua_val_set_int(a, row, "first_query", d->start + y);
    lua_val_set_int(a, row, "last_query", d->start + y + rows - 1);
    lua_val_set_int(a, row, "last_key", x + keys - 1);
    lua_val_set_string(a, row, "grid", element_grid(a, keys, rows));
    lua_val_set(a, t, "detail", row);
}

/* What the numbers in the caption rest on. */
static const char *remarks(arena *a, const drawing *d) {
    buf b = buf_new(a);
    buf_puts(&b, "");
    const kernel_spec *k = d->k;
    if (d->x) buf_printf(&b, "Run-time data of the example: %s. ", d->x->text);
    if (k->mask_expr && expr_uses_of(k->mask_expr).head)
        buf_puts(&b, "Heads differ: tiles are counted over all heads, elements drawn for head 0. ");
    if (k->score_expr && strstr(expr_canonical(a, k->score_expr), "inf"))
        buf_puts(&b, "Where the score expression gives -inf, it hides pairs that are drawn as "
                     "visible here. ");
    const attn_op_rule *op = attn_op_of(&k->core);
    const int64_t back = op->reach(&k->core).back;
    if (!op->segments && back < ATTN_FAR && back >= d->e->kv_len)
        buf_printf(&b, "The window of %lld reaches beyond this picture. ", (long long)back);
    if (b.len) b.data[--b.len] = 0;
    return markup_fold(a, b.data);
}

static int grid_height(const explain_extent *e) {
    const int64_t h = (int64_t)GRID_WIDTH * e->q_len / e->kv_len;
    return h < GRID_LOW ? GRID_LOW : h > GRID_HIGH ? GRID_HIGH : (int)h;
}

lua_val *picture_make(arena *a, const kernel_spec *k, const plan *p, const explain_extent *e,
                      const char *id) {
    example x;
    drawing d = {.a = a, .k = k, .e = e, .start = extent_start(k, e)};
    d.rows = p->tile_vectors * isa_table[p->isa].width;
    d.block = p->key_block;
    d.full = path_new(a), d.partial = path_new(a), d.seen = path_new(a);
    if (work_needs_data(k)) {
        example_make(a, k, p, e, &x);
        d.x = &x;
    }
    d.count = work_of(k, p, e, d.x);
    if (p->tiled)
        draw_tiles(&d);
    else
        draw_gathered(&d);

    lua_val *t = lua_val_table(a);
    lua_val_set_bool(a, t, "detail_wanted", d.best_share > 0);
    if (d.best_share > 0) detail(&d, t);
    lua_val_set_string(a, t, "id", id);
    lua_val_set_string(a, t, "name", markup_fold(a, k->name));
    lua_val_set_string(a, t, "isa", isa_table[p->isa].name);
    lua_val_set_bool(a, t, "tiled", p->tiled);
    lua_val_set_int(a, t, "tile_queries", d.rows);
    lua_val_set_int(a, t, "tile_keys", d.block);
    lua_val_set_int(a, t, "gather_keys", p->gather_keys);
    lua_val_set_int(a, t, "q_len", e->q_len);
    lua_val_set_int(a, t, "kv_len", e->kv_len);
    lua_val_set_int(a, t, "start", d.start);
    lua_val_set_int(a, t, "skipped", d.count.none);
    lua_val_set_int(a, t, "full", d.count.all);
    lua_val_set_int(a, t, "partial", d.count.some);
    lua_val_set_string(a, t, "pairs", arena_printf(a, "%.0f", d.count.pairs));
    const double all = (double)e->q_len * e->kv_len;
    lua_val_set_string(a, t, "share", arena_printf(a, "%.3g", 100 * d.count.pairs / all));
    lua_val_set_string(a, t, "remarks", remarks(a, &d));
    lua_val_set_string(a, t, "full_path", path_text(&d.full));
    lua_val_set_string(a, t, "partial_path", path_text(&d.partial));
    lua_val_set_string(a, t, "seen_path", path_text(&d.seen));
    lua_val_set_string(a, t, "grid", p->tiled ? grid(&d) : "M0 0");
    lua_val_set_int(a, t, "width", GRID_WIDTH);
    lua_val_set_int(a, t, "height", grid_height(e));
    lua_val_set(a, t, "key_ticks", ticks(a, 0, e->kv_len, GRID_WIDTH));
    lua_val_set(a, t, "query_ticks", ticks(a, d.start, e->q_len, grid_height(e)));
    return t;
}
