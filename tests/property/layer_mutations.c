/* layer_mutations.c - the layers' tests can fail: a line of generated code, or of the runtime, that
 * is slightly wrong must be noticed. */
#include "plan/isa.h"
#include "layers.h"
#include "output/emit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A layer, and what is changed in its file; `in`: part of the path of another file to change. isa:
 * whose code; portable where nothing is said. A layer that differs in d_model alone shares its
 * core.
 */
typedef struct mutation {
    const char *name, *fields, *from, *to, *in;
    attn_isa isa;
} mutation;

#define CORE "level=block;op=sliding_self;window=5;heads=6;kv_heads=2;head_dim=14;"
/* Weights in blocks, and rows as integers; n blocks of 32 a row. */
#define BLOCKS(N) "level=block;heads=2;head_dim=16;ffn_dim=64;norm=none;d_model=" #N ";weight_type="
#define MIXTURE CORE "ffn=moe;experts=6;top_k=2;expert_dim=11;"
static const mutation mutations[] = {
    {"RoPE's sign", CORE "d_model=20", "= -(float)s;", "= (float)s;", NULL},
    {"RoPE's sign, halves", CORE "d_model=21;rope=half", "[ROPE_DIM / 2 + i] = (float)s;",
     "[ROPE_DIM / 2 + i] = -(float)s;", NULL},
    {"RoPE's position", CORE "d_model=22", ": l->call->pos0[r->item] + r->token",
     ": l->call->row0[r->item] + r->token", NULL},
    {"norm without eps", CORE "d_model=23", "sqrtf(variance + ", "sqrtf(variance + 0 * ", NULL},
    {"norm's eps, rms", CORE "d_model=24;norm=rmsnorm;norm_eps=0.001", "sqrtf(mean_square + ",
     "sqrtf(mean_square + 2 * ", NULL},
    {"bias of the wrong column", CORE "d_model=25", "Q_BIAS_AT + col", "Q_BIAS_AT", NULL},
    {"no residual", CORE "d_model=26", "to[c] = x[c] + t[c];", "to[c] = t[c];", NULL},
    {"gate and up", CORE "d_model=27", "silu(g), u)", "silu(u), g)", NULL},
    {"gelu's half", CORE "d_model=28;ffn=gelu", "half = vf_set1(0.5f)", "half = vf_set1(0.5002f)",
     NULL},
    {"q_pad", CORE "d_model=29;ffn=none", "return a->q_pad && a->q_pad[",
     "return false && a->q_pad[", NULL},
    {"place of a row", CORE "d_model=30", "l->args->x + r->item * l->args->x_batch + r->place",
     "l->args->x + r->item * l->args->x_batch + r->token", NULL},
    {"a projection's tail", CORE "d_model=31", "for (int32_t c = 0; c < cols; c += D)",
     "for (int32_t c = 0; c + D < cols; c += D)", NULL},
    {"rounding of keys and values", CORE "d_model=33;kv_type=bf16",
     "vf_storeu_bf16(to + c, vf_loadu(from + c))",
     "vf_storeu_bf16(to + c, vf_bits(vi_and(vi_bits(vf_loadu(from + c)), vi_set1(-65536))))", NULL},
    {"choice of experts", MIXTURE "d_model=34;norm_topk=true", "is_more(key[e], key[best])",
     "is_more(key[best], key[e])", NULL},
    {"an expert's weight", MIXTURE "d_model=35;router=sigmoid;shared_experts=1",
     "add_weighted(mix, t, at->weight,", "add_weighted(mix, t, 1,", NULL},
    {"groups of experts", MIXTURE "d_model=36;groups=3;group_top=1", "= !chosen[e / EACH];",
     "= false;", NULL},
    {"clamped units", MIXTURE "d_model=37;expert_act=swiglu_clamped;ffn_bias=true;norm_place=both",
     "vf_sigmoid(vf_mul(vf_set1(", "vf_sigmoid(vf_mul(vf_set1(1.0f + ", NULL},
    {"rotation of keys", CORE "d_model=34;kv_type=i8;dot=f32", "x[FROM + d] = (float)z[d];",
     "x[FROM + d] = x[FROM + d];", NULL},
    {"a latent row's scale",
     "level=block;form=mla;heads=3;head_dim=10;retr_dim=12;q_comp_dim=9;"
     "kv_comp_dim=20;d_model=24;kv_type=i8;dot=f32",
     "*scale =\n        vf_row_i8(", "*scale = 0.999f *\n        vf_row_i8(", NULL},
    {"place in a page", CORE "d_model=38;layout=paged;page=16", "at % PAGE * to->token",
     "(at + 1) % PAGE * to->token", NULL},
    {"rounding of keys and values to f16", CORE "d_model=39;kv_type=f16",
     "vf_storeu_f16(to + c, vf_loadu(from + c))",
     "vf_storeu_f16(to + c, vf_bits(vi_and(vi_bits(vf_loadu(from + c)), vi_set1(-8192))))", NULL},
    {"a value's scale", CORE "d_model=40;kv_type=i8;dot=f32", "vf_row_i8(to + (col + c) / DV",
     "0.999f * vf_row_i8(to + (col + c) / DV", NULL},
    {"the middle byte of integers", BLOCKS(32) "q4_0", "vi_store_bytes(to->q[1] + i, middle);",
     "vi_store_bytes(to->q[1] + i, low);", NULL, ATTN_ISA_AVX2},
    {"the sum that codes' offset takes", BLOCKS(64) "q4_0",
     "to->upper[i / 16] += ", "to->upper[i / 16] -= ", NULL, ATTN_ISA_AVX2},
    {"the lowest byte as words", BLOCKS(96) "q8_0", "vi_store_pairs(to->w[1] + i, low);",
     "vi_store_pairs(to->w[1] + i, middle);", NULL, ATTN_ISA_AVX2},
    {"sums of minima", BLOCKS(128) "q4_1", "to->all = (float)((double)to->d * (256 * upper",
     "to->all = (float)((double)to->d * (255 * upper", NULL, ATTN_ISA_AVX2},
    {"integers of a byte", BLOCKS(32) "q4_0;weight_dot=i8", "vi_store_bytes(to->q[0] + i, v);",
     "vi_store_bytes(to->q[0] + i, vi_and(v, vi_set1(-16)));", NULL, ATTN_ISA_AVX2},
    {"what an integer of a byte stands for", BLOCKS(64) "q8_0;weight_dot=i8", "MOST_INT / most",
     "0.9f * MOST_INT / most", NULL, ATTN_ISA_AVX2},
    {"the middle byte of integers", BLOCKS(32) "q4_0", "vi_store_bytes(to->q[1] + i, middle);",
     "vi_store_bytes(to->q[1] + i, low);", NULL, ATTN_ISA_AVX512VNNI},
    {"the sum that codes' offset takes", BLOCKS(64) "q4_0",
     "to->upper[i / 16] += ", "to->upper[i / 16] -= ", NULL, ATTN_ISA_AVX512VNNI},
    {"integers of a byte", BLOCKS(32) "q4_0;weight_dot=i8", "vi_store_bytes(to->q[0] + i, v);",
     "vi_store_bytes(to->q[0] + i, vi_and(v, vi_set1(-16)));", NULL, ATTN_ISA_AVX512VNNI},
    {"the middle byte of integers", BLOCKS(32) "q4_0", "vi_store_bytes(to->q[1] + i, middle);",
     "vi_store_bytes(to->q[1] + i, low);", NULL, ATTN_ISA_AVXVNNI},
    {"the sum that codes' offset takes", BLOCKS(64) "q4_0",
     "to->upper[i / 16] += ", "to->upper[i / 16] -= ", NULL, ATTN_ISA_AVXVNNI},
    {"GQA head map", "level=block;heads=6;kv_heads=2;head_dim=10;d_model=16",
     "key_head(int32_t h) {\n", "key_head(int32_t h) {\n    h = h * 2 % HEADS;\n", "_h6k2d10__"},
    {"listed keys that a window hides",
     "level=block;op=sliding_self;window=5;heads=6;kv_heads=2;head_dim=18;d_model=16;select=index",
     "if (position < lo || position > hi) continue;", "if (position > hi) continue;", "_h6k2d18"},
    {"the scale of a listed key",
     "level=block;heads=6;kv_heads=2;head_dim=22;d_model=16;select=index;layout=paged;page=16;"
     "sinks=true;kv_type=i8;dot=f32",
     "w->k_scale[i] = ", "w->k_scale[i] = 1.01f * ", "_h6k2d22"},
    {"listed keys that do not exist",
     "level=block;heads=6;kv_heads=2;head_dim=26;d_model=16;kv_dim=15;causal=false;select=index",
     "key >= x->kv_len || (padding", "key > x->kv_len || (padding", "_h6k2d26"},
    {"lists by item", CORE "d_model=32;select=index",
     "const int64_t row = (a->index_by_item ? 0 : attn_first_row(a, b)) + i;",
     "const int64_t row = attn_first_row(a, b) + i;", "runtime/attn_kernel.h"},
    {"keys that go", CORE "d_model=32", "at.drop = at.length - (int32_t)kept;",
     "at.drop = at.length - (int32_t)kept + 1;", "runtime/block_cache.c"},
    {"padding that moves", CORE "d_model=32", "core->key_padding = o->padding;", "",
     "runtime/block_run.c"},
    {"scales that go", CORE "d_model=34;kv_type=i8;dot=f32",
     "{scaled ? c->v_scale : NULL, k->v_heads, scaled && k->v_dim ?", "{NULL, 0, false ?",
     "runtime/block_cache.c"},
    {"count", CORE "d_model=32", "count = attn_count_of(a, b), first", "count = a->tokens, first",
     "runtime/block_run.c"},
    {"owners of pages", CORE "d_model=38;layout=paged;page=16",
     "return attn_check_owners(why, &owners);", "return ATTN_OK;", "runtime/block_cache_pages.c"},
    {"pages that are seen",
     "level=block;heads=6;kv_heads=2;head_dim=14;d_model=38;layout=paged;page=16",
     "status = check_seen(why, &c, core, b);", "status = ATTN_OK;", "runtime/block_cache_pages.c"},
    {"room", CORE "d_model=32", "if (added > c->capacity - (at.length - at.drop))",
     "if (added > c->capacity - (at.length - at.drop) + 1)", "runtime/block_check.c"},
};
enum { MUTATIONS = sizeof mutations / sizeof *mutations };

