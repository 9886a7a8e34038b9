/* ${a.what} as integers. */
static void ${a.name}(void *ctx, int64_t task, int worker) {
    enum { EACH = EXPERT_INT_ROWS, BLOCKS = ${a.k} / 32 };
    const layer *l = ctx;
    (void)worker;
    const int32_t end = min32((int32_t)task * EACH + EACH, ${a.rows});
    for (int32_t row = (int32_t)task * EACH; row < end; row++) {
        const float *from = ${a.from};
        for (int32_t k = 0; k < BLOCKS; k++)
            to_integers(from + 32 * k, l->ints + (int64_t)row * BLOCKS + k);
    }
}
