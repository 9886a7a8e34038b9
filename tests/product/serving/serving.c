/* serving.c - users of one model who come and go, in a loop of one call. What they share is
 * computed once: who joins forks it into a free slot of the cache and extends it by his own prompt,
 * in the call in which others get their next token. A text may go ahead: what followed its last two
 * tokens before is a draft, verified in one call; what was wrong is taken back. A text must be what
 * its user gets alone. Greedy.
 *
 * usage: serving WEIGHTS END SYSTEM USER..    END ends a text; the others are files of token ids
 * Compiled with -DMODEL_HEADER='"x_model.h"' -DMODEL_OPEN=x_model_open. */
#include MODEL_HEADER
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 3, USERS = 8, PROMPT = 64, TEXT = 40, DRAFT = 4 };
enum { SYSTEM, SERVED, ALONE, CACHES };
static const int items_of[CACHES] = {1, SLOTS, 1};

/* New tokens of an item, and what follows each, from `wanted` on. */
typedef struct tokens {
    int32_t count, wanted, id[PROMPT], next[PROMPT];
} tokens;

typedef struct user {
    tokens prompt;
    int text[TEXT], length, slot; /* slot -1: waits, or has left */
} user;

static attn_model *model;
static attn_model_cache cache[CACHES];
static int32_t vocab;
static user users[USERS];
static int end, calls, rows, drafted, accepted;

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

static tokens read_ids(const char *path) {
    tokens t = {0};
    FILE *f = fopen(path, "r");
    while (f && t.count < PROMPT && fscanf(f, "%d", &t.id[t.count]) == 1) t.count++;
    must(f && feof(f) && t.count ? ATTN_OK : ATTN_E_LENGTH, path);
    fclose(f);
    t.wanted = t.count - 1;
    return t;
}

static void open_model(const char *path, int32_t system) {
    char why[2000];
    must(MODEL_OPEN(&model, path, NULL, why, sizeof why), why);
    attn_model_info info = {.struct_size = sizeof info};
    must(attn_model_describe(model, &info), "attn_model_describe");
    vocab = info.vocab;
    for (int i = 0; i < CACHES; i++) {
        size_t bytes;
        const int32_t most = i == SYSTEM ? system : system + PROMPT + TEXT + DRAFT;
        must(attn_model_cache_bytes(model, items_of[i], most, &bytes), "attn_model_cache_bytes");
        must(attn_model_cache_init(model, &cache[i], items_of[i], most, allocate(bytes), bytes),
             "attn_model_cache_init");
    }
}

/* New tokens of all items of a cache, none or more each. */
static void forward(int which, tokens *items) {
    static float *logits, *workspace;
    static size_t room; /* of the largest call */
    int32_t begin[SLOTS + 1] = {0}, id[SLOTS * PROMPT], wanted[SLOTS * PROMPT];
    attn_model_args a = ATTN_MODEL_ARGS_INIT;
    a.items = items_of[which], a.begin = begin, a.ids = id, a.cache = &cache[which];
    a.threads = 2, a.logit_rows = wanted;
    for (int b = 0; b < a.items; b++) {
        begin[b + 1] = begin[b] + items[b].count;
        memcpy(id + begin[b], items[b].id, (size_t)items[b].count * sizeof *id);
        for (int i = items[b].wanted; i < items[b].count; i++)
            wanted[a.logit_count++] = begin[b] + i;
    }
    if (!logits) logits = allocate((size_t)(SLOTS * PROMPT) * (size_t)vocab * sizeof *logits);
    a.logits = logits;
    must(attn_model_bytes(model, &a, &a.workspace_bytes), "attn_model_bytes");
    if (a.workspace_bytes > room) workspace = allocate(room = a.workspace_bytes);
    a.workspace = workspace;
    must(attn_model_forward(model, &a), "attn_model_forward");
    const float *row = logits;
    for (int b = 0; b < a.items; b++)
        for (int i = items[b].wanted; i < items[b].count; i++, row += vocab) {
            int32_t best = 0;
            for (int32_t n = 1; n < vocab; n++)
                if (row[n] > row[best]) best = n;
            items[b].next[i] = best;
        }
    calls++, rows += begin[a.items];
}

static bool is_done(const user *u) {
    return u->length == TEXT || (u->length && u->text[u->length - 1] == end);
}

/* What a user puts in: his prompt, or his last token and a draft after it. */
static tokens put_in(const user *u) {
    int all[PROMPT + TEXT], n = u->prompt.count;
    if (u->length == 0) return u->prompt;
    memcpy(all, u->prompt.id, (size_t)n * sizeof *all);
    memcpy(all + n, u->text, (size_t)u->length * sizeof *all);
    n += u->length;
    int at = n - 2; /* the last two tokens, as they stood before */
    while (--at > 0 && (all[at - 1] != all[n - 2] || all[at] != all[n - 1])) {
    }
    tokens t = {.count = 1, .id = {all[n - 1]}};
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
    const attn_cache *c = &cache[SERVED].layer[0]; /* all layers stand alike */
    const int stay = c->start[u->slot] + c->length[u->slot] - (t->count - right);
    must(attn_model_cache_keep(model, &cache[SERVED], u->slot, is_done(u) ? 0 : stay, NULL, 0),
         "attn_model_cache_keep");
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
            must(attn_model_cache_fork(model, &cache[SYSTEM], 0, &cache[SERVED], s), "a fork");
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
static bool same_alone(const user *u, tokens system) {
    must(attn_model_cache_keep(model, &cache[ALONE], 0, 0, NULL, 0), "attn_model_cache_keep");
    forward(ALONE, &system);
    tokens t = u->prompt;
    for (int n = 0; n < u->length; n++) {
        forward(ALONE, &t);
        if (t.next[t.count - 1] != u->text[n]) return false;
        t = (tokens){.count = 1, .id = {u->text[n]}};
    }
    return true;
}

int main(int argc, char **argv) {
    if (argc < 5) return fputs("usage: serving WEIGHTS END SYSTEM USER..\n", stderr), 2;
    const int count = argc - 4 < USERS ? argc - 4 : USERS;
    tokens system = read_ids(argv[3]);
    int failed = 0;
    end = atoi(argv[2]);
    open_model(argv[1], system.count);
    for (int n = 0; n < count; n++) users[n] = (user){.prompt = read_ids(argv[4 + n]), .slot = -1};
    forward(SYSTEM, &system);
    while (serve(count)) {
    }
    printf("%d users, %d calls of %d rows, %d of %d drafted tokens accepted\n", count, calls, rows,
           accepted, drafted);
    for (int n = 0; n < count; n++) {
        for (int i = 0; i < users[n].length; i++) printf(i ? " %d" : "text %d", users[n].text[i]);
        putchar('\n');
        if (!same_alone(&users[n], system)) failed++, printf("FAIL user %d has another alone\n", n);
    }
    attn_model_close(model);
    printf("%d passed, %d failed\n", count - failed, failed);
    return failed > 0;
}