/* Mutations that are made at once: all that stay in files of one layer and instruction set, or one
 * of the runtime. */
typedef struct group {
    attn_isa isa;
    const mutation *of[MUTATIONS];
    int count;
    kernel_spec kernel[MUTATIONS];
    const char *fields[MUTATIONS];
    bool made[MUTATIONS];
    long right[MUTATIONS], wrong[MUTATIONS]; /* failures */
} group;

static bool of_runtime(const mutation *m) {
    return m->in && strncmp(m->in, "runtime/", 8) == 0;
}

static bool is_file(const gen_file *f, const mutation *m, const kernel_spec *k) {
    const size_t n = strlen(k->name);
    if (m->in) return strstr(f->path, m->in) != NULL;
    if (strcmp(f->path + strlen(f->path) - 2, ".c") != 0) return false;
    return strncmp(f->path, k->name, n) == 0 && strncmp(f->path + n, "__", 2) == 0;
}

static void change(arena *a, gen_files *files, void *ctx) {
    group *g = ctx;
    for (int n = 0; n < g->count; n++) {
        const mutation *m = g->of[n];
        for (int i = 0; i < files->count; i++) {
            gen_file *f = &files->file[i];
            const char *at = is_file(f, m, &g->kernel[n]) ? strstr(f->text, m->from) : NULL;
            if (!at) continue;
            f->text = arena_printf(a, "%.*s%s%s", (int)(at - f->text), f->text, m->to,
                                   at + strlen(m->from));
            g->made[n] = true;
        }
    }
}

