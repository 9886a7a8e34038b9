$ -- Variant index: each row goes through the keys that its list names, gathered block by block.
$ local engine = hooks("engine/" .. isa.engine .. ".c")
$ if a.section == "code" then
/* --- index: the keys that a row's list names --- */

/* What of a list is left: numbers `at` .. count - 1 of it. */
typedef struct list_rest {
    const int32_t *number;
    int32_t at, count;
} list_rest;

static list_rest list_of(const item *x, int32_t g, int32_t i) {
    const attn_args *args = x->args;
    if (x->kv_len <= 0) return (list_rest){NULL, 0, 0}; /* lists may be null, too */
    return (list_rest){attn_index_of(args, x->b, key_head(g * GROUP), i), 0,
                       *attn_index_count(args, x->b, i)};
}

/* The next numbers that name a key which exists, stands at a position of lo..hi and no padding
 * hides, a block of them at most. Returns how many. */
static int32_t next_numbers(const item *x, scratch *w, list_rest *list, int32_t lo, int32_t hi) {
    const uint8_t *padding = item_padding(x);
    w->count = 0;
    for (; list->at < list->count && w->count < BLOCK; list->at++) {
        const int32_t key = list->number[list->at];
        if (key < 0 || key >= x->kv_len || (padding && padding[key])) continue;
        const int32_t position = attn_key_position(x, key);
        if (position < lo || position > hi) continue;
        w->number[w->count++] = key;
    }
    return w->count;
}

$ if plan.gathers then
${part("part/index_dots.c")}

$ else
${part("part/index_tiles.c")}

$ end
/* Rows of all items, and those of the items before one. */
static inline int64_t rows_before(const attn_args *args, int32_t b) {
    return args->q_begin ? args->q_begin[b] - (int64_t)args->q_begin[0] : b * (int64_t)args->q_len;
}

/* The item of one of them. */
static int32_t item_of_row(const attn_args *args, int64_t row) {
    int32_t b = 0, end = args->batch; /* the item is b..end - 1 */
    while (end - b > 1) {
        const int32_t middle = b + (end - b) / 2;
        if (rows_before(args, middle) <= row)
            b = middle;
        else
            end = middle;
    }
    return b;
}

/* One query row of one group of heads. */
static void index_task(void *ctx, int64_t task, int worker) {
    const call *c = ctx;
    const int64_t row = task / GROUPS;
    const int32_t b = item_of_row(c->args, row), g = (int32_t)(task % GROUPS);
    const int32_t i = (int32_t)(row - rows_before(c->args, b));
    const item x = item_of(c, b);
    if (i >= x.rows) return;
    ${engine.begin()}
    for (int32_t from = 0; from < GROUP; from += INDEX_ROWS)
        index_rows(&x, &c->work[worker], g, i, from);
    ${engine.finish()}
}
$ elseif a.section == "tasks" then
(void)items;
return attn_times(GROUPS, rows);
$ elseif a.section == "run" then
attn_parallel(team, GROUPS * rows_before(args, args->batch), index_task, &c);
$ end
