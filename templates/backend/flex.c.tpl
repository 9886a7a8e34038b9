$ -- Backend flex: the score and mask expressions. Scores are in units of log 2.
/* Final score of a lane: score expression, then what op or mask do not show hides. */
static ATTN_INLINE vf adjust_lanes(const item *x, vf s_0, vi vk_0, vi vp_0, vi vq_0, vi vh_0,
                                   vi lo, vi hi, const float *bias, const bool masked) {
    (void)x, (void)vk_0, (void)vq_0, (void)vh_0, (void)bias;
$ if expr and expr.score then
    ${comment("score: " .. expr.score.text)}
    ${lines(expr.score.lanes.once)}
    ${lines(expr.score.lanes.lane)}
    s_0 = ${expr.score.lanes.result[1]};
$ end
    if (!masked) return (void)vp_0, s_0;
    vm seen = vm_and(vi_le(lo, vp_0), vi_le(vp_0, hi));
$ if expr and expr.mask then
    ${comment("mask: " .. expr.mask.text)}
    ${lines(expr.mask.lanes.once)}
    ${lines(expr.mask.lanes.lane)}
    seen = vm_and(seen, ${expr.mask.lanes.result[1]});
$ end
    return vf_select(seen, s_0, vf_set1(-INFINITY));
}
