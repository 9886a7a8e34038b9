// An encoder and a decoder by handles of t5.hpp, as transformers' class has them: encode.cpp CASE,
// a folder of tests/golden/model. Exit status 0: it is so.
#include "t5.hpp"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

using namespace attn::t5;

template <class T> static std::vector<T> take(std::FILE *f, std::size_t n) {
    std::vector<T> x(n);
    if (std::fread(x.data(), sizeof(T), n, f) != n) x.clear();
    return x;
}
static bool near(const std::vector<float> &x, const std::vector<float> &y) {
    for (std::size_t i = 0; i < x.size(); i++)
        if (!(std::fabs(x[i] - y[i]) <= 1e-3f)) return false;
    return x.size() == y.size() && !x.empty();
}

int main(int, char **argv) {
    const std::string folder = argv[1];
    std::FILE *f = std::fopen((folder + "/expected.bin").c_str(), "rb");
    if (!f) return 2;
    const std::vector<std::int32_t> head = take<std::int32_t>(f, 4);
    const std::size_t items = std::size_t(head[0]), vocab = std::size_t(head[1]);
    const std::size_t width = std::size_t(head[2]);
    const auto from = take<std::int32_t>(f, items + 1), begin = take<std::int32_t>(f, items + 1);
    const std::size_t sources = std::size_t(from[items]), rows = std::size_t(begin[items]);
    const auto source = take<std::int32_t>(f, sources), ids = take<std::int32_t>(f, rows);
    const auto encoded = take<float>(f, sources * width), hidden = take<float>(f, rows * width);
    const auto logits = take<float>(f, rows * vocab);
    std::fclose(f);

    model m;
    model_cache cross, cache;
    memory work;
    std::vector<float> got(encoded.size()), out(logits.size());
    std::vector<std::int32_t> all;
    for (std::size_t i = 0; i < rows; i++) all.push_back(std::int32_t(i));
    status s = m.open(folder.c_str());
    if (s) s = cross.open_cross(m, head[0], 64);
    if (s) s = cache.open(m, head[0], 64);
    call c;
    c.begin = from, c.ids = source, c.hidden = got, c.cross = &cross;
    if (s) s = m.encode(c, work);
    call d;
    d.begin = begin, d.ids = ids, d.cross = &cross, d.cache = &cache;
    d.logit_rows = all, d.logits = out;
    if (s) s = m.forward(d, work);
    if (!s) return std::fprintf(stderr, "%s\n", s.why()), 1;
    c.cache = &cache; // the encoder has none
    const status unused = m.encode(c, work);
    if (unused || !std::strstr(unused.why(), "cache")) return std::puts(unused.why()), 3;
    d.cross = nullptr;
    const status without = m.forward(d, work);
    if (without || !std::strstr(without.why(), "cross")) return std::puts(without.why()), 4;
    c.cache = nullptr, c.position = span<const std::int32_t>(all.data(), 1);
    const status few = m.encode(c, work);
    if (few || !std::strstr(few.why(), "position: numbers: got 1")) return std::puts(few.why()), 5;
    return near(got, encoded) && near(out, logits) ? 0 : 6;
}
