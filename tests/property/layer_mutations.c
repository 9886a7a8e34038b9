/* layer_mutations.c - the layers' tests can fail: a line of generated code, or of the runtime, that
 * is slightly wrong must be noticed. */
#include "plan/isa.h"
#include "layers.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A layer, and what is changed in its file; `in`: part of the path of another file to change. A
 * layer that differs in d_model alone shares its core. */
typedef struct mutation {
    const char *name, *fields, *from, *to, *in;
} mutation;

#define CORE "level=block;op=sliding_self;window=5;heads=6;kv_heads=2;head_dim=14;"
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
    {"GQA head map", "level=block;heads=6;kv_heads=2;head_dim=10;d_model=16",
     "key_head(int32_t h) {\n", "key_head(int32_t h) {\n    h = h * 2 % HEADS;\n", "_h6k2d10__"},
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

/* Which mutations an edit makes: all that stay in files of one layer, or one of the runtime. */
typedef struct edit {
    const kernel_spec *kernels;
    int only; /* -1: those of layers */
    bool made[MUTATIONS];
} edit;

static bool of_runtime(const mutation *m) {
    return m->in && strncmp(m->in, "runtime/", 8) == 0;
}

static bool is_file(const gen_file *f, const mutation *m, const kernel_spec *k) {
    const size_t n = strlen(k->name);
    if (strcmp(f->path + strlen(f->path) - 2, ".c") != 0) return false;
    if (m->in) return strstr(f->path, m->in) != NULL;
    return strncmp(f->path, k->name, n) == 0 && strncmp(f->path + n, "__", 2) == 0;
}

static void change(arena *a, gen_files *files, void *ctx) {
    edit *e = ctx;
    for (int n = 0; n < MUTATIONS; n++) {
        const mutation *m = &mutations[n];
        if (e->only >= 0 ? n != e->only : of_runtime(m)) continue;
        for (int i = 0; i < files->count; i++) {
            gen_file *f = &files->file[i];
            const char *at = is_file(f, m, &e->kernels[n]) ? strstr(f->text, m->from) : NULL;
            if (!at) continue;
            f->text = arena_printf(a, "%.*s%s%s", (int)(at - f->text), f->text, m->to,
                                   at + strlen(m->from));
            e->made[n] = true;
        }
    }
}

/* Failures of each layer. */
static void judge(arena *a, const property_options *o, kernel_spec *kernels, int count, edit *e,
                  const char **fields, long *failures) {
    build_options build = o->build;
    built *libs = arena_alloc(a, (size_t)count * sizeof *libs);
    build.isa_mask = 1u << ATTN_ISA_PORTABLE;
    build.cflags = "-O1";
    build.edit = e ? change : NULL;
    build.edit_ctx = e;
    build_kernels(a, kernels, count, &build, libs);
    property_options quiet = *o;
    quiet.isa_mask = build.isa_mask;
    quiet.shapes = 8;
    quiet.shape = -1;
    layer_campaign(a, &quiet, fields, kernels, libs, count, e != NULL, failures);
    for (int i = 0; i < count && e; i++)
        if (libs[i].error) printf("FAIL changed layer: %s\n", libs[i].error), failures[i] = 0;
}

int property_layer_mutations(const property_options *o) {
    arena *a = arena_new();
    kernel_spec *kernels = arena_alloc(a, MUTATIONS * sizeof *kernels);
    const char *fields[MUTATIONS];
    long right[MUTATIONS] = {0}, wrong[MUTATIONS] = {0};
    edit e = {.kernels = kernels, .only = -1};
    int failures = 0, of_layers = 0;
    diag d = {0};
    for (int n = 0; n < MUTATIONS; n++) {
        fields[n] = mutations[n].fields;
        if (!property_try(a, "layer", fields[n], &kernels[n], &d)) {
            printf("FAIL layers' mutations: %s\n", d.text);
            return 1;
        }
        of_layers += !of_runtime(&mutations[n]); /* they come first */
    }
    judge(a, o, kernels, of_layers + 1, NULL, fields, right);
    judge(a, o, kernels, of_layers, &e, fields, wrong);
    for (int n = of_layers; n < MUTATIONS; n++) {
        right[n] = right[of_layers];
        e.only = n;
        judge(a, o, &kernels[n], 1, &e, &fields[n], &wrong[n]);
    }
    for (int n = 0; n < MUTATIONS; n++) {
        const char *why = !e.made[n]  ? "its line is not in the code any more"
                          : right[n]  ? "fails unchanged"
                          : !wrong[n] ? "nobody noticed it"
                                      : NULL;
        if (why) printf("FAIL changed %s: %s\n", mutations[n].name, why);
        if (o->verbose) printf("%s: %ld checks fail\n", mutations[n].name, wrong[n]);
        failures += why != NULL;
    }
    printf("property: %d mutations, %d unnoticed or wrong in layers\n", MUTATIONS, failures);
    arena_free(a);
    return failures;
}
