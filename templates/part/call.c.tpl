$ if plan.gather_keys == 0 then
/* What an item has to do, found out when a call begins: time goes by the keys that its rows see,
 * not by how long K and V are. */
typedef struct share {
    int32_t first, last; /* keys that some row sees; none: first > last */
    int32_t parts;       /* decode: parts that some row sees */
    int32_t blocks;      /* prefill: key blocks whose values are packed, first / BK the first */
    bool decode;         /* its rows run as decode, not as tiles */
    _Alignas(8) int64_t task; /* tasks of the items before it */
} share;
_Static_assert(sizeof(share) == ${plan.share_bytes}, "the plan's workspace");

$ end
typedef struct call {
    const attn_args *args;
    const int32_t *rows;       /* query rows of each item; null: all */
    const void *const *minmax; /* see attn_expr_ctx */
$ if plan.minmax then
    char *tables; /* where minmax points into */
$ end
    scratch *work; /* one a thread */
$ if plan.gather_keys == 0 then
    share *share;         /* one an item */
    ${plan.type.v.c} *packed;        /* V: [batch][value head][key block][column panel][key][column] */
$   if plan.scattered or plan.has_mask then
    uint8_t *seen;        /* [batch][value head][key block] some row may see a key of it */
$   end
    float *partial;       /* decode: [batch][group][part][row] of m, l and o */
$   if plan.scattered then
    int32_t *part;        /* decode: [batch][part] which parts an item sees, ascending */
$   end
    int32_t blocks;       /* packed key blocks of an item at most */
    int32_t parts;        /* decode: parts of an item at most */
    int32_t part_rows;    /* decode: query rows of a group at most */
    int32_t few;          /* items that run as decode */
    int32_t longest;      /* query rows of the longest of the others, */
    int64_t tiles;        /* and tiles of a head of all of them */
    int32_t chunks;       /* query blocks of a head at most, */
    int32_t chunk;        /* and how many tiles one has */
    int32_t span;         /* decode: groups a task takes */
$ end
} call;

static item item_of(const call *c, int32_t b) {
    const attn_args *args = c->args;
    return (item){
        .args = args,
        .b = b,
        .q_start = args->q_start ? args->q_start[b] : 0,
        .q_len = args->q_len,
        .kv_len = args->kv_len ? args->kv_len[b] : args->kv_len_max,
        .minmax = c->minmax,
        .rows = c->rows ? c->rows[b] : args->q_len,
    };
}
