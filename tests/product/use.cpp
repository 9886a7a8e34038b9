// use.c by handles of quick.hpp: each layer and its reference on the same data; then calls that are
// refused, each with its sentence, and handles that have moved. Exit status 0: all as it must be.
#include "quick.hpp"

#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

using namespace attn::quick;

enum { BATCH = 2, ROWS = 37, KEYS = 45 };

static std::vector<float> random(std::size_t n, std::uint32_t seed) {
    std::vector<float> x(n);
    for (float &f : x) {
        seed = seed * 1664525u + 1013904223u;
        f = static_cast<float>(seed >> 8) / 8388608.0f - 1.0f;
    }
    return x;
}

static bool says(const status &s, const char *text) {
    if (!s && std::strstr(s.why(), text)) return true;
    std::fprintf(stderr, "'%s' must have: %s\n", s.why(), text);
    return false;
}

// A layer's answer and its reference's.
static bool same(std::int32_t layer) {
    const shape &w = shapes[layer];
    std::vector<float> q = random(std::size_t(BATCH * ROWS * w.heads * w.k_dim), 1);
    const std::vector<float> k = random(std::size_t(BATCH * KEYS * w.kv_heads * w.k_dim), 2);
    const std::vector<float> v = random(std::size_t(BATCH * KEYS * w.v_heads * w.v_dim), 3);
    std::vector<float> o[2];
    std::array<std::int32_t, BATCH * ROWS> seg;
    for (std::size_t i = 0; i < seg.size(); i++) seg[i] = std::int32_t(i % ROWS);
    memory work;
    for (int i = 0; i < 2; i++) {
        plan p;
        attn_args a = ATTN_ARGS_INIT;
        o[i].resize(std::size_t(BATCH * ROWS * w.heads * w.v_dim));
        status s = p.open(layer, i ? ATTN_REFERENCE : 0);
        if (s) s = p.dense(a, BATCH, ROWS, KEYS, q, k, v, o[i]);
        a.threads = 2;
        if (quick_layer[layer].op == ATTN_OP_SEGMENT_CROSS) a.seg = seg.data(), a.seg_batch = ROWS;
        if (s) s = p.run(a, work);
        if (!s) return std::fprintf(stderr, "layer %d: %s\n", int(layer), s.why()), false;
    }
    for (std::size_t i = 0; i < o[0].size(); i++)
        if (!(std::fabs(o[0][i] - o[1][i]) < 1e-5f)) return false;
    return true;
}

static bool refused() {
    const shape &w = shapes[0];
    std::vector<float> q = random(std::size_t(w.heads * w.k_dim), 1), k = q, v = q;
    std::vector<float> o(std::size_t(w.heads * w.v_dim));
    std::vector<double> wide(std::size_t(w.heads * w.k_dim));
    plan p, other;
    memory work;
    std::int32_t seg = 0;
    attn_args a = ATTN_ARGS_INIT;
    a.seg = &seg, a.seg_batch = 1;
    bool ok = says(p.open(layers), "null, out of range") && !p.get();
    ok = says(p.dense(a, 1, 1, 1, q, k, v, o), "plan is null") && ok;
    if (!p.open(0)) return false;
    ok = says(p.dense(a, 1, 1, -1, q, k, v, o), "kv_len_max is -1") && ok;
    ok = says(p.dense(a, 1, 1, 1, wide, k, v, o), "q: bytes an element: got 8, must be 4") && ok;
    k.resize(1);
    ok = says(p.dense(a, 1, 1, 1, q, k, v, o), "k: elements: got 1, must be") && ok;
    a.batch = 1, a.q_len = 1, a.kv_len_max = 1;
    ok = says(p.run(a, work), "q.data is null") && ok;
    other = std::move(p);
    ok = says(p.run(a, work), "plan is null") && other.get() && ok;
    const plan moved(std::move(other));
    memory from, to;
    ok = from.grow(100) && from.size() == 100 && ok;
    to = std::move(from);
    return ok && moved.get() && !other.get() && to.size() == 100 && !from.data();
}

int main() {
    if (!refused()) return 2;
    for (std::int32_t i = 0; i < layers; i++)
        if (!same(i)) return 1;
    return 0;
}
