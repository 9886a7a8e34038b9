/* sizes.c - sizes that this target's size_t does not hold are refused, not wrapped: built for 32
 * bits by unseen.sh, of a kernel with 8 heads of 128. */
#include "k.h"
#include <stdio.h>

int main(void) {
    attn_plan *plan;
    if (k_create(&plan, 0, 0)) return 2;
    int failed = 0;
    static const attn_extent list[] = {{sizeof *list, 4096, 40, 32768, 1, 0},
                                       {sizeof *list, 1, 40, 1 << 25, 1, 0},
                                       {sizeof *list, 1, 1, INT32_MAX, 1, 0},
                                       {sizeof *list, 1 << 20, 1, 4096, 1, 0},
                                       {sizeof *list, 64, 2000, 16, 65536, 0}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        size_t bytes = 1;
        const attn_status status = attn_workspace(plan, &list[i], &bytes);
        if (status == ATTN_E_ARGUMENT && bytes == 0) continue;
        printf("FAIL sizes %d: status %d, %zu bytes\n", (int)i, (int)status, bytes);
        failed++;
    }
    /* Threads that no task is left for need nothing. */
    const attn_extent few = {sizeof few, 1, 1, 1, 8, 0}, many = {sizeof many, 1, 1, 1, 65536, 0};
    size_t some = 0, same = 1;
    if (attn_workspace(plan, &few, &some) || attn_workspace(plan, &many, &same) || some != same)
        printf("FAIL threads: %zu bytes and %zu\n", some, same), failed++;
    attn_plan_destroy(plan);
    printf("%d passed, %d failed\n", (int)(sizeof list / sizeof *list) + 1 - failed, failed);
    return failed > 0;
}
