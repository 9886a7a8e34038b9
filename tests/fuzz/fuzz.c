/* fuzz.c - entry points for libFuzzer (clang): whatever attn-gen reads, as bytes that nobody chose.
 *
 * FUZZ_TARGET is one of expr, decl, model, config, gguf, weights, packed, tune, safetensors, name,
 * folder, manifest, text. Nothing may crash, hang or trip a sanitizer; a refusal must say
 * something; what was accepted must hold what its header promises. Run by tests/fuzz/fuzz.sh. */
#include "show/diff.h"
#include "files.h"
#include "expr/expr.h"
#include "output/folder.h"
#include "gguf.h"
#include "packed_file.h"
#include "safetensors.h"
#include "import/import_gguf.h"
#include "import/import_hf.h"
#include "plan/isa.h"
#include "output/manifest.h"
#include "quant.h"
#include "spec/model.h"
#include "spec.h"
#include "text.h"
#include "plan/tune_file.h"
#include "lab/safetensors.h"
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Like assert, also where NDEBUG is set. */
#define HOLDS(x)                                                                \
    do {                                                                        \
        if (!(x)) {                                                             \
            fprintf(stderr, "fuzz: %s does not hold, line %d\n", #x, __LINE__); \
            abort();                                                            \
        }                                                                       \
    } while (0)

/* --- Expressions: the kind (s or m), then the text. --- */
enum { HEADS = 4, Q_LEN = 6, LK = 9, BATCH = 2, TENSORS = 5 };

static attn_spec spec;
static attn_side_decl tensors[TENSORS];
static expr_scalar scalars[2];
static const expr_env env = {&spec, tensors, TENSORS, scalars, 2};
static float slope[HEADS] = {0.5f, -0.25f, INFINITY, 1.5f}, table[HEADS * 21];
static int32_t doc[LK] = {0, 0, 1, 1, 1, 2, 2, 7, -3}, seg[BATCH * Q_LEN] = {0, 1, 1, 2, -1, 5},
               perm[16] = {3, 1, 2, 0, INT32_MAX, INT32_MIN, -1, 9};
static const attn_side sides[TENSORS] = {
    {slope, HEADS}, {doc, LK}, {table, HEADS * 21}, {seg, BATCH *Q_LEN}, {perm, 16}};
static const attn_scalar values[2] = {{.i32 = 5}, {.f32 = 0.75f}};

static void declare(arena *a) {
    static const char *const text[TENSORS] = {"slope=f32[heads]", "doc=i32[kv_len]",
                                              "table=f32[heads][21]", "seg=i32[batch][q_len]",
                                              "perm=i32[16]"};
    expr_error err;
    spec = (attn_spec){.heads = HEADS, .kv_heads = 2, .v_heads = 2, .head_dim = 64, .window = 5};
    spec.v_dim = spec.right_window = spec.kv_comp_dim = spec.retr_dim = ATTN_UNSET;
    spec.q_comp_dim = spec.lookback = ATTN_UNSET;
    for (int i = 0; i < TENSORS; i++) HOLDS(expr_parse_tensor(a, text[i], &tensors[i], &err));
    HOLDS(expr_parse_scalar(a, "prefix=i32", &scalars[0], &err));
    HOLDS(expr_parse_scalar(a, "temp=f32", &scalars[1], &err));
}

static expr_point point(int32_t h, int32_t q, int32_t k) {
    return (expr_point){.b = 1,
                        .h = h,
                        .q = q,
                        .k = k,
                        .q_start = 2,
                        .q_len = Q_LEN,
                        .kv_len = LK,
                        .batch = BATCH,
                        .kv_len_max = LK,
                        .s = 0.5,
                        .side = sides,
                        .scalars = values};
}

/* The classifier and the key range against every point of a box. */
static void check_box(const expr *e, const attn_tile_box *box) {
    bool some = false, all = true;
    int32_t first = INT32_MAX, last = INT32_MIN;
    for (int32_t h = box->h0; h <= box->h1; h++)
        for (int64_t q = box->q0; q <= box->q1; q++)
            for (int64_t k = box->k0; k <= box->k1; k++) {
                expr_point p = point(h, (int32_t)q, (int32_t)k);
                const bool seen = expr_eval_mask(e, &p);
                if (p.oob) return; /* the value is then unspecified */
                some = some || seen, all = all && seen;
                if (seen && k < first) first = (int32_t)k;
                if (seen && k > last) last = (int32_t)k;
            }
    const expr_point fixed = point(0, 0, 0);
    const attn_tile_class class = expr_classify(e, box, &fixed);
    HOLDS(class != ATTN_TILE_NONE || !some);
    HOLDS(class != ATTN_TILE_ALL || all);
    int32_t lo = box->k0, hi = box->k1;
    expr_range(e, box, &fixed, &lo, &hi);
    HOLDS(!some || (lo <= first && last <= hi));
}

static void emit(arena *a, const expr *e, expr_kind kind) {
    expr_code code;
    double factor = 1;
    const expr *lanes = kind == EXPR_SCORE ? expr_scale(a, e, 1.5, &factor) : e;
    HOLDS(factor != 0 && factor - factor == 0);
    expr_emit_vector(a, lanes, EXPR_TILE, 3, "e", &code);
    expr_emit_vector(a, lanes, EXPR_LANES, 1, "e", &code);
    expr_emit_scalar(a, e);
    if (kind == EXPR_SCORE) return;
    expr_emit_classify(a, e);
    expr_emit_range(a, e);
    expr_range_text(a, e);
}

static void fuzz_expr(arena *a, const char *text, size_t size) {
    (void)size;
    const expr_kind kind = text[0] == 'm' ? EXPR_MASK : EXPR_SCORE;
    if (!*text) return;
    declare(a);
    expr_error err = {0};
    const expr *e = expr_parse(a, text + 1, kind, &env, &err);
    if (!e) {
        HOLDS(err.text[0] && err.offset <= strlen(text + 1));
        return;
    }
    const char *canonical = expr_canonical(a, e);
    const expr *again = expr_parse(a, canonical, kind, &env, &err);
    HOLDS(again && strcmp(expr_canonical(a, again), canonical) == 0);
    HOLDS(strcmp(expr_dump(a, again), expr_dump(a, e)) == 0);
    emit(a, e, kind);
    expr_point p = point(1, 3, 4);
    if (kind == EXPR_SCORE) {
        expr_eval_score(e, &p);
        return;
    }
    check_box(e, &(attn_tile_box){0, HEADS - 1, 2, 2 + Q_LEN - 1, 0, LK - 1});
    check_box(e, &(attn_tile_box){1, 1, 4, 4, 3, 6});
    check_box(e, &(attn_tile_box){2, 3, INT32_MAX - 2, INT32_MAX, 0, 4});
}

static void fuzz_decl(arena *a, const char *text, size_t size) {
    (void)size;
    attn_side_decl tensor, again;
    expr_scalar scalar;
    expr_error err = {0};
    if (expr_parse_tensor(a, text, &tensor, &err)) {
        const char *canonical = expr_decl_canonical(a, &tensor);
        HOLDS(expr_parse_tensor(a, canonical, &again, &err));
        HOLDS(strcmp(expr_decl_canonical(a, &again), canonical) == 0);
    } else
        HOLDS(err.text[0] && err.offset <= strlen(text));
    err = (expr_error){0};
    if (!expr_parse_scalar(a, text, &scalar, &err))
        HOLDS(err.text[0] && err.offset <= strlen(text));
}

/* --- Models --- */

/* What a model resolves to is a model file that reads back as the same. */
static void read_back(arena *a, const model *m) {
    const char *text = model_to_lua(a, m);
    model again;
    diag d = {0};
    if (!model_from_lua(a, "again.lua", text, &again, &d)) {
        fprintf(stderr, "%s\n%s\n", text, d.text);
        abort();
    }
    HOLDS(strcmp(model_to_lua(a, &again), text) == 0);
}

static void fuzz_model(arena *a, const char *text, size_t size) {
    (void)size;
    model m;
    diag d = {0};
    if (model_from_lua(a, "fuzz.lua", text, &m, &d))
        read_back(a, &m);
    else
        HOLDS(d.text[0]);
}

static void fuzz_config(arena *a, const char *text, size_t size) {
    (void)size;
    model m;
    diag d = {0};
    const char *notes = NULL;
    if (model_from_hf(a, "config.json", text, NULL, 0, &m, &notes, &d))
        read_back(a, &m);
    else
        HOLDS(d.text[0]);
}

/* All that a walk can reach; ASan sees what lies beyond the file. */
static void read_gguf(const attn_gguf *g) {
    uint64_t keys = 0, tensors = 0;
    for (attn_gguf_key k = {0}; attn_gguf_next_key(g, &k); keys++) {
        attn_gguf_text text;
        int64_t whole;
        double number;
        bool yes;
        for (uint64_t i = 0, at = k.at; i < k.count; i++)
            HOLDS(attn_gguf_bool(g, &k, i, &yes) || attn_gguf_int(g, &k, i, &whole) ||
                  attn_gguf_number(g, &k, i, &number) || k.kind == ATTN_GGUF_U64 ||
                  attn_gguf_next_string(g, &at, &text));
    }
    for (attn_gguf_tensor t = {0}; attn_gguf_next_tensor(g, &t); tensors++) {
        float x[256];
        const attn_weight_row row = attn_weight_get(t.type);
        const uint8_t *data = t.data;
        for (uint64_t at = 0; at < t.bytes; at += (uint64_t)row.bytes)
            attn_dequantise(data + at, t.type, row.block, x);
    }
    HOLDS(keys == g->keys && tensors == g->tensors);
}

static void fuzz_gguf(arena *a, const char *text, size_t size) {
    void *copy = malloc(size + !size);
    HOLDS(copy);
    memcpy(copy, text, size);
    attn_gguf g;
    char message[300] = "";
    const bool ok = attn_gguf_open(&g, copy, size, message, sizeof message) == ATTN_OK;
    HOLDS(ok != (message[0] != 0));
    if (ok) read_gguf(&g);
    model m;
    diag d = {0};
    const char *notes = NULL;
    if (model_from_gguf(a, "fuzz.gguf", copy, size, NULL, 0, &m, &notes, &d))
        read_back(a, &m);
    else
        HOLDS(d.text[0]);
    free(copy);
}

/* A file of weights, or an index: the runtime's readers of whole models. */
static void fuzz_weights(arena *a, const char *text, size_t size) {
    (void)a;
    uint8_t *copy = malloc(size + !size);
    char message[300] = "";
    HOLDS(copy);
    memcpy(copy, text, size);
    attn_safetensors s;
    const bool opened = attn_safetensors_open(&s, copy, size, message, sizeof message) == ATTN_OK;
    HOLDS(opened != (message[0] != 0));
    for (attn_safetensor t = {0}; opened && attn_safetensors_next(&s, &t);) {
        const uint8_t *data = t.data;
        uint8_t sum = 0;
        for (uint64_t i = 0; i < t.bytes; i++) sum ^= data[i];
        HOLDS(t.name.length <= size && t.rank <= ATTN_SAFETENSORS_RANK_MAX && (sum ^ sum) == 0);
    }
    message[0] = 0;
    attn_safetensors_index x = {.json = {(char *)copy, size, 0, message, sizeof message}};
    bool ok;
    while (attn_safetensors_index_next(&x, &ok))
        HOLDS(!memchr(x.file.data, '/', x.file.length) && x.file.data[0] != '.');
    HOLDS(ok == (message[0] == 0));
    free(copy);
}

/* A file of packed weights: its head and table, made to agree where the first byte is odd. What
 * passes has its sections where they are said to be, and all of it within the file. */
static void fuzz_packed(arena *a, const char *text, size_t size) {
    enum { SECTIONS = 2 };
    attn_packed_head want = {.isa = 1, .sections = SECTIONS, .model = 2, .tensors = 3};
    attn_packed_section section[SECTIONS] = {{.bytes = 64}, {.bytes = 100}};
    void *made = arena_alloc(a, 512);
    const size_t whole = (size_t)attn_packed_file_begin(&want, section);
    HOLDS(whole <= 512);
    memcpy(made, &want, sizeof want);
    memcpy((char *)made + sizeof want, section, sizeof section);
    char message[ATTN_MESSAGE_MAX];
    const attn_why why = attn_why_begin(message, sizeof message);
    HOLDS(attn_packed_file_check(&why, made, whole, &want, section, false) == ATTN_OK);
    void *copy = aligned_alloc(64, (size + 127) / 64 * 64);
    HOLDS(copy);
    memcpy(copy, text, size);
    attn_packed_head head;
    if (size > whole && size >= sizeof head && text[size - 1] & 1) { /* a head that agrees */
        memcpy(&head, copy, sizeof head);
        memcpy(head.magic, want.magic, sizeof head.magic);
        head.version = want.version, head.abi = want.abi, head.isa = want.isa, head.bytes = size;
        head.model = want.model, head.tensors = want.tensors, head.contents = want.contents;
        head.sections = SECTIONS + head.sections % 2;
        head.checksum = 0;
        uint64_t sum = attn_bytes_hash(&head, sizeof head);
        sum = attn_hash_mix(sum, attn_bytes_hash((const char *)copy + sizeof head,
                                                 head.sections * sizeof *section));
        head.checksum = sum;
        memcpy(copy, &head, sizeof head);
    }
    const bool ok = attn_packed_file_check(&why, copy, size, &want, section, false) == ATTN_OK;
    HOLDS(ok == (message[0] == 0));
    const attn_packed_section *table = attn_packed_file_table(copy);
    for (int i = 0; ok && i < SECTIONS; i++)
        HOLDS(table[i].at % 64 == 0 && table[i].bytes == section[i].bytes && table[i].at <= size &&
              table[i].bytes <= size - table[i].at);
    free(copy);
}

static void fuzz_tune(arena *a, const char *text, size_t size) {
    (void)size;
    static const char source[] = "return { layers = { { heads = 8, head_dim = 64 } } }";
    model m;
    tune_set set;
    diag d = {0};
    HOLDS(model_from_lua(a, "m.lua", source, &m, &d));
    if (!tune_read(a, "fuzz.tune", text, &m, &set, &d)) HOLDS(d.text[0]);
}

/* --- The rest --- */
static void fuzz_name(arena *a, const char *text, size_t size) {
    (void)size;
    attn_spec s;
    char name[ATTN_NAME_MAX], again[ATTN_NAME_MAX];
    (void)a;
    if (attn_spec_parse(text, &s) != ATTN_OK) return;
    attn_spec_format(&s, name);
    attn_spec other;
    HOLDS(attn_spec_parse(name, &other) == ATTN_OK);
    attn_spec_format(&other, again);
    HOLDS(strcmp(name, again) == 0);
}

static void fuzz_safetensors(arena *a, const char *text, size_t size) {
    static int fd = -1;
    static char path[40];
    if (fd < 0) {
        fd = memfd_create("fuzz", 0);
        HOLDS(fd >= 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    }
    HOLDS(ftruncate(fd, 0) == 0 && pwrite(fd, text, size, 0) == (ssize_t)size);
    st_file f;
    diag d = {0};
    if (!st_read(a, path, &f, &d)) {
        HOLDS(d.text[0]);
        return;
    }
    for (int i = 0; i < f.tensor_count; i++) {
        st_floats(a, &f, &f.tensor[i], &d);
        st_ints(a, &f, &f.tensor[i], &d);
        st_bools(a, &f, &f.tensor[i], &d);
        HOLDS(st_find(&f, f.tensor[i].name));
    }
    size_t bytes;
    st_bytes(a, &f, &bytes);
}

/* --- Folders that others made: the manifest, a zero byte, the journal of an interrupted write. ---
 */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at) {
    (void)st, (void)type, (void)at;
    return remove(path);
}

/* A path in the folder of all this. */
static const char *in(arena *a, const char *name) {
    static char dir[] = "/tmp/attn-fuzz-XXXXXX";
    static bool made;
    if (!made) HOLDS(mkdtemp(dir));
    made = true;
    return arena_printf(a, "%s/%s", dir, name);
}

static void put(arena *a, const char *name, const void *data, size_t size) {
    FILE *f = fopen(in(a, name), "w");
    HOLDS(f && fwrite(data, 1, size, f) == size && !fclose(f));
}

static bool same_text(arena *a, const char *name, const char *want) {
    diag d = {0};
    const char *text = read_file(a, in(a, name), 64, NULL, &d);
    return text && !strcmp(text, want);
}

static const char mine[] = "mine\n", mine_hash[] = "9239e72e43a9bbce";

/* What others have, in the folder and behind its links; all of it the same file, so that a hash in
 * the input may be right. The first of them has a name that attn-gen may have written. */
static const char *const others[] = {"out/mine.c",  "out/.git/config", "out/sub/mine.c",
                                     "out/.hidden", "outside/mine.c",  "outside/deep/mine.c"};
enum { OTHERS = sizeof others / sizeof *others };

static void make_scene(arena *a, const char *text, size_t size) {
    static const char *const folders[] = {"out",           "out/.git", "out/sub",
                                          "out/.attn-gen", "outside",  "outside/deep"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        HOLDS(mkdir(in(a, folders[i]), 0777) == 0);
    for (int i = 0; i < OTHERS; i++) put(a, others[i], mine, strlen(mine));
    const size_t n = strlen(text);
    put(a, "out/manifest.json", text, n);
    if (n + 1 < size) put(a, "out/.attn-gen/journal", text + n + 1, size - n - 1);
    HOLDS(symlink("../outside", in(a, "out/runtime")) == 0);
    HOLDS(symlink("../../outside/mine.c", in(a, "out/.attn-gen/0.old")) == 0);
    put(a, "out/.attn-gen/1.old", "attack", 6);
}

static void fuzz_folder(arena *a, const char *text, size_t size) {
    gen_file file[] = {{.path = "a.c", .text = "a"},
                       {.path = "b.c", .text = "b"},
                       {.path = "manifest.json", .text = "{}"}};
    const gen_files files = {file, 3};
    diag d = {0};
    make_scene(a, text, size);
    const bool ok = folder_write(a, in(a, "out"), FOLDER_TEMPORARY, &files, &d);
    const bool named = memmem(text, size, mine_hash, strlen(mine_hash)) != NULL;
    HOLDS(ok || d.text[0]);
    HOLDS(named || same_text(a, others[0], mine));
    for (int i = 1; i < OTHERS; i++) HOLDS(same_text(a, others[i], mine));
    for (int i = 0; ok && i < 3; i++)
        HOLDS(same_text(a, arena_printf(a, "out/%s", file[i].path), file[i].text));
    HOLDS(!ok || access(in(a, "out/.attn-gen"), F_OK) != 0);
    nftw(in(a, "out"), remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    nftw(in(a, "outside"), remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- Manifests: two texts, with a zero byte between them; one is held against itself. --- */

/* No line of a report or a message holds what a terminal obeys. */
static void check_shown(const char *text) {
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text;
        HOLDS(c >= ' ' ? c != 0x7f : c == '\n' || c == '\t');
    }
}

static void fuzz_manifest(arena *a, const char *text, size_t size) {
    const char *second = strlen(text) < size ? text + strlen(text) + 1 : text;
    const diff_folder was = {"/nowhere/a", text}, is = {"/nowhere/b", second};
    const char *report = NULL;
    diag d = {0}, ignored = {0};
    if (diff_manifests(a, &was, &is, &report, &d))
        check_shown(report);
    else
        HOLDS(d.text[0]);
    check_shown(d.text);
    const gen_files *files = manifest_files(a, text);
    for (int i = 0; files && i < files->count; i++)
        HOLDS(files->file[i].path && files->file[i].text);
    HOLDS(*manifest_kind(a, text) || !files);
    cJSON *root = cJSON_Parse(text);
    gen_options o = {0};
    if (manifest_options(a, root, "m.json", &o, &ignored)) HOLDS(o.unroll >= -1);
    manifest_is_tuned(root);
    cJSON_Delete(root);
}

/* --- Escapes --- */

/* A line after `//` stays one comment, and comes back as it was. */
static void check_c_line(arena *a, const char *line, size_t n) {
    buf c = buf_new(a), back = buf_new(a);
    text_c_line(&c, line, n);
    check_shown(c.data);
    HOLDS(!strchr(c.data, '\n') && !strstr(c.data, "??"));
    HOLDS(!c.len || c.data[c.len - 1] != '\\');
    text_c_line_read(&back, c.data, c.len);
    HOLDS(back.len == n && !memcmp(back.data, line, n));
    text_c_line_read(&back, line, n);
}

static void fuzz_text(arena *a, const char *text, size_t size) {
    (void)size;
    for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n')
        check_c_line(a, p, strcspn(p, "\n"));
    const char *comment = text_c_comment(a, text), *xml = text_xml(a, text);
    check_shown(comment);
    HOLDS(!strstr(comment, "*/") && !strchr(comment, '\n') && !strchr(comment, '\\'));
    check_shown(xml);
    HOLDS(!strpbrk(xml, "<>\"'"));
    char *shown = text_shown(a, text);
    check_shown(shown);
    HOLDS(strlen(shown) == strlen(text) && !strcmp(text_shown(a, shown), shown));
    /* Lua reads its own string back. */
    buf lua = buf_new(a);
    buf_puts(&lua, "return { x = ");
    text_lua(&lua, text);
    buf_puts(&lua, " }");
    lua_val *v;
    diag d = {0};
    HOLDS(lua_eval_model(a, "t.lua", lua.data, NULL, &v, &d));
    HOLDS(!strcmp(lua_val_get(v, "x")->string, text));
}

#define JOIN(a, b) a##b
#define TARGET(name) JOIN(fuzz_, name)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena *a = arena_new();
    (void)fuzz_expr, (void)fuzz_decl, (void)fuzz_model, (void)fuzz_config, (void)fuzz_gguf,
        (void)fuzz_tune, (void)fuzz_weights, (void)fuzz_packed;
    (void)fuzz_name, (void)fuzz_safetensors, (void)fuzz_folder, (void)fuzz_manifest;
    (void)fuzz_text;
    char *text = arena_alloc(a, size + 1); /* zeroed: a string too */
    if (size) memcpy(text, data, size);
    TARGET(FUZZ_TARGET)(a, text, size);
    arena_free(a);
    return 0;
}
