#include "isa.h"

#include "cpu.h"
#include <string.h>

const isa_row isa_table[ATTN_ISA_COUNT] = {
    /* name, id, guard, width, registers, tile vectors, key block, most keys, L1, L2 */
    {"portable", "ATTN_ISA_PORTABLE", NULL, 4, 16, 3, 128, 8, 32 << 10, 512 << 10},
    {"avx2", "ATTN_ISA_AVX2", "defined(__x86_64__)", 8, 16, 3, 128, 8, 32 << 10, 512 << 10},
    {"avx512", "ATTN_ISA_AVX512", "defined(__x86_64__)", 16, 32, 2, 96, 12, 48 << 10, 2 << 20},
};

unsigned isa_native(void) {
    unsigned mask = 0;
    for (int i = 0; i < ATTN_ISA_COUNT; i++)
        if (attn_cpu_runs((attn_isa)i)) mask |= 1u << i;
    return mask;
}

static unsigned one(const char *name, size_t n) {
    for (int i = 0; i < ATTN_ISA_COUNT; i++)
        if (strlen(isa_table[i].name) == n && !strncmp(name, isa_table[i].name, n)) return 1u << i;
    if (n == 6 && !strncmp(name, "native", n)) return isa_native();
    if (n == 3 && !strncmp(name, "all", n)) return (1u << ATTN_ISA_COUNT) - 1;
    return 0;
}

unsigned isa_parse(const char *text, diag *d) {
    unsigned mask = 0;
    for (const char *p = text;; p++) {
        const size_t n = strcspn(p, ",");
        const unsigned bit = one(p, n);
        if (!bit) {
            diag_set(d,
                     "--isa: unknown instruction set '%.*s'; allowed: portable, avx2, avx512 (a "
                     "list with commas), native or all",
                     (int)n, p);
            return 0;
        }
        mask |= bit;
        p += n;
        if (!*p) return mask;
    }
}
