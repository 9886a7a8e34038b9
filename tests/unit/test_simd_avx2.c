/* The vector vocabulary, avx2: see simd_body.h. */
#include <criterion/criterion.h>
#include <criterion/logging.h>

#if defined(__x86_64__)
#include "simd/avx2.h"

#define SIMD_SUITE simd_avx2
#define SIMD_BYTES
#define SIMD_SUPPORTED (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
#include "simd_body.h"
#endif
