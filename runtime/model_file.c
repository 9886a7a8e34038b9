/* Copyright (c) 2026 the attn-gen authors. SPDX-License-Identifier: 0BSD */
/* model_file.c - the files of a model, mapped, and the tensors that they hold, as one list. */
#include "model.h"

#include "gguf.h"
#include "safetensors.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#if defined(_WIN32)
#include <malloc.h>
#include <sys/stat.h>
#else
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

enum { FILES_MAX = 4096, TENSORS_MAX = 1 << 20, MESSAGE = 400 };

/* --- Bytes of a file --- */

#if defined(_WIN32)
/* Read: there is no mapping here. */
bool attn_model_map(attn_model_file *f) {
    FILE *in = fopen(f->path, "rb");
    struct __stat64 st;
    if (!in) return false;
    bool ok = !_fstat64(_fileno(in), &st) && st.st_size > 0 && (uint64_t)st.st_size < SIZE_MAX;
    f->bytes = ok ? (size_t)st.st_size : 0;
    void *data = ok ? _aligned_malloc(f->bytes, 64) : NULL;
    ok = data && fread(data, 1, f->bytes, in) == f->bytes;
    fclose(in);
    if (!ok) _aligned_free(data);
    f->data = ok ? data : NULL;
    return ok;
}

void attn_model_unmap(attn_model_file *f) {
    _aligned_free((void *)(uintptr_t)f->data);
}

void attn_model_large_pages(void *p, size_t bytes) {
    (void)p, (void)bytes;
}

static bool is_folder(const char *path) {
    struct stat st;
    return !stat(path, &st) && (st.st_mode & _S_IFMT) == _S_IFDIR;
}
#else
#ifndef O_CLOEXEC
#define O_CLOEXEC 0
#endif
/* O_NONBLOCK: a FIFO in a folder of somebody else's is opened, and refused, rather than waited for.
 */
bool attn_model_map(attn_model_file *f) {
    struct stat st;
    errno = 0;
    const int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return false;
    bool ok = !fstat(fd, &st) && S_ISREG(st.st_mode);
    if (ok && st.st_size <= 0) errno = 0;
    ok = ok && st.st_size > 0 && (uint64_t)st.st_size <= PTRDIFF_MAX;
    void *data = ok ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    close(fd);
    if (data == MAP_FAILED) return false;
    f->data = data;
    f->bytes = (size_t)st.st_size;
    return true;
}

void attn_model_unmap(attn_model_file *f) {
    if (f->data) munmap((void *)(uintptr_t)f->data, f->bytes);
}

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
/* Linux's own, which <sys/mman.h> hides under -std=c11. */
extern int madvise(void *p, size_t bytes, int advice);
#define LARGE_PAGES 14 /* MADV_HUGEPAGE of <linux/mman.h> */
#endif

/* Whole pages of 2 MB, what x86-64 and AArch64 have; that there are none is no error. */
void attn_model_large_pages(void *p, size_t bytes) {
#if defined(LARGE_PAGES)
    const uintptr_t page = (uintptr_t)2 << 20, end = ((uintptr_t)p + bytes) & ~(page - 1);
    const uintptr_t begin = ((uintptr_t)p + page - 1) & ~(page - 1);
    if (begin < end) (void)madvise((void *)begin, end - begin, LARGE_PAGES);
#else
    (void)p, (void)bytes;
#endif
}

static bool is_folder(const char *path) {
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}
#endif

static bool exists(const char *path) {
    struct stat st;
    return !stat(path, &st);
}

/* --- Lists --- */

static bool no_memory(attn_status *status) {
    *status = ATTN_E_MEMORY;
    return false;
}

/* "DIR/NAME", or NAME where there is no folder. */
static char *path_of(const char *dir, size_t dir_length, const char *name, size_t length) {
    char *path = malloc(dir_length + length + 2);
    if (!path) return NULL;
    memcpy(path, dir, dir_length);
    const bool slash = dir_length > 0 && dir[dir_length - 1] != '/';
    if (slash) path[dir_length] = '/';
    memcpy(path + dir_length + slash, name, length);
    path[dir_length + slash + length] = 0;
    return path;
}

/* Adds a file, whose path it takes, and maps it. */
static bool add_file(attn_model_source *s, char *path, attn_problems *p, attn_status *status) {
    if (!path) return no_memory(status);
    attn_model_file *grown = realloc(s->file, ((size_t)s->files + 1) * sizeof *grown);
    if (!grown) {
        free(path);
        return no_memory(status);
    }
    s->file = grown;
    attn_model_file *f = &s->file[s->files++];
    *f = (attn_model_file){.path = path};
    errno = 0;
    if (attn_model_map(f)) return true;
    attn_problem(p, "%s: cannot be read%s%s", path, errno ? ": " : ": not a file, or empty",
                 errno ? strerror(errno) : "");
    return false;
}