/* Failures of each layer, as it is or changed. */
static void judge(arena *a, const property_options *o, group *g, bool changed) {
    build_options build = o->build;
    built *libs = arena_alloc(a, (size_t)g->count * sizeof *libs);
    long *failures = changed ? g->wrong : g->right;
    build.isa_mask = 1u << g->isa;
    build.cflags = "-O1";
    build.edit = changed ? change : NULL;
    build.edit_ctx = g;
    build_kernels(a, g->kernel, g->count, &build, libs);
    property_options quiet = *o;
    quiet.isa_mask = build.isa_mask;
    quiet.shapes = 8;
    quiet.shape = -1;
    layer_campaign(a, &quiet, g->fields, g->kernel, libs, g->count, changed, failures);
    for (int i = 0; i < g->count && changed; i++)
        if (libs[i].error) printf("FAIL changed layer: %s\n", libs[i].error), failures[i] = 0;
}

/* The code alone, where it is not run: whether it can be changed still. */
static void render_all(arena *a, group *g) {
    const gen_options options = {.isa_mask = 1u << g->isa};
    model m;
    gen_files files;
    diag d = {0};
    if (!model_from_kernels(a, "changed", g->kernel, g->count, &m)) return;
    const product_list products = products_make(a, &m, &options);
    if (gen_render(a, &products, &files, &d)) change(a, &files, g);
}

