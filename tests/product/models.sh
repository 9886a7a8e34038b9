#!/bin/sh
# An embedder and an LLM in one program: two single files, two folders' archives, two shared libraries;
# each gives what its own class gives (model.c), and both are found by attn_block_create as well.
set -u
cd "$(dirname "$0")/../.."
gen=${BUILD:-build}/attn-gen
here=tests/product
cases=tests/golden/model
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. $here/results.sh
cc=${CC:-cc}
flags="-std=c11 -Og -Wall -Wextra -Wpedantic -Werror"

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
        "$cc" -std=c11 -Og -Wall -Werror -c "$work/single/$name.c" -o "$work/single/$name.o" || return 1
    done
    "$cc" "$work"/*.o "$work"/single/*.o -lm -o "$work/of-singles" && runs "$work/of-singles"
}
folders() {
    generate "$work/folder" || return 1
    for name in bert llama; do
        make -s -j 2 -C "$work/folder/$name" CC="$cc" CFLAGS=-Og lib shared || return 1
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
check two-single-files singles
check two-archives folders && check two-shared-libraries shared
results
