#include "model.h"
#include "reserved.h"
#include "text.h"

#include <ctype.h>
#include <string.h>

enum { MAX_NAME = 64 };

/* Index of the kernel in the model, added if it is new; -1: two kernels have one name, by a hash.
 */
static int intern(arena *a, model *m, const kernel_spec *k) {
    for (int i = 0; i < m->kernel_count; i++) {
        if (strcmp(m->kernels[i].name, k->name) != 0) continue;
        if (memcmp(&m->kernels[i].core, &k->core, sizeof k->core)) return -1;
        if (strcmp(kernel_spec_text(a, &m->kernels[i]), kernel_spec_text(a, k)) != 0) return -1;
        return i;
    }
    m->kernels[m->kernel_count] = *k;
    return m->kernel_count++;
}

/* A layer's kernel, and its core's. */
static int intern_layer(arena *a, model *m, const kernel_spec *k) {
    const int at = intern(a, m, k);
    if (at < 0) return -1;
    m->kernels[at].outer = true;
    if (k->core.level != ATTN_LEVEL_BLOCK || m->kernels[at].inner >= 0) return at;
    kernel_spec core;
    kernel_spec_core(k, &core);
    const int inner = intern(a, m, &core);
    m->kernels[at].inner = inner;
    if (inner < 0 || !attn_spec_expands(&k->core)) return inner < 0 ? -1 : at;
    kernel_spec_expanded(k, &core);
    const int expanded = intern(a, m, &core);
    m->kernels[at].expanded = expanded;
    return expanded < 0 ? -1 : at;
}

void model_begin(arena *a, const char *name, int layers, model *out) {
    *out = (model){.name = name};
    out->layer_kernel = arena_alloc(a, ((size_t)layers + 1) * sizeof *out->layer_kernel);
    /* a layer, and the attention inside it */
    out->kernels = arena_alloc(a, (3 * (size_t)layers + 1) * sizeof *out->kernels);
}

bool model_add_layer(arena *a, model *m, const kernel_spec *k) {
    const int kernel = intern_layer(a, m, k);
    if (kernel < 0) return false;
    m->layer_kernel[m->layer_count++] = kernel;
    return true;
}

bool model_from_kernels(arena *a, const char *name, const kernel_spec *kernels, int count,
                        model *out) {
    model_begin(a, name, count, out);
    for (int i = 0; i < count; i++)
        if (!model_add_layer(a, out, &kernels[i])) return false;
    return true;
}

bool model_from_flags(arena *a, const spec_input *inputs, int count, model *out, diag *d) {
    kernel_spec k;
    if (!kernel_spec_build(a, inputs, count, NULL, &k, d)) return false;
    model_begin(a, NULL, 1, out);
    model_add_layer(a, out, &k);
    out->name = out->kernels->name;
    return true;
}

bool model_takes(const char *field) {
#define MODEL_FIELD(field, ...) field,
    static const char *const fields[] = {MODEL_FIELDS(MODEL_FIELD)};
#undef MODEL_FIELD
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (!strcmp(field, fields[i])) return true;
    return false;
}

/* A name that no layer has is a mistake. */
static bool check_types(arena *a, const model *m, const spec_input *in, diag *d) {
    int32_t types[ATTN_MATRIX_COUNT];
    if (!kernel_spec_types(a, in, types, d)) return false;
    for (int32_t i = 0; i < ATTN_MATRIX_COUNT; i++) {
        bool found = !types[i];
        for (int k = 0; k < m->kernel_count; k++)
            found = found || attn_spec_has_matrix(&m->kernels[k].core, i);
        if (!found)
            return diag_set(d, "%s: no layer has a matrix %s whose type is free", in->where,
                            attn_matrix_name(i));
    }
    return true;
}

bool model_change(arena *a, model *m, const spec_input *inputs, int count, diag *d) {
    const model old = *m;
    spec_input *change = arena_alloc(a, ((size_t)count + 1) * sizeof *change);
    int changes = 0;
    for (int i = 0; i < count; i++)
        if (model_takes(inputs[i].field)) change[changes++] = inputs[i];
    if (!changes) return true;
    for (int i = 0; i < changes; i++)
        if (!strcmp(change[i].field, "weight_types") && !check_types(a, m, &change[i], d))
            return false;
    model_begin(a, old.name, old.layer_count, m);
    m->is_whole = old.is_whole;
    m->whole = old.whole;
    for (int layer = 0; layer < old.layer_count; layer++) {
        kernel_spec k = old.kernels[old.layer_kernel[layer]];
        if (!kernel_spec_change(a, &k, change, changes, d)) return false;
        if (!model_add_layer(a, m, &k))
            return diag_set(d, "%s: layer %d has the name of another layer, by a hash",
                            change[0].where, layer);
    }
    return true;
}