static bool add_tensor(attn_model_source *s, const attn_model_tensor *t, attn_text name,
                       attn_status *status) {
    if (s->tensors == s->capacity) {
        const int32_t capacity = s->capacity ? 2 * s->capacity : 256;
        attn_model_tensor *grown = realloc(s->tensor, (size_t)capacity * sizeof *grown);
        if (!grown) return no_memory(status);
        s->tensor = grown;
        s->capacity = capacity;
    }
    char *copy = malloc(name.length + 1);
    if (!copy) return no_memory(status);
    memcpy(copy, name.data, name.length);
    copy[name.length] = 0;
    s->tensor[s->tensors] = *t;
    s->tensor[s->tensors++].tensor.name = copy;
    return true;
}

/* --- Tensors of a file --- */

/* Rank 0 is a vector of one; trailing dimensions of more than 4 make a tensor that no weight is. */
static void set_dims(attn_model_tensor *to, int32_t rank, const int64_t *dim) {
    attn_tensor *t = &to->tensor;
    if (rank > 4) t->type = -1;
    t->rank = rank > 4 ? 4 : rank ? rank : 1;
    t->dim[0] = 1;
    for (int32_t i = 0; i < rank && i < 4; i++) t->dim[i] = dim[i];
}

static bool list_safetensors(attn_model_source *s, int32_t file, attn_problems *p,
                             attn_status *status) {
    const attn_model_file *f = &s->file[file];
    char message[MESSAGE];
    attn_safetensors in;
    *status = attn_safetensors_open(&in, f->data, f->bytes, message, sizeof message);
    if (*status != ATTN_OK) {
        attn_problem(p, "%s: %s", f->path, message);
        return false;
    }
    for (attn_safetensor t = {0}; attn_safetensors_next(&in, &t);) {
        attn_model_tensor to = {.tensor = {.data = t.data, .type = t.type}, .file = file};
        const size_t n = t.dtype.length < sizeof to.dtype ? t.dtype.length : sizeof to.dtype - 1;
        memcpy(to.dtype, t.dtype.data, n);
        set_dims(&to, t.rank, t.dim);
        if (s->tensors == TENSORS_MAX) {
            attn_problem(p, "%s: more than %d tensors", f->path, TENSORS_MAX);
            *status = ATTN_E_WEIGHTS;
            return false;
        }
        if (!add_tensor(s, &to, t.name, status)) return false;
    }
    return true;
}

static bool list_gguf(attn_model_source *s, int32_t file, attn_problems *p, attn_status *status) {
    const attn_model_file *f = &s->file[file];
    char message[MESSAGE];
    attn_gguf in;
    *status = attn_gguf_open(&in, f->data, f->bytes, message, sizeof message);
    if (*status != ATTN_OK) {
        attn_problem(p, "%s: %s", f->path, message);
        return false;
    }
    s->gguf = true;
    for (attn_gguf_tensor t = {0}; attn_gguf_next_tensor(&in, &t);) {
        attn_model_tensor to = {.tensor = {.data = t.data, .type = t.type}, .file = file};
        snprintf(to.dtype, sizeof to.dtype, "%s", attn_weight_get(t.type).name);
        set_dims(&to, t.rank, t.dim);
        if (!add_tensor(s, &to, (attn_text){t.name, strlen(t.name)}, status)) return false;
    }
    return true;
}

static bool list_file(attn_model_source *s, int32_t file, attn_problems *p, attn_status *status) {
    const attn_model_file *f = &s->file[file];
    const bool gguf = f->bytes >= 4 && !memcmp(f->data, "GGUF", 4);
    return gguf ? list_gguf(s, file, p, status) : list_safetensors(s, file, p, status);
}

/* --- An index --- */

static int32_t file_named(const attn_model_source *s, const char *path) {
    for (int32_t i = 1; i < s->files; i++) /* 0 is the index */
        if (!strcmp(s->file[i].path, path)) return i;
    return -1;
}