static bool add(arena *a, group *g, const mutation *m) {
    diag d = {0};
    g->of[g->count] = m;
    g->fields[g->count] = m->fields;
    if (property_try(a, "layer", m->fields, &g->kernel[g->count], &d)) return ++g->count;
    printf("FAIL layers' mutations: %s\n", d.text);
    return false;
}

static int count_failures(const property_options *o, const group *g, bool runs) {
    int failures = 0;
    for (int n = 0; n < g->count; n++) {
        const char *isa = isa_table[g->isa].name;
        const char *why = !g->made[n]    ? "its line is not in the code any more"
                          : !runs        ? NULL
                          : g->right[n]  ? "fails unchanged"
                          : !g->wrong[n] ? "nobody noticed it"
                                         : NULL;
        if (why) printf("FAIL changed %s, %s: %s\n", g->of[n]->name, isa, why);
        if (!why && !runs) printf("skipped changed %s: %s is not run here\n", g->of[n]->name, isa);
        if (o->verbose && runs)
            printf("%s, %s: %ld checks fail\n", g->of[n]->name, isa, g->wrong[n]);
        failures += why != NULL;
    }
    return failures;
}

/* Those that stay in a layer's file, of one instruction set. */
static int layers_of(attn_isa isa, const property_options *o, int *skipped) {
    arena *a = arena_new();
    group *g = arena_alloc(a, sizeof *g);
    g->isa = isa;
    const bool runs = o->isa_mask >> isa & 1;
    int failures = 0;
    for (int i = 0; i < MUTATIONS; i++)
        if (mutations[i].isa == isa && !of_runtime(&mutations[i]))
            failures += !add(a, g, &mutations[i]);
    if (runs && g->count) judge(a, o, g, false), judge(a, o, g, true);
    if (!runs && g->count) render_all(a, g), *skipped += g->count;
    failures += count_failures(o, g, runs);
    arena_free(a);
    return failures;
}

/* One after the other, since the runtime is that of all layers. */
static int of_the_runtime(const property_options *o, int *skipped) {
    int failures = 0;
    for (int i = 0; i < MUTATIONS; i++) {
        if (!of_runtime(&mutations[i])) continue;
        if (!(o->isa_mask >> ATTN_ISA_PORTABLE & 1)) {
            ++*skipped;
            continue;
        }
        arena *a = arena_new();
        group *g = arena_alloc(a, sizeof *g);
        failures += !add(a, g, &mutations[i]);
        if (g->count) judge(a, o, g, false), judge(a, o, g, true);
        failures += count_failures(o, g, true);
        arena_free(a);
    }
    return failures;
}

int property_layer_mutations(const property_options *o) {
    int skipped = 0, failures = of_the_runtime(o, &skipped);
    for (int isa = 0; isa < ATTN_ISA_COUNT; isa++)
        failures += layers_of((attn_isa)isa, o, &skipped);
    printf("property: %d mutations, %d unnoticed or wrong in layers, %d skipped\n",
           MUTATIONS - skipped, failures, skipped);
    return failures;
}
