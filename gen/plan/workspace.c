/* workspace.c - the workspace of a kernel: what its generated layout() will place there. */
#include "plan_internal.h"

static size_t up64(size_t n) {
    return (n + 63) & ~(size_t)63;
}

/* In floats, member by member of part/scratch.c.tpl. */
size_t plan_tile_bytes(const plan *p) {
    const size_t rows = (size_t)p->tile_vectors * (size_t)isa_table[p->isa].width;
    size_t tile = (size_t)plan_q_floats(p) + 3 * rows * (size_t)p->dvp + 11 * rows + 8 +
                  2 * (size_t)p->pv_groups + 6 + (p->edge_keys ? 2 * (size_t)p->tile_vectors : 0);
    /* Rows of codes, what they stand for and, of bytes, their sums. */
    const size_t code_rows = p->codes.q_most ? (size_t)plan_code_rows(p) : 0;
    const size_t code_bytes = code_rows * (size_t)plan_code_row(p) * (p->codes.words ? 2 : 1);
    if (code_rows) tile += up64(code_bytes + (p->codes.words ? 4 : 8) * rows) / 4;
    return up64(4 * tile);
}

size_t plan_chunk_bytes(const plan *p) {
    return (size_t)p->held_tiles * plan_tile_bytes(p) +
           up64((size_t)p->chunk_keys * (size_t)p->dvp * sizeof(float));
}

bool plan_holes(const plan *p) {
    return p->paged && p->tiled && !p->indexed;
}

int plan_held_pages(const plan *p) {
    const int keys = p->part_keys > p->key_block ? p->part_keys : p->key_block;
    return (keys + p->page - 1) / p->page + 1; /* they may begin anywhere */
}

/* Values of a block of keys woven, codes of P and what they stand for. */
static size_t codes_bytes(const plan *p) {
    const size_t p_words = (size_t)p->codes.p_bytes * CODE_KEYS / 4 * DOT_ROWS;
    return CODE_KEYS * (size_t)p->dvp + up64(4 * p_words) +
           up64(4 * (size_t)isa_table[p->isa].width);
}

/* Rows of a block of a list, and their scales. */
static size_t gathered_bytes(const plan *p) {
    const size_t keys = (size_t)p->index_keys;
    const size_t rows =
        up64(keys * (size_t)plan_k_bytes(p)) + up64(keys * (size_t)plan_v_bytes(p, p->dv));
    return rows + (p->scaled ? 2 * up64(4 * keys) : 0);
}

size_t plan_scratch(const plan *p) {
    const size_t w = (size_t)isa_table[p->isa].width, rows = (size_t)p->tile_vectors * w;
    if (!p->tiled) {
        const size_t lanes = ((size_t)p->gather_keys + w - 1) / w * w;
        return up64(4 * lanes);
    }
    const size_t code_rows = p->codes.q_most ? (size_t)plan_code_rows(p) : 0;
    const size_t scores = (size_t)(p->key_block + p->max_keys) * rows;
    const size_t bias = p->bias ? (size_t)p->key_block * rows : 0;
    const size_t d = (size_t)p->dk, edge = (size_t)p->max_keys * d;
    const size_t bytes =
        up64((size_t)p->tiles * plan_tile_bytes(p) + 4 * (scores + rows + bias + edge));
    const size_t keys = (size_t)p->key_block;
    const size_t numbers = p->indexed ? up64(4 * (size_t)p->index_keys + 8) : 0;
    const size_t code_bytes = code_rows ? codes_bytes(p) : 0;
    if (p->gathers) return bytes + numbers + gathered_bytes(p) + code_bytes;
    if (!p->widen) return bytes;
    const size_t places = (p->paged ? 128 : 64) + numbers; /* where rows come from */
    const size_t held = plan_holes(p) ? up64(4 * (size_t)plan_held_pages(p) + 16) : 0;
    const size_t widened =
        bytes + up64(4 * keys * d) + up64(4 * keys * (size_t)p->dvp) + places + held;
    return widened + code_bytes;
}

/* Bytes of the block minima and maxima that a classifier reads, as runtime/simd/minmax.h. */
static uint64_t table_bytes(const plan *p, const kernel_spec *k, int32_t batch, int32_t q_len,
                            int32_t kv_len) {
    uint64_t bytes = 0;
    for (int i = 0; i < k->tensor_count; i++) {
        if (!(p->minmax >> i & 1)) continue;
        const uint64_t count =
            (uint64_t)attn_side_count(&k->tensors[i], batch, p->heads, p->key_heads, q_len, kv_len);
        bytes = attn_plus(bytes, up64((count + 63) / 64 * 8));
    }
    return bytes;
}

