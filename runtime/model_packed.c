/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* model_packed.c - what a model packed, as a file: written, and mapped back. Its sections are the
 * packed weights of layers that have their own, then the matrices that were converted. */
#include "model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#if defined(_WIN32)
#include <process.h>
#define getpid _getpid
#define NEW_FILE "wb"
#else
#include <sys/stat.h>
#include <unistd.h>
#define NEW_FILE "wbx" /* no link that lies there is followed */
#endif

/* --- Sections --- */

typedef struct sections {
    attn_packed_section *section;
    const void **data; /* of each; null: not there yet */
    uint32_t count;
} sections;

static bool list_sections(attn_model *m, sections *s) {
    const int32_t layers = m->desc->layers;
    attn_model_matrix *matrix[ATTN_MODEL_MATRICES];
    s->section = calloc((size_t)layers + ATTN_MODEL_MATRICES, sizeof *s->section);
    s->data = calloc((size_t)layers + ATTN_MODEL_MATRICES, sizeof *s->data);
    s->count = 0;
    if (!s->section || !s->data) return false;
    for (int32_t i = 0; i < layers; i++) {
        if (attn_model_owner(m, i) != i) continue;
        s->section[s->count].bytes = attn_packed_size(m->block[i]->kernel);
        s->data[s->count++] = m->packed[i];
    }
    attn_model_matrices(m, matrix);
    for (int i = 0; i < ATTN_MODEL_MATRICES; i++) {
        if (!matrix[i]->from) continue;
        s->section[s->count].bytes = attn_model_matrix_bytes(matrix[i]);
        s->data[s->count++] = matrix[i]->data;
    }
    return true;
}

static void free_sections(sections *s) {
    free(s->section);
    free(s->data);
}

/* The model's layers and matrices lie in the sections of a file. */
static void use_sections(attn_model *m, const char *file, const attn_packed_section *section) {
    attn_model_matrix *matrix[ATTN_MODEL_MATRICES];
    for (int32_t i = 0; i < m->desc->layers; i++) {
        const int32_t owner = attn_model_owner(m, i);
        m->packed[i] = owner == i ? (void *)(uintptr_t)(file + section++->at) : m->packed[owner];
    }
    attn_model_matrices(m, matrix);
    for (int i = 0; i < ATTN_MODEL_MATRICES; i++)
        if (matrix[i]->from) matrix[i]->data = file + section++->at;
}

typedef struct hashing {
    const attn_tensor *const *tensor; /* or */
    const sections *sections;
    uint64_t *hash;
} hashing;

static void hash_sections(void *ctx, int64_t task, int worker) {
    const hashing *h = ctx;
    (void)worker;
    h->hash[task] =
        attn_bytes_hash(h->sections->data[task], (size_t)h->sections->section[task].bytes);
}

/* --- What a file is bound to --- */

static int64_t elements(const attn_tensor *t) {
    int64_t n = 1;
    for (int32_t d = 0; d < t->rank; d++) n *= t->dim[d];
    return n;
}

static uint64_t hash_text(uint64_t hash, const char *text) {
    return attn_hash_mix(hash, attn_bytes_hash(text, strlen(text)));
}

/* Names, types and dims. */
static uint64_t hash_shape(uint64_t hash, const attn_tensor *t) {
    hash = attn_hash_mix(hash_text(hash, t->name), (uint32_t)t->type);
    for (int32_t d = 0; d < t->rank; d++) hash = attn_hash_mix(hash, (uint64_t)t->dim[d]);
    return attn_hash_mix(hash, (uint32_t)t->rank);
}

static void hash_tensors(void *ctx, int64_t task, int worker) {
    const hashing *h = ctx;
    const attn_tensor *t = h->tensor[task];
    (void)worker;
    h->hash[task] = attn_bytes_hash(t->data, (size_t)attn_weight_bytes(t->type, elements(t)));
}

/* Spec, instruction set and tiles of each layer, and what is around them. */
static uint64_t hash_model(const attn_model *m) {
    attn_model_spec spec;
    memcpy(&spec, &m->desc->spec, sizeof spec);
    spec.rope_short.data = spec.rope_long.data = NULL; /* those chosen are among the tensors */
    uint64_t hash = attn_bytes_hash(&spec, sizeof spec);
    for (int32_t i = 0; i < m->desc->layers; i++) hash = hash_text(hash, m->block[i]->kernel->name);
    return hash;
}

