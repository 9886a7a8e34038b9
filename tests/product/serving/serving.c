/* serving.c - users of one model who come and go, in a loop of one call a layer. What they share is
 * computed once: who joins forks it into a free slot of the caches and extends it by his own
 * prompt, in the call in which others get their next token. A text may go ahead: what followed its
 * last two tokens before is a draft, verified in one call; what was wrong is taken back. Greedy. */
#include "serving.h"
#include "lm.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 3, USERS = 8, PROMPT = 64, TEXT = 40, DRAFT = 4, TENSORS = 32 };
enum { SYSTEM, SERVED, ALONE, CACHES }; /* items: 1, SLOTS, 1 */

typedef struct layer {
    attn_block *block;
    void *packed;
    attn_cache cache[CACHES];
} layer;

typedef struct user {
    prompt own;
    int text[TEXT], length, slot; /* slot -1: waits, or has left */
} user;

/* New tokens of an item, and what follows each, from `wanted` on. */
typedef struct tokens {
    int32_t count;
    int id[PROMPT], wanted, next[PROMPT];
} tokens;

static weights w;
static layer layers[LM_LAYERS];
static prompt prompts[1 + USERS];
static user users[USERS];
static int calls, rows, drafted, accepted;

static void must(attn_status status, const char *what) {
    if (status == ATTN_OK) return;
    fprintf(stderr, "serving: %s: %s\n", what, attn_status_text(status));
    exit(2);
}

static void *allocate(size_t bytes) { /* until the program ends */
    void *memory = malloc(bytes + 63);
    must(memory ? ATTN_OK : ATTN_E_MEMORY, "malloc");
    return attn_align(memory);
}

static void open_layer(layer *l, int index) {
    char why[1000];
    attn_tensor tensors[TENSORS];
    must(lm_block_create(&l->block, index, 0), "lm_block_create");
    size_t bytes = attn_block_packed_bytes(l->block);
    l->packed = allocate(bytes);
    const int count = weights_of_layer(index, tensors), system = prompts[0].count;
    must(attn_block_pack(l->block, tensors, count, l->packed, bytes, why, sizeof why), why);
    const int all = system + PROMPT + TEXT + DRAFT, total[CACHES] = {system, all, all};
    for (int i = 0; i < CACHES; i++) { /* a sliding layer's slots let go of keys */
        const int items = i == SERVED ? SLOTS : 1, chunk = i == SERVED ? PROMPT : total[i];
        const int32_t capacity = attn_cache_capacity(l->block, total[i], chunk);
        must(attn_cache_bytes(l->block, items, capacity, &bytes), "attn_cache_bytes");
        must(attn_cache_init(l->block, &l->cache[i], items, capacity, allocate(bytes), bytes),
             "attn_cache_init");
    }
}

/* New tokens of all items of a cache, none or more each, through the layers. */
static void forward(int which, tokens *items) {
    const int n = which == SERVED ? SLOTS : 1;
    const size_t row = (size_t)w.hidden;
    int32_t count[SLOTS];
    static float *x;
    static char *workspace; /* of the largest call */
    if (!x) x = allocate(SLOTS * PROMPT * row * sizeof *x);
    attn_block_args a = ATTN_BLOCK_ARGS_INIT;
    a.batch = n, a.threads = 2, a.count = count, a.x = a.y = x;
    a.x_token = a.y_token = w.hidden, a.x_batch = a.y_batch = (int64_t)(PROMPT * row);
    for (int b = 0; b < n; b++) {
        count[b] = items[b].count, rows += count[b];
        if (count[b] > a.tokens) a.tokens = count[b];
        for (int i = 0; i < count[b]; i++)
            memcpy(x + (size_t)(b * PROMPT + i) * row, w.embedding + (size_t)items[b].id[i] * row,
                   row * sizeof *x);
    }
    for (layer *l = layers; l < layers + LM_LAYERS; l++) {
        static size_t room;
        a.cache = &l->cache[which], a.packed = l->packed;
        must(attn_block_workspace(l->block, &a, &a.workspace_bytes), "attn_block_workspace");
        if (a.workspace_bytes > room) workspace = allocate(room = a.workspace_bytes);
        a.workspace = workspace;
        must(attn_block_step(l->block, &a), "attn_block_step");
    }
    for (int b = 0; b < n; b++)
        for (int i = items[b].wanted; i < count[b]; i++)
            items[b].next[i] = weights_next(&w, x + (size_t)(b * PROMPT + i) * row);
    calls++;
}

static bool is_done(const user *u) {
    return u->length == TEXT || (u->length && u->text[u->length - 1] == w.end);
}