/* As most_keys and most_parts of part/run.c.tpl. */
static int64_t most_keys(const plan *p, int32_t rows, int32_t kv_len) {
    if (rows <= 0) return 0;
    int64_t keys = kv_len;
    if (p->scattered) keys = rows * p->row_keys;
    if (p->reach >= 0) keys = (int64_t)rows + p->reach;
    return keys < kv_len ? keys : kv_len;
}

int64_t plan_row_parts(const plan *p) {
    return (p->row_keys - 1 + p->part_keys - 1) / p->part_keys + 1;
}

static int64_t most_parts(const plan *p, int32_t rows, int32_t kv_len) {
    if (!p->scattered) return attn_runs(most_keys(p, rows, kv_len), kv_len, p->part_keys);
    const int64_t all = attn_runs(kv_len, kv_len, p->part_keys);
    const int64_t a_row = plan_row_parts(p);
    return rows * a_row < all ? rows * a_row : all;
}

/* As most_tasks of part/run.c.tpl. */
static uint64_t most_tasks(const plan *p, int32_t batch, int32_t q_len, int32_t kv_len) {
    const uint64_t items = (uint64_t)batch, heads = (uint64_t)p->heads;
    if (p->indexed) return attn_times(heads / (uint64_t)p->group, items * (uint64_t)q_len);
    if (!p->tiled)
        return attn_times(heads, (items * (uint64_t)q_len + GATHER_ROWS - 1) / GATHER_ROWS);
    const int64_t parts = most_parts(p, min_int(q_len, p->decode_q), kv_len);
    const int rows = p->tile_vectors * isa_table[p->isa].width;
    const int tiles = q_len / rows + (q_len % rows > 0); /* few rows may run as tiles too */
    const uint64_t decode =
        attn_times(items * heads / (uint64_t)p->group, (uint64_t)(parts > 1 ? parts : 1));
    const uint64_t prefill = attn_times(items * heads, (uint64_t)tiles);
    return decode > prefill ? decode : prefill;
}

uint64_t plan_workspace(const plan *p, const kernel_spec *k, int32_t batch, int32_t q_len,
                        int32_t kv_len, int32_t threads) {
    uint64_t bytes = 0;
    const uint64_t asked = threads > 1 ? (uint64_t)threads : 1;
    const uint64_t tasks = most_tasks(p, batch, q_len, kv_len);
    const uint64_t team = asked < tasks ? asked : tasks;
    attn_carve(NULL, &bytes, plan_scratch(p) * team);
    attn_carve(NULL, &bytes, table_bytes(p, k, batch, q_len, kv_len));
    if (!p->tiled || p->indexed) return bytes;
    const uint64_t items = (uint64_t)batch, dvp = (uint64_t)p->dvp;
    const int few = min_int(q_len, p->decode_q);
    const uint64_t parts = (uint64_t)most_parts(p, few, kv_len);
    attn_carve(NULL, &bytes, items * PLAN_SHARE);
    if (p->scattered) attn_carve(NULL, &bytes, attn_times(items * parts, 4));
    const uint64_t rows = items * (uint64_t)(p->heads / p->group) * (uint64_t)(few * p->group);
    const uint64_t partials = attn_times(attn_times(rows, parts), (dvp + 16) * 4);
    const uint64_t blocks = (uint64_t)attn_runs(most_keys(p, q_len, kv_len), kv_len, p->key_block);
    const uint64_t values = items * (uint64_t)p->value_heads;
    const bool tiles = q_len > p->decode_q;
    if (p->scattered || p->has_mask)
        attn_carve(NULL, &bytes, tiles ? attn_times(values, blocks) : 0);
    const uint64_t panels = attn_times(values, blocks * (uint64_t)p->key_block * 4 * dvp);
    const uint64_t chunks = attn_times(team, plan_chunk_bytes(p));
    const uint64_t room = chunks > PACK_MOST ? chunks : PACK_MOST;
    const uint64_t packed = panels < room ? panels : room;
    attn_carve(NULL, &bytes, tiles && packed > partials ? packed : partials);
    return bytes;
}
