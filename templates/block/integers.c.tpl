$ -- Products of rows as integers with weights of one type in blocks. a.type: one of
$ -- plan.integer_weights; a.first: the first of them.
$ local W, S, nv, nr, width = hooks("weight/" .. a.type.name .. ".c"), a.type.suffix, plan.vectors, plan.nr, plan.width
$ local t, part, streams = a.type.layout, a.type.layout.part, a.type.streams
$ assert(nv == 2 and 8 * plan.int_rows + nv + 3 <= isa.registers, "integers: the register tile does not fit")
$ if a.first then
/* 32 elements of a row as integers: v = x / d to the nearest, d = max |x| / MOST_INT, in three
 * signed bytes, v = 65536 q[0] + 256 q[1] + q[2]. Products of codes and bytes are summed exactly:
 * what a product gives has the same bits for any number of rows. */
static void to_integers(const float *x, integers *to) {
    enum { INFINITE = 0x7f800000 };
    const vf xs[2] = {vf_loadu(x), vf_loadu(x + W)};
    const vi size = vi_set1(INT32_MAX);
    const vi sizes = vi_max(vi_and(vi_bits(xs[0]), size), vi_and(vi_bits(xs[1]), size));
    const int32_t bits = vi_reduce_max(sizes);
    float most;
    memcpy(&most, &bits, sizeof most);
    const bool none = bits >= INFINITE || most < 0x1p-100f;
    const vf factor = vf_set1(none ? 0 : MOST_INT / most);
    to->d = bits >= INFINITE ? NAN : none ? 0 : most / MOST_INT;
    for (int i = 0; i < 2; i++) {
        const vi v = vi_round(vf_mul(xs[i], factor));
        const vi low = vi_shr(vi_shl(v, vi_set1(24)), vi_set1(24));
        const vi up = vi_shr(vi_sub(v, low), vi_set1(8));
        const vi middle = vi_shr(vi_shl(up, vi_set1(24)), vi_set1(24));
        vi_store_bytes(to->q[0] + i * W, vi_shr(vi_sub(up, middle), vi_set1(8)));
        vi_store_bytes(to->q[1] + i * W, middle);
        vi_store_bytes(to->q[2] + i * W, low);
        to->upper[i] = vi_reduce_add(up);
        to->lower[i] = vi_reduce_add(low);
    }
    const double upper = (double)to->upper[0] + to->upper[1];
    to->all = (float)((double)to->d * (256 * upper + to->lower[0] + to->lower[1]));
}

/* 65536 a + 256 b + c */
static ATTN_INLINE vf whole_int(vi a, vi b, vi c) {
    const vf upper = vi_to_f(vi_add(vi_shl(a, vi_set1(8)), b));
    return vf_fma(upper, vf_set1(256), vi_to_f(c));
}

$ end
$ local upper = part == 32 and "(b->upper[0] + b->upper[1])" or "b->upper[k % 32 / 16]"
$ local at = part == 32 and "" or " + k % 32"
$ W.values()
$ -- Where sums of products with each byte start: those of the codes' offset are taken away.
$ local start = { "vi_set1(0)", "vi_set1(0)", "vi_set1(0)" }
$ if t.offset > 0 then
$   start[2] = "vi_set1(-" .. t.offset .. " * " .. upper .. ")"
$   start[3] = start[2]:gsub("upper", "lower")
$ end
/* t[${streams} * NR] = one row times ${streams} panels, which lie `step` bytes apart. */
static void row_ints${S}(const integers *x, const uint8_t *w, ptrdiff_t step, int32_t depth,
                   float *restrict t) {
$ for p = 0, streams - 1 do
    const uint8_t *w${p} = w + ${p} * step;
$ end
    for (int32_t k = 0; k < depth;) {
        const bool first = k == 0;
        const int32_t end = min32(k + INT_DEPTH, depth);
$ for p = 0, streams - 1 do
        vf ${list(nv, function(n) return "s" .. p .. "_" .. n .. " = vf_zero()" end)};
$ end
        for (; k < end; k += ${part}) {
            const integers *b = x + k / 32;
$ for p = 0, streams - 1 do
            ${lines(W.point("w" .. p, "k", p))}
$   for line = 0, t.part_bytes - 1, 64 do
            ATTN_PREFETCH_L1(ATTN_AHEAD(c${p}, ${line + plan.block_ahead}));
$   end
$   for n = 0, nv - 1 do
            ${lines(W.field(p, "k", n, p .. "_" .. n, "high"))}
$     for c = 0, 2 do
            vi z${p}_${n}${c} = ${start[c + 1]};
$     end
$   end
$ end
            for (int32_t j = 0; j < ${part}; j += 8) {
$ for p = 0, streams - 1 do
$   for n = 0, nv - 1 do
                ${lines(W.codes(p, "j", n, p .. "_" .. n))}
$   end
$ end
$ for c = 0, 2 do
                {
                    const vi y = vi_bcast4(b->q[${c}]${at} + j);
                    const vi z = vi_bcast4(b->q[${c}]${at} + j + 4);
$   for p = 0, streams - 1 do
$     for n = 0, nv - 1 do
$       local z, s = "z" .. p .. "_" .. n .. c, p .. "_" .. n
                    ${z} = vi_add_dots(${z}, u${s}, y);
                    ${z} = vi_add_dots(${z}, v${s}, z);
$     end
$   end
                }
$ end
            }
            const vf dx = vf_set1(b->d)${t.min and ", all = vf_set1(b->all)" or ""};
$ for p = 0, streams - 1 do
$   for n = 0, nv - 1 do
$     local s = p .. "_" .. n
            {
                ${lines(W.field(p, "k", n, s, "scale"))}
                const vf f = whole_int(z${s}0, z${s}1, z${s}2);
                s${s} = vf_fma(vf_mul(d${s}, dx), f, s${s});
$     if t.min then
                s${s} = vf_fma(m${s}, all, s${s});
$     end
            }
$   end
$ end
        }
        if (!first) {
$ for p = 0, streams - 1 do
$   for n = 0, nv - 1 do
            s${p}_${n} = vf_add(vf_loadu(t + ${p * nr + n * width}), s${p}_${n});
$   end
$ end
        }
$ for p = 0, streams - 1 do
$   for n = 0, nv - 1 do
        vf_storeu(t + ${p * nr + n * width}, s${p}_${n});
$   end
$ end
    }
}