static tokens of_prompt(const prompt *p, int wanted) {
    tokens t = {.count = p->count, .wanted = wanted};
    memcpy(t.id, p->ids, (size_t)p->count * sizeof *t.id);
    return t;
}

/* What a user puts in: his prompt, or his last token and a draft after it. */
static tokens put_in(const user *u) {
    tokens t = of_prompt(&u->own, u->own.count - 1);
    if (u->length == 0) return t;
    int all[PROMPT + TEXT], n = t.count;
    memcpy(all, t.id, (size_t)n * sizeof *all);
    memcpy(all + n, u->text, (size_t)u->length * sizeof *all);
    n += u->length;
    int at = n - 2; /* the last two tokens, as they stood before */
    while (--at > 0 && (all[at - 1] != all[n - 2] || all[at] != all[n - 1])) {
    }
    t = (tokens){.count = 1, .id = {all[n - 1]}};
    for (; at > 0 && at + t.count < n && t.count <= DRAFT && u->length + t.count < TEXT; t.count++)
        t.id[t.count] = all[at + t.count];
    return t;
}

/* What comes out: tokens up to the first that the draft has otherwise; the rest is taken back. */
static void take_out(user *u, const tokens *t) {
    const bool joins = u->length == 0;
    int right = joins ? t->count : 1;
    u->text[u->length++] = t->next[right - 1];
    for (; right < t->count && t->id[right] == t->next[right - 1] && !is_done(u); right++)
        u->text[u->length++] = t->next[right];
    if (!joins) drafted += t->count - 1, accepted += right - 1;
    for (layer *l = layers; l < layers + LM_LAYERS; l++) {
        attn_cache *c = &l->cache[SERVED];
        const int stay = c->start[u->slot] + c->length[u->slot] - (t->count - right);
        must(attn_cache_truncate(l->block, c, u->slot, is_done(u) ? 0 : stay), "truncate");
    }
    if (is_done(u)) u->slot = -1;
}

/* One call for all who are there; false: nobody is. */
static bool serve(int count) {
    user *in[SLOTS] = {NULL}, *next = NULL;
    tokens t[SLOTS] = {{0}};
    for (user *u = users + count; u-- > users;)
        if (u->slot >= 0)
            in[u->slot] = u;
        else if (u->length == 0)
            next = u; /* one joins a call */
    bool any = false;
    for (int s = 0; s<SLOTS; any |= t[s].count> 0, s++) {
        if (!in[s] && next) {
            for (layer *l = layers; l < layers + LM_LAYERS; l++)
                must(attn_cache_fork(l->block, &l->cache[SYSTEM], 0, &l->cache[SERVED], s), "fork");
            in[s] = next, next->slot = s, next = NULL;
        }
        if (in[s]) t[s] = put_in(in[s]);
    }
    if (any) forward(SERVED, t);
    for (int s = 0; s < SLOTS; s++)
        if (in[s]) take_out(in[s], &t[s]);
    return any;
}

/* Whether the text is the same token by token, from an empty cache. */
static bool same_alone(const user *u) {
    for (layer *l = layers; l < layers + LM_LAYERS; l++)
        must(attn_cache_truncate(l->block, &l->cache[ALONE], 0, 0), "attn_cache_truncate");
    tokens t = of_prompt(&prompts[0], PROMPT);
    forward(ALONE, &t);
    t = of_prompt(&u->own, u->own.count - 1);
    for (int n = 0; n < u->length; n++) {
        forward(ALONE, &t);
        if (t.next[t.count - 1] != u->text[n]) return false;
        t = (tokens){.count = 1, .id = {u->text[n]}};
    }
    return true;
}

int main(int argc, char **argv) {
    const int count = weights_open(&w, argc, argv, prompts, 1 + USERS) - 1;
    int failed = 0;
    for (int i = 0; i < LM_LAYERS; i++) open_layer(&layers[i], i);
    for (int n = 0; n < count; n++) users[n] = (user){.own = prompts[1 + n], .slot = -1};
    tokens system = of_prompt(&prompts[0], PROMPT);
    forward(SYSTEM, &system);
    while (serve(count)) {
    }
    printf("%d users, %d calls of %d rows, %d of %d drafted tokens accepted\n", count, calls, rows,
           accepted, drafted);
    for (int n = 0; n < count; n++) {
        const bool same = same_alone(&users[n]);
        weights_show(n, users[n].text, users[n].length);
        if (!same) failed++, printf("FAIL user %d has another text than alone\n", n);
    }
    printf("%d passed, %d failed\n", count - failed, failed);
    return failed > 0;
}
