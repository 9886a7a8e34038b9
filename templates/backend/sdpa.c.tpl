$ -- Backend sdpa: the run-time mask. Scores are in units of log 2.
/* Final score of a lane: bias (null: none); a key that its row does not see is -inf. */
static ATTN_INLINE vf adjust_lanes(const item *x, vf s, vi vk, vi vp, vi vq, vi vh, vi lo,
                                   vi hi, const float *bias, const bool masked) {
    (void)x, (void)vk, (void)vq, (void)vh;
    vm seen = vm_set1(true);
    if (bias) {
        const vf b = vf_load(bias);
        s = vf_fma(b, vf_set1(LOG2E), s);
        seen = vm_not(vf_le(b, vf_set1(-1e30f))); /* NaN is seen */
    }
    if (masked) seen = vm_and(seen, vm_and(vi_le(lo, vp), vi_le(vp, hi)));
    return bias || masked ? vf_select(seen, s, vf_set1(-INFINITY)) : s;
}
