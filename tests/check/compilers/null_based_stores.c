/* PR tree-optimization/110702: gcc 12.2 -O1 takes pack for a pure function and drops its calls. */
#ifdef GUARDED
#include "../../../runtime/compiler.h"
#endif

typedef float v4 __attribute__((vector_size(16), aligned(4), may_alias));
typedef struct call {
    const float *v;
    long token;
    float *packed;
    int n;
} call;

__attribute__((noinline)) static void pack(const call *c, long task) {
    const float *row = c->v;
    float *to = c->packed + task * 1536;
    for (int key = 0; key < c->n; key++, row += c->token)
#pragma GCC unroll 3
        for (int col = 0; col < 12; col += 4) {
            const int panel = col < 8 ? 8 : 4, at = col < 8 ? 0 : 8;
            *(v4 *)(to + at * 128 + key * panel + (col - at)) = *(const v4 *)(row + col);
        }
}

__attribute__((noinline)) static void run(const call *c, long count) {
    for (long i = 0; i < count; i++) pack(c, i);
}

static float in[1536 + 12], out[1536];

int main(void) {
    for (int i = 0; i < 1536; i++) in[i] = (float)(i + 1);
    const call c = {in, 12, out, 128};
    run(&c, 1);
    return out[0] != 1 || out[1535] != 1536;
}
