/* Not reported: gcc 12.2 -funsigned-char compares the mask of _mm256_blendv_epi8 with 0 as unsigned
 * bytes: none is below, and the result is the first operand. */
#include <immintrin.h>
#include <string.h>
#ifdef GUARDED
#include "../../../runtime/attn_kernel.h"
#include "../../../runtime/simd/avx2.h"
#else
#define ATTN_TARGET_END
#if !defined(__clang__)
#pragma GCC target("avx2")
#else
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#undef ATTN_TARGET_END
#define ATTN_TARGET_END _Pragma("clang attribute pop")
#endif
#endif

__attribute__((noinline)) static void choose(const int *q, int *r, int n) {
    for (int i = 0; i < 4; i++) {
        const __m256i a = _mm256_set1_epi32(3), b = _mm256_set1_epi32(n);
#ifdef GUARDED
        const __m256i c = vi_select(vi_gt(vi_set1(q[i]), vi_set1(-1)), a, b);
#else
        const __m256i gt = _mm256_cmpgt_epi32(_mm256_set1_epi32(q[i]), _mm256_set1_epi32(-1));
        const __m256i c = _mm256_blendv_epi8(b, a, gt);
#endif
        r[i] = _mm256_cvtsi256_si32(c);
    }
}

int main(void) {
    const int q[4] = {-2, -1, 0, 1}, want[4] = {7, 7, 3, 3};
    int r[4];
    choose(q, r, 7);
    return memcmp(r, want, sizeof r) != 0;
}

ATTN_TARGET_END