/* The files that an index names, each once; then whether they hold what it says. */
static bool list_index(attn_model_source *s, attn_problems *p, attn_status *status) {
    const char *path = s->file[0].path, *slash = strrchr(path, '/');
    const size_t dir = slash ? (size_t)(slash - path) + 1 : 0;
    char message[MESSAGE] = "";
    const attn_safetensors_index begin = {
        .json = {s->file[0].data, s->file[0].bytes, 0, message, sizeof message}};
    attn_safetensors_index x = begin;
    bool ok;
    *status = ATTN_E_WEIGHTS;
    while (attn_safetensors_index_next(&x, &ok)) {
        char *file = path_of(s->file[0].path, dir, x.file.data, x.file.length);
        if (!file) return no_memory(status);
        if (file_named(s, file) >= 0) {
            free(file);
            continue;
        }
        if (s->files > FILES_MAX) {
            attn_problem(p, "%s: names more than %d files", s->file[0].path, FILES_MAX);
            free(file);
            return false;
        }
        if (!add_file(s, file, p, status) || !list_file(s, s->files - 1, p, status)) return false;
    }
    if (!ok) attn_problem(p, "%s: %s", s->file[0].path, message);
    *status = ok ? ATTN_OK : ATTN_E_WEIGHTS;
    return ok;
}

static int by_name(const void *x, const void *y) {
    const attn_model_tensor *a = x, *b = y;
    return strcmp(a->tensor.name, b->tensor.name);
}

static bool check_index(const attn_model_source *s, attn_problems *p) {
    const attn_safetensors_index begin = {.json = {s->file[0].data, s->file[0].bytes, 0, NULL, 0}};
    attn_safetensors_index x = begin;
    bool ok, all = true;
    while (attn_safetensors_index_next(&x, &ok)) {
        char name[ATTN_SHOWN_MAX], key[512];
        if (x.name.length >= sizeof key) continue; /* no weight has such a name */
        memcpy(key, x.name.data, x.name.length);
        key[x.name.length] = 0;
        if (attn_model_find(s, key)) continue;
        attn_problem(p, "%s: %s is said to be in %.*s, and is in no file", s->file[0].path,
                     attn_text_shown(x.name, name), (int)x.file.length, x.file.data);
        all = false;
    }
    return all;
}

static bool check_names(attn_model_source *s, attn_problems *p) {
    bool ok = true;
    if (s->tensors) qsort(s->tensor, (size_t)s->tensors, sizeof *s->tensor, by_name);
    for (int32_t i = 1; i < s->tensors; i++) {
        const attn_model_tensor *a = &s->tensor[i - 1], *b = &s->tensor[i];
        if (strcmp(a->tensor.name, b->tensor.name)) continue;
        attn_problem(p, "%s: %s is there a second time%s%s", s->file[b->file].path, b->tensor.name,
                     a->file != b->file ? ", after " : "",
                     a->file != b->file ? s->file[a->file].path : "");
        ok = false;
    }
    return ok;
}

/* --- The whole --- */

/* What a folder's weights are in; null: no memory, or, with a problem, none. */
static char *in_folder(const char *dir, attn_problems *p) {
    static const char *const names[] = {"model.safetensors.index.json", "model.safetensors"};
    for (int i = 0; i < 2; i++) {
        char *path = path_of(dir, strlen(dir), names[i], strlen(names[i]));
        if (!path || exists(path)) return path;
        free(path);
    }
    attn_problem(p, "%s: a folder without model.safetensors or model.safetensors.index.json", dir);
    return NULL;
}

static bool open_all(attn_model_source *s, const char *path, attn_problems *p,
                     attn_status *status) {
    *status = ATTN_E_WEIGHTS;
    char *first = is_folder(path) ? in_folder(path, p) : path_of("", 0, path, strlen(path));
    if (!first) return p->count ? false : no_memory(status);
    if (!add_file(s, first, p, status)) return false;
    const char *end = ".json";
    const size_t n = strlen(first);
    const bool index = n > strlen(end) && !strcmp(first + n - strlen(end), end);
    if (index ? !list_index(s, p, status) : !list_file(s, 0, p, status)) return false;
    *status = ATTN_E_WEIGHTS;
    if (!check_names(s, p) || (index && !check_index(s, p))) return false;
    *status = ATTN_OK;
    return true;
}

bool attn_model_source_open(attn_model_source *s, const char *path, attn_problems *p,
                            attn_status *status) {
    *s = (attn_model_source){0};
    return open_all(s, path, p, status);
}

void attn_model_source_close(attn_model_source *s) {
    for (int32_t i = 0; i < s->tensors; i++) free((void *)(uintptr_t)s->tensor[i].tensor.name);
    for (int32_t i = 0; i < s->files; i++) {
        attn_model_unmap(&s->file[i]);
        free(s->file[i].path);
    }
    free(s->tensor);
    free(s->file);
    *s = (attn_model_source){0};
}

attn_model_tensor *attn_model_find(const attn_model_source *s, const char *name) {
    int32_t low = 0, high = s->tensors;
    while (low < high) {
        const int32_t middle = low + (high - low) / 2;
        const int order = strcmp(s->tensor[middle].tensor.name, name);
        if (!order) return &s->tensor[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
