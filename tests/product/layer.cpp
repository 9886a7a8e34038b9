// A whole layer by handles of layer.hpp: steps on a cache give the rows of a prefill, and a wrong
// weight is named. Exit status 0: they do.
#include "layer.hpp"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

using namespace attn::layer;

int main() {
    enum { TOKENS = 9 };
    block b, other;
    cache c;
    memory work;
    status s = b.open(0);
    if (!s) return 2;
    std::vector<attn_tensor> weights(std::size_t(attn_block_weights(b.get(), nullptr, 0)));
    attn_block_weights(b.get(), weights.data(), std::int32_t(weights.size()));
    std::vector<std::vector<float>> data;
    for (attn_tensor &t : weights) {
        std::size_t n = 1;
        for (int i = 0; i < t.rank; i++) n *= std::size_t(t.dim[i]);
        data.emplace_back(n);
        for (std::size_t i = 0; i < n; i++) data.back()[i] = float(std::sin(double(i) + double(n)));
        t.data = data.back().data();
    }
    char wrong[2000] = "";
    if (b.pack(attn::layer::span<const attn_tensor>(weights.data(), weights.size() - 1), wrong) ||
        !std::strstr(wrong, "missing"))
        return std::fprintf(stderr, "pack: %s\n", wrong), 3;
    s = b.pack(weights);
    if (s) s = c.open(b, 1, TOKENS);
    other = std::move(b);
    const std::size_t width = std::size_t(shapes[0].row_dim);
    std::vector<float> x(TOKENS * width), y(x.size()), z(width);
    for (std::size_t i = 0; i < x.size(); i++) x[i] = float(std::cos(double(i)));
    attn_block_args a = ATTN_BLOCK_ARGS_INIT;
    if (s) s = other.dense(a, 1, TOKENS, x, y);
    if (s) s = other.prefill(a, work);
    a.cache = c.get();
    for (std::size_t t = 0; t < TOKENS && s; t++) {
        s = other.dense(a, 1, 1, {&x[t * width], width}, z);
        if (s) s = other.step(a, work);
        for (std::size_t i = 0; i < width && s; i++)
            if (!(std::fabs(z[i] - y[t * width + i]) < 1e-4f)) return 1;
    }
    if (s && other.step(a, work)) return 4; // the cache is full
    if (!s) std::fprintf(stderr, "%s\n", s.why());
    return !s;
}
