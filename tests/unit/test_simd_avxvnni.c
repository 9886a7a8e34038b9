/* The vector vocabulary, avxvnni: see simd_body.h. */
#include "cpu.h"
#include <criterion/criterion.h>
#include <criterion/logging.h>

#if ATTN_AVXVNNI
#include "simd/avxvnni.h"

#define SIMD_SUITE simd_avxvnni
#define SIMD_BYTES
#define SIMD_INTEGERS
#define SIMD_SUPPORTED attn_cpu_runs(ATTN_ISA_AVXVNNI)
#include "simd_body.h"
#endif
