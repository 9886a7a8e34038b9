$ -- Products of rows as integers with weights of one type in blocks. a.type: one of
$ -- plan.integer_weights; a.first: the first of them.
$ local W, S, nv, nr, width = hooks("weight/" .. a.type.name .. ".c"), a.type.suffix, plan.vectors, plan.nr, plan.width
$ local t, size, fold = a.type.layout, a.type.layout.part, a.type.fold
$ local D = hooks("block/dots.c").of(a.type)
$ assert(nv == 2 and nv * (D.digits * plan.int_rows + 1) + 2 <= isa.registers, "integers: the register tile does not fit")
$ if a.first then
${part("block/to_integers.c")}

$ end
$ local inside = size == 32 and "" or "k % 32 + "
$ local widened = false
$ for _, other in ipairs(plan.weights) do widened = widened or other.name == a.type.name end
$ if not widened then W.values() end
$ local function each(f)
$   for n = 0, nv - 1 do f("0", n, n) end
$ end
/* t[NR] = one row times a panel: one stream of memory, in ascending order. */
static ${D.alone}void row_ints${S}(const integers *x, const uint8_t *w,
                   int32_t depth, float *restrict t) {
    for (int32_t k = 0; k < depth;) {
        const bool first = k == 0;
        const int32_t end = min32(k + INT_DEPTH, depth);
        vf ${list(nv, function(n) return "s" .. n .. " = vf_zero()" end)};
        for (; k < end; k += ${size}) {
            const integers *b = x + k / 32;
            const vf dx = vf_set1(b->d)${t.min and ", all = vf_set1(b->all)" or ""};
            ${lines(W.point("w", "k", "0"))}
$ local function begin(p, n, s)
            ${lines(W.field(p, "k", n, s, "high"))}
$   if not D.pairs then
$     for c = 0, D.digits - 1 do
            vi z${s}_${c} = ${D.start(c)};
$     end
$   elseif fold < size then
$     for _, c in ipairs(D.letters) do
            vi z${s}_${c} = ${D.totals[c]};
$     end
$   end
$ end
$ each(begin)
$ if D.pairs and fold < size then
            ${D.rolled}for (int32_t f = 0; f < ${size}; f += ${fold}) {
                ${part("block/row_dots.c", { dots = D, hooks = W, each = each, type = a.type, at = inside, from = "f", to = "f + " .. fold })}
$   local function add(p, n, s)
                ${lines(D.folded("z" .. s .. "_", ""))}
$   end
$   each(add)
            }
$ else
            ${part("block/row_dots.c", { dots = D, hooks = W, each = each, type = a.type, at = inside, from = 0, to = size })}
$ end
$ local function finish(p, n, s)
            {
                ${lines(W.field(p, "k", n, s, "scale"))}
$   if D.pairs and fold == size then
                ${lines(D.folded("z" .. s .. "_", "", true))}
$   end
                const vf f = ${D.whole("z" .. s .. "_", "")};
                s${s} = vf_fma(vf_mul(d${s}, dx), f, s${s});
$   if t.min then
                s${s} = vf_fma(m${s}, all, s${s});
$   end
            }
$ end
$ each(finish)
        }
        if (!first) {
$ for n = 0, nv - 1 do
            s${n} = vf_add(vf_loadu(${at("t", n * width)}), s${n});
$ end
        }
$ for n = 0, nv - 1 do
        vf_storeu(${at("t", n * width)}, s${n});
$ end
    }
}

/* Codes of a panel's slice in bytes, scales and minima of its parts in floats. */
static void slice_ints${S}(const uint8_t *w, int32_t depth, slice *to) {
    for (int32_t k = 0; k < depth; k += ${size}) {
        ${lines(W.point("w", "k", ""))}
        uint8_t *codes = to->codes + k * NR;
$ for n = 0, nv - 1 do
        {
            ${lines(W.field("", "k", n, n, "scale"))}
            ${lines(W.field("", "k", n, n, "high"))}
            vf_store(${at("to->scale + k / " .. size .. " * NR", 0, n, "W")}, d${n});
$   if t.min then
            vf_store(${at("to->least + k / 32 * NR", 0, n, "W")}, m${n});
$   end
            for (int32_t j = 0; j < ${size}; j += 8) {
                ${lines(W.codes("", "j", n, n))}
                vi_storeu((void *)(${at("codes + j * NR", 4 * n * width)}), u${n});
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
    for (int32_t k = 0; k < depth; k += ${size}) {
        for (int32_t line = 0; line < lines; line++, ahead += 64) ATTN_PREFETCH_L1(ahead);
$ if not D.pairs then
$   for n = 0, 1 do
        vi ${list(D.digits, function(c) return "z" .. n .. "_" .. c .. "[INT_ROWS]" end)};
$   end
        EACH_ROW(m) {
$   if D.offset then
            const integers *b = row[i] + k / 32;
$   end
$   for c = 0, D.digits - 1 do
            z0_${c}[i] = z1_${c}[i] = ${D.start(c)};
$   end
        }
        ${part("block/tile_dots.c", { dots = D, at = inside, from = 0, to = size })}
$ else
$   for _, c in ipairs(D.letters) do
        vi z0_${c}[INT_ROWS], z1_${c}[INT_ROWS];
$   end
        EACH_ROW(m) {
$   if D.offset then
            const integers *b = row[i] + k / 32;
$   end
$   for _, c in ipairs(D.letters) do
            z0_${c}[i] = z1_${c}[i] = ${D.totals[c]};
$   end
        }
$   if fold < size then
        ${D.rolled}for (int32_t f = 0; f < ${size}; f += ${fold}) {
            ${part("block/tile_dots.c", { dots = D, at = inside, from = "f", to = "f + " .. fold })}
            EACH_ROW(m) {
                ${lines(D.folded("z0_", "[i]"))}
                ${lines(D.folded("z1_", "[i]"))}
            }
        }
$   else
        ${part("block/tile_dots.c", { dots = D, at = inside, from = 0, to = size })}
        EACH_ROW(m) {
            ${lines(D.folded("z0_", "[i]"))}
            ${lines(D.folded("z1_", "[i]"))}
        }
$   end
$ end
        const float *scale = w->scale + k / ${size} * NR;
        const vf d0 = vf_load(scale), d1 = vf_load(scale + W);
$ if t.min then
        const float *least = w->least + k / 32 * NR;
        const vf m0 = vf_load(least), m1 = vf_load(least + W);
$ end
        EACH_ROW(m) {
            const integers *b = row[i] + k / 32;
            const vf dx = vf_set1(b->d);
            const vf f0 = ${D.whole("z0_", "[i]")};
            const vf f1 = ${D.whole("z1_", "[i]")};
            s0[i] = vf_fma(vf_mul(d0, dx), f0, s0[i]);
            s1[i] = vf_fma(vf_mul(d1, dx), f1, s1[i]);
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
        next += (uintptr_t)lines * 64 * (uintptr_t)(depth / ${size});
    }
}

/* t[rows][panels * NR] = rows times panels of packed weights, for a depth of SPAN at most. */
static void span_ints${S}(const integers *x, ptrdiff_t ldx, int32_t rows, const uint8_t *w,
                    int64_t panel, int32_t depth, int32_t panels, slice *at, float *t) {
    if (rows == 1) {
        for (int32_t p = 0; p < panels; p++) row_ints${S}(x, w + p * panel, depth, t + p * NR);
        return;
    }
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
