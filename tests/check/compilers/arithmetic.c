/* Prints what runtime/arithmetic.h finds at run time, where it compiles at all. */
#include "../../../runtime/attn_kernel.h"
#include <stdio.h>

int main(void) {
    puts(attn_arithmetic_ok() ? "ok" : "refused");
    return 0;
}
