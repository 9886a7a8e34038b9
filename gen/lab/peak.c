/* peak.c - loops that do nothing but multiply-add, or nothing but read. */
#include "peak.h"
#include "plan/isa.h"
#include <time.h>

static double seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double bench_wall(void) {
    return seconds(CLOCK_MONOTONIC);
}

double bench_clock(int threads) {
    return threads > 1 ? bench_wall() : seconds(CLOCK_THREAD_CPUTIME_ID);
}

#if defined(__x86_64__)
/* Twelve chains hide a latency of up to six cycles at two a cycle. */
#define TWELVE(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define CLOBBERS                                                                             \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", \
        "xmm11", "xmm12", "xmm13", "cc"
#define LOOP(zero, body, end) \
    __asm__ volatile(zero ".p2align 5\n1:\n" body "dec %0\n jnz 1b\n" end : "+r"(n) : : CLOBBERS)

#define ZERO_SSE(i) "xorps %%xmm" #i ",%%xmm" #i "\n"
#define ZERO_VEX(i) "vxorps %%xmm" #i ",%%xmm" #i ",%%xmm" #i "\n"
#define FMA_YMM(i) "vfmadd231ps %%ymm12,%%ymm13,%%ymm" #i "\n"
#define FMA_ZMM(i) "vfmadd231ps %%zmm12,%%zmm13,%%zmm" #i "\n"
#define MUL(i) "mulps %%xmm12,%%xmm" #i "\n"
#define ADD(i) "addps %%xmm13,%%xmm" #i "\n"

static void fma_sse(int64_t n) {
    LOOP(TWELVE(ZERO_SSE) ZERO_SSE(12) ZERO_SSE(13),
         MUL(0) ADD(1) MUL(2) ADD(3) MUL(4) ADD(5) MUL(6) ADD(7) MUL(8) ADD(9) MUL(10) ADD(11), "");
}

static void fma_avx2(int64_t n) {
    LOOP(TWELVE(ZERO_VEX) ZERO_VEX(12) ZERO_VEX(13), TWELVE(FMA_YMM), "vzeroupper\n");
}

static void fma_avx512(int64_t n) {
    LOOP(TWELVE(ZERO_VEX) ZERO_VEX(12) ZERO_VEX(13), TWELVE(FMA_ZMM), "vzeroupper\n");
}

/* FLOPs of an iteration of twelve instructions. */
static int fma_flops(attn_isa isa) {
    const int width = isa_table[isa].width;
    return width == 4 ? 12 * 4 : 12 * 2 * width;
}

static void fma_loop(attn_isa isa, int64_t n) {
    if (isa_table[isa].width == 16)
        fma_avx512(n);
    else if (isa_table[isa].width == 8)
        fma_avx2(n);
    else
        fma_sse(n);
}
#else
static int fma_flops(attn_isa isa) {
    return (void)isa, 0;
}
static void fma_loop(attn_isa isa, int64_t n) {
    (void)isa, (void)n;
}
#endif

double peak_fma(attn_isa isa, int threads) {
    const int64_t n = 2000000;
    const int flops = fma_flops(isa);
    if (!flops) return 0;
    fma_loop(isa, n / 4); /* the clock rises, wide units wake up */
    double start = bench_clock(threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
    fma_loop(isa, n);
    return 1e-9 * (double)n * flops * threads / (bench_clock(threads) - start);
}

typedef uint64_t v4 __attribute__((vector_size(32)));

/* Sums 64-byte lines of `streams` equal parts side by side, prefetching `ahead` bytes. */
static inline __attribute__((always_inline)) uint64_t read_lines(const char *p, size_t bytes,
                                                                 int streams, size_t ahead) {
    const size_t part = bytes / (size_t)streams;
    v4 sum[4] = {{0}, {0}, {0}, {0}};
    for (size_t i = 0; i + 64 <= part; i += 64)
        for (int s = 0; s < streams; s++) {
            const char *line = p + part * (size_t)s + i;
            if (ahead) __builtin_prefetch(line + ahead);
            sum[2 * s] += ((const v4 *)(const void *)line)[0];
            sum[2 * s + 1] += ((const v4 *)(const void *)line)[1];
        }
    v4 all = sum[0] + sum[1] + sum[2] + sum[3];
    return all[0] + all[1] + all[2] + all[3];
}

enum { READ_WAYS = 3 };

static uint64_t read_part(const char *p, size_t bytes, int way) {
    if (way == 0) return read_lines(p, bytes, 1, 0);
    if (way == 1) return read_lines(p, bytes, 1, 2048);
    return read_lines(p, bytes, 2, 1024);
}

static volatile uint64_t sink;

double peak_read(const void *data, size_t bytes, int threads) {
    const size_t part = bytes / (size_t)threads / 4096 * 4096;
    double best = 0;
    for (int way = 0; way < READ_WAYS; way++) {
        uint64_t sum = 0;
        double start = bench_clock(threads);
#pragma omp parallel for num_threads(threads) reduction(+ : sum) if (threads > 1)
        for (int t = 0; t < threads; t++)
            sum += read_part((const char *)data + part * (size_t)t, part, way);
        double rate = 1e-9 * (double)(part * (size_t)threads) / (bench_clock(threads) - start);
        sink = sum;
        if (rate > best) best = rate;
    }
    return best;
}

void peak_evict(const void *data, size_t bytes) {
    sink = read_part(data, bytes, 0);
}
