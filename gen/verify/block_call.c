/* block_call.c - not there yet: layers cannot be generated. */
#include "block_call.h"

const bool block_calls = false;

bool run_block_case(arena *a, const kernel_lib *lib, const block_case *c, const block_run *run,
                    block_outcome *out, const char **why) {
    (void)a, (void)lib, (void)c, (void)run;
    *out = (block_outcome){0};
    *why = BLOCK_UNSUPPORTED;
    return false;
}
