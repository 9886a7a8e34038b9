/* simd_integers.h - products of integers; part of simd_body.h. */

static int8_t random_code(void) {
    return (int8_t)(random_bits() >> 7);
}

/* Products of codes by twos, and what rows are made integers with. */
static void check_byte_pairs(void) {
    uint8_t a[4 * W];
    int8_t b[4 * W], lowest[W];
    int16_t words[2 * W], part[2 * W], by_pairs[2 * W], halves[W];
    int32_t sum[W], got[W], four, all = 0, most = INT32_MIN;
    for (int i = 0; i < 4 * W; i++) a[i] = (uint8_t)(random_bits() % 64), b[i] = random_code();
    for (int i = 0; i < 2 * W; i++) part[i] = (int16_t)(random_code() * 4);
    for (int i = 0; i < W; i++) sum[i] = (int32_t)(random_bits() >> 4);
    const vi codes = vi_loadu((const void *)a), q = vi_loadu((const void *)b);
    const vi p = vi_loadu((const void *)part), s = vi_loadu(sum);
    vi_storeu((void *)by_pairs, vi_add_pairs(p, codes, q));
    for (int i = 0; i < 2 * W; i++)
        CHECK(by_pairs[i] == part[i] + a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1],
              "vi_add_pairs word %d", i);
    vi_storeu(got, vi_sum_pairs(s, p, 256));
    for (int i = 0; i < W; i++)
        CHECK(got[i] == sum[i] + 256 * (part[2 * i] + part[2 * i + 1]), "vi_sum_pairs %d", i);
    for (int i = 0; i < 2 * W; i++) words[i] = (int16_t)(random_bits() >> 5);
    vi_storeu(got, vi_add_words(s, p, vi_loadu((const void *)words)));
    for (int i = 0; i < W; i++)
        CHECK(got[i] == sum[i] + part[2 * i] * words[2 * i] + part[2 * i + 1] * words[2 * i + 1],
              "vi_add_words lane %d", i);
    vi_storeu((void *)by_pairs, vi_odd_bytes(q));
    for (int i = 0; i < 2 * W; i++)
        CHECK(by_pairs[i] == (uint8_t)b[2 * i + 1], "vi_odd_bytes word %d", i);
    vi_storeu(got, vi_bcast4(b));
    memcpy(&four, b, sizeof four);
    vi_store_bytes(lowest, s);
    vi_store_pairs(halves, s);
    for (int i = 0; i < W; i++) {
        static const int from[4] = {0, 2, 1, 3};
        all = (int32_t)((uint32_t)all + (uint32_t)sum[i]);
        most = sum[i] > most ? sum[i] : most;
        CHECK(got[i] == four, "vi_bcast4 lane %d", i);
        CHECK(lowest[i] == (int8_t)sum[i], "vi_store_bytes lane %d", i);
        CHECK(halves[i] == (int16_t)sum[i / 4 * 4 + from[i % 4]], "vi_store_pairs lane %d", i);
    }
    CHECK(vi_reduce_add(s) == all, "vi_reduce_add");
    CHECK(vi_reduce_max(s) == most, "vi_reduce_max");
}

static void check_round(void) {
    const float x[] = {0, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 0.49f, 65535.3f};
    const int32_t want[] = {0, 0, 2, 2, 0, -2, 0, 65535};
    float lane[W];
    int32_t got[W];
    for (int i = 0; i < W; i++) lane[i] = x[i % 8];
    vi_storeu(got, vi_round(vf_loadu(lane)));
    for (int i = 0; i < W; i++) CHECK(got[i] == want[i % 8], "vi_round %g", (double)lane[i]);
}

static void check_bytes(void) {
    for (int t = 0; t < 100; t++) check_byte_pairs();
    check_round();
}

