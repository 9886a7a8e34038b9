/* form regular: heads / kv_heads query heads share a key head, heads / v_heads a value head. */
static inline int32_t key_head(int32_t h) {
    return h / (HEADS / KEY_HEADS);
}

static inline int32_t value_head(int32_t h) {
    return h / (HEADS / VALUE_HEADS);
}
