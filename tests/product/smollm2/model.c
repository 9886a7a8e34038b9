/* model.c - a small safetensors reader: 8 bytes of header length, a JSON header, raw data. It scans
 * the header as the safetensors library writes it (no blanks), which is all that a product needs.
 */
#include "model.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct safetensors {
    char *path;
    char *header; /* ends in a zero byte */
    const unsigned char *data;
    uint64_t size;
} safetensors;

typedef struct tensor {
    const void *data;
    uint64_t count;
} tensor;

void die(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("chat: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

void *allocate(size_t bytes) {
    void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!p) die("out of memory (%zu bytes)", bytes);
    return p;
}

static char *join(const char *dir, const char *name) {
    size_t size = strlen(dir) + strlen(name) + 2;
    char *path = allocate(size);
    snprintf(path, size, "%s/%s", dir, name);
    return path;
}

/* Linux: reads the file at once, so that page faults do not count as the model's time. */
#ifndef MAP_POPULATE
#define MAP_POPULATE 0
#endif

/* Stays mapped until the program ends. */
static const unsigned char *map(const char *path, uint64_t *size) {
    int fd = open(path, O_RDONLY);
    struct stat s;
    if (fd < 0 || fstat(fd, &s) != 0) die("%s: %s", path, strerror(errno));
    void *data = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (data == MAP_FAILED) die("%s: %s", path, strerror(errno));
    close(fd);
    *size = (uint64_t)s.st_size;
    return data;
}

static char *text(const unsigned char *bytes, uint64_t size) {
    char *out = allocate(size + 1);
    memcpy(out, bytes, size);
    out[size] = '\0';
    return out;
}

static safetensors open_safetensors(char *path) {
    uint64_t size, header = 0;
    const unsigned char *file = map(path, &size);
    if (size >= 8) memcpy(&header, file, 8);
    if (size < 8 || header > size - 8) die("%s: not a safetensors file", path);
    return (safetensors){path, text(file + 8, header), file + 8 + header, size - 8 - header};
}

/* The value after "key": within one object, which has no nested ones. */
static const char *value(const char *object, const char *key) {
    const char *end = strchr(object, '}'), *at = strstr(object, key);
    return at && end && at < end ? at + strlen(key) : "";
}

/* rows 0: any. columns 0: a vector. */
static tensor find(const safetensors *f, const char *name, const char *dtype, uint64_t rows,
                   uint64_t columns) {
    char key[128], shape[64], type[16];
    snprintf(key, sizeof key, "\"%s\":{", name);
    const char *object = strstr(f->header, key);
    if (!object) die("%s: no tensor %s", f->path, name);
    uint64_t from = 0, to = 0, found_rows = strtoull(value(object, "\"shape\":["), NULL, 10);
    if (!rows) rows = found_rows;
    snprintf(type, sizeof type, "%s\"", dtype);
    snprintf(shape, sizeof shape, columns ? "%llu,%llu]" : "%llu]", (unsigned long long)rows,
             (unsigned long long)columns);
    if (strncmp(value(object, "\"dtype\":\""), type, strlen(type)) != 0 ||
        strncmp(value(object, "\"shape\":["), shape, strlen(shape)) != 0)
        die("%s: %s is not %s [%s", f->path, name, dtype, shape);
    const char *offsets = value(object, "\"data_offsets\":[");
    uint64_t width = dtype[0] == 'U' ? 1 : 4, count = rows * (columns ? columns : 1);
    char *comma;
    from = strtoull(offsets, &comma, 10);
    to = *comma == ',' ? strtoull(comma + 1, NULL, 10) : 0;
    if (from > to || to > f->size || to - from != count * width ||
        (uintptr_t)(f->data + from) % width != 0)
        die("%s: %s: data_offsets do not fit the shape or the file", f->path, name);
    return (tensor){f->data + from, count};
}

static double number(const char *path, const char *json, const char *key) {
    char quoted[64], *end;
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(json, quoted);
    if (!at) die("%s: no %s", path, key);
    double v = strtod(at + strlen(quoted), &end);
    if (end == at + strlen(quoted)) die("%s: %s is not a number", path, key);
    return v;
}

static int positive(const char *path, const char *json, const char *key) {
    double v = number(path, json, key);
    if (!(v >= 1 && v <= 1 << 24)) die("%s: %s is %g", path, key, v);
    return (int)v;
}

static config read_config(const char *path) {
    uint64_t size;
    const unsigned char *bytes = map(path, &size);
    char *json = text(bytes, size);
    config c = {
        .hidden = positive(path, json, "hidden_size"),
        .ffn = positive(path, json, "intermediate_size"),
        .layers = positive(path, json, "num_hidden_layers"),
        .heads = positive(path, json, "num_attention_heads"),
        .kv_heads = positive(path, json, "num_key_value_heads"),
        .vocab = positive(path, json, "vocab_size"),
        .eos = positive(path, json, "eos_token_id"),
        .eps = number(path, json, "rms_norm_eps"),
        .rope_base = number(path, json, "rope_theta"),
    };
    if (c.hidden % c.heads || c.heads % c.kv_heads) die("%s: heads do not divide", path);
    c.head_dim = c.hidden / c.heads;
    free(json);
    return c;
}

static const float *layer_tensor(const safetensors *f, int index, const char *part, int rows,
                                 int columns) {
    char name[96];
    snprintf(name, sizeof name, "model.layers.%d.%s.weight", index, part);
    return find(f, name, "F32", (uint64_t)rows, (uint64_t)columns).data;
}

static layer read_layer(const model *m, const safetensors *f, int i) {
    const config *c = &m->c;
    int q = c->heads * c->head_dim, kv = c->kv_heads * c->head_dim;
    size_t cache = (size_t)kv * (size_t)m->capacity * sizeof(float);
    return (layer){
        .input_norm = layer_tensor(f, i, "input_layernorm", c->hidden, 0),
        .q = layer_tensor(f, i, "self_attn.q_proj", q, c->hidden),
        .k = layer_tensor(f, i, "self_attn.k_proj", kv, c->hidden),
        .v = layer_tensor(f, i, "self_attn.v_proj", kv, c->hidden),
        .o = layer_tensor(f, i, "self_attn.o_proj", c->hidden, q),
        .post_norm = layer_tensor(f, i, "post_attention_layernorm", c->hidden, 0),
        .gate = layer_tensor(f, i, "mlp.gate_proj", c->ffn, c->hidden),
        .up = layer_tensor(f, i, "mlp.up_proj", c->ffn, c->hidden),
        .down = layer_tensor(f, i, "mlp.down_proj", c->hidden, c->ffn),
        .k_cache = allocate(cache),
        .v_cache = allocate(cache),
    };
}

void model_open(model *m, const char *dir, int capacity) {
    char *path = join(dir, "config.json");
    m->c = read_config(path);
    free(path);
    m->capacity = capacity;
    safetensors f = open_safetensors(join(dir, "model.safetensors"));
    uint64_t vocab = (uint64_t)m->c.vocab, hidden = (uint64_t)m->c.hidden;
    m->embedding = find(&f, "model.embed_tokens.weight", "F32", vocab, hidden).data;
    m->norm = find(&f, "model.norm.weight", "F32", hidden, 0).data;
    m->layers = allocate((size_t)m->c.layers * sizeof *m->layers);
    for (int i = 0; i < m->c.layers; i++) m->layers[i] = read_layer(m, &f, i);
    free(f.header);
    free(f.path);
    safetensors v = open_safetensors(join(dir, "vocab.safetensors"));
    tensor bytes = find(&v, "bytes", "U8", 0, 0);
    m->token_bytes = bytes.data;
    m->token_offsets = find(&v, "offsets", "I32", vocab + 1, 0).data;
    for (int i = 0; i < m->c.vocab; i++)
        if (m->token_offsets[i] < 0 || m->token_offsets[i] > m->token_offsets[i + 1] ||
            (uint64_t)m->token_offsets[i + 1] > bytes.count)
            die("%s: offsets of token %d", v.path, i);
    free(v.header);
    free(v.path);
}

void model_close(model *m) {
    for (int i = 0; i < m->c.layers; i++) {
        free(m->layers[i].k_cache);
        free(m->layers[i].v_cache);
    }
    free(m->layers);
}
