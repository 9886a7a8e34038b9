// Calls of many users by handles of users.hpp: ragged items, keys in pages, lists of keys, items of
// caches; each against the same work done in another way, and what is refused. Exit status 0: all
// is as it must be.
#include "users.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

using namespace attn::users;
using floats = std::vector<float>;
using ints = std::vector<std::int32_t>;

enum { ITEMS = 4, ROWS = 9, KEYS = 40, PAGE = 16, EACH = 3, POOL = 14 };
static const ints begin = {0, 3, 3, 4, ROWS}; // items of 3, 0, 1 and 5 rows
static const ints start = {37, 0, 20, 35}, length = {40, 0, 21, 40};
static int wrong;

static void expect(bool ok, const char *what) {
    if (!ok) wrong++, std::fprintf(stderr, "FAIL %s\n", what);
}
static bool done(const status &s) {
    if (!s) std::fprintf(stderr, "%s\n", s.why());
    return bool(s);
}
static void says(const status &s, const char *text) {
    if (s || !std::strstr(s.why(), text))
        wrong++, std::fprintf(stderr, "FAIL '%s' must have: %s\n", s.why(), text);
}
static floats random(std::size_t n, std::uint32_t seed) {
    floats x(n);
    for (float &f : x) {
        seed = seed * 1664525u + 1013904223u;
        f = float(seed >> 8) / 8388608.0f - 1.0f;
    }
    return x;
}
static bool near(const floats &x, const floats &y, float bound) {
    bool ok = x.size() == y.size();
    for (std::size_t i = 0; ok && i < x.size(); i++) ok = std::fabs(x[i] - y[i]) <= bound;
    return ok;
}

struct operands {
    shape w;
    floats q, k, v;
    explicit operands(std::int32_t layer) : w(shapes[layer]) {
        q = random(std::size_t(w.heads * ROWS * w.k_dim), 1);
        k = random(std::size_t(ITEMS * w.kv_heads * KEYS * w.k_dim), 2);
        v = random(std::size_t(ITEMS * w.v_heads * KEYS * w.v_dim), 3);
    }
    // Rows of [heads][ROWS][width] of an item, or back to their places.
    floats some(const floats &all, std::int32_t width, int b) const {
        floats to;
        for (int h = 0; h < w.heads; h++)
            to.insert(to.end(), all.begin() + (h * ROWS + begin[std::size_t(b)]) * width,
                      all.begin() + (h * ROWS + begin[std::size_t(b) + 1]) * width);
        return to;
    }
};

// Lists of all keys in order of every row, or of some in any.
static ints lists(int heads, int rows, int n, bool all) {
    ints list;
    for (int i = 0; i < heads * rows * n; i++) list.push_back(all ? i % n : i * 7 % (KEYS + 2) - 1);
    return list;
}
static ints counts(int n) {
    ints count(ROWS, n);
    count[5] = n / 2;
    return count;
}

// A page of each item's, of all items: [ITEMS][EACH], none twice.
static ints table() {
    ints t;
    for (int i = 0; i < ITEMS * EACH; i++) t.push_back((i * 5 + 3) % (POOL - 1));
    return t;
}
// [ITEMS, heads, KEYS, width] in pools [POOL, PAGE, heads, width]; NaN where nothing is.
static floats pool(const floats &x, int heads, int width) {
    floats to(std::size_t(POOL * PAGE * heads * width), NAN);
    const ints t = table();
    for (int b = 0; b < ITEMS; b++)
        for (int h = 0; h < heads; h++)
            for (int k = 0; k < KEYS; k++)
                std::copy_n(
                    x.begin() + ((b * heads + h) * KEYS + k) * width, width,
                    to.begin() +
                        ((t[std::size_t(b * EACH + k / PAGE)] * PAGE + k % PAGE) * heads + h) *
                            width);
    return to;
}

