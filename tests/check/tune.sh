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
