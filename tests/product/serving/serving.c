/* serving.c - users of one model who come and go, in a loop of one call. Keys lie in pages. What
 * users share is computed once: who joins forks it, shares its full pages, and extends it by his
 * prompt in the call in which others go on. These draft a tree of 8 tokens, verified in one call;
 * the accepted path is kept. A text must be what its user gets alone. Greedy.
 * usage: serving WEIGHTS END SYSTEM USER..    END ends a text; the others are files of token ids
 * Compiled with -DMODEL_HEADER='"x_model.h"' -DMODEL_OPEN=x_model_open -DPAGE=n, keys of a page. */
#include MODEL_HEADER
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 3, SYSTEM = SLOTS, ALONE, ITEMS, USERS = 8, PROMPT = 64, TEXT = 40, BRANCH = 4 };
enum { TREE = 2 * BRANCH, MOST = 2 * PROMPT + TEXT + TREE, PAGES = ITEMS * (MOST / PAGE + 1) };

/* New tokens of an item, and what follows each. */
typedef struct tokens {
    int32_t count, id[PROMPT], next[PROMPT];
    bool tree; /* the last token of a text, then two branches of what may follow it */
} tokens;
typedef struct user {
    int32_t prompt, count, id[PROMPT + TEXT]; /* tokens of his prompt, and in all */
} user;

static attn_model *model;
static attn_model_cache cache;
static attn_model_info info = {.struct_size = sizeof info};
static user users[USERS], *in[SLOTS];
static int joined, failed, end, calls, drafted, accepted, owners[PAGES] /* items */, most_pages;

static void must(attn_status status, const char *what) {
    if (status == ATTN_OK) return;
    fprintf(stderr, "serving: %s: %s\n", what, attn_status_text(status));
    exit(2);
}

static user read_ids(const char *path) {
    user u = {0};
    FILE *f = fopen(path, "r");
    while (f && u.count < PROMPT && fscanf(f, "%d", &u.id[u.count]) == 1) u.prompt = ++u.count;
    must(f && feof(f) && u.count ? ATTN_OK : ATTN_E_LENGTH, path);
    fclose(f);
    return u;
}

static int held(int item) {
    return cache.layer[0].length[item];
}

/* Entry n of an item's table, which all layers share. */
static int32_t *page_at(int item, int n) {
    return &cache.layer[0].pages[item * cache.layer[0].pages_batch + n];
}

static void give_page(int item, int n) {
    int page = 0;
    if (*page_at(item, n) >= 0) return;
    while (owners[page]) page++; /* there are as many as all items may need */
    owners[*page_at(item, n) = page] = 1;
    if (page >= most_pages) most_pages = page + 1;
}

/* An item goes on from the system's prompt: a last page that is not full becomes a copy. */
static void join(int item) {
    const int full = held(SYSTEM) / PAGE;
    if (held(SYSTEM) % PAGE) give_page(item, full);
    must(attn_model_cache_fork(model, &cache, SYSTEM, &cache, item), "attn_model_cache_fork");
    for (int n = 0; n < full; n++) owners[*page_at(item, n)]++;
}

/* Of an item's tokens the first `count` stay, and a path of those that follow; pages go. */
static void keep(int item, int count, const int *path, int n) {
    must(attn_model_cache_keep(model, &cache, item, count, path, n), "attn_model_cache_keep");
    for (int p = (count + n + PAGE - 1) / PAGE; p < cache.layer[0].pages_batch;
         *page_at(item, p++) = -1)
        if (*page_at(item, p) >= 0) owners[*page_at(item, p)]--;
}

/* The token before one; -1: one that the item holds. */
static int parent(const tokens *t, int row) {
    return t->tree && row % BRANCH == 1 ? 0 : row - 1;
}

/* New tokens of all items, none or more each, each of which sees the path to it. */
static void forward(tokens *items) {
    static uint8_t mask[ITEMS][PROMPT][MOST];
    int32_t begin[ITEMS + 1] = {0}, id[ITEMS * PROMPT], at[ITEMS * PROMPT], all[ITEMS * PROMPT];
    int rows = 0, most = 0, keys = 0;
    for (int b = 0; b < ITEMS; begin[++b] = rows) {
        const int count = items[b].count, before = held(b);
        if (count > most) most = count;
        if (before + count > keys) keys = before + count;
        for (int p = 0; p * PAGE < before + count; p++) give_page(b, p);
        for (int i = 0; i < count; i++, rows++) {
            id[rows] = items[b].id[i], all[rows] = rows, at[rows] = before - 1;
            for (int k = 0; k < before + count; k++) mask[b][i][k] = k < before;
            for (int up = i; up >= 0; up = parent(&items[b], up))
                mask[b][i][before + up] = 1, at[rows]++;
        }
    }
    float *logits = malloc((size_t)rows * (size_t)info.vocab * sizeof *logits), *row = logits;
    attn_model_args a = ATTN_MODEL_ARGS_INIT;
    a.items = ITEMS, a.begin = begin, a.ids = id, a.cache = &cache, a.threads = 2, a.position = at;
    a.logit_rows = all, a.logit_count = rows, a.logits = logits;
    a.mask =
        (attn_mask){mask, ATTN_MASK_BOOL, 4, {ITEMS, 1, most, keys}, {PROMPT * MOST, 0, MOST, 1}};
    must(attn_model_bytes(model, &a, &a.workspace_bytes), "attn_model_bytes");
    void *memory = malloc(a.workspace_bytes + 63);
    a.workspace = attn_align(memory);
    must(attn_model_forward(model, &a), "attn_model_forward");
    for (int b = 0; b < ITEMS; b++)
        for (int i = 0; i < items[b].count; i++, row += info.vocab)
            for (int32_t v = items[b].next[i] = 0; v < info.vocab; v++)
                if (row[v] > row[items[b].next[i]]) items[b].next[i] = v;
    free(logits), free(memory), calls++;
}