static floats ragged_rows(std::int32_t layer, std::uint32_t flags = 0) {
    const operands x(layer);
    floats o(std::size_t(x.w.heads * ROWS * x.w.v_dim)), k_pool, v_pool, scale;
    std::vector<std::int8_t> code;
    const ints t = table(), index = lists(x.w.kv_heads, ROWS, KEYS, false), count = counts(KEYS);
    plan p;
    memory work;
    attn_args a = ATTN_ARGS_INIT;
    status s = p.open(layer, flags);
    if (s) s = p.rows(a, begin, x.q, o);
    if (s && x.w.scaled) {
        for (int i = 0; i < POOL * PAGE * x.w.kv_heads * 16; i++)
            code.push_back(std::int8_t(i * 37 % 255 - 127));
        scale = random(std::size_t(POOL * PAGE * x.w.kv_heads), 4);
        for (float &f : scale) f = 0.01f * std::fabs(f);
        const std::vector<std::int8_t> v(code.begin(), code.begin() + int(code.size() / 2));
        s = p.keys(a, KEYS, t, code, v);
        if (s) s = p.scales(a, scale, scale);
        if (s) s = p.lists(a, index, count);
        a.q_start = start.data(), a.kv_len = length.data(), a.threads = 2;
        if (s) s = p.run(a, work);
        expect(done(s), "codes");
        return o;
    }
    if (s && x.w.page) {
        k_pool = pool(x.k, x.w.kv_heads, x.w.k_dim), v_pool = pool(x.v, x.w.v_heads, x.w.v_dim);
        s = p.keys(a, KEYS, t, k_pool, v_pool);
    } else if (s) {
        s = p.keys(a, KEYS, x.k, x.v);
    }
    if (s && x.w.listed) s = p.lists(a, index, count);
    a.q_start = start.data(), a.kv_len = length.data(), a.threads = 2;
    if (s) s = p.run(a, work);
    expect(done(s), "ragged rows");
    return o;
}

// Each item of a ragged call alone.
static void items_alone(std::int32_t layer) {
    const operands x(layer);
    const floats all = ragged_rows(layer);
    plan p;
    memory work;
    if (!done(p.open(layer))) return expect(false, "open");
    for (int b = 0; b < ITEMS; b++) {
        const std::size_t i = std::size_t(b);
        const int n = begin[i + 1] - begin[i];
        const floats q = x.some(x.q, x.w.k_dim, b), want = x.some(all, x.w.v_dim, b);
        const std::ptrdiff_t k1 = x.w.kv_heads * KEYS * x.w.k_dim,
                             v1 = x.w.v_heads * KEYS * x.w.v_dim;
        const floats k(x.k.begin() + b * k1, x.k.begin() + (b + 1) * k1);
        const floats v(x.v.begin() + b * v1, x.v.begin() + (b + 1) * v1);
        floats o(want.size());
        attn_args a = ATTN_ARGS_INIT;
        ints index, count;
        status s = p.dense(a, 1, n, KEYS, q, k, v, o);
        if (s && x.w.listed) {
            const ints of = lists(x.w.kv_heads, ROWS, KEYS, false), each = counts(KEYS);
            for (int h = 0; h < x.w.kv_heads; h++)
                index.insert(index.end(), of.begin() + (h * ROWS + begin[i]) * KEYS,
                             of.begin() + (h * ROWS + begin[i + 1]) * KEYS);
            count.assign(each.begin() + begin[i], each.begin() + begin[i + 1]);
            s = p.lists(a, index, count);
        }
        a.q_start = &start[i], a.kv_len = &length[i];
        if (s) s = p.run(a, work);
        expect(done(s) && o == want, "an item alone");
    }
}

