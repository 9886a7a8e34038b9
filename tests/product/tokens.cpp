// tokens.c in C++; see README.md.
#include "llama.hpp" // written by attn-gen

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>
using namespace attn::llama;

int main(int argc, char **argv) {
    std::vector<int> ids, last{argc - 3};
    for (int i = 2; i < argc; i++) ids.push_back(std::atoi(argv[i]));
    model m;
    model_cache cache;
    memory work;
    status s = m.open(argc > 1 ? argv[1] : "");
    std::vector<float> logits(std::size_t(m.info().vocab));
    if (s) s = cache.open(m, 1, argc + 8);
    for (int n = 0; n < 8 && s; n++, last[0] = 0) {
        call c;
        c.ids = ids, c.cache = &cache, c.logit_rows = last, c.logits = logits;
        if (!(s = m.forward(c, work))) break;
        ids = {int(std::max_element(logits.begin(), logits.end()) - logits.begin())};
        std::printf("%s%d", n ? " " : "", ids[0]);
    }
    return std::puts(s ? "" : s.why()), !s;
}