static bool is_done(const user *u) {
    return u->count > u->prompt && (u->count == u->prompt + TEXT || u->id[u->count - 1] == end);
}

/* His prompt; or his last token and a tree of what followed it before, in two ways if it did. */
static tokens put_in(const user *u) {
    const int32_t *all = u->id, n = u->count;
    tokens t = {.count = u->prompt};
    memcpy(t.id, all, sizeof t.id);
    if (n == u->prompt) return t;
    t = (tokens){.count = 1 + TREE, .id = {all[n - 1]}, .tree = true};
    for (int branch = 0, at = n; branch < 2; branch++) {
        while (--at > 0 && (all[at - 1] != all[n - 1] || (branch && all[at] == t.id[1]))) continue;
        if (at < 0) at = 0; /* it did not: any tokens */
        for (int i = 0; i < BRANCH; i++)
            t.id[1 + branch * BRANCH + i] = all[at + i < n ? at + i : n - 1];
    }
    return t;
}

/* What comes out: tokens down the tree as long as it has them. The rows of that path stay. */
static void take_out(int slot, const tokens *t) {
    user *u = in[slot];
    int path[BRANCH], n = 0, row = t->tree ? 0 : t->count - 1;
    u->id[u->count++] = t->next[row];
    for (int child = 1; t->tree && child < t->count && !is_done(u); child++)
        if (parent(t, child) == row && t->id[child] == t->next[row])
            path[n++] = child - 1, row = child, u->id[u->count++] = t->next[row];
    if (t->tree) drafted += TREE, accepted += n, keep(slot, held(slot) - TREE, path, n);
    if (is_done(u)) keep(slot, 0, NULL, 0), in[slot] = NULL;
}

/* One call for all who are there; false: nobody is. */
static bool serve(int count) {
    tokens t[ITEMS] = {{0}};
    bool any = false;
    for (int s = 0; s < SLOTS; s++) {
        if (!in[s] && joined < count) join(s), in[s] = &users[joined++];
        if (in[s]) t[s] = put_in(in[s]), any = true;
    }
    if (any) forward(t);
    for (int s = 0; s < SLOTS; s++)
        if (in[s]) take_out(s, &t[s]);
    return any;
}

/* Whether the text is the same token by token, from an empty item. */
static bool same_alone(const user *u, const tokens *system) {
    tokens t[ITEMS] = {[ALONE] = *system};
    keep(ALONE, 0, NULL, 0), forward(t);
    for (int n = 0; n + 1 < u->count; n++) {
        t[ALONE] = (tokens){.count = 1, .id = {u->id[n]}}, forward(t);
        if (n + 1 >= u->prompt && t[ALONE].next[0] != u->id[n + 1]) return false;
    }
    return true;
}

int main(int argc, char **argv) {
    char why[2000];
    size_t n;
    if (argc < 5) return fputs("usage: serving WEIGHTS END SYSTEM USER..\n", stderr), 2;
    const int count = argc - 4 < USERS ? argc - 4 : USERS;
    const user system = read_ids(argv[3]);
    tokens first[ITEMS] = {[SYSTEM] = put_in(&system)};
    must(MODEL_OPEN(&model, argv[1], NULL, why, sizeof why), why);
    must(attn_model_describe(model, &info), "attn_model_describe");
    must(attn_model_cache_paged_bytes(model, ITEMS, MOST, PAGES, &n), "a cache in pages");
    must(attn_model_cache_paged_init(model, &cache, ITEMS, MOST, PAGES, attn_align(malloc(n + 63)),
                                     n),
         "a cache");
    for (int u = 0; u < count; u++) users[u] = read_ids(argv[4 + u]);
    for (end = atoi(argv[2]), forward(first); serve(count);) continue;
    printf("%d users, %d calls, %d of %d drafted tokens accepted, %d pages of %d\n", count, calls,
           accepted, drafted, most_pages, PAGE);
    for (user *u = users; u < users + count; u++) {
        printf("text");
        for (int i = u->prompt; i < u->count; i++) printf(" %d", u->id[i]);
        if (putchar('\n'), !same_alone(u, &first[SYSTEM]))
            failed++, puts("FAIL: alone he gets another");
    }
    attn_model_close(model);
    return printf("%d passed, %d failed\n", count - failed, failed), failed > 0;
}