static void refused() {
    const operands x(3);
    floats o(std::size_t(x.w.heads * ROWS * x.w.v_dim));
    const ints t = table(), descends = {0, 3, 2, 4, ROWS}, index = lists(2, ROWS, 4, true);
    const ints four(ROWS, 4);
    plan p, dense, paged;
    memory work;
    attn_args a = ATTN_ARGS_INIT;
    if (!done(p.open(3)) || !done(dense.open(0)) || !done(paged.open(1)))
        return expect(false, "open");
    says(p.rows(a, ints(), x.q, o), "q_begin: numbers, one more than items: got 0, must be 1");
    says(p.rows(a, ints{0, 1}, x.q, o), "q: elements: got 576, must be 64");
    expect(done(p.rows(a, begin, x.q, o)) && done(p.keys(a, KEYS, x.k, x.v)), "rows and keys");
    says(p.run(a, work), "index_count is null");
    says(p.lists(a, index, ints(8, 1)), "index_count: numbers: got 8, must be 9");
    says(p.lists(a, ints(9, 1), ints(9, 1)), "index: numbers, of as many a row: got 9, must be 0");
    says(p.lists(a, index, ints(9, 5)),
         "index_count: of a row, at most what index has: got 5, must be 4");
    expect(done(p.lists(a, index, four)) && done(p.run(a, work)), "lists");
    a.index_count = nullptr;
    says(p.keys(a, KEYS, t, x.k, x.v), "keys: tables of pages: got 1, must be 0");
    a = ATTN_ARGS_INIT;
    expect(done(dense.rows(a, descends, x.q, o)) && done(dense.keys(a, KEYS, x.k, x.v)),
           "descends");
    says(dense.run(a, work), "q_begin[2] is 2");
    expect(done(dense.rows(a, begin, x.q, o)) && done(dense.lists(a, index, four)), "unused");
    says(dense.run(a, work), "index is given");
    a = ATTN_ARGS_INIT;
    expect(done(paged.rows(a, begin, x.q, o)), "rows");
    says(paged.keys(a, KEYS, x.k, x.v), "keys: a table of pages: got 0, must be 1");
    says(paged.keys(a, KEYS, ints(11, 0), x.k, x.v), "table: entries: got 11, must be 12");
    const floats k = pool(x.k, 2, 16), v = pool(x.v, 2, 8), less(k.size() - 1);
    says(paged.keys(a, KEYS, t, less, v), "k: elements: got 7167, must be 6656");
    ints bad = t;
    bad[0] = POOL;
    a.q_start = start.data(), a.kv_len = length.data();
    expect(done(paged.keys(a, KEYS, bad, k, v)), "a bad table");
    says(paged.run(a, work), "pages[0][0] is 14");
    says(paged.scales(a, v, v), "k_scale: floats: got");
}

// Weights that say nothing; all of the layer's.
static void pack(block &b) {
    ints seen;
    std::vector<attn_tensor> weights(std::size_t(attn_block_weights(b.get(), nullptr, 0)));
    attn_block_weights(b.get(), weights.data(), std::int32_t(weights.size()));
    std::vector<floats> data;
    for (attn_tensor &t : weights) {
        std::size_t n = 1;
        for (int i = 0; i < t.rank; i++) n *= std::size_t(t.dim[i]);
        data.push_back(random(n, std::uint32_t(n)));
        t.data = data.back().data();
    }
    expect(done(b.pack(weights)), "pack");
}

