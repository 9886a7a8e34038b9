/* A model's layers and kernels in words. */
#include "import/find_model.h"
#include "show/words.h"
#include "spec/model.h"
#include "util.h"
#include <criterion/criterion.h>
#include <string.h>

static arena *a;

static void begin(void) {
    a = arena_new();
}

static void end(void) {
    arena_free(a);
}

TestSuite(words, .init = begin, .fini = end);

/* which: a digit a layer, its kernel. */
static void check_layers(const char *which, int kernel, const char *want, int count) {
    int of[32], found;
    model m = {.layer_count = (int)strlen(which), .layer_kernel = of};
    for (int i = 0; i < m.layer_count; i++) of[i] = which[i] - '0';
    const char *got = words_of_layers(a, &m, kernel, false, &found);
    cr_expect_str_eq(got, want, "%s: %s, not %s", which, got, want);
    cr_expect_eq(found, count, "%s: %d layers, not %d", which, found, count);
}

Test(words, layers_of_a_kernel) {
    check_layers("0", 0, "layer 0", 1);
    check_layers("0000", 0, "all layers", 4);
    check_layers("010101", 0, "even layers", 3);
    check_layers("010101", 1, "odd layers", 3);
    check_layers("00010001000", 1, "layers 3, 7", 2);
    check_layers("000100010001", 1, "every 4th layer, from 3", 3);
    check_layers("000100010001", 0, "all layers but every 4th, from 3", 9);
    check_layers("001001001", 1, "every 3rd layer, from 2", 3);
    check_layers("0001212121", 1, "every 2nd layer, 3 to 9", 4);
    check_layers("0001212121", 0, "layers 0 .. 2", 3);
    check_layers("0011000110", 1, "layers 2, 3, 7, 8", 4);
    check_layers("0100100000", 1, "layers 1, 4", 2);
    check_layers("0101011111", 0, "every 2nd layer, 0 to 4", 3);
}

static void check_kernel(const char *name, const char *want) {
    model m;
    diag d;
    const char *notes = "";
    spec_input none[1];
    memset(none, 0, sizeof none);
    cr_assert(find_model(a, name, none, 0, &m, &notes, &d), "%s", d.text);
    const char *got = words_of_kernel(a, &m.kernels[m.layer_kernel[0]]);
    cr_expect_str_eq(got, want, "%s: %s, not %s", name, got, want);
}

Test(words, what_a_kernel_is) {
    check_kernel("gemma-2-2b",
                 "causal sliding self-attention, window 4095; 8 heads of 256, 4 key heads");
    check_kernel("deepseek-mla",
                 "causal full self-attention; 16 heads of 576, 1 key head, latent values of 512");
    check_kernel("tests/import/phi-3-mini-4k.json",
                 "causal sliding self-attention, window 2046; 32 heads of 96; swiglu, 8192 wide");
    check_kernel("tests/import/families/phimoe-1.json",
                 "causal full self-attention; 32 heads of 128, 8 key heads; 2 of 16 experts, 6400 "
                 "wide");
}
