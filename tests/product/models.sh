#!/bin/sh
# An embedder and an LLM in one program: two single files, two folders' archives, two shared libraries;
# each gives what its own class gives (model.c), and both are found by attn_block_create as well. Two
# models that share specs, of which one is tuned, run their own kernels.
set -u
cd "$(dirname "$0")/../.."
. tests/product/results.sh
cases=tests/golden/model
flags="-std=c11 -O0 -Wall -Wextra -Wpedantic -Werror"

cat >"$work/both.c" <<'C'
#include "bert.h"
#include "llama.h"
#include <stdio.h>
int main_bert(int argc, char **argv);
int main_llama(int argc, char **argv);
int main(int argc, char **argv) {
    attn_block *block = NULL;
    const attn_spec *first[] = {&bert_layer[0], &llama_layer[0]};
    const int shared = argc > 3; /* each library knows its own */
    for (int i = 0; i < 2; i++) {
        const attn_status status = !shared ? attn_block_create(&block, first[i], 0)
                                   : i     ? llama_block_create(&block, 0, 0)
                                           : bert_block_create(&block, 0, 0);
        attn_block_destroy(block);
        if (status != ATTN_OK) return printf("layer of model %d: %d\n", i, status), 1;
    }
    char *bert[] = {argv[0], argv[1]}, *llama[] = {argv[0], argv[2]};
    return main_bert(2, bert) || main_llama(2, llama);
}
C
generate() { # generate FOLDER FLAG..
    to=$1
    shift
    for name in bert llama; do
        at=$to
        [ "$#" -gt 0 ] || at=$to/$name # a folder each
        pool=
        [ $name = llama ] || pool="--pool pooler"
        # shellcheck disable=SC2086
        "$gen" generate $cases/$name --name $name --isa portable $pool "$@" -o "$at" || return 1
    done
}
tests_of() { # tests_of INCLUDES: the objects of model.c for both, and of both.c
    for name in bert llama; do
        # shellcheck disable=SC2086
        "$cc" $flags $1 -Dmain=main_$name -DMODEL_HEADER="\"${name}_model.h\"" -DMODEL_OPEN=${name}_model_open \
            -DPACKED="\"$work/$name\"" -c $here/model.c -o "$work/$name.o" || return 1
    done
    # shellcheck disable=SC2086
    "$cc" $flags $1 -c "$work/both.c" -o "$work/both.o"
}
runs() { "$1" $cases/bert $cases/llama ${2:-}; }

singles() {
    generate "$work/single" --single-file && tests_of "-I$work/single" || return 1
    for name in bert llama; do
        "$cc" -std=c11 -O0 -Wall -Werror -c "$work/single/$name.c" -o "$work/single/$name.o" || return 1
    done
    "$cc" "$work"/*.o "$work"/single/*.o -lm -o "$work/of-singles" && runs "$work/of-singles"
}
folders() {
    generate "$work/folder" || return 1
    for name in bert llama; do
        make -s -j 2 -C "$work/folder/$name" CC="$cc" CFLAGS=-O0 lib shared || return 1
    done
    dirs="-I$work/folder/bert -I$work/folder/llama"
    tests_of "$dirs" || return 1
    bert=$work/folder/bert/build llama=$work/folder/llama/build
    "$cc" "$work"/*.o "$bert/libbert.a" "$llama/libllama.a" -fopenmp -lm -o "$work/of-archives" &&
        runs "$work/of-archives"
}
shared() {
    "$cc" "$work"/*.o -L"$bert" -L"$llama" -lbert -lllama -Wl,-rpath,"$bert" -Wl,-rpath,"$llama" -fopenmp \
        -lm -o "$work/of-shared" && runs "$work/of-shared" shared
}
# Models of the same core and layer, one of them as a tune file has it: each runs its own code.
cat >"$work/same.lua" <<'L'
return { name = "same", layers = { { heads = 2, head_dim = 8 },
    { level = "block", d_model = 16, heads = 2, head_dim = 8, ffn_dim = 24, ffn_bias = false } } }
L
cat >"$work/same.c" <<'C'
#include "own.h"
#include "tuned.h"
#include <stdio.h>
#include <string.h>
static int other(const char *own, const char *tuned) {
    printf("%s\n%s\n", own, tuned);
    return strcmp(own, tuned) != 0;
}
int main(void) {
    attn_plan *core[2];
    attn_block *layer[2];
    if (own_create(&core[0], 0, 0) || attn_plan_create(&core[1], &tuned_layer[0], 0) ||
        own_block_create(&layer[0], 1, 0) || tuned_block_create(&layer[1], 1, 0))
        return 1;
    const int ok = other(attn_plan_kernel(core[0], 9), attn_plan_kernel(core[1], 9)) &
                   other(attn_block_name(layer[0]), attn_block_name(layer[1]));
    for (int i = 0; i < 2; i++) attn_plan_destroy(core[i]), attn_block_destroy(layer[i]);
    return !ok;
}
C
same() { # same WAY: the two programs of both, linked in either order
    to=$work/same$1
    for name in own tuned; do
        tune=
        [ $name = own ] || tune="--tune $work/tune.lua"
        # shellcheck disable=SC2086
        "$gen" generate "$work/same.lua" --name $name --isa portable $tune $1 -o "$to/$name" || return 1
        if [ "$1" ]; then
            "$cc" -std=c11 -O0 -Wall -Werror -c "$to/$name/$name.c" -o "$to/$name.a" || return 1
        else
            make -s -j 2 -C "$to/$name" CC="$cc" CFLAGS=-O0 lib && cp "$to/$name/build/lib$name.a" "$to/$name.a" || return 1
        fi
    done
    for order in "own tuned" "tuned own"; do
        set -- $order
        # shellcheck disable=SC2086
        "$cc" $flags -I"$to/own" -I"$to/tuned" "$work/same.c" "$to/$1.a" "$to/$2.a" -fopenmp -lm -o "$to/program" &&
            "$to/program" || return 1
    done
}
tuned() {
    "$gen" explain "$work/same.lua" --isa portable | grep -E '^attn_f32_regular_' >"$work/cores" &&
        sed 's/.*/["&"] = { portable = { unroll = 2 } },/; 1s/^/return {/; $s/$/}/' "$work/cores" >"$work/tune.lua" &&
        same "" && same --single-file
}
check tuned-beside-own tuned
check two-single-files singles
check two-archives folders && check two-shared-libraries shared
results
