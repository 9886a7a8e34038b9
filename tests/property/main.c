/* main.c - attn-property: the property tests as a plain program, which needs a compiler and nothing
 * else. */
#define _DEFAULT_SOURCE
#include "plan/isa.h"
#include "property.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: attn-property [options]\n"
    "\n"
    "  --test LIST    sweep, pairs, product, sums, statuses, workspaces, mutations, caches, "
    "layers,\n"
    "                 layer-statuses, layer-mutations or all (default; but product)\n"
    "  --isa LIST     default: all that this CPU runs\n"
    "  --shapes N     problems a spec (default 25, or ATTN_PROPERTY_SHAPES)\n"
    "  --seed N       (default 1, or ATTN_PROPERTY_SEED)\n"
    "  --spec NAME    only this row of tests/property/specs.c, of pairs or of the product\n"
    "  --layers N     random layers (default 22)\n"
    "  --layer SPEC   layers: only this one, as field=value;..\n"
    "  --lists        layers: all over lists of keys (select = index)\n"
    "  --shape N      only this problem\n"
    "  --every N      only every N-th row, beginning with the seed's\n"
    "  --tuned        sweep: kernels under random tune files\n"
    "  --chunks       sweep, sums: prefill packs V by chunks of one key block\n"
    "  --unroll N     0: auto, -1: full, else a number\n"
    "  --cflags F     more options for the compiler of generated code\n"
    "  --templates D  templates to use instead of the built-in ones\n"
    "  --keep         leave generated folders, and print where they are\n"
    "  --verbose      a line a spec\n";

static bool parse_value(property_options *o, const char *name, const char *value, const char **test,
                        diag *d) {
    if (strcmp(name, "--test") == 0)
        *test = value;
    else if (strcmp(name, "--isa") == 0)
        return (o->isa_mask = isa_parse(value, d)) != 0;
    else if (strcmp(name, "--shapes") == 0)
        o->shapes = atoi(value);
    else if (strcmp(name, "--seed") == 0)
        o->seed = strtoull(value, NULL, 10);
    else if (strcmp(name, "--layers") == 0)
        o->layers = atoi(value);
    else if (strcmp(name, "--spec") == 0 || strcmp(name, "--layer") == 0)
        o->spec = value;
    else if (strcmp(name, "--shape") == 0)
        o->shape = atoi(value);
    else if (strcmp(name, "--every") == 0)
        o->every = atoi(value) > 0 ? atoi(value) : 1;
    else if (strcmp(name, "--unroll") == 0)
        o->build.unroll = atoi(value);
    else if (strcmp(name, "--cflags") == 0)
        o->build.cflags = value;
    else if (strcmp(name, "--templates") == 0)
        o->build.templates = value;
    else
        return diag_set(d, "unknown option %s; see --help", name);
    return true;
}

static bool parse(int argc, char **argv, property_options *o, const char **test, diag *d) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0)
            o->verbose = true;
        else if (strcmp(argv[i], "--tuned") == 0)
            o->tuned = true;
        else if (strcmp(argv[i], "--lists") == 0)
            o->lists = true;
        else if (strcmp(argv[i], "--chunks") == 0)
            property_chunks(&o->build);
        else if (strcmp(argv[i], "--keep") == 0)
            o->build.keep = true;
        else if (i + 1 == argc)
            return diag_set(d, "%s: unknown, or needs a value", argv[i]);
        else if (!parse_value(o, argv[i], argv[i + 1], test, d))
            return false;
        else
            i++;
    }
    return true;
}

/* The sweeps and the layers fork: they go first, while this process has no OpenMP threads that
 * would be lost in its children. */
static const struct {
    const char *name;
    int (*run)(const property_options *o);
} tests[] = {
    {"sweep", property_sweep},
    {"pairs", property_sweep_pairs},
    {"product", property_sweep_product},
    {"layers", property_layers},
    {"layer-mutations", property_layer_mutations},
    {"sums", property_sums},
    {"caches", property_caches},
    {"workspaces", property_workspaces},
    {"statuses", property_statuses},
    {"layer-statuses", property_layer_statuses},
    {"mutations", property_mutations},
};
enum { TESTS = sizeof tests / sizeof *tests };

/* Bits of tests[] in "all", or in names with commas between them; 0: an unknown name. */
static unsigned wanted(const char *list) {
    unsigned all = 0;
    for (int i = 0; i < TESTS; i++)
        if (tests[i].run != property_sweep_product) all |= 1u << i;
    if (strcmp(list, "all") == 0) return all;
    all = 0;
    for (const char *at = list; at; at = strchr(at, ','), at += at != NULL) {
        const size_t n = strcspn(at, ",");
        int i = 0;
        while (i < TESTS && (strncmp(at, tests[i].name, n) != 0 || tests[i].name[n])) i++;
        if (i == TESTS) return 0;
        all |= 1u << i;
    }
    return all;
}

static int run(const property_options *o, unsigned which) {
    int failures = 0;
    for (int i = 0; i < ATTN_ISA_COUNT; i++)
        if (!(isa_native() >> i & 1))
            printf("skipped %s: this CPU does not run it\n", isa_table[i].name);
    for (int i = 0; i < TESTS; i++)
        if (which >> i & 1) failures += tests[i].run(o);
    return failures ? 1 : 0;
}

int main(int argc, char **argv) {
    property_options o = property_defaults();
    const char *test = "all";
    diag d = {0};
    setenv("OMP_WAIT_POLICY", "passive", 0);
    if (argc == 2 && strcmp(argv[1], "--help") == 0) return fputs(help, stdout) < 0;
    if (!parse(argc, argv, &o, &test, &d)) {
        fprintf(stderr, "attn-property: %s\n", d.text);
        return 2;
    }
    if (!wanted(test)) {
        fprintf(stderr, "attn-property: --test %s: unknown; see --help\n", test);
        return 2;
    }
    o.isa_mask &= isa_native();
    /* Teams of any size on any machine: team.c. */
    arena *a = arena_new();
    o.build.cflags = arena_printf(a, "-DATTN_TEST_CPUS=8 %s", o.build.cflags ? o.build.cflags : "");
    const int failed = run(&o, wanted(test));
    arena_free(a);
    return failed;
}
