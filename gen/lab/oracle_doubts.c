/* oracle_doubts.c - how far rows are, where other values are in doubt, from what they would be: by
 * matrix and row, in one run after the other (block_oracle.h, rows in 8 bits). */
#include "layer_oracle.h"

#include <math.h>
#include <string.h>

typedef struct kept {
    int64_t id, row;
    double *x;
    double moved; /* the most that an element has */
    struct kept *next;
} kept;

enum { LISTS = 4096 };

struct block_doubts {
    arena *a;
    kept *list[LISTS];
};

block_doubts *block_doubts_new(arena *a) {
    block_doubts *d = arena_alloc(a, sizeof *d);
    *d = (block_doubts){.a = a};
    return d;
}

static kept **list_of(block_doubts *d, const linear *p, int64_t row) {
    return &d->list[(uint64_t)(p->id * 1021 + row) % LISTS];
}

static kept *find(block_doubts *d, const linear *p, int64_t row) {
    kept *k = *list_of(d, p, row);
    while (k && (k->id != p->id || k->row != row)) k = k->next;
    return k;
}

static void keep(block_doubts *d, const linear *p, int64_t row, const double *x) {
    kept *k = arena_alloc(d->a, sizeof *k), **list = list_of(d, p, row);
    const size_t bytes = (size_t)p->in * sizeof *x;
    *k = (kept){.id = p->id, .row = row, .x = arena_alloc(d->a, bytes), .next = *list};
    memcpy(k->x, x, bytes);
    *list = k;
}

/* A row that was not kept is one of an expert that was not chosen then: it has no bound. */
double doubts_of(const layer *l, const linear *p, int64_t row, const double *x) {
    enum { TOGETHER = 4 };
    block_doubts *d = l->c->doubts;
    kept *k = d ? find(d, p, row) : NULL;
    if (d && !l->c->lean && !k) keep(d, p, row, x);
    if (!k || !l->c->lean) return 0;
    for (int32_t i = 0; !l->c->wide && i < p->in; i++)
        k->moved = fmax(k->moved, fabs(x[i] - k->x[i]));
    return l->c->wide ? TOGETHER * k->moved : 0;
}
