#!/bin/sh
# A whole tuning of a small kernel: the file that attn-gen tune writes is read back, gives the same
# code twice, and its kernels pass their self-test. Minutes: a stage of make test-full.
set -eu
gen=build/attn-gen
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
small="--heads 2 --head-dim 16 --isa portable"
# shellcheck disable=SC2086
{
    $gen tune $small -o "$work/t.lua" 2>"$work/progress"
    [ ! -s "$work/progress" ] || { echo "tune: progress without a terminal"; exit 1; }
    $gen generate $small --tune "$work/t.lua" -o "$work/a"
    $gen generate $small --tune "$work/t.lua" -o "$work/b"
    diff -r "$work/a" "$work/b"
    $gen check "$work/a"
    $gen explain $small --tune "$work/t.lua" | grep "tune file"
}
make -s -C "$work/a" selftest
# What an instruction set that is not asked for is worth, and outputs in 16 bits, where one has it.
if grep -qw avx512_bf16 /proc/cpuinfo 2>/dev/null; then
    fast="--heads 2 --head-dim 64 --type bf16 --dot bf16 --isa avx512,avx512bf16"
    # shellcheck disable=SC2086
    $gen tune $fast -o "$work/u.lua" 2>/dev/null && $gen generate $fast --tune "$work/u.lua" -o "$work/c"
    grep -q "unasked = " "$work/u.lua" || { echo "tune: no word on avx512bf16"; exit 1; }
    make -s -C "$work/c" selftest
fi