#ifdef SIMD_INTEGERS
static void check_dots(void) {
    int8_t a[4 * W], b[4 * W];
    int16_t c[2 * W];
    int32_t sum[W], words[W], bytes[W];
    for (int i = 0; i < 4 * W; i++) a[i] = random_code(), b[i] = random_code();
    for (int i = 0; i < 2 * W; i++) c[i] = (int16_t)(random_bits() >> 5);
    for (int i = 0; i < W; i++) sum[i] = (int32_t)(random_bits() >> 4);
    const vi s = vi_loadu(sum), w = vi_loadu((const void *)c), q = vi_loadu((const void *)b);
    const int n = (int)(random_bits() % (4 * W + 1)), half = n < 2 * W ? n : 2 * W;
    vi_storeu(words, vi_dot_words(s, vi_wordsn(a, half), w));
    vi_storeu(bytes, vi_dot_bytes(s, vi_flip(vi_bytesn(a, n)), q));
    int32_t same[W];
    vi_storeu(same, vi_add_dots(s, vi_flip(vi_bytesn(a, n)), q));
    CHECK(!memcmp(same, bytes, sizeof same), "vi_add_dots of %d codes", n);
    for (int i = 0; i < W; i++) {
        int32_t by_words = sum[i], by_bytes = sum[i];
        for (int j = 2 * i; j < 2 * i + 2; j++) by_words += (j < half ? a[j] : 0) * c[j];
        for (int j = 4 * i; j < 4 * i + 4; j++) by_bytes += ((j < n ? a[j] : 0) + 128) * b[j];
        CHECK(words[i] == by_words, "vi_dot_words lane %d of %d codes", i, half);
        CHECK(bytes[i] == by_bytes, "vi_dot_bytes lane %d of %d codes", i, n);
    }
    int32_t whole[W], part[W];
    vi_storeu(whole, vi_words(a)), vi_storeu(part, vi_wordsn(a, 2 * W));
    CHECK(!memcmp(whole, part, sizeof whole), "vi_words");
    vi_storeu(whole, vi_bytes(a));
    CHECK(!memcmp(whole, a, sizeof whole), "vi_bytes");
}

static void check_integer_sums(void) {
    int32_t x[W][W], y[W];
    vi a[W];
    for (int i = 0; i < W; i++) {
        for (int j = 0; j < W; j++) x[i][j] = (int32_t)random_bits() >> 5;
        a[i] = vi_loadu(x[i]);
    }
    vi_storeu(y, vi_sums(a));
    for (int i = 0; i < W; i++) {
        int32_t sum = 0;
        for (int j = 0; j < W; j++) sum += x[i][j];
        CHECK(y[i] == sum, "vi_sums lane %d", i);
    }
}

static void check_key_bytes(void) {
    enum { MOST = 4 * 8 / W }; /* vectors of 4 keys */
    uint32_t to[8];
    int32_t u[MOST * W];
    vi v[MOST];
    for (int i = 0; i < MOST * W; i++) u[i] = (int32_t)(random_bits() & 0xffff);
    for (int i = 0; i < MOST; i++) v[i] = vi_loadu(u + i * W);
    for (int r = 1; r <= 8; r *= 2) {
        if (r == 1) vi_key_bytes(v, 1, to);
        if (r == 2) vi_key_bytes(v, 2, to);
        if (r == 4) vi_key_bytes(v, 4, to);
        if (r == 8) vi_key_bytes(v, 8, to);
        for (int i = 0; i < (4 * r > W ? 4 * r : W); i++) {
            const int key = i / r, row = i % r;
            const uint32_t got = to[key / 4 * r + row] >> 8 * (key % 4) & 255;
            CHECK(got == (uint32_t)(u[i] & 255), "vi_key_bytes(%d) %d", r, i);
        }
    }
}

static void check_weave(void) {
    int8_t x[4][4 * W];
    vi row[4], to[4];
    vf order[4];
    for (int i = 0; i < 4; i++) {
        float lane[W];
        for (int c = 0; c < 4 * W; c++) x[i][c] = random_code();
        row[i] = vi_bytes(x[i]);
        for (int l = 0; l < W; l++) lane[l] = (float)(16 * (l / 4) + 4 * i + l % 4);
        order[i] = vf_loadu(lane);
    }
    vi_weave(row, to);
    for (int i = 0; i < 4; i++) {
        int8_t woven[4 * W];
        float lane[W];
        vi_storeu((int32_t *)(void *)woven, to[i]);
        vf_storeu(lane, order[i]);
        for (int j = 0; j < 4 * W; j++)
            CHECK(woven[j] == x[j % 4][(int)lane[j / 4]], "vi_weave %d, byte %d", i, j);
    }
    vf_unweave(order);
    for (int i = 0; i < 4; i++) {
        float lane[W];
        vf_storeu(lane, order[i]);
        for (int l = 0; l < W; l++) CHECK(lane[l] == (float)(i * W + l), "vf_unweave %d", i);
    }
    for (int n = 1; n <= W; n++) {
        int8_t woven[4 * W];
        const int8_t *const rows[4] = {x[0], x[1], x[2], x[3]};
        vi_storeu((int32_t *)(void *)woven, vi_weave_few(rows, n));
        for (int j = 0; j < 4 * W; j++)
            CHECK(woven[j] == (j / 4 < n ? x[j % 4][j / 4] : 0), "vi_weave_few %d", n);
    }
}

static void check_integers(void) {
    for (int t = 0; t < 100; t++) check_dots();
    check_integer_sums(), check_key_bytes(), check_weave();
}
#endif