/* Codes of a panel's slice in bytes, scales and minima of its parts in floats. */
static void slice_ints${S}(const uint8_t *w, int32_t depth, slice *to) {
    for (int32_t k = 0; k < depth; k += ${part}) {
        ${lines(W.point("w", "k", ""))}
        uint8_t *codes = to->codes + k * NR;
$ for n = 0, nv - 1 do
        {
            ${lines(W.field("", "k", n, n, "scale"))}
            ${lines(W.field("", "k", n, n, "high"))}
            vf_store(to->scale + k / ${part} * NR + ${n} * W, d${n});
$   if t.min then
            vf_store(to->least + k / 32 * NR + ${n} * W, m${n});
$   end
            for (int32_t j = 0; j < ${part}; j += 8) {
                ${lines(W.codes("", "j", n, n))}
                vi_storeu((void *)(codes + j * NR + ${4 * n * width}), u${n});
                vi_storeu((void *)(codes + j * NR + ${4 * n * width + 4 * nr}), v${n});
            }
        }
$ end
    }
}

/* m rows times a slice; m is a constant. lines: of each part, to ask for from `ahead` on. */
static ATTN_INLINE void tile_ints${S}(const int m, const integers *x, ptrdiff_t ldx,
                                const slice *w, int32_t depth, uintptr_t ahead, int32_t lines,
                                bool first, float *restrict t, ptrdiff_t ldt) {
    const uint8_t *codes = w->codes;
    const integers *row[INT_ROWS];
    EACH_ROW(m) row[i] = x + i * ldx;
    vf s0[INT_ROWS], s1[INT_ROWS];
    EACH_ROW(m) s0[i] = s1[i] = vf_zero();
    for (int32_t k = 0; k < depth; k += ${part}) {
        for (int32_t line = 0; line < lines; line++, ahead += 64) ATTN_PREFETCH_L1(ahead);
        vi ${list(3, function(c) return "y" .. c .. "[INT_ROWS], z" .. c .. "[INT_ROWS]" end)};
        EACH_ROW(m) {
$ if t.offset > 0 then
            const integers *b = row[i] + k / 32;
$ end
$ for c = 0, 2 do
            y${c}[i] = z${c}[i] = ${start[c + 1]};
$ end
        }
        for (int32_t j = 0; j < ${part}; j += 4, codes += 4 * NR) {
            const vi u = vi_loadu((const void *)codes), v = vi_loadu((const void *)(codes + 4 * W));
            EACH_ROW(m) {
                const integers *b = row[i] + k / 32;
$ for c = 0, 2 do
                const vi x${c} = vi_bcast4(b->q[${c}]${at} + j);
                y${c}[i] = vi_add_dots(y${c}[i], u, x${c});
                z${c}[i] = vi_add_dots(z${c}[i], v, x${c});
$ end
            }
        }
        const float *scale = w->scale + k / ${part} * NR;
        const vf d0 = vf_load(scale), d1 = vf_load(scale + W);
$ if t.min then
        const float *least = w->least + k / 32 * NR;
        const vf m0 = vf_load(least), m1 = vf_load(least + W);
$ end
        EACH_ROW(m) {
            const integers *b = row[i] + k / 32;
            const vf dx = vf_set1(b->d);
            s0[i] = vf_fma(vf_mul(d0, dx), whole_int(y0[i], y1[i], y2[i]), s0[i]);
            s1[i] = vf_fma(vf_mul(d1, dx), whole_int(z0[i], z1[i], z2[i]), s1[i]);
$ if t.min then
            const vf all = vf_set1(b->all);
            s0[i] = vf_fma(m0, all, s0[i]);
            s1[i] = vf_fma(m1, all, s1[i]);
$ end
        }
    }
    EACH_ROW(m) {
        float *to = t + i * ldt;
        if (!first) {
            s0[i] = vf_add(vf_loadu(to), s0[i]);
            s1[i] = vf_add(vf_loadu(to + W), s1[i]);
        }
        vf_storeu(to, s0[i]);
        vf_storeu(to + W, s1[i]);
    }
}

