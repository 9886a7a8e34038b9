/* main.c - attn-property: the property tests as a plain program, which needs a compiler and nothing
 * else. */
#define _DEFAULT_SOURCE
#include "isa.h"
#include "property.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: attn-property [options]\n"
    "\n"
    "  --test LIST    sweep, statuses, mutations, layers, layer-statuses,\n"
    "                 layer-mutations or all (default)\n"
    "  --isa LIST     default: all that this CPU runs\n"
    "  --shapes N     problems a spec (default 25, or ATTN_PROPERTY_SHAPES)\n"
    "  --seed N       (default 1, or ATTN_PROPERTY_SEED)\n"
    "  --spec NAME    only this row of tests/property/specs.c\n"
    "  --layers N     random layers (default 22)\n"
    "  --layer SPEC   layers: only this one, as field=value;..\n"
    "  --shape N      only this problem\n"
    "  --every N      only every N-th row, beginning with the seed's\n"
    "  --tuned        sweep: kernels under random tune files\n"
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

/* test: "all", or names with commas between them. */
static bool wanted(const char *test, const char *name) {
    const size_t n = strlen(name);
    if (strcmp(test, "all") == 0) return true;
    for (const char *at = test; at; at = strchr(at, ','), at += at != NULL)
        if (strncmp(at, name, n) == 0 && (at[n] == 0 || at[n] == ',')) return true;
    return false;
}

static int run(const property_options *o, const char *test) {
    int failures = 0;
    for (int i = 0; i < ATTN_ISA_COUNT; i++)
        if (!(isa_native() >> i & 1))
            printf("skipped %s: this CPU does not run it\n", isa_table[i].name);
    /* The sweep forks: it goes first, while this process has no OpenMP threads that would be lost
     * in its children. */
    if (wanted(test, "sweep")) failures += property_sweep(o);
    if (wanted(test, "layers")) failures += property_layers(o);
    if (wanted(test, "layer-mutations")) failures += property_layer_mutations(o);
    if (wanted(test, "statuses")) failures += property_statuses(o);
    if (wanted(test, "layer-statuses")) failures += property_layer_statuses(o);
    if (wanted(test, "mutations")) failures += property_mutations(o);
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
    o.isa_mask &= isa_native();
    return run(&o, test);
}
