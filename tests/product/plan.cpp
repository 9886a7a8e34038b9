// A C++ program that reads the public header and a generated one, and makes a plan of C kernels.
#include "attn.h"
#include "attn_f32_regular_sdpa_full_self_h4d32.h"

#include <cstdio>

int main() {
    attn_args a = ATTN_ARGS_INIT;
    attn_plan *plan = nullptr;
    attn_status status =
        attn_plan_create(&plan, &attn_f32_regular_sdpa_full_self_h4d32_layer[0], 0);
    if (status != ATTN_OK || a.struct_size != sizeof a) return 1;
    std::printf("%s\n", attn_plan_kernel(plan, 100));
    attn_plan_destroy(plan);
}
