#!/bin/sh
# Users of one model in a serving loop, each with the text that he gets alone: serving.c on a tiny
# model at random; and items that share a prefix: prefix.c. On the widest instruction set here;
# ATTN_FULL=1: on all.
set -u
cd "$(dirname "$0")/../../.."
here=tests/product/serving
build=${BUILD:-build}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMP_WAIT_POLICY=passive

compile() { # compile MODEL.lua OPTIMIZATION SOURCE..
    "$build/attn-gen" generate "$1" --isa "$isas" --name lm -o "$work/lm" >/dev/null || exit 1
    optimization=$2
    shift 2
    make -s -C "$work/lm" lib CFLAGS="$optimization" >"$work/make.log" 2>&1 || { cat "$work/make.log" && exit 1; }
    ${CC:-cc} -std=c11 -D_GNU_SOURCE "$optimization" -Wall -Wextra -Wpedantic -Werror -fopenmp \
        -I"$work/lm" -I"$work/lm/runtime" $here/serving.c $here/head.c "$@" "$work/lm/build/liblm.a" -lm \
        -o "$work/serving" || exit 1
}

isas=portable
for isa in avx2 avx512; do
    if grep -q $isa /proc/cpuinfo; then isas=${ATTN_FULL:+$isas,}$isa; fi
done

compile $here/tiny.lua -O0 $here/tiny.c
"$build/attn-gen" generate --heads 4 --kv-heads 2 --head-dim 64 --isa "$isas" --name k -o "$work/k" >/dev/null &&
    make -s -C "$work/k" lib CFLAGS=-O1 >"$work/make.log" 2>&1 || { cat "$work/make.log" && exit 1; }
${CC:-cc} -std=c11 -D_GNU_SOURCE -O1 -Wall -Wextra -Wpedantic -Werror -fopenmp -I"$work/k" \
    -I"$work/k/runtime" $here/prefix.c "$work/k/build/libk.a" -lm -o "$work/prefix" || exit 1
status=0
for isa in $(echo "$isas" | tr , ' '); do
    ATTN_ISA=$isa "$work/serving" || status=1
    ATTN_ISA=$isa "$work/prefix" || status=1
done
exit $status