// A cache in pages: two items, of which one becomes a fork of the other and goes on.
static void blocks() {
    enum { WIDTH = 32, FIRST = 20, SECOND = 3 };
    block b;
    cache c;
    memory work;
    if (!done(b.open(5))) return expect(false, "open");
    pack(b);
    const floats x = random((FIRST + SECOND) * WIDTH, 9);
    floats whole(FIRST * WIDTH), rows(x.size()), one(WIDTH), two(WIDTH);
    attn_block_args a = ATTN_BLOCK_ARGS_INIT;
    expect(done(b.dense(a, 1, FIRST, {x.data(), whole.size()}, whole)) && done(b.prefill(a, work)),
           "an item");
    expect(done(c.open(b, 2, KEYS, 5)) && c.pages(0).size() == EACH && c.pages(2).empty(), "pages");
    c.pages(0)[0] = 4, c.pages(0)[1] = 0, c.pages(1)[0] = 2;
    const ints at = {0, FIRST, FIRST + SECOND};
    a = ATTN_BLOCK_ARGS_INIT;
    a.cache = c.get();
    expect(done(b.rows(a, at, x, rows)) && done(b.prefill(a, work)), "ragged rows of a layer");
    expect(std::equal(whole.begin(), whole.end(), rows.begin()), "an item of a layer alone");
    c.pages(1)[1] = 3; // where the fork's rows beyond full pages go
    expect(done(c.fork(c, 0, 1)) && c.pages(1)[0] == 4 && c.pages(1)[1] == 3, "fork");
    expect(done(c.truncate(1, 18)) && done(c.keep(1, 16, ints{1})), "taken back");
    expect(c.get()->length[1] == 17 && c.first_page(1) == 0, "lengths");
    expect(done(c.truncate(1, 16)) && done(c.own_page(1, 0, 1)) && c.pages(1)[0] == 1, "own page");
    // Item 1 goes on as item 0 does where it has 16 tokens.
    expect(done(c.truncate(0, 16)), "taken back");
    const ints next = {0, 1, 2};
    const floats again(x.begin(), x.begin() + WIDTH);
    floats both = again;
    both.insert(both.end(), again.begin(), again.end());
    rows.resize(both.size());
    expect(done(b.rows(a, next, both, rows)) && done(b.step(a, work)), "a step");
    expect(std::equal(rows.begin(), rows.begin() + WIDTH, rows.begin() + WIDTH), "a fork's step");
    says(c.truncate(2, 0), "item");
    says(c.keep(0, 16, ints{4}), "slots");
    says(c.own_page(0, 9, 1), "n is 9");
    says(c.fork(c, 3, 0), "from_item");
    expect(done(c.open(b, 2, KEYS)), "each its own pages");
    cache other;
    says(other.open(b, 2, -1, 3), "capacity");
    says(other.truncate(0, 0), "block is null");
}

// A layer over lists: of all keys in order it is the layer without.
static void listed_block() {
    enum { WIDTH = 32, TOKENS = 7 };
    block with;
    memory work;
    if (!done(with.open(6))) return expect(false, "open");
    pack(with);
    const floats x = random(TOKENS * WIDTH, 5);
    floats dense(x.size()), rows(x.size());
    const ints all = lists(2, TOKENS, TOKENS, true), count(TOKENS, TOKENS), whole = {0, TOKENS};
    attn_block_args a = ATTN_BLOCK_ARGS_INIT;
    status s = with.dense(a, 1, TOKENS, x, dense);
    if (s) s = with.lists(a, all, count);
    if (s) s = with.prefill(a, work);
    expect(done(s), "a layer over lists");
    a = ATTN_BLOCK_ARGS_INIT;
    s = with.rows(a, whole, x, rows);
    if (s) s = with.lists(a, all, count);
    if (s) s = with.prefill(a, work);
    expect(done(s) && rows == dense, "ragged rows of a layer over lists");
    block other;
    expect(done(other.open(5)), "open");
    pack(other);
    s = other.dense(a, 1, TOKENS, x, rows);
    a.index = a.index_count = nullptr;
    if (s) s = other.prefill(a, work);
    expect(done(s) && near(rows, dense, 1e-4f), "all keys in order");
}

int main() {
    items_alone(0), items_alone(3);
    expect(ragged_rows(1) == ragged_rows(0), "pages change no bit");
    expect(&shapes[2] == &shapes[0] && &shapes[1] != &shapes[0], "equal layers have one shape");
    expect(near(ragged_rows(4), ragged_rows(4, ATTN_REFERENCE), 2e-4f), "codes in pages, by lists");
    refused(), blocks(), listed_block();
    return wrong > 0;
}