bool model_pool(arena *a, model *m, const char *pool, bool normalize, diag *d) {
    const char *flag = pool ? "--pool" : "--normalize";
    if (!pool && !normalize) return true;
    if (!m->is_whole)
        return diag_set(d,
                        "%s: is for whole models, and only the layers of this one are known "
                        "(a config.json, or a model file with model = { .. })",
                        flag);
    if (pool) {
        m->whole.pool_dense = !strcmp(pool, "pooler");
        const lua_val v = {.kind = LUA_VAL_STRING, .string = m->whole.pool_dense ? "cls" : pool};
        whole_set(a, &m->whole, whole_find("pool"), &v);
    }
    if (normalize) m->whole.normalize = true;
    const char *why = whole_check(a, &m->whole);
    return !why || diag_set(d, "%s: %s", flag, why);
}

bool model_layer_runs(const model *m, int layer, int kernel) {
    const int at = m->layer_kernel[layer];
    return at == kernel || m->kernels[at].inner == kernel || m->kernels[at].expanded == kernel;
}

/* longrope's factors: one a pair, of every layer. */
static const char *rope_why(arena *a, const model *m, int layer) {
    const attn_spec *s = &m->kernels[m->layer_kernel[layer]].core;
    const bool longrope = s->rope_scaling == ATTN_ROPE_SCALING_LONGROPE;
    const int pairs = longrope ? s->rope_dim / 2 : 0;
    const attn_floats *list[] = {&m->whole.rope_short, &m->whole.rope_long};
    for (int i = 0; i < 2 && longrope; i++)
        if (list[i]->count != pairs)
            return arena_printf(a, "has longrope for %d pairs, and %s has %d numbers", pairs,
                                i ? "rope_long" : "rope_short", list[i]->count);
    return NULL;
}

/* Layers of a group have one set of packed weights. */
static const char *group_why(arena *a, const model *m, int layer) {
    const int64_t groups = m->whole.layer_groups, layers = m->layer_count;
    if (!groups || !layer || layer * groups / layers != (layer - 1) * groups / layers) return NULL;
    if (m->layer_kernel[layer] == m->layer_kernel[layer - 1]) return NULL;
    return arena_printf(a, "shares weights with layer %d, and is another kernel", layer);
}

const char *model_whole_why(arena *a, const model *m) {
    const attn_spec *first = &m->kernels[m->layer_kernel[0]].core;
    for (int i = 0; i < m->layer_count; i++) {
        const kernel_spec *k = &m->kernels[m->layer_kernel[i]];
        const attn_spec *s = &k->core;
        const char *why = s->level != ATTN_LEVEL_BLOCK   ? "is no whole layer: level = block"
                          : s->kv_dim != ATTN_UNSET      ? "has keys of a second input"
                          : k->tensor_count              ? "takes side tensors"
                          : k->scalar_count              ? "takes scalars"
                          : s->select != ATTN_SELECT_ALL ? "is over lists of keys (select = index)"
                          : s->ffn == ATTN_FFN_EXTERNAL  ? "leaves its ffn to the caller"
                          : attn_spec_row_dim(s) != attn_spec_row_dim(first)
                              ? "has rows of another width than layer 1"
                          : rope_why(a, m, i) ? rope_why(a, m, i)
                                              : group_why(a, m, i);
        if (why) return arena_printf(a, "layer %d %s", i + 1, why);
    }
    if (m->whole.layer_groups > m->layer_count)
        return arena_printf(a, "layer_groups is %d, and there are %d layers", m->whole.layer_groups,
                            m->layer_count);
    if (m->whole.head == ATTN_MODEL_HEAD_TIED && m->whole.embed_width && !m->whole.head_project &&
        m->whole.embed_width != attn_spec_row_dim(first))
        return arena_printf(a,
                            "head = tied is of embed_width = %d columns, and rows have %d: "
                            "head_project",
                            m->whole.embed_width, attn_spec_row_dim(first));
    return whole_check(a, &m->whole);
}

/* --- Names --- */

const char model_name_rule[] = "must be 1 to 64 of A-Z a-z 0-9 _ . - and start with a letter, and "
                               "not with attn, which is the runtime's";

bool model_name_is_valid(const char *name) {
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789_.-";
    size_t n = strlen(name);
    /* a model made from flags is named after its kernel, at any length */
    if (strncmp(name, "attn", 4) == 0) return attn_name_is_canonical(name);
    return n <= MAX_NAME && isalpha((unsigned char)*name) && strspn(name, allowed) == n;
}

const char *model_name_free(arena *a, const char *name) {
    return reserved_reason(a, model_identifier(a, name)) ? reserved_instead(a, name) : name;
}

bool model_name_check(arena *a, const model *m, const char *where, diag *d) {
    const char *why = reserved_reason(a, model_identifier(a, m->name));
    return !why || diag_set(d, "%s: the model cannot be called '%s': %s; for example --name %s",
                            text_shown(a, where), m->name, why, reserved_instead(a, m->name));
}

bool model_rename(arena *a, model *m, const char *name, diag *d) {
    if (!model_name_is_valid(name))
        return diag_set(d, "--name: %s, got '%s'", model_name_rule,
                        text_shown_n(a, name, strnlen(name, 80)));
    m->name = name;
    return model_name_check(a, m, "--name", d);
}

char *model_identifier(arena *a, const char *name) {
    char *s = arena_strdup(a, name);
    for (char *p = s; *p; p++)
        if (!isalnum((unsigned char)*p)) *p = '_';
    return s;
}
