/* import_gguf_types.c - what a GGUF file's weights are stored in, as weight_type and weight_types
 * of layers. */
#include "import_gguf_types.h"

#include "spec.h"
#include "text.h"
#include "weight_types.h"

#include <stdlib.h>
#include <string.h>

typedef struct reading {
    arena *a;
    const char *path;
    const attn_gguf *file;
    int32_t layers;
    bool halves; /* gate and up differ somewhere */
    bool latent; /* kv_b is in blocks */
    buf notes;
} reading;

/* "attn_q" of "blk.7.attn_q.weight"; null: no matrix of a layer. */
static const char *matrix_of(reading *x, const attn_gguf_tensor *t) {
    const char *p = t->name;
    if (strncmp(p, "blk.", 4) || t->rank < 2) return NULL;
    p += 4 + strspn(p + 4, "0123456789");
    const size_t n = strlen(p);
    if (n <= 8 || *p != '.' || strcmp(p + n - 7, ".weight")) return NULL;
    return arena_strndup(x->a, p + 1, n - 8);
}

/* One line a type: the matrices that have it, and in how many layers. */
static void note_types(reading *x) {
    for (int32_t type = 0; type < ATTN_WEIGHT_COUNT; type++) {
        struct {
            const char *name;
            int count;
        } found[64];
        int n = 0;
        for (attn_gguf_tensor t = {0}; attn_gguf_next_tensor(x->file, &t);) {
            const char *name = t.type == type ? matrix_of(x, &t) : NULL;
            int i = 0;
            while (name && i < n && strcmp(found[i].name, name)) i++;
            if (!name || i == 64) continue;
            if (i == n) found[n++].name = name, found[i].count = 0;
            found[i].count++;
        }
        if (!n) continue;
        buf_printf(&x->notes, "%s: stored as %s:", x->path, attn_weight_get(type).name);
        for (int i = 0; i < n; i++) {
            buf_printf(&x->notes, "%s %s", i ? "," : "", text_shown(x->a, found[i].name));
            if (found[i].count < x->layers)
                buf_printf(&x->notes, " (%d of %d layers)", found[i].count, x->layers);
        }
        buf_puts(&x->notes, "\n");
    }
}

/* Names of weight_types that a tensor of the file fills; gate and up are one matrix. */
static const struct {
    const char *tensor, *matrix[3];
} matrix_names[] = {
    {"attn_q", {"q_proj"}},
    {"attn_k", {"k_proj"}},
    {"attn_v", {"v_proj"}},
    {"attn_qkv", {"q_proj", "k_proj", "v_proj"}},
    {"attn_output", {"o_proj"}},
    {"attn_q_a", {"q_a_proj"}},
    {"attn_q_b", {"q_b_proj"}},
    {"attn_kv_a_mqa", {"kv_a_proj_with_mqa"}},
    {"attn_kv_b", {"kv_b_proj"}},
    {"attn_k_b", {"kv_b_proj"}},
    {"attn_v_b", {"kv_b_proj"}},
    {"ffn_gate", {"up_proj"}},
    {"ffn_up", {"up_proj"}},
    {"ffn_down", {"down_proj"}},
    {"ffn_gate_exps", {"experts.up_proj"}},
    {"ffn_up_exps", {"experts.up_proj"}},
    {"ffn_gate_up_exps", {"experts.up_proj"}},
    {"ffn_down_exps", {"experts.down_proj"}},
    {"ffn_gate_shexp", {"shared_expert.up_proj"}},
    {"ffn_up_shexp", {"shared_expert.up_proj"}},
    {"ffn_down_shexp", {"shared_expert.down_proj"}},
};
enum { MATRIX_NAMES = sizeof matrix_names / sizeof *matrix_names };

/* What a layer holds each matrix in: 1 + its type, 0: the file has none of it. */
typedef struct layer_types {
    int32_t type[ATTN_MATRIX_COUNT];
} layer_types;