/* What is packed is made of: tensors of layers, and of matrices that are converted. */
static int32_t list_tensors(attn_model *m, const attn_tensor **out) {
    const attn_layer_tensors *t = &m->tensors;
    const int32_t of_layers = t->first[m->desc->layers];
    attn_model_matrix *matrix[ATTN_MODEL_MATRICES];
    int32_t n = of_layers;
    for (int32_t i = 0; i < of_layers; i++) out[i] = &t->list[i];
    attn_model_matrices(m, matrix);
    for (int i = 0; i < ATTN_MODEL_MATRICES; i++)
        if (matrix[i]->from) out[n++] = &matrix[i]->from->tensor;
    return n;
}

/* The head of a file of this model; read: the weights' contents too. */
static attn_status bind(attn_model *m, const attn_model_options *o, bool read,
                        attn_packed_head *head) {
    const size_t most = (size_t)m->tensors.first[m->desc->layers] + ATTN_MODEL_MATRICES;
    const attn_tensor **tensor = malloc(most * sizeof *tensor);
    hashing h = {.tensor = tensor, .hash = malloc(most * sizeof *h.hash)};
    const bool ok = tensor && h.hash;
    *head = (attn_packed_head){.isa = m->block[0]->kernel->isa, .model = hash_model(m)};
    const int32_t n = ok ? list_tensors(m, tensor) : 0;
    if (read) attn_model_tasks(o, n, hash_tensors, &h);
    for (int32_t i = 0; i < n; i++) {
        head->tensors = hash_shape(head->tensors, tensor[i]);
        if (read) head->contents = attn_hash_mix(head->contents, h.hash[i]);
    }
    free(tensor);
    free(h.hash);
    return ok ? ATTN_OK : ATTN_E_MEMORY;
}

/* --- Mapped back --- */

static attn_status check_contents(const attn_why *why, const sections *s, const char *file,
                                  const attn_model_options *o) {
    const attn_packed_section *table = attn_packed_file_table(file);
    hashing h = {.sections = s, .hash = calloc((size_t)s->count + 1, sizeof *h.hash)};
    attn_status status = h.hash ? ATTN_OK : ATTN_E_MEMORY;
    for (uint32_t i = 0; i < s->count; i++) s->data[i] = file + table[i].at;
    if (h.hash) attn_model_tasks(o, s->count, hash_sections, &h);
    for (uint32_t i = 0; i < s->count && status == ATTN_OK; i++)
        if (h.hash[i] != table[i].checksum)
            status = attn_refuse(why, ATTN_E_PACKED,
                                 "it is damaged: the checksum of section %u differs", i);
    free(h.hash);
    return status;
}

static attn_status check_packed(const attn_why *why, attn_model *m, const sections *s,
                                const attn_model_options *o) {
    const attn_model_file *f = &m->packed_file;
    const bool trust = o->packed_flags & ATTN_MODEL_PACKED_TRUST;
    attn_packed_head want;
    attn_status status = bind(m, o, !trust, &want);
    want.sections = s->count;
    if (status != ATTN_OK) return status;
    status = attn_packed_file_check(why, f->data, f->bytes, &want, s->section, trust);
    if (status == ATTN_OK && !trust) status = check_contents(why, s, f->data, o);
    const attn_packed_section *table = attn_packed_file_table(f->data);
    for (int32_t i = 0; i < m->desc->layers && status == ATTN_OK; i++)
        if (attn_model_owner(m, i) == i)
            status = attn_check_packed_header(why, m->block[i]->kernel,
                                              (const char *)f->data + table++->at);
    return status;
}

attn_status attn_model_take_packed(attn_model *m, const attn_model_options *o, attn_problems *p) {
    char text[ATTN_MESSAGE_MAX];
    const attn_why why = attn_why_begin(text, sizeof text);
    attn_model_file *f = &m->packed_file;
    sections s = {0};
    f->path = (char *)(uintptr_t)o->packed; /* for the mapping alone */
    const bool there = attn_model_map(f);
    f->path = NULL;
    if (!there) {
        attn_problem(p, "%s: packed weights cannot be read: %s", o->packed,
                     errno ? strerror(errno) : "not a file, or empty");
        return ATTN_E_PACKED;
    }
    const attn_status status = list_sections(m, &s) ? check_packed(&why, m, &s, o) : ATTN_E_MEMORY;
    if (status == ATTN_OK) {
        memcpy(&m->packed_head, f->data, sizeof m->packed_head);
        use_sections(m, f->data, attn_packed_file_table(f->data));
    } else {
        attn_problem(p, "%s: not the packed weights of this model: %s", o->packed,
                     status == ATTN_E_PACKED ? text : attn_status_text(status));
        attn_model_unmap(f);
        *f = (attn_model_file){0};
    }
    free_sections(&s);
    return status;
}

/* --- Written --- */

