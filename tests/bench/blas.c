/* blas.c - see blas.h. */
#include "blas.h"
#include "data.h"
#include "lab/peak.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 1024, ROW_MAJOR = 101, NO_TRANSPOSE = 111 };

/* cblas.h, which need not be there. */
typedef void sgemm_fn(int order, int trans_a, int trans_b, int m, int n, int k, float alpha,
                      const float *a, int lda, const float *b, int ldb, float beta, float *c,
                      int ldc);
typedef char *config_fn(void);
typedef void threads_fn(int count);

static sgemm_fn *sgemm;
static char text[512];

/* POSIX lets a data pointer be a function's. */
static bool find(void *handle, const char *name, void *fn) {
    void *symbol = dlsym(handle, name);
    memcpy(fn, &symbol, sizeof symbol);
    return symbol != NULL;
}

static bool load(const char *path) {
    config_fn *config = NULL;
    threads_fn *threads = NULL;
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        snprintf(text, sizeof text, "%s", dlerror());
        return false;
    }
    if (!find(handle, "openblas_get_config", &config) || !find(handle, "cblas_sgemm", &sgemm)) {
        snprintf(text, sizeof text, "%s is no OpenBLAS with cblas_sgemm", path);
        return false;
    }
    if (find(handle, "openblas_set_num_threads", &threads)) threads(1);
    snprintf(text, sizeof text, "%.200s", config());
    return true;
}

bool blas_load(const char *path) {
    static const char *const usual[] = {"libopenblas.so.0", "libblas.so.3"};
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    if (path) return load(path);
    if (load(usual[0])) return true;
    char first[sizeof text];
    snprintf(first, sizeof first, "%s", text);
    if (load(usual[1])) return true;
    snprintf(text + strlen(text), sizeof text - strlen(text), "; %.250s", first);
    return false;
}

const char *blas_text(void) {
    return text;
}

double blas_sgemm(void) {
    static float *data;
    const size_t floats = (size_t)N * N;
    if (!data) {
        data = data_pages(3 * floats * sizeof *data);
        data_fill(data, 2 * floats, 1, SEED_SGEMM);
    }
    const double start = bench_clock(1);
    sgemm(ROW_MAJOR, NO_TRANSPOSE, NO_TRANSPOSE, N, N, N, 1, data, N, data + floats, N, 0,
          data + 2 * floats, N);
    return 2e-9 * N * N * N / (bench_clock(1) - start);
}