$ for m = 1, plan.int_rows do
static void tile_ints_${m}${S}(const integers *x, ptrdiff_t ldx, const slice *w, int32_t depth,
                        uintptr_t ahead, int32_t lines, bool first, float *t, ptrdiff_t ldt) {
    tile_ints${S}(${m}, x, ldx, w, depth, ahead, lines, first, t, ldt);
}

$ end
/* Some rows times a panel's slice at w. What lies `ahead` of it is asked for meanwhile. */
static void some_ints${S}(const integers *x, ptrdiff_t ldx, int32_t rows, const uint8_t *w,
                    int64_t ahead, int32_t depth, bool first, float *t, ptrdiff_t ldt,
                    slice *at) {
    enum { LINES = ${t.part_lines} };
    slice_ints${S}(w, depth, at);
    int32_t tiles = (rows + INT_ROWS - 1) / INT_ROWS, left = LINES;
    uintptr_t next = ATTN_AHEAD(w, ahead);
    for (int32_t r = 0, n; r < rows; r += n, tiles--) {
        n = (rows - r + tiles - 1) / tiles;
        const int32_t lines = (left + tiles - 1) / tiles; /* of each part, evenly over the tiles */
        const integers *from = x + r * ldx;
        float *to = t + r * ldt;
        switch (n) {
$ for m = 1, plan.int_rows - 1 do
        case ${m}: tile_ints_${m}${S}(from, ldx, at, depth, next, lines, first, to, ldt); break;
$ end
        default: tile_ints_${plan.int_rows}${S}(from, ldx, at, depth, next, lines, first, to, ldt); break;
        }
        left -= lines;
        next += (uintptr_t)lines * 64 * (uintptr_t)(depth / ${part});
    }
}

/* t[rows][panels * NR] = rows times panels of packed weights, for a depth of SPAN at most. */
static void span_ints${S}(const integers *x, ptrdiff_t ldx, int32_t rows, const uint8_t *w,
                    int64_t panel, int32_t depth, int32_t panels, slice *at, float *t) {
    if (rows == 1)
        for (; panels >= ${streams}; panels -= ${streams}, w += ${streams} * panel, t += ${streams} * NR)
            row_ints${S}(x, w, panel, depth, t);
    const ptrdiff_t ldt = (ptrdiff_t)panels * NR;
    const bool few = rows <= ${plan.int_few} * INT_ROWS; /* weights come from memory: as they lie */
    const int32_t steps = (depth + INT_DEPTH - 1) / INT_DEPTH;
    for (int32_t n = 0; n < panels * steps; n++) {
        const int32_t p = few ? n / steps : n % panels;
        const int32_t k = (few ? n % steps : n / panels) * INT_DEPTH;
        some_ints${S}(x + k / 32, ldx, rows, w + p * panel + ${W.offset("k")},
                ${W.offset("INT_DEPTH")}, min32(INT_DEPTH, depth - k), k == 0,
                t + (ptrdiff_t)p * NR, ldt, at);
    }
}

/* s->t[rows][panels * NR] = rows times panels of packed weights. */
static void gemm_ints${S}(const integers *x, ptrdiff_t ldx, int32_t rows, const uint8_t *w,
                    int32_t depth, int32_t panels, scratch *s) {
    const int64_t panel = ${W.offset("depth")};
    const int32_t n = rows * panels * NR;
    for (int32_t k = 0; k < depth; k += SPAN) {
        const int32_t deep = min32(SPAN, depth - k);
        const uint8_t *from = w + ${W.offset("k")};
        span_ints${S}(x + k / 32, ldx, rows, from, panel, deep, panels, &s->slice, s->t);
        if (depth > SPAN) keep(s->t, s->kept, s->lost, n, k == 0);
    }
    if (depth > SPAN) memcpy(s->t, s->kept, sizeof(float) * (size_t)n);
}
