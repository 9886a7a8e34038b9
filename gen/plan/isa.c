#include "isa.h"

#include "cpu.h"
#include "text.h"
#include <stdio.h>
#include <string.h>

/* What rows of isa.def name as their tiles. Tile vectors and most keys: what measured best
 * (tests/bench/NOTES.md). exp_cycles and line_cycles: fitted to P3 and P5 of the bench, Zen 3 and
 * Sapphire Rapids. int_cache: measured on Zen 4 and Sapphire Rapids (NOTES.md, 12-01). */
#define TILES_PORTABLE                                                                             \
    .tile_vectors = 3, .max_keys = 8, .l1_bytes = 32 << 10, .l2_bytes = 512 << 10, .fma_cycle = 2, \
    .loads_cycle = 2, .exp_cycles = 12, .line_cycles = 1, .int_cache = 1, .text_base = 32000,      \
    .text_step = 20
#define FACTS_AVX2                                                                                 \
    .tile_vectors = 3, .max_keys = 8, .l1_bytes = 32 << 10, .l2_bytes = 512 << 10, .fma_cycle = 2, \
    .loads_cycle = 2, .exp_cycles = 7, .line_cycles = 1, .int_cache = 1, .text_base = 33400,       \
    .text_step = 8
#define TILES_AVX2 FACTS_AVX2, .dots = ISA_DOTS_PAIRS
#define TILES_AVXVNNI \
    FACTS_AVX2, .like = &isa_table[ATTN_ISA_AVX2], .integers = true, .dots = ISA_DOTS_QUADS
#define FACTS_AVX512                                                                              \
    .tile_vectors = 2, .max_keys = 12, .l1_bytes = 48 << 10, .l2_bytes = 2 << 20, .fma_cycle = 2, \
    .loads_cycle = 2, .exp_cycles = 4.5, .line_cycles = 1, .int_cache = 2, .text_base = 33400,    \
    .text_step = 8
#define TILES_AVX512 FACTS_AVX512, .dots = ISA_DOTS_PAIRS
#define TILES_AVX512VNNI \
    FACTS_AVX512, .like = &isa_table[ATTN_ISA_AVX512], .integers = true, .dots = ISA_DOTS_QUADS
#define TILES_AVX512BF16                                                     \
    FACTS_AVX512, .like = &isa_table[ATTN_ISA_AVX512VNNI], .integers = true, \
                  .dots = ISA_DOTS_QUADS, .pairs = true

const isa_row isa_table[ATTN_ISA_COUNT] = {
#define ATTN_ISA_ROW(ID, NAME, FAMILY, RANK, GUARD, TEST, UNASKED, WIDTH, REGISTERS, ENGINE, \
                     TILES)                                                                  \
    {.name = NAME,                                                                           \
     .id = "ATTN_ISA_" #ID,                                                                  \
     .guard = GUARD,                                                                         \
     .engine = ENGINE,                                                                       \
     .width = WIDTH,                                                                         \
     .registers = REGISTERS,                                                                 \
     TILES_##TILES},
#include "isa.def"
};
_Static_assert(ATTN_ISA_COUNT < 32, "sets of instruction sets are bits of an int");

const char *isa_list(arena *a, unsigned mask, const char *between) {
    buf b = buf_new(a);
    for (int i = 0; i < ATTN_ISA_COUNT; i++)
        if (mask >> i & 1) buf_printf(&b, "%s%s", b.len ? between : "", isa_table[i].name);
    return b.data;
}

unsigned isa_all(void) {
    return (1u << ATTN_ISA_COUNT) - 1;
}

unsigned isa_native(void) {
    unsigned mask = 0;
    for (int i = 0; i < ATTN_ISA_COUNT; i++)
        if (attn_cpu_runs((attn_isa)i)) mask |= 1u << i;
    return mask;
}

unsigned isa_best(unsigned mask) {
    const isa_row *isa = &isa_table[attn_isa_best(mask)];
    unsigned best = 0;
    for (; isa; isa = isa->like) best |= 1u << (isa - isa_table);
    return best & mask;
}

const isa_row *isa_like(const isa_row *isa, unsigned mask) {
    do isa = isa->like;
    while (isa && !(mask >> (isa - isa_table) & 1));
    return isa;
}

static unsigned one(const char *name, size_t n) {
    for (int i = 0; i < ATTN_ISA_COUNT; i++)
        if (strlen(isa_table[i].name) == n && !strncmp(name, isa_table[i].name, n)) return 1u << i;
    if (n == 6 && !strncmp(name, "native", n)) return isa_native();
    if (n == 3 && !strncmp(name, "all", n)) return isa_all();
    return 0;
}

static unsigned unknown(const char *name, size_t n, diag *d) {
    char shown[40];
    snprintf(shown, sizeof shown, "%.*s", (int)n, name);
    text_mask(shown, false);
    arena *a = arena_new();
    buf b = buf_new(a);
    buf_printf(&b, "--isa: unknown instruction set '%s'", shown);
    suggest(&b, shown,
            split_values(a, arena_printf(a, "%s|native|all", isa_list(a, isa_all(), "|"))));
    diag_set(d, "%s; allowed: %s (a list with commas), native or all", b.data,
             isa_list(a, isa_all(), ", "));
    arena_free(a);
    return 0;
}

unsigned isa_parse(const char *text, diag *d) {
    unsigned mask = 0;
    for (const char *p = text;; p++) {
        const size_t n = strcspn(p, ",");
        const unsigned bit = one(p, n);
        if (!bit) return unknown(p, n, d);
        mask |= bit;
        p += n;
        if (!*p) return mask;
    }
}
