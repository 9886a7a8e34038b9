/* The vector vocabulary, avx512: see simd_body.h. */
#include <criterion/criterion.h>
#include <criterion/logging.h>

#if defined(__x86_64__)
#include "simd/avx512.h"

#define SIMD_SUITE simd_avx512
#define SIMD_BYTES
#define SIMD_SUPPORTED                                                          \
    (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && \
     __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
#include "simd_body.h"
#endif
