/* PR target/108599: with AVX-512, gcc 12.2 builds {10, 10, 10, 10, -1} and not {10, 10, 0, 0, -1},
 * and copies 32 letters, not 16 and 16 zeros. */
#ifdef GUARDED
#include "../../../runtime/compiler.h"
#else
#define ATTN_CLASSIFIER __attribute__((noinline))
#endif

typedef struct lin {
    long lo, hi, h, q, k;
} lin;

__attribute__((noinline)) static long sum(lin d) {
    return d.lo + 100 * d.hi + 10000 * d.h + 1000000 * d.q + 100000000 * d.k;
}

ATTN_CLASSIFIER static long classify(void) {
    return sum((lin){10, 10, 0, 0, -1});
}

static char s[32];

ATTN_CLASSIFIER static void fill(void) { /* the same fault, at -O0 too */
    __builtin_memcpy(s, "abcdefghabcdefgh\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32);
}

int main(void) {
    fill();
    return classify() != -99998990 || s[16];
}
