$ if spec.key == "shared" then
/* form mla, key shared: every head reads the one latent row; V is its first columns. */
static inline int32_t key_head(int32_t h) {
    return (void)h, 0;
}
$ else
/* form mla, key per_head: a rotated key of its own a head, and one latent value for all. */
static inline int32_t key_head(int32_t h) {
    return h;
}
$ end

static inline int32_t value_head(int32_t h) {
    return (void)h, 0;
}
