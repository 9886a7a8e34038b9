/* The vector vocabulary, avx512bf16: see simd_body.h. */
#include <criterion/criterion.h>
#include <criterion/logging.h>

#if defined(__x86_64__)
#include "simd/avx512bf16.h"

#define SIMD_SUITE simd_avx512bf16
#define SIMD_BYTES
#define SIMD_INTEGERS
#define SIMD_PAIRS
#define SIMD_SUPPORTED                                                           \
    (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&  \
     __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && \
     __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16"))
#include "simd_body.h"
#endif