static bool write_zeros(FILE *f, uint64_t count) {
    static const char zeros[64];
    return fwrite(zeros, 1, (size_t)count, f) == count;
}

static bool write_all(FILE *f, const attn_packed_head *head, const sections *s) {
    uint64_t at = sizeof *head + s->count * sizeof *s->section;
    bool ok = fwrite(head, sizeof *head, 1, f) == 1 &&
              fwrite(s->section, sizeof *s->section, s->count, f) == s->count;
    for (uint32_t i = 0; ok && i < s->count; i++) {
        const size_t bytes = (size_t)s->section[i].bytes;
        ok = write_zeros(f, s->section[i].at - at) && fwrite(s->data[i], 1, bytes, f) == bytes;
        at = s->section[i].at + s->section[i].bytes;
    }
    return ok;
}

bool attn_model_may_renew(const char *path, attn_problems *p) {
    attn_model_file f = {.path = (char *)(uintptr_t)path};
    if (!attn_model_map(&f)) return true; /* absent, or writing says more */
    const bool may = attn_packed_file_is(f.data, f.bytes);
    attn_model_unmap(&f);
    if (!may)
        attn_problem(p, "%s: attn_model_save did not write it: such a file is not replaced", path);
    return may;
}

/* Devices, FIFOs and folders are not replaced. */
static bool is_file_or_absent(const char *path) {
#if defined(_WIN32)
    (void)path; /* what rename does not replace there */
    return true;
#else
    struct stat st;
    return stat(path, &st) || S_ISREG(st.st_mode);
#endif
}

/* Beside the file, then in its place: whoever has the old one mapped keeps it. */
static bool write_file(const char *path, const attn_packed_head *head, const sections *s) {
    const size_t size = strlen(path) + 40;
    char *beside = malloc(size);
    if (!beside) return false;
    snprintf(beside, size, "%s.%ld.part", path, (long)getpid());
    FILE *f = fopen(beside, NEW_FILE);
    bool ok = f && write_all(f, head, s);
    if (f && fclose(f)) ok = false;
    const int reason = errno;
#if defined(_WIN32)
    if (ok) remove(path);
#endif
    if (ok && rename(beside, path))
        ok = false;
    else
        errno = ok ? 0 : reason;
    if (f && !ok) {
        const int why = errno;
        remove(beside);
        errno = why;
    }
    free(beside);
    return ok;
}

/* Checksums, and the file. */
static attn_status save_sections(const char *path, attn_packed_head *head, const sections *s,
                                 const attn_model_options *o, attn_problems *p) {
    hashing h = {.sections = s, .hash = calloc((size_t)s->count + 1, sizeof *h.hash)};
    if (!h.hash) return ATTN_E_MEMORY;
    attn_model_tasks(o, s->count, hash_sections, &h);
    for (uint32_t i = 0; i < s->count; i++) s->section[i].checksum = h.hash[i];
    free(h.hash);
    head->sections = s->count;
    attn_packed_file_begin(head, s->section);
    if (!is_file_or_absent(path)) {
        attn_problem(p, "%s: packed weights cannot be written: there is something else than a file",
                     path);
        return ATTN_E_PACKED;
    }
    errno = 0;
    if (write_file(path, head, s)) return ATTN_OK;
    attn_problem(p, "%s: packed weights cannot be written: %s", path,
                 errno ? strerror(errno) : attn_status_text(ATTN_E_MEMORY));
    return ATTN_E_PACKED;
}

attn_status attn_own_model_save(const attn_model *model, const char *path,
                                const attn_model_options *o, attn_problems *p) {
    attn_model *m = (attn_model *)(uintptr_t)model; /* its matrices are read */
    sections s = {0};
    attn_packed_head head = m->packed_head;
    attn_status status = head.version ? ATTN_OK : bind(m, o, true, &head);
    if (status == ATTN_OK && !list_sections(m, &s)) status = ATTN_E_MEMORY;
    if (status == ATTN_OK) status = save_sections(path, &head, &s, o, p);
    free_sections(&s);
    return status;
}

attn_status attn_model_save(const attn_model *model, const char *path, char *message, size_t size) {
    attn_problems p = {message, size, 0, 0};
    const attn_model_options none = ATTN_MODEL_OPTIONS_INIT;
    if (message && size) *message = 0;
    if (!model || !path) {
        attn_problem(&p, "%s is null", model ? "path" : "model");
        return ATTN_E_ARGUMENT;
    }
    const attn_status status = attn_own_model_save(model, path, &none, &p);
    if (status != ATTN_OK && !p.count) attn_problem(&p, "%s", attn_status_text(status));
    return status;
}
