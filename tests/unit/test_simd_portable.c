/* The vector vocabulary, portable: see simd_body.h. */
#include <criterion/criterion.h>
#include <criterion/logging.h>

#include "simd/portable.h"

#define SIMD_SUITE simd_portable
#define SIMD_SUPPORTED true
#include "simd_body.h"