static int32_t matrix_number(const char *name) {
    int32_t i = 0;
    while (strcmp(attn_matrix_name(i), name)) i++;
    return i;
}

/* Of two halves that differ, f32, which holds both. */
static void take_type(reading *x, layer_types *l, const attn_gguf_tensor *t, const char *matrix) {
    const int32_t number = matrix_number(matrix);
    int32_t *to = &l->type[number];
    if (number == ATTN_MATRIX_KV_B_PROJ && !attn_weight_is_float(t->type)) {
        x->latent = true; /* it is used transposed */
        return;
    }
    const bool halves = *to && *to != t->type + 1;
    x->halves = x->halves || halves;
    *to = (halves ? (int32_t)ATTN_WEIGHT_F32 : t->type) + 1;
}

static layer_types *read_types(reading *x) {
    layer_types *l = arena_alloc(x->a, (size_t)x->layers * sizeof *l);
    memset(l, 0, (size_t)x->layers * sizeof *l);
    for (attn_gguf_tensor t = {0}; attn_gguf_next_tensor(x->file, &t);) {
        const char *name = matrix_of(x, &t);
        const long layer = name ? strtol(t.name + 4, NULL, 10) : -1;
        for (int i = 0; layer >= 0 && layer < x->layers && i < MATRIX_NAMES; i++)
            for (int j = 0; !strcmp(matrix_names[i].tensor, name) && j < 3; j++)
                if (matrix_names[i].matrix[j])
                    take_type(x, &l[layer], &t, matrix_names[i].matrix[j]);
    }
    return l;
}

/* What most matrices of layers are stored in. */
static int32_t most_type(const reading *x, const layer_types *l) {
    int count[ATTN_WEIGHT_COUNT] = {0};
    int32_t most = ATTN_WEIGHT_F32;
    for (int32_t i = 0; i < x->layers; i++)
        for (int m = 0; m < ATTN_MATRIX_COUNT; m++)
            if (l[i].type[m]) count[l[i].type[m] - 1]++;
    for (int32_t type = 0; type < ATTN_WEIGHT_COUNT; type++)
        if (count[type] > count[most]) most = type;
    return most;
}

/* What differs from that, as weight_types: a list, an object a layer. */
static const char *layers_fields(reading *x, const layer_types *l, int32_t most) {
    buf b = buf_new(x->a);
    for (int32_t i = 0; i < x->layers; i++) {
        buf_printf(&b, "%s{", i ? ", " : "[");
        int given = 0;
        for (int32_t m = 0; m < ATTN_MATRIX_COUNT; m++) {
            const int32_t type = l[i].type[m] - 1;
            if (type < 0 || (type == most && m != ATTN_MATRIX_KV_B_PROJ)) continue;
            buf_printf(&b, "%s%s=%s", given++ ? "; " : "\"weight_types\": \"", attn_matrix_name(m),
                       attn_weight_get(type).name);
        }
        buf_puts(&b, given ? "\"}" : "}");
    }
    buf_puts(&b, "]");
    return b.data;
}

/* What layers do not hold as the file does. */
static void note_widened(reading *x) {
    if (x->halves)
        buf_printf(&x->notes,
                   "%s: gate and up are one matrix here: where their types differ it is f32\n",
                   x->path);
    if (x->latent)
        buf_printf(&x->notes,
                   "%s: kv_b is used transposed, so its blocks are not kept: it is stored as "
                   "weight_rest says\n",
                   x->path);
}

gguf_types import_gguf_types(arena *a, const char *path, const attn_gguf *file, int32_t layers) {
    reading x = {.a = a, .path = path, .file = file, .layers = layers, .notes = buf_new(a)};
    gguf_types out;
    note_types(&x);
    out.stored = arena_strdup(a, x.notes.data);
    x.notes = buf_new(a);
    const layer_types *types = read_types(&x);
    out.most = most_type(&x, types);
    out.layers = layers_fields(&x, types, out.most);
    note_widened(&x);
    out.widened = x.notes.data;
    return out;
}
