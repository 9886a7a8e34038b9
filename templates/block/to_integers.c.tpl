$ local three = plan.int_bytes == 3
$ if three then
/* 32 elements of a row as integers: v = x / d to the nearest, d = max |x| / MOST_INT, in three
 * signed bytes, v = 65536 q[0] + 256 q[1] + q[2]. Products of codes and bytes are summed exactly:
 * what a product gives has the same bits for any number of rows. */
$ else
/* 32 elements of a row as integers of a byte: x / d to the nearest, d = max |x| / MOST_INT.
 * Products of codes and bytes are summed exactly: what a product gives has the same bits for any
 * number of rows. */
$ end
static void to_integers(const float *x, integers *to) {
    enum { INFINITE = 0x7f800000 };
    const vi size = vi_set1(INT32_MAX);
    vi sizes = vi_set1(0);
    ATTN_UNROLLED for (int i = 0; i < 32; i += W)
        sizes = vi_max(sizes, vi_and(vi_bits(vf_loadu(x + i)), size));
    const int32_t bits = vi_reduce_max(sizes);
    float most;
    memcpy(&most, &bits, sizeof most);
    const bool none = bits >= INFINITE || most < 0x1p-100f;
    const vf factor = vf_set1(none ? 0 : MOST_INT / most);
    to->d = bits >= INFINITE ? NAN : none ? 0 : most / MOST_INT;
$ if three then
    memset(to->upper, 0, sizeof to->upper);
$ end
    memset(to->lower, 0, sizeof to->lower);
    ATTN_UNROLLED for (int i = 0; i < 32; i += W) {
        const vi v = vi_round(vf_mul(vf_loadu(x + i), factor));
$ if three then
        const vi low = vi_shr(vi_shl(v, vi_set1(24)), vi_set1(24));
        const vi rest = vi_shr(vi_sub(v, low), vi_set1(8));
        const vi middle = vi_shr(vi_shl(rest, vi_set1(24)), vi_set1(24));
        vi_store_bytes(to->q[0] + i, vi_shr(vi_sub(rest, middle), vi_set1(8)));
        vi_store_bytes(to->q[1] + i, middle);
        vi_store_bytes(to->q[2] + i, low);
$   if plan.int_words then
        vi_store_pairs(to->w[0] + i, rest);
        vi_store_pairs(to->w[1] + i, low);
$   end
        to->upper[i / 16] += vi_reduce_add(rest);
        to->lower[i / 16] += vi_reduce_add(low);
$ else
        vi_store_bytes(to->q[0] + i, v);
$   if plan.int_words then
        vi_store_pairs(to->w[0] + i, v);
$   end
        to->lower[i / 16] += vi_reduce_add(v);
$ end
    }
$ if three then
    const double upper = (double)to->upper[0] + to->upper[1];
    to->all = (float)((double)to->d * (256 * upper + to->lower[0] + to->lower[1]));
$ else
    to->all = (float)((double)to->d * ((double)to->lower[0] + to->lower[1]));
$ end
}
$ if three then

/* 256 upper + lower */
static ATTN_INLINE vf whole_int(vi upper, vi lower) {
    return vf_fma(vi_to_f(upper), vf_set1(256), vi_to_f(lower));
}
$ end
